// SPDX-License-Identifier: Apache-2.0
internal import HTTP
public import OCI

extension RegistryClient {
    /// The tags of a repository, in the registry's order.
    ///
    /// - Parameters:
    ///   - repository: The repository.
    ///   - limit: The most to ask for; `nil` for all.
    /// - Returns: The tags.
    /// - Throws: ``RegistryError``, of kind `.notFound` where there is no such repository.
    public func tags(in repository: Repository, limit: Int? = nil) async throws -> [String] {
        let operation = Operation("list the tags of \(repository)", repository, .pull)
        return try await list(operation, "/v2/\(repository.name)/tags/list", "tags", limit)
    }

    /// The repositories of a registry, in its order.
    ///
    /// - Parameters:
    ///   - registry: `HOST` or `HOST:PORT`.
    ///   - limit: The most to ask for; `nil` for all.
    /// - Returns: Their names.
    /// - Throws: ``RegistryError`` where the registry does not list them.
    public func catalog(_ registry: String, limit: Int? = nil) async throws -> [String] {
        let operation = Operation("list the repositories of \(registry)", registry: registry, scopes: [.catalog])
        return try await list(operation, "/v2/_catalog", "repositories", limit)
    }

    /// Reads pages until there is no `Link` to another.
    private func list(_ operation: Operation, _ path: String, _ member: String, _ limit: Int?) async throws -> [String]
    {
        var target: String? = path + "?n=\(min(limit ?? 1000, 1000))"
        var found: [String] = []
        var seen: Set<String> = []
        while let next = target, found.count < limit ?? Int.max {
            // A page that links to itself would have no end.
            guard seen.insert(next).inserted, seen.count < 100_000 else {
                throw operation.invalid("the registry's pages go in a circle")
            }
            let page = try await page(operation, next)
            let names = (page.json[member]?.texts ?? [])
            found += names
            target = names.isEmpty ? nil : page.next
        }
        return limit.map { Array(found.prefix($0)) } ?? found
    }

    private func page(_ operation: Operation, _ target: String) async throws -> (json: JSONValue, next: String?) {
        let (response, bytes) = try await read(operation, limit: 32 << 20) { base in
            var url = base
            url.target = target
            return HTTPRequest(.get, url)
        }
        guard response.isSuccess else { throw await operation.error(response, secrets: state.secrets) }
        guard let json = try? JSONValue(parsing: bytes), json.object != nil else {
            throw operation.invalid("the answer is not a list")
        }
        return (json, RegistryClient.next(response)?.target)
    }

    /// The address of the next page: `Link: </v2/_catalog?last=b&n=2>; rel="next"`.
    static func next(_ response: HTTPResponse) -> HTTPURL? {
        for header in response.headers.values(of: "Link") {
            for part in header.split(separator: ",") where part.lowercased().contains("next") {
                guard let start = part.firstIndex(of: "<"), let end = part.firstIndex(of: ">"), start < end else {
                    continue
                }
                // Only the path is used: the pages are the registry's, whatever host it thinks it has.
                return try? response.url.resolving(String(part[part.index(after: start)..<end]))
            }
        }
        return nil
    }

    /// What refers to a manifest: signatures, attestations.
    ///
    /// - Parameters:
    ///   - subject: The manifest.
    ///   - repository: Where.
    ///   - artifactType: What kind is wanted; `nil` for all.
    /// - Returns: The manifests that have it as their subject; may be empty.
    /// - Throws: ``RegistryError`` where the registry does not say.
    public func referrers(
        of subject: Digest,
        in repository: Repository,
        artifactType: String? = nil
    ) async throws -> [Descriptor] {
        try await referrerEntries(subject, repository)
            .filter { artifactType == nil || $0["artifactType"]?.string == artifactType }
            .map { try Descriptor(json: $0) }
    }

    /// The entries with all their members; by the API, else by the fallback tag.
    private func referrerEntries(_ subject: Digest, _ repository: Repository) async throws -> [JSONValue] {
        let operation = Operation("list what refers to \(repository)@\(subject)", repository, .pull)
        guard !state.lacksReferrers(repository.registry) else { return try await taggedReferrers(subject, repository) }
        var target: String? = "/v2/\(repository.name)/referrers/\(subject)"
        var (found, pages): ([JSONValue], Int) = ([], 0)
        while let next = target {
            let (response, bytes) = try await read(operation, limit: RegistryClient.largestManifest) { base in
                var url = base
                url.target = next
                return HTTPRequest(.get, url, headers: ["Accept": MediaType.index.description])
            }
            // Registries from before 1.1 answer 404, some 400 or 405.
            if pages == 0, [400, 404, 405].contains(response.status) {
                await response.discard()
                state.setLacksReferrers(repository.registry)
                return try await taggedReferrers(subject, repository)
            }
            guard response.isSuccess else { throw await operation.error(response, secrets: state.secrets) }
            guard let list = (try? JSONValue(parsing: bytes))?["manifests"]?.array else {
                throw operation.invalid("the answer is not an index")
            }
            found += list
            pages += 1
            target = pages < 1000 && !list.isEmpty ? RegistryClient.next(response)?.target : nil
        }
        return found
    }

    private static func fallbackTag(_ subject: Digest) -> ManifestName { .tag("sha256-\(subject.hex)") }

    private func taggedReferrers(_ subject: Digest, _ repository: Repository) async throws -> [JSONValue] {
        guard let document = try await manifest(RegistryClient.fallbackTag(subject), in: repository) else { return [] }
        return (try? JSONValue(parsing: document.bytes))?["manifests"]?.array ?? []
    }

    static func subject(of document: ManifestDocument) -> Digest? {
        guard let json = try? JSONValue(parsing: document.bytes) else { return nil }
        return json["subject"]?["digest"]?.string.flatMap { try? Digest($0) }
    }

    /// Adds a manifest to the index under its subject's fallback tag.
    ///
    /// Specification: OCI distribution-spec 1.1, "Pushing Manifests with Subject" and "Referrers Tag Schema".
    func refer(_ document: ManifestDocument, to subject: Digest, in repository: Repository) async throws {
        let name = RegistryClient.fallbackTag(subject)
        var entries: [JSONValue] = []
        if let existing = try await manifest(name, in: repository, for: .push) {
            entries = (try? JSONValue(parsing: existing.bytes))?["manifests"]?.array ?? []
        }
        let digest = document.descriptor.digest.description
        guard !entries.contains(where: { $0["digest"]?.string == digest }) else { return }
        guard case .object(var entry) = document.descriptor.json,
            let json = try? JSONValue(parsing: document.bytes)
        else { return }
        entry["artifactType"] = json["artifactType"] ?? json["config"]?["mediaType"]
        entry["annotations"] = json["annotations"]
        entries.append(.object(entry))
        let index: JSONValue = [
            "schemaVersion": 2, "mediaType": .string(MediaType.index.description), "manifests": .array(entries),
        ]
        _ = try await write(ManifestDocument(Array(index.canonical.utf8), .index), name, repository)
    }
}
