// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import HTTP
internal import OCI

/// The bytes of a blob are not those of its digest.
struct WrongContent: Error {}

/// One pass over a blob: goes on where a connection broke, from another mirror where one fails, and gives the last chunk
/// away only when size and digest are right.
final class BlobReader: @unchecked Sendable {
    // SAFETY: BlobChunks is a single pass and read by one task at a time, as its documentation asks.
    private let client: RegistryClient
    private let blob: Descriptor
    private let repository: Repository
    private var places: [Repository]
    private var offset: Int64
    private var body: HTTPChunks?
    /// Bytes that come before those wanted, from a server that does not know ranges.
    private var superfluous: Int64 = 0
    private var failures = 0
    private var hash = SHA256()
    private let isVerified: Bool

    init(_ client: RegistryClient, _ blob: Descriptor, _ repository: Repository, _ offset: Int64) {
        (self.client, self.blob, self.repository, self.offset) = (client, blob, repository, offset)
        places = client.mirrors(of: repository) + [repository]
        isVerified = offset == 0
    }

    private var operation: Operation { operation(places[0]) }

    private func operation(_ place: Repository) -> Operation {
        Operation("read blob \(blob.digest) of \(place)", place, .pull)
    }

    /// Asks for the blob, so that a missing one is known before anything is done with it.
    func start() async throws {
        while body == nil, offset < blob.size { try await connect() }
    }

    func next() async throws -> [UInt8]? {
        while offset < blob.size {
            guard let body else {
                try await connect()
                continue
            }
            do {
                guard let chunk = try await body.next() else {
                    throw ServerError(.cut, "the answer ended after \(offset) of \(blob.size) bytes")
                }
                if let wanted = try take(chunk) { return wanted }
            } catch let error as ServerError {
                self.body = nil
                try await recover(from: error)
            }
        }
        if blob.size == 0, isVerified { try verify() }
        return nil
    }

    /// What of a chunk is wanted; `nil` where nothing is.
    private func take(_ chunk: [UInt8]) throws -> [UInt8]? {
        var chunk = chunk
        if superfluous > 0 {
            let count = min(superfluous, Int64(chunk.count))
            superfluous -= count
            chunk.removeFirst(Int(count))
            guard !chunk.isEmpty else { return nil }
        }
        guard offset + Int64(chunk.count) <= blob.size else {
            throw wrong("it has more than its \(blob.size) bytes")
        }
        offset += Int64(chunk.count)
        failures = 0
        if isVerified {
            hash.update(chunk)
            if offset == blob.size { try verify() }
        }
        return chunk
    }

    private func verify() throws {
        let found = Digest(sha256: hash.finish())
        guard found == blob.digest else { throw wrong("what came has another digest: \(found)") }
    }

    private func wrong(_ reason: String) -> RegistryError {
        let error = RegistryError(
            .server,
            "\(operation.what): \(reason)",
            hint: "the registry's copy may be damaged: delete the blob there and push the image again",
            cause: WrongContent()
        )
        // A mirror that sends wrong bytes is not asked again; what it sent is with the caller, who begins anew.
        if places.count > 1 { client.pass(places.removeFirst(), because: error) }
        return error
    }

    private func connect() async throws {
        do {
            let place = places[0]
            let response = try await client.send(operation(place)) { base in
                var request = HTTPRequest(.get, RegistryClient.url(base, place, "blobs/\(blob.digest)"))
                if offset > 0 { request.headers["Range"] = "bytes=\(offset)-" }
                return request
            }
            try await accept(response)
        } catch let error as RegistryError {
            // A mirror is passed over; the registry itself has the last word.
            guard places.count > 1 else { throw error }
            client.pass(places.removeFirst(), because: error)
        }
    }

    private func accept(_ response: HTTPResponse) async throws {
        switch response.status {
        case 206:
            let range = response.headers["Content-Range"] ?? ""
            guard range.hasPrefix("bytes \(offset)-") else {
                throw operation.invalid("asked for bytes from \(offset), the server answered with \"\(range)\"")
            }
            superfluous = 0
        case 200:
            let size = response.headers["Content-Length"].flatMap { Int64($0) }
            guard size == nil || size == blob.size else {
                throw operation.invalid("it has \(size ?? 0) bytes there, and should have \(blob.size)")
            }
            superfluous = offset
        case 401,
            403 where response.url.host != RegistryClient.host(places[0].registry).prefix(while: { $0 != ":" }):
            // A signed address of a storage that has expired: the registry signs another.
            await response.discard()
            try await recover(from: ServerError(.cut, "\(response.url.authority) answered \(response.status)"))
            return
        default: throw await operation.error(response, secrets: client.state.secrets)
        }
        body = response.body
    }

    /// Waits before the next attempt; fails where none is left.
    private func recover(from error: ServerError) async throws {
        failures += 1
        guard error.isTransient, let delay = client.settings.retries.delay(after: failures) else {
            let failure = operation.error(error)
            guard places.count > 1 else { throw failure }
            client.pass(places.removeFirst(), because: failure)
            failures = 0
            return
        }
        try await client.pause(operation, error.message, delay, failures + 1)
    }
}
