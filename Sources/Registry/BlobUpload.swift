// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI
internal import Synchronization

/// One blob on its way into a repository: what is sent next, and what to do when that fails.
///
/// Specification: OCI distribution-spec 1.1, "Pushing a blob in chunks" and "monolithically". ACR's habits: an upload
/// whose chunk broke is gone (404), so the blob is begun again; `Content-Range` is refused with `bytes ` before it.
struct BlobUpload {
    /// How the bytes are sent; each next one is for registries that refuse the one before.
    private enum Manner {
        /// Chunks with `Content-Range`, each a PATCH; then a PUT without content.
        case chunks
        /// One PATCH with all of it.
        case whole
        /// The closing PUT carries all of it.
        case single
    }

    /// What a request came to.
    private enum Step {
        case done
        /// The registry may have more or less than was thought: ask it.
        case interrupted(RegistryError)
        /// The registry does not know the upload any more.
        case lost(RegistryError)
        /// The chunk is too large.
        case tooLarge(RegistryError)
        /// The registry does not take chunks in this manner.
        case refused(RegistryError)
    }

    private static let small: Int64 = 1 << 20

    private let client: RegistryClient
    private let blob: Descriptor
    private let pass: SourcePass
    private let repository: Repository
    private let operation: Operation
    private let onProgress: @Sendable (Int64) -> Void
    private let journal: UploadJournal?

    private var manner: Manner
    private var chunkSize: Int64
    private var offset: Int64 = 0
    /// The furthest that the registry ever had; failures before it are counted.
    private var furthest: Int64 = 0
    private var failures = 0
    private var location: UploadLocation?

    init(
        client: RegistryClient,
        blob: Descriptor,
        source: any BlobSource,
        to repository: Repository,
        onProgress: @escaping @Sendable (Int64) -> Void
    ) {
        (self.client, self.blob, self.repository) = (client, blob, repository)
        self.onProgress = onProgress
        pass = SourcePass(source, blob)
        operation = Operation("push blob \(blob.digest) to \(repository)", repository, .push)
        manner = blob.size < BlobUpload.small ? .single : .chunks
        chunkSize = max(client.settings.chunkSize, 1 << 20)
        // What is sent in a moment needs no notes.
        journal = blob.size > chunkSize ? client.settings.journalFolder.map { UploadJournal($0) } : nil
    }

    mutating func run(mounting other: Repository?) async throws -> UploadOutcome {
        if try await !resume() {
            location = try await client.beginUpload(blob, repository, mounting: other)
            if location == nil { return .mounted }
            // Killed in its first chunk, the upload has something already.
            note()
        }
        do {
            while true {
                let step = try await advance()
                if case .done = step {
                    guard location == nil else { continue }
                    journal?.remove(blob, repository)
                    onProgress(blob.size)
                    return .uploaded
                }
                if try await recover(step) {
                    journal?.remove(blob, repository)
                    return .existed
                }
            }
        } catch {
            // With a note, a later run goes on; without, the registry need not keep what it has.
            if journal == nil, let location { await client.abandon(location, repository) }
            throw error
        }
    }

    /// Goes on with what an earlier run left, if the registry still has it.
    private mutating func resume() async throws -> Bool {
        guard let note = journal?.take(blob, repository), let url = try? HTTPURL(note.location) else { return false }
        let base = try await client.endpoint(operation).base
        guard url.authority == base.authority, url.isSecure == base.isSecure else { return false }
        location = UploadLocation(url: url, leastChunk: 0)
        guard try await askOffset() else {
            location = nil
            return false
        }
        furthest = offset
        return true
    }

    // MARK: One request

    /// Sends the next request; when the blob is complete, there is no location any more.
    private mutating func advance() async throws -> Step {
        guard let place = location else { return .done }
        if manner == .single || offset == blob.size { return try await close(place) }
        var size = blob.size - offset
        if manner == .chunks { size = min(size, max(chunkSize, place.leastChunk)) }
        var request = HTTPRequest(.patch, place.url, headers: ["Content-Type": "application/octet-stream"])
        // A blob that is one chunk needs no range; some registries know none.
        if manner == .chunks, size < blob.size { request.headers["Content-Range"] = "\(offset)-\(offset + size - 1)" }
        request.body = body(size)
        let response: HTTPResponse
        do {
            response = try await send(request)
        } catch let error as RegistryError where error.kind == .network {
            return .interrupted(error)
        }
        guard response.isSuccess else { return await failure(response, isClosing: false) }
        await response.discard()
        offset += size
        if offset > furthest { (furthest, failures) = (offset, 0) }
        location = UploadLocation(
            url: try await client.location(response, operation),
            leastChunk: place.leastChunk
        )
        note()
        return .done
    }

    /// The last request: says the digest, and carries the bytes where they were not sent before.
    private mutating func close(_ place: UploadLocation) async throws -> Step {
        var request = HTTPRequest(.put, place.url.adding("digest", blob.digest.description))
        request.repetition = .never
        if manner == .single {
            request.headers["Content-Type"] = "application/octet-stream"
            request.body = body(blob.size)
        }
        let response: HTTPResponse
        do {
            response = try await send(request)
        } catch let error as RegistryError where error.kind == .network {
            return .interrupted(error)
        }
        guard response.isSuccess else { return await failure(response, isClosing: true) }
        await response.discard()
        if let text = response.headers["Docker-Content-Digest"], let found = try? Digest(text), found != blob.digest {
            throw operation.invalid("the registry stored it as \(found)")
        }
        location = nil
        return .done
    }

    private func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        try await client.send(operation) { _ in request }
    }

    /// The next bytes of the blob; another attempt opens the source anew.
    private func body(_ size: Int64) -> HTTPBody {
        let (pass, start, onProgress) = (pass, offset, onProgress)
        return HTTPBody(size: size) {
            guard size > 0 else { return .none }
            let cursor = try await pass.cursor(at: start)
            let (end, sent) = (start + size, Counter(start))
            return HTTPChunks {
                guard sent.value < end, let chunk = try await cursor.next(before: end) else { return nil }
                onProgress(sent.add(Int64(chunk.count)))
                // The last chunk gives the pass back: from here on it may be the next request's.
                if sent.value == end { pass.keep(cursor) }
                return chunk
            }
        }
    }

    private func failure(_ response: HTTPResponse, isClosing: Bool) async -> Step {
        let error = await operation.error(response, secrets: client.state.secrets)
        switch response.status {
        case 413: return .tooLarge(error)
        case 416: return .interrupted(error)
        case 404: return .lost(error)
        case 400 where error.codes.contains("BLOB_UPLOAD_INVALID") || error.codes.contains("BLOB_UPLOAD_UNKNOWN"):
            return .lost(error)
        case 400 where isClosing && (error.codes.contains("DIGEST_INVALID") || error.codes.contains("SIZE_INVALID")):
            return .lost(
                RegistryError(
                    .invalid,
                    "\(operation.what): the registry received other bytes than those of the digest "
                        + "(\(error.codes.joined(separator: ", ")))",
                    hint: "the blob may be damaged where it is read from",
                    status: 400,
                    codes: error.codes
                )
            )
        case 400, 405, 411, 415, 501: return .refused(error)
        default: return RetryPolicy.isTransient(response.status) ? .interrupted(error) : .refused(error)
        }
    }

    private func note() {
        guard let journal, let location else { return }
        journal.write(.init(location: location.url.text, offset: offset), blob, repository)
    }

    // MARK: After a failure

    /// Prepares the next attempt.
    ///
    /// - Returns: Whether the blob is there after all.
    private mutating func recover(_ step: Step) async throws -> Bool {
        switch step {
        case .done: return false
        case .interrupted(let error):
            let start = offset
            try await wait(error)
            // What closed the upload may have come through, and only its answer been lost.
            let mayBeThere = manner == .single || offset == blob.size
            if mayBeThere, try await client.exists(blob, in: repository, for: .push) { return true }
            if manner == .single { return try await beginAgain() }
            if try await !askOffset() { return try await beginAgain() }
            // It was asked where to go on, and refuses that twice: it takes no chunks.
            if error.status == 416, offset == start, failures > 1 { return try await beginAgain(.single) }
        case .lost(let error):
            // Sending bytes that are wrong here once more helps nobody.
            if error.codes.contains("DIGEST_INVALID") { try await pass.verify() }
            try await wait(forgotten(error))
            if try await client.exists(blob, in: repository, for: .push) { return true }
            // An upload that was never more than begun is not lost twice in a row: there is no PATCH there.
            return try await beginAgain(furthest == 0 && failures > 1 ? .single : nil)
        case .tooLarge(let error):
            if manner == .single {
                guard blob.size > 0 else { throw error }
                manner = .chunks
            } else if chunkSize > 1 << 20 {
                // Below what the blob has left, so that the next request is smaller indeed.
                chunkSize = max(1 << 20, min(chunkSize, blob.size - offset) / 2)
                manner = .chunks
            } else {
                throw error
            }
            if try await !askOffset() { return try await beginAgain() }
        case .refused(let error):
            let isOfManner = [400, 405, 411, 415, 501].contains(error.status ?? 0)
            guard isOfManner, manner != .single else { throw error }
            return try await beginAgain(manner == .chunks && chunkSize < blob.size ? .whole : .single)
        }
        return false
    }

    /// Begins the blob again, perhaps in another manner.
    ///
    /// - Returns: Whether the blob is there after all: never, as far as is known.
    private mutating func beginAgain(_ other: Manner? = nil) async throws -> Bool {
        manner = other ?? manner
        try await startOver()
        return false
    }

    /// What is told where an upload is lost again and again: that is no "not found" of the blob.
    private func forgotten(_ error: RegistryError) -> RegistryError {
        guard error.kind == .notFound else { return error }
        return RegistryError(
            .server,
            error.message + ": the registry forgets uploads that it began",
            hint: "try again later; where several servers are the registry, they must share their storage",
            status: error.status,
            codes: error.codes
        )
    }

    private mutating func wait(_ error: RegistryError) async throws {
        failures += 1
        guard let delay = client.settings.retries.delay(after: failures) else { throw error }
        try await client.pause(operation, error.message, delay, failures + 1)
    }

    /// Asks the registry how much it has.
    ///
    /// - Returns: Whether it said so, and the upload can go on from there.
    private mutating func askOffset() async throws -> Bool {
        guard let place = location else { return false }
        let response: HTTPResponse
        do {
            response = try await client.send(operation) { _ in HTTPRequest(.get, place.url) }
        } catch let error as RegistryError where error.kind == .network {
            return false
        }
        await response.discard()
        guard response.isSuccess, let range = response.headers["Range"] else { return false }
        let bounds = (range.split(separator: "=").last ?? "").split(separator: "-").compactMap { Int64($0) }
        guard bounds.count == 2, bounds[0] == 0, bounds[1] < blob.size else { return false }
        // "0-0" is what registries say of nothing as well as of one byte.
        offset = bounds[1] == 0 ? 0 : bounds[1] + 1
        // What was cut may have brought it further all the same.
        if offset > furthest { (furthest, failures) = (offset, 0) }
        if response.headers["Location"] != nil {
            let url = try await client.location(response, operation)
            location = UploadLocation(url: url, leastChunk: place.leastChunk)
        }
        onProgress(offset)
        return true
    }

    private mutating func startOver() async throws {
        if let location { await client.abandon(location, repository) }
        journal?.remove(blob, repository)
        offset = 0
        onProgress(0)
        location = try await client.beginUpload(blob, repository, mounting: nil)
        // A POST without `mount` makes no blob; one that says so has it.
        if location == nil { throw operation.invalid("the registry answered 201 to the beginning of an upload") }
    }
}

/// A number that grows; the lock holds it.
private final class Counter: Sendable {
    private let number: Mutex<Int64>

    init(_ number: Int64) {
        self.number = Mutex(number)
    }

    var value: Int64 { number.withLock { $0 } }

    func add(_ count: Int64) -> Int64 {
        number.withLock { number in
            number += count
            return number
        }
    }
}
