// SPDX-License-Identifier: Apache-2.0
internal import HTTP
public import OCI

/// How a blob came to be in a repository.
public enum UploadOutcome: Hashable, Sendable {
    /// The registry took it from another of its repositories.
    case mounted
    /// Its bytes were sent.
    case uploaded
    /// It had come there meanwhile.
    case existed
}

extension RegistryClient {
    /// Makes a blob of one repository appear in another of the same registry.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - source: Where it is.
    ///   - target: Where it shall be.
    /// - Returns: Whether the registry did it; it need not, and cannot where the registries differ.
    /// - Throws: ``RegistryError`` where the registry refuses the target.
    public func mount(_ blob: Descriptor, from source: Repository, to target: Repository) async throws -> Bool {
        guard source.registry == target.registry else { return false }
        let location = try await beginUpload(blob, target, mounting: source)
        guard let location else { return true }
        await abandon(location, target)
        return false
    }

    /// Puts a blob into a repository, whether it is there or not: callers ask ``exists(_:in:for:)`` first.
    ///
    /// Blobs under 1 MiB go in one request, others in chunks. What breaks is continued where the registry allows that,
    /// else begun again.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - source: Where its bytes are.
    ///   - repository: Where it shall be.
    ///   - other: A repository of the same registry that has it, which saves sending it; `nil` where none is known.
    ///   - onProgress: Told how many of its bytes were sent so far; fewer again where it is begun again.
    /// - Returns: How it came there.
    /// - Throws: ``RegistryError`` where the registry does not take it; the source's error.
    public func upload(
        _ blob: Descriptor,
        from source: any BlobSource,
        to repository: Repository,
        mounting other: Repository? = nil,
        onProgress: @escaping @Sendable (Int64) -> Void = { _ in }
    ) async throws -> UploadOutcome {
        var upload = BlobUpload(client: self, blob: blob, source: source, to: repository, onProgress: onProgress)
        return try await upload.run(mounting: other?.registry == repository.registry ? other : nil)
    }

    /// Begins an upload.
    ///
    /// - Returns: Where the bytes go, and the least that a chunk may have; `nil` where the blob was mounted.
    func beginUpload(
        _ blob: Descriptor,
        _ repository: Repository,
        mounting other: Repository?
    ) async throws -> UploadLocation? {
        var operation = Operation("push blob \(blob.digest) to \(repository)", repository, .push)
        if let other { operation.scopes = Scope.union(operation.scopes, [Scope(other, .pull)]) }
        var response = try await send(operation) { base in
            var url = RegistryClient.url(base, repository, "blobs/uploads/")
            if let other { url = url.adding("mount", blob.digest.description).adding("from", other.name) }
            return HTTPRequest(.post, url)
        }
        // A source that may not be read, or is not there, is no reason not to send the bytes.
        if other != nil, [400, 403, 404, 405].contains(response.status) {
            await response.discard()
            operation.scopes = [Scope(repository, .push)]
            response = try await send(operation) { base in
                HTTPRequest(.post, RegistryClient.url(base, repository, "blobs/uploads/"))
            }
        }
        guard response.isSuccess else { throw await operation.error(response, secrets: state.secrets) }
        await response.discard()
        if response.status == 201 { return nil }
        let least = response.headers["OCI-Chunk-Min-Length"].flatMap { Int64($0) } ?? 0
        let url = try await location(response, operation)
        return UploadLocation(url: url, leastChunk: least)
    }

    /// Where an answer says that the upload goes on, its query as it is.
    func location(_ response: HTTPResponse, _ operation: Operation) async throws -> HTTPURL {
        guard let text = response.headers["Location"], !text.isEmpty else {
            throw operation.invalid("the registry does not say where the blob is to be sent (no Location)")
        }
        do {
            let base = try await endpoint(operation).base
            var url = try base.resolving(text)
            // A registry behind a proxy that ends TLS often calls itself http.
            if base.isSecure, !url.isSecure, url.host == base.host {
                url = try HTTPURL(isSecure: true, authority: base.authority, target: url.target)
            }
            guard url.isSecure || !base.isSecure || mayBePlain(url) else {
                throw operation.invalid("the registry wants the blob sent over plain HTTP, to \(url)")
            }
            return url
        } catch let error as ServerError {
            throw operation.error(error)
        }
    }

    /// Ends an upload that will not be finished, if the registry cares to know.
    func abandon(_ location: UploadLocation, _ repository: Repository) async {
        guard !Task.isCancelled else { return }
        let operation = Operation("end an upload to \(repository)", repository, .push)
        let response = try? await send(operation, policy: .never) { _ in HTTPRequest(.delete, location.url) }
        await response?.discard()
    }
}

/// Where the bytes of an upload go.
struct UploadLocation: Sendable {
    var url: HTTPURL
    /// The least that a chunk may have, but for the last; 0 where the registry does not say.
    let leastChunk: Int64
}
