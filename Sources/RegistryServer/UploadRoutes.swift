// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import NIOCore
internal import OCI
internal import Store

/// Blobs on their way in.
///
/// Specification: OCI distribution-spec 1.1, "Pushing blobs".
extension Responder {
    /// end-4a, end-4b, end-11: starts an upload, takes a whole blob, or mounts one from another repository.
    func startUpload(in repository: RepositoryName, _ exchange: Exchange, _ caller: Caller) async throws -> Answer {
        if let algorithm = exchange.query("digest-algorithm"), BlobName.Algorithm(rawValue: algorithm) == nil {
            throw Refusal(.badRequest, .unsupported, "digests by \"\(algorithm)\" are not known: sha256 or sha512")
        }
        if let text = exchange.query("mount") {
            let name = try Route.digest(text)
            if try mount(name, from: exchange.query("from"), into: repository, exchange, caller) {
                return blobCreated(name, in: repository)
            }
        }
        let digest = try exchange.query("digest").map { try Route.digest($0) }
        let (id, session) = try uploads.start(in: repository)
        guard let digest else { return uploadState(.accepted, id, in: repository, size: 0) }
        do {
            guard let (turn, _) = try await session.begin() else { throw unknownUpload(id) }
            try await receive(exchange.body, into: session, turn)
            return try await finish(session, id, turn, digest, in: repository)
        } catch {
            // Nobody was told of this upload, so nobody goes on with it.
            await session.cancel()
            uploads.forget(id, in: repository)
            throw error
        }
    }

    /// Gives a repository a blob of another; whether there was one to be had.
    private func mount(
        _ name: BlobName,
        from text: String?,
        into repository: RepositoryName,
        _ exchange: Exchange,
        _ caller: Caller
    ) throws -> Bool {
        if faults.take(exchange, { $0 == .noMount ? true : nil }) != nil { return false }
        let lease = try store.lease()
        defer { withExtendedLifetime(lease) {} }
        let sources: [RepositoryName]
        if let text, !text.isEmpty {
            sources = [try Route.name(text)]
        } else {
            sources = [repository] + repositories.names() + (try listed.names())
        }
        for source in sources where caller.may(.pull, source) {
            guard let digest = try blob(name, in: source) else { continue }
            try repositories.link(digest, as: name, in: repository)
            return true
        }
        return false
    }

    /// end-5: adds to an upload.
    func addToUpload(_ id: String, in repository: RepositoryName, _ exchange: Exchange) async throws -> Answer {
        let (session, turn, size) = try await open(id, in: repository)
        try check(exchange, id, in: repository, size: size)
        try await receive(exchange.body, into: session, turn)
        return uploadState(.accepted, id, in: repository, size: await session.size)
    }

    /// end-6: ends an upload, perhaps with the last bytes of it.
    func finishUpload(_ id: String, in repository: RepositoryName, _ exchange: Exchange) async throws -> Answer {
        guard let text = exchange.query("digest") else {
            throw Refusal(.badRequest, .digestInvalid, "ending an upload takes ?digest=, and there is none")
        }
        let digest = try Route.digest(text)
        let (session, turn, size) = try await open(id, in: repository)
        try check(exchange, id, in: repository, size: size)
        try await receive(exchange.body, into: session, turn)
        return try await finish(session, id, turn, digest, in: repository)
    }

    /// end-13: how far an upload is.
    func uploadStatus(_ id: String, in repository: RepositoryName) async throws -> Answer {
        guard let session = try uploads.find(id, in: repository), let size = try await session.status() else {
            throw unknownUpload(id)
        }
        return uploadState(.noContent, id, in: repository, size: size)
    }

    /// end-14: gives an upload up.
    func cancelUpload(_ id: String, in repository: RepositoryName) async throws -> Answer {
        let (session, _, _) = try await open(id, in: repository)
        await session.cancel()
        uploads.forget(id, in: repository)
        return Answer(.noContent)
    }

    private func open(_ id: String, in repository: RepositoryName) async throws -> (UploadSession, Int, Int64) {
        guard let session = try uploads.find(id, in: repository) else { throw unknownUpload(id) }
        guard let (turn, size) = try await session.begin() else {
            uploads.forget(id, in: repository)
            throw unknownUpload(id)
        }
        return (session, turn, size)
    }

    private func unknownUpload(_ id: String) -> Refusal {
        Refusal(.notFound, .uploadUnknown, "there is no upload \(id) here: start another", detail: .string(id))
    }

    /// Chunks come in order: one that does not begin where the last ended is refused.
    private func check(_ exchange: Exchange, _ id: String, in repository: RepositoryName, size: Int64) throws {
        guard let text = exchange.headers[.contentRange] else { return }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
        guard parts.count == 2, let first = parts[0], let last = parts[1], text.utf8.first != 0x2B, last >= first else {
            throw Refusal(
                .badRequest,
                .uploadInvalid,
                "the Content-Range \"\(text)\" has not the form FIRST-LAST, two numbers and nothing else"
            )
        }
        guard first == size else {
            var refusal = Refusal(
                .rangeNotSatisfiable,
                .uploadInvalid,
                "the chunk begins at byte \(first), and the upload goes on at byte \(size)"
            )
            for field in uploadState(.accepted, id, in: repository, size: size).headers {
                refusal.headers.append(field)
            }
            throw refusal
        }
        if let length = exchange.body.length, length != last - first + 1 {
            throw Refusal(
                .badRequest,
                .sizeInvalid,
                "the Content-Range \"\(text)\" has \(last - first + 1) bytes, and the body has \(length)"
            )
        }
    }

    /// How many bytes are handed to the disk at once.
    private static let blockSize = 256 << 10

    /// Takes a body in: the next bytes come while the last are hashed and written.
    private func receive(_ body: RequestBytes, into session: UploadSession, _ turn: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var block = UploadBlock()
            func flush() async throws {
                try await group.next()
                let full = block.buffers
                block = UploadBlock()
                group.addTask(executorPreference: DiskExecutor.shared) { try await session.append(full, in: turn) }
            }
            do {
                while let buffer = try await body.next() {
                    block.add(buffer)
                    if block.size >= Self.blockSize { try await flush() }
                }
            } catch {
                // What came before a cut counts, so that the client can go on there.
                try await flush()
                try await group.waitForAll()
                throw error
            }
            if block.size > 0 { try await flush() }
            try await group.waitForAll()
        }
    }

    private func finish(
        _ session: UploadSession,
        _ id: String,
        _ turn: Int,
        _ name: BlobName,
        in repository: RepositoryName
    ) async throws -> Answer {
        guard try await session.commit(name, in: turn) != nil else {
            await session.cancel()
            uploads.forget(id, in: repository)
            throw Refusal(
                .badRequest,
                .digestInvalid,
                "the bytes have another digest than \(name); the upload is discarded",
                detail: .string(name.description)
            )
        }
        uploads.forget(id, in: repository)
        return blobCreated(name, in: repository)
    }

    private func blobCreated(_ name: BlobName, in repository: RepositoryName) -> Answer {
        var answer = Answer(.created)
        answer.headers[.location] = "/v2/\(repository)/blobs/\(name)"
        answer.headers[.dockerDigest] = name.description
        return answer
    }

    private func uploadState(
        _ status: HTTPResponse.Status,
        _ id: String,
        in repository: RepositoryName,
        size: Int64
    ) -> Answer {
        var answer = Answer(status)
        answer.headers[.location] = "/v2/\(repository)/blobs/uploads/\(id)"
        answer.headers[.range] = "0-\(max(0, size - 1))"
        answer.headers[.dockerUpload] = id
        return answer
    }
}

/// Bytes of a body that are handed to the disk at once.
private struct UploadBlock {
    private(set) var buffers: [ByteBuffer] = []
    private(set) var size = 0
    /// Whether the last of them has no bytes of others.
    private var isLastOwn = false

    /// A piece keeps alive all that was read from the connection with it; of smaller ones, the bytes are copied.
    private static let least = 16 << 10

    mutating func add(_ buffer: ByteBuffer) {
        size += buffer.readableBytes
        guard buffer.readableBytes < UploadBlock.least else {
            buffers.append(buffer)
            isLastOwn = false
            return
        }
        if !isLastOwn { buffers.append(ByteBufferAllocator().buffer(capacity: UploadBlock.least)) }
        buffers[buffers.count - 1].writeImmutableBuffer(buffer)
        isLastOwn = true
    }
}
