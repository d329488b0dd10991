// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import HTTP
public import OCI

extension RegistryClient {
    /// The most bytes that a manifest may have.
    public static let largestManifest = 4 << 20

    /// What we can make something of; registries convert or refuse by it.
    private static let accepted = [MediaType.manifest, .index, .dockerManifest, .dockerIndex]
        .map(\.description).joined(separator: ", ")

    /// What a manifest's name means now, without its content (HEAD); mirrors are asked first.
    ///
    /// - Parameters:
    ///   - name: Tag or digest.
    ///   - repository: Where.
    ///   - access: What else will be done there, so that one token does for all; with another than `.pull` no mirror is
    ///     asked.
    /// - Returns: Type, digest and size; `nil` where the registry has none of that name.
    /// - Throws: ``RegistryError`` where the registry does not answer that.
    public func resolve(
        _ name: ManifestName,
        in repository: Repository,
        for access: Access = .pull
    ) async throws -> Descriptor? {
        guard access == .pull else { return try await head(name, repository, access) }
        return try await pulling(repository) { try await head(name, $0, .pull) }
    }

    private func head(_ name: ManifestName, _ repository: Repository, _ access: Access) async throws -> Descriptor? {
        let operation = Operation("look up \(repository)\(name.suffix)", repository, access)
        let response = try await send(operation) { base in
            let url = RegistryClient.url(base, repository, "manifests/\(name)")
            return HTTPRequest(.head, url, headers: ["Accept": RegistryClient.accepted])
        }
        if response.status == 404 { return nil }
        if response.isSuccess, let text = response.headers["Docker-Content-Digest"], let digest = try? Digest(text),
            let size = response.headers["Content-Length"].flatMap({ Int64($0) }), size > 0,
            let type = RegistryClient.type(response), type.isIndex || type.isManifest
        {
            if case .digest(let wanted) = name, wanted != digest {
                throw operation.invalid("the registry answered with \(digest)")
            }
            return Descriptor(mediaType: type, digest: digest, size: size)
        }
        // A HEAD answer has no body that could say more; and some registries do not say all of it.
        guard response.isSuccess || [400, 405, 501].contains(response.status) else {
            throw await operation.error(response, secrets: state.secrets)
        }
        return try await get(name, repository, access)?.descriptor
    }

    /// Reads a manifest or index; mirrors are asked first.
    ///
    /// - Parameters:
    ///   - name: Tag or digest.
    ///   - repository: Where.
    ///   - access: What else will be done there, so that one token does for all; with another than `.pull` no mirror is
    ///     asked.
    /// - Returns: The document, at most 4 MiB, its digest verified; `nil` where the registry has none of that name.
    /// - Throws: ``RegistryError`` where the registry does not give it, or gives something else.
    public func manifest(
        _ name: ManifestName,
        in repository: Repository,
        for access: Access = .pull
    ) async throws -> ManifestDocument? {
        guard access == .pull else { return try await get(name, repository, access) }
        return try await pulling(repository) { try await get(name, $0, .pull) }
    }

    private func get(_ name: ManifestName, _ repository: Repository, _ access: Access) async throws -> ManifestDocument?
    {
        let operation = Operation("read the manifest of \(repository)\(name.suffix)", repository, access)
        let (response, bytes) = try await read(operation, limit: RegistryClient.largestManifest) { base in
            let url = RegistryClient.url(base, repository, "manifests/\(name)")
            return HTTPRequest(.get, url, headers: ["Accept": RegistryClient.accepted])
        }
        if response.status == 404 { return nil }
        guard response.isSuccess else { throw await operation.error(response, secrets: state.secrets) }
        let digest = SHA256.digest(bytes)
        if case .digest(let wanted) = name, wanted != digest {
            throw operation.invalid("what came has another digest: \(digest)")
        }
        if let text = response.headers["Docker-Content-Digest"], let said = try? Digest(text), said != digest {
            throw operation.invalid("the registry calls it \(said), but what came has the digest \(digest)")
        }
        let type = try mediaType(response, bytes, operation)
        let descriptor = Descriptor(mediaType: type, digest: digest, size: Int64(bytes.count))
        return ManifestDocument(descriptor: descriptor, bytes: bytes)
    }

    /// The type that the header says, else the document.
    private func mediaType(_ response: HTTPResponse, _ bytes: [UInt8], _ operation: Operation) throws -> MediaType {
        let type = RegistryClient.type(response)
        if let type, type.isIndex || type.isManifest { return type }
        if let type, type.description.contains("manifest.v1") {
            throw operation.invalid(
                "it is in Docker's first schema, given up in 2017; push the image again with a new tool"
            )
        }
        guard let json = try? JSONValue(parsing: bytes), json.object != nil else {
            throw operation.invalid("what came is not a manifest: \(type?.description ?? "no type")")
        }
        if let text = json["mediaType"]?.string { return MediaType(text) }
        if json["manifests"]?.array != nil { return .index }
        if json["config"] != nil { return .manifest }
        throw operation.invalid("what came is not a manifest: \(type?.description ?? "no type")")
    }

    private static func type(_ response: HTTPResponse) -> MediaType? {
        guard let text = response.headers["Content-Type"] else { return nil }
        return MediaType(String(text.prefix { $0 != ";" && $0 != " " }).lowercased())
    }

    /// Writes a manifest or index; everything it names must be in the repository already.
    ///
    /// One with a `subject` becomes a referrer of it, by the fallback tag where the registry has no better way.
    ///
    /// - Parameters:
    ///   - document: Type and bytes.
    ///   - name: Tag or digest.
    ///   - repository: Where.
    /// - Throws: ``RegistryError`` where the registry refuses it, or stores it under another digest.
    public func put(_ document: ManifestDocument, as name: ManifestName, to repository: Repository) async throws {
        let response = try await write(document, name, repository)
        guard let subject = RegistryClient.subject(of: document), response.headers["OCI-Subject"] == nil else { return }
        try await refer(document, to: subject, in: repository)
    }

    /// Writes a manifest, and nothing besides.
    func write(
        _ document: ManifestDocument,
        _ name: ManifestName,
        _ repository: Repository
    ) async throws -> HTTPResponse {
        let operation = Operation("push \(repository)\(name.suffix)", repository, .push)
        guard document.bytes.count <= RegistryClient.largestManifest else {
            throw operation.invalid(
                "the manifest has \(document.bytes.count) bytes, more than the 4 MiB registries take"
            )
        }
        let response = try await send(operation) { base in
            HTTPRequest(
                .put,
                RegistryClient.url(base, repository, "manifests/\(name)"),
                headers: ["Content-Type": document.descriptor.mediaType.description],
                body: HTTPBody(document.bytes)
            )
        }
        guard response.isSuccess else { throw await operation.error(response, secrets: state.secrets) }
        await response.discard()
        if let text = response.headers["Docker-Content-Digest"], let digest = try? Digest(text),
            digest != document.descriptor.digest
        {
            throw operation.invalid("the registry stored it as \(digest), not as \(document.descriptor.digest)")
        }
        return response
    }

    /// Removes a manifest with all its tags, or, where the registry can do that, one tag.
    ///
    /// - Parameters:
    ///   - name: Digest or tag.
    ///   - repository: Where.
    /// - Throws: ``RegistryError``, of kind `.notFound` where there is none.
    public func delete(_ name: ManifestName, in repository: Repository) async throws {
        try await remove("delete \(repository)\(name.suffix)", repository, "manifests/\(name)")
    }

    func remove(_ what: String, _ repository: Repository, _ path: String) async throws {
        let operation = Operation(what, repository, .delete)
        let response = try await send(operation) { base in
            HTTPRequest(.delete, RegistryClient.url(base, repository, path))
        }
        guard response.isSuccess else {
            let error = await operation.error(response, secrets: state.secrets)
            let isUnsupported = response.status == 405 || error.codes.contains("UNSUPPORTED")
            guard isUnsupported, error.kind != .readOnly else { throw error }
            throw RegistryError(
                .invalid,
                error.message,
                hint: "this registry does not remove that; some remove digests only, or must be set up to allow it",
                status: response.status,
                codes: error.codes
            )
        }
        await response.discard()
    }

    static func url(_ base: HTTPURL, _ repository: Repository, _ path: String) -> HTTPURL {
        var url = base
        url.target = "/v2/\(repository.name)/\(path)"
        return url
    }

    /// A small answer whole; asked for again where the connection breaks in the middle.
    ///
    /// - Returns: The answer; its bytes only where it is a success.
    func read(
        _ operation: Operation,
        limit: Int,
        _ make: (HTTPURL) throws -> HTTPRequest
    ) async throws -> (HTTPResponse, [UInt8]) {
        var attempt = 1
        while true {
            let response = try await send(operation, make)
            guard response.isSuccess else { return (response, []) }
            do {
                return (response, try await response.bytes(limit: limit))
            } catch let error as ServerError {
                guard error.isTransient, let delay = settings.retries.delay(after: attempt) else {
                    throw operation.error(error)
                }
                attempt += 1
                try await pause(operation, error.message, delay, attempt)
            }
        }
    }

    func pause(_ operation: Operation, _ reason: String, _ delay: Duration, _ attempt: Int) async throws {
        onEvent(.waiting(registry: operation.registry, reason: reason, delay: delay, attempt: attempt))
        try await Task.sleep(for: delay)
    }
}
