// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI
internal import Store

/// Blobs that are here.
///
/// Specification: OCI distribution-spec 1.1, "Pulling blobs"; RFC 9110, section 14, for ranges.
extension Responder {
    /// The blob that a repository has under a name, if the store has it too.
    func blob(_ name: BlobName, in repository: RepositoryName) throws(StoreError) -> Digest? {
        if let digest = try repositories.blob(name, in: repository), store.holds(digest) { return digest }
        // A manifest is a blob as well.
        if let record = try repositories.manifest(name, in: repository), store.holds(record.descriptor.digest) {
            return record.descriptor.digest
        }
        guard let digest = name.sha256, try listed.has(digest, in: repository), store.holds(digest) else { return nil }
        return digest
    }

    /// end-2: a blob, or a part of it.
    func getBlob(_ text: String, in repository: RepositoryName, _ exchange: Exchange) throws -> Answer {
        let name = try Route.digest(text)
        guard let digest = try blob(name, in: repository), let file = try OpenFile(store.path(of: digest)) else {
            throw unknownBlob(name, in: repository)
        }
        // Who asks for a blob's head is about to push what needs it.
        if exchange.method == .head, !options.isReadOnly { repositories.expect(name, in: repository) }
        var answer = Answer(.ok)
        answer.headers[.dockerDigest] = name.description
        answer.headers[.eTag] = "\"\(name)\""
        if exchange.headers[.ifNoneMatch]?.contains("\"\(name)\"") ?? false {
            answer.status = .notModified
            return answer
        }
        if let storage, exchange.method == .get {
            answer.status = .temporaryRedirect
            answer.headers[.location] = storageLocation(digest, at: storage)
            return answer
        }
        return try content(of: answer, file, name, exchange)
    }

    /// The bytes of a blob, or a part of them.
    func content(of start: Answer, _ file: OpenFile, _ name: BlobName, _ exchange: Exchange) throws -> Answer {
        var answer = start
        answer.headers[.contentType] = "application/octet-stream"
        answer.headers[.cacheControl] = "max-age=31536000"
        answer.body = .file(file, 0..<file.size)
        if exchange.headers[.range] != nil, faults.take(exchange, { $0 == .noRange ? true : nil }) != nil {
            return answer
        }
        answer.headers[.acceptRanges] = "bytes"
        guard let range = exchange.headers[.range], exchange.method == .get, isCurrent(exchange, name) else {
            return answer
        }
        return try part(range, of: answer, file)
    }

    /// A part is of use only with the rest that the client has.
    private func isCurrent(_ exchange: Exchange, _ name: BlobName) -> Bool {
        exchange.headers[.ifRange].map { $0 == "\"\(name)\"" } ?? true
    }

    private func part(_ text: String, of whole: Answer, _ file: OpenFile) throws(Refusal) -> Answer {
        guard let range = ByteRange(text) else { return whole }
        guard let bytes = range.resolve(size: file.size) else {
            var refusal = Refusal(
                .rangeNotSatisfiable,
                .sizeInvalid,
                "the range \"\(text)\" is not in the blob, which has \(file.size) bytes"
            )
            refusal.headers[.contentRange] = "bytes */\(file.size)"
            throw refusal
        }
        var answer = whole
        answer.status = .partialContent
        answer.headers[.contentRange] = "bytes \(bytes.lowerBound)-\(bytes.upperBound - 1)/\(file.size)"
        answer.body = .file(file, bytes)
        return answer
    }

    /// end-10: takes a blob from a repository.
    func deleteBlob(_ text: String, in repository: RepositoryName) throws -> Answer {
        let name = try Route.digest(text)
        if repositories.unlink(name, in: repository) { return Answer(.accepted) }
        if let digest = name.sha256, try listed.has(digest, in: repository) { throw listedImage(repository) }
        throw unknownBlob(name, in: repository)
    }

    func unknownBlob(_ name: BlobName, in repository: RepositoryName) -> Refusal {
        Refusal(
            .notFound,
            .blobUnknown,
            "there is no blob \(name) in \(repository)",
            detail: ["digest": .string(name.description)]
        )
    }

    func listedImage(_ repository: RepositoryName) -> Refusal {
        Refusal(
            .methodNotAllowed,
            .unsupported,
            "this image of \(repository) is of the store's own list: coracle rm removes it"
        )
    }
}

/// One range of bytes as a request asks for it.
struct ByteRange: Equatable {
    private let first: Int64?
    private let last: Int64?

    /// Reads `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-COUNT`; `nil` for anything else, which is then left aside.
    init?(_ text: String) {
        guard text.hasPrefix("bytes=") else { return nil }
        let parts = text.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else {
            return nil
        }
        (first, last) = (Int64(parts[0]), Int64(parts[1]))
        // Empty on both sides, too large for a number, or backwards.
        guard first != nil || last != nil, parts[0].isEmpty == (first == nil), parts[1].isEmpty == (last == nil) else {
            return nil
        }
        if let first, let last, last < first { return nil }
    }

    /// The bytes of a blob that are meant; `nil` where it has none of them.
    func resolve(size: Int64) -> Range<Int64>? {
        guard let first else {
            let count = min(last ?? 0, size)
            return count > 0 ? size - count..<size : nil
        }
        guard first < size else { return nil }
        return first..<min(size - 1, last ?? size - 1) + 1
    }
}
