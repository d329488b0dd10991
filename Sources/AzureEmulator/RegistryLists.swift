// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPTypes
internal import OCI
internal import RegistryServer
internal import Store

/// What a registry of Azure says of its repositories below `/acr/v1`.
struct RegistryLists {
    let world: World
    let name: String
    let store: ImageStore
    let host: String

    func answer(_ exchange: Exchange, _ rights: RegistryRights, _ grant: RegistryAuthority.Grant?) throws -> Answer {
        guard let grant else { return challenge(exchange, "authentication required") }
        let parts = exchange.segments.dropFirst(3).filter { !$0.isEmpty }
        if parts.first == "_catalog" {
            guard grant.mayList else {
                return challenge(exchange, "the list is not yours to read")
            }
            return page(Repositories(store).names().map(\.description), exchange, "repositories") { .string($0) }
        }
        let kind = parts.firstIndex { ["_tags", "_manifests"].contains($0) }
        let repository = parts[..<(kind ?? parts.endIndex)].joined(separator: "/")
        guard let found = try? RepositoryName(repository), Repositories(store).exists(found) else {
            return RegistryDoor.refuse(404, "NAME_UNKNOWN", "repository \"\(repository)\" is not found")
        }
        let action = action(exchange)
        let own = grant.actions.map { $0[repository] ?? [] }
        guard own == nil || own?.contains(action) == true || own?.contains("*") == true else {
            return challenge(exchange, "the token lacks \(action) on \(repository)")
        }
        let rest = kind.map { Array(parts[$0...]) } ?? []
        switch (exchange.method, rest.first, rest.count) {
        case (.get, nil, _), (.patch, nil, _): return Answer(.ok, json: try about(found))
        case (.delete, nil, _): return try delete(found)
        case (.get, "_tags", 1): return try tags(found, exchange)
        case (.get, "_tags", _), (.patch, "_tags", _):
            guard let tag = try? TagName(rest[1]), let json = try self.tag(tag, found) else {
                return RegistryDoor.refuse(404, "TAG_UNKNOWN", "the tag \(rest[1]) is not found")
            }
            return Answer(.ok, json: head(found).with("tag", json))
        case (.delete, "_tags", 2):
            guard let tag = try? TagName(rest[1]), Repositories(store).removeTag(tag, in: found) else {
                return RegistryDoor.refuse(404, "TAG_UNKNOWN", "the tag \(rest[1]) is not found")
            }
            return Answer(.accepted)
        case (.get, "_manifests", 1): return try manifests(found, exchange)
        case (.get, "_manifests", _), (.patch, "_manifests", _):
            guard let digest = try? BlobName(rest[1]), let record = try Repositories(store).manifest(digest, in: found)
            else { return RegistryDoor.refuse(404, "MANIFEST_UNKNOWN", "the manifest \(rest[1]) is not found") }
            return Answer(.ok, json: head(found).with("manifest", manifest(record, found)))
        default: return RegistryDoor.refuse(405, "UNSUPPORTED", "\(exchange.method.rawValue) does nothing here")
        }
    }

    private func scope(_ exchange: Exchange) -> String {
        let parts = exchange.segments.dropFirst(3).filter { !$0.isEmpty }
        if parts.first == "_catalog" { return "registry:catalog:*" }
        return "repository:\(parts.prefix { !$0.hasPrefix("_") }.joined(separator: "/")):\(action(exchange))"
    }

    private func action(_ exchange: Exchange) -> String {
        switch exchange.method {
        case .delete: "delete"
        case .patch: "metadata_write"
        default: "metadata_read"
        }
    }

    /// Says what a token must allow.
    private func challenge(_ exchange: Exchange, _ message: String) -> Answer {
        var answer = RegistryDoor.refuse(401, "UNAUTHORIZED", message)
        let scheme = world.options.isEncrypted ? "https" : "http"
        answer.headers[.wwwAuthenticate] =
            "Bearer realm=\"\(scheme)://\(host)/oauth2/token\",service=\"\(host)\",scope=\"\(scope(exchange))\""
        return answer
    }

    private func head(_ repository: RepositoryName) -> JSONValue {
        ["registry": .string(host), "imageName": .string(repository.description)]
    }

    private var attributes: JSONValue {
        ["deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true]
    }

    private func time(_ repository: RepositoryName) -> String {
        var status = stat()
        guard stat("\(store.root)/registry/\(repository)/_manifests", &status) == 0 else { return Moment.text() }
        return Moment.text(Double(status.st_mtim.tv_sec), fraction: true)
    }

    private func about(_ repository: RepositoryName) throws -> JSONValue {
        let repositories = Repositories(store)
        return head(repository).with("createdTime", .string(time(repository)))
            .with("lastUpdateTime", .string(time(repository)))
            .with("manifestCount", .int(Int64(try repositories.manifests(in: repository).count)))
            .with("tagCount", .int(Int64(repositories.tags(in: repository).count)))
            .with("changeableAttributes", attributes)
    }

    private func tag(_ tag: TagName, _ repository: RepositoryName) throws -> JSONValue? {
        guard let record = try Repositories(store).manifest(tagged: tag, in: repository) else { return nil }
        return [
            "name": .string(tag.description), "digest": .string(record.descriptor.digest.description),
            "createdTime": .string(time(repository)), "lastUpdateTime": .string(time(repository)), "signed": false,
            "changeableAttributes": attributes,
        ]
    }

    private func tags(_ repository: RepositoryName, _ exchange: Exchange) throws -> Answer {
        let names = Repositories(store).tags(in: repository).map(\.description).sorted()
        let digest = exchange.query("digest")
        let all = try names.compactMap { name in try TagName(name) }.compactMap { try tag($0, repository) }
            .filter { digest == nil || $0["digest"]?.string == digest }
        return page(all.compactMap { $0["name"]?.string }, exchange, "tags", head(repository)) { name in
            all.first { $0["name"]?.string == name } ?? .null
        }
    }

    private func manifest(_ record: ManifestRecord, _ repository: RepositoryName) -> JSONValue {
        let repositories = Repositories(store)
        let tags = repositories.tags(in: repository)
            .filter {
                (try? repositories.manifest(tagged: $0, in: repository))?.descriptor.digest == record.descriptor.digest
            }
        return [
            "digest": .string(record.descriptor.digest.description), "imageSize": .int(record.descriptor.size),
            "createdTime": .string(time(repository)), "lastUpdateTime": .string(time(repository)),
            "mediaType": .string(record.descriptor.mediaType.description), "architecture": "amd64", "os": "linux",
            "tags": JSONValue(tags.map(\.description)), "changeableAttributes": attributes,
        ]
    }

    private func manifests(_ repository: RepositoryName, _ exchange: Exchange) throws -> Answer {
        let all = try Repositories(store).manifests(in: repository).map { manifest($0, repository) }
        return page(all.compactMap { $0["digest"]?.string }.sorted(), exchange, "manifests", head(repository)) {
            digest in
            all.first { $0["digest"]?.string == digest } ?? .null
        }
    }

    private func delete(_ repository: RepositoryName) throws -> Answer {
        let repositories = Repositories(store)
        let manifests = try repositories.manifests(in: repository)
        let tags = repositories.tags(in: repository)
        for record in manifests { try repositories.remove(record, in: repository) }
        DiskFile.remove("\(store.root)/registry/\(repository)/_blobs")
        DiskFile.remove("\(store.root)/registry/\(repository)/_manifests")
        return Answer(
            .accepted,
            json: [
                "manifestsDeleted": JSONValue(manifests.map(\.descriptor.digest.description)),
                "tagsDeleted": JSONValue(tags.map(\.description)),
            ]
        )
    }

    /// A part of a list, as `n` and `last` ask for it.
    private func page(
        _ names: [String],
        _ exchange: Exchange,
        _ member: String,
        _ head: JSONValue = [:],
        _ element: (String) -> JSONValue
    ) -> Answer {
        let last = exchange.query("last") ?? ""
        let rest = names.sorted().filter { last.isEmpty || $0 > last }
        let count = exchange.query("n").flatMap { Int($0) } ?? 100
        let shown = Array(rest.prefix(max(1, count)))
        var answer = Answer(.ok, json: head.with(member, .array(shown.map(element))))
        if shown.count < rest.count, let end = shown.last, let link = HTTPField.Name("Link") {
            answer.headers[link] = "<\(exchange.path)?last=\(end)&n=\(count)>; rel=\"next\""
        }
        return answer
    }
}
