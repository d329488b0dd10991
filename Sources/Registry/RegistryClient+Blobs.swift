// SPDX-License-Identifier: Apache-2.0
internal import HTTP
public import OCI

extension RegistryClient {
    /// Whether a repository has a blob (HEAD).
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where.
    ///   - access: What else will be done there, so that one token does for all.
    /// - Returns: Whether it is there, with the size it should have.
    /// - Throws: ``RegistryError`` where the registry does not say.
    public func exists(_ blob: Descriptor, in repository: Repository, for access: Access = .pull) async throws -> Bool {
        let operation = Operation("look for blob \(blob.digest) in \(repository)", repository, access)
        let response = try await send(operation) { base in
            HTTPRequest(.head, RegistryClient.url(base, repository, "blobs/\(blob.digest)"))
        }
        if response.status == 404 { return false }
        guard response.isSuccess else { throw await operation.error(response, secrets: state.secrets) }
        let size = response.headers["Content-Length"].flatMap { Int64($0) }
        return size == nil || size == blob.size
    }

    /// Reads a blob into a sink; mirrors are asked first.
    ///
    /// The reading goes on where a connection broke. Size and digest are verified before the sink is told to keep it.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where it is.
    ///   - sink: Where it goes.
    ///   - onProgress: Told how many of its bytes have come so far.
    /// - Throws: ``RegistryError`` where it cannot be had whole and right; the sink's error.
    public func download(
        _ blob: Descriptor,
        from repository: Repository,
        into sink: any BlobSink,
        onProgress: @escaping @Sendable (Int64) -> Void = { _ in }
    ) async throws {
        do {
            try await attempt(blob, repository, sink, onProgress)
        } catch let error as RegistryError where error.cause is WrongContent {
            // Once more from the start: what spoils bytes on the way seldom does it twice.
            onEvent(.waiting(registry: repository.registry, reason: error.message, delay: .zero, attempt: 2))
            try await attempt(blob, repository, sink, onProgress)
        }
    }

    private func attempt(
        _ blob: Descriptor,
        _ repository: Repository,
        _ sink: any BlobSink,
        _ onProgress: @Sendable (Int64) -> Void
    ) async throws {
        let chunks = try await open(blob, in: repository)
        let writer = try await sink.begin(blob)
        var count: Int64 = 0
        for try await chunk in chunks {
            try await writer.write(chunk)
            count += Int64(chunk.count)
            onProgress(count)
        }
        try await writer.commit()
    }

    /// Opens a blob for reading; mirrors are asked first.
    ///
    /// The reading goes on where a connection broke.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where it is.
    ///   - offset: The first byte wanted.
    /// - Returns: The bytes. Read from 0, they are verified: the last chunk comes only if size and digest are right.
    /// - Throws: ``RegistryError`` where it cannot be had.
    public func open(_ blob: Descriptor, in repository: Repository, from offset: Int64 = 0) async throws -> BlobChunks {
        let reader = BlobReader(self, blob, repository, offset)
        try await reader.start()
        return BlobChunks(isVerified: offset == 0) { try await reader.next() }
    }

    /// Reads a small blob whole, verified; mirrors are asked first.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where it is.
    ///   - limit: The most bytes to hold.
    /// - Returns: Its bytes.
    /// - Throws: ``RegistryError`` where it cannot be had whole and right, or is over the limit.
    public func bytes(of blob: Descriptor, in repository: Repository, limit: Int64 = 4 << 20) async throws -> [UInt8] {
        let operation = Operation("read blob \(blob.digest) of \(repository)", repository, .pull)
        guard blob.size <= limit else {
            throw operation.invalid("it has \(blob.size) bytes, over the limit of \(limit)")
        }
        var bytes: [UInt8] = []
        for try await chunk in try await open(blob, in: repository) { bytes += chunk }
        return bytes
    }

    /// A repository as a source of blobs, for ``upload(_:from:to:mounting:onProgress:)`` of another.
    ///
    /// - Parameter repository: The repository.
    /// - Returns: The source.
    public func source(_ repository: Repository) -> RepositorySource {
        RepositorySource(client: self, repository: repository)
    }

    /// Removes a blob.
    ///
    /// - Parameters:
    ///   - blob: Its digest.
    ///   - repository: Where.
    /// - Throws: ``RegistryError``, of kind `.notFound` where there is none.
    public func deleteBlob(_ blob: Digest, in repository: Repository) async throws {
        try await remove("delete blob \(blob) of \(repository)", repository, "blobs/\(blob)")
    }
}

/// A repository that blobs are read from.
public struct RepositorySource: BlobSource {
    let client: RegistryClient
    let repository: Repository

    /// Opens a blob; the reading goes on where a connection broke.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - offset: The first byte wanted.
    /// - Returns: The bytes; read from 0 they are verified.
    /// - Throws: ``RegistryError`` where it cannot be had.
    public func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks {
        try await client.open(blob, in: repository, from: offset)
    }
}
