// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Registry

/// `coracle registry ls`, `tags`, `manifest` and `rm`: what a registry holds, without pulling it.
public struct RegistryContent: Sendable {
    /// Flags about registries.
    public var access = RegistryAccess()
    private let environment: [String: String]
    private let note: @Sendable (String) -> Void

    /// Looks at registries.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - note: Is told what is tried again, and what is probably not what was meant: one line each.
    public init(environment: [String: String], note: @escaping @Sendable (String) -> Void) {
        (self.environment, self.note) = (environment, note)
    }

    /// Lists repositories.
    ///
    /// - Parameters:
    ///   - host: The registry, with its port.
    ///   - format: For whom.
    /// - Returns: A line for each repository, or JSON.
    /// - Throws: ``ExitReason`` where the registry does not list them.
    public func repositories(_ host: String, _ format: OutputFormat) async throws -> String {
        let host = try RegistryLogin.host(host)
        return try await ExitReason.explaining {
            let names = try await client([host]).catalog(host)
            return Names(member: "repositories", names: names.map { "\(host)/\($0)" }).formatted(format)
        }
    }

    /// Lists tags.
    ///
    /// - Parameters:
    ///   - repository: The repository.
    ///   - format: For whom.
    /// - Returns: A line for each tag, or JSON.
    /// - Throws: ``ExitReason`` where there is no such repository, or the registry does not list them.
    public func tags(_ repository: String, _ format: OutputFormat) async throws -> String {
        let place = Repository(try ImageLocator.reference(repository))
        return try await ExitReason.explaining {
            Names(member: "tags", names: try await client([place.registry]).tags(in: place)).formatted(format)
        }
    }

    /// Gives a manifest or index as the registry holds it.
    ///
    /// - Parameters:
    ///   - image: Its name.
    ///   - platform: Which part of an index; `nil` for the index itself.
    /// - Returns: The document, byte for byte.
    /// - Throws: ``ExitReason`` where there is no such image or part.
    public func manifest(_ image: String, platform: String?) async throws -> String {
        let reference = try ImageLocator.reference(image)
        let wanted = try platform.map { try PlanSettings.platform($0) }
        return try await ExitReason.explaining {
            let opened = try await open(reference)
            var root = opened.root
            if let wanted { root = try await ImageGraph.choose(root, wanted, reference.familiar, opened.document) }
            return String(decoding: try await opened.document(root), as: UTF8.self)
        }
    }

    /// Removes images from a registry.
    ///
    /// - Parameters:
    ///   - images: Names; one with a digest removes the image with all its tags, one with a tag that tag, or the image
    ///     where the registry cannot remove tags.
    ///   - removesImage: Whether a tag stands for its image, so that all tags of that go.
    ///   - removed: Is given each name as soon as it is removed; where one cannot be removed, the others are nevertheless.
    /// - Throws: ``ExitReason`` where there is no such image, or the registry removes nothing; it tells of each.
    public func remove(
        _ images: [String],
        removesImage: Bool,
        removed: (String) throws -> Void
    ) async throws {
        let references = try images.map { try ImageLocator.reference($0) }
        for (reference, text) in zip(references, images) where reference.digest == nil {
            // A name without a tag would mean "latest", which nobody should remove by leaving something out.
            guard text.hasSuffix(":" + (reference.tag ?? "")) else {
                throw ExitReason(.usage, "\"\(text)\" has neither tag nor digest: what shall be removed?")
            }
        }
        var faults: [ExitReason] = []
        let client = try client(references.map(\.domain))
        for reference in references {
            do {
                try await ExitReason.explaining { try await remove(reference, removesImage, client) }
            } catch let fault as ExitReason {
                faults.append(fault)
                continue
            }
            try removed(reference.familiar)
        }
        guard let first = faults.first else { return }
        if references.count == 1 { throw first }
        throw ExitReason(
            .registry,
            "\(faults.count) of \(references.count) were not removed: "
                + faults.map(\.message).joined(separator: "; "),
            hint: faults.lazy.compactMap(\.hint).first
        )
    }

    private func remove(_ reference: ImageReference, _ removesImage: Bool, _ client: RegistryClient) async throws {
        let place = Repository(reference)
        var name = try ManifestName(reference)
        if removesImage, case .tag = name {
            guard let found = try await client.resolve(name, in: place, for: .delete) else {
                throw ExitReason(.registry, "\(place.registry) has no image \(reference.familiar)")
            }
            name = .digest(found.digest)
        }
        do {
            try await client.delete(name, in: place)
        } catch let error as RegistryError where error.kind == .readOnly {
            throw ExitReason(.registry, "\(place.registry) is read-only: \(reference.familiar) stays")
        } catch let error as RegistryError where RegistryContent.knowsNoTags(error, name) {
            throw ExitReason(
                .registry,
                "\(place.registry) removes images only, and no tags: \(reference.familiar) stays",
                hint: "coracle registry rm --image \(reference.familiar) removes the image with all its tags"
            )
        }
    }

    /// Registries from before distribution-spec 1.1 take a tag for a malformed digest, or know no such request.
    private static func knowsNoTags(_ error: RegistryError, _ name: ManifestName) -> Bool {
        guard case .tag = name else { return false }
        return error.status == 405 || error.codes.contains("DIGEST_INVALID") || error.codes.contains("UNSUPPORTED")
    }

    /// An image of a registry as `coracle inspect` shows those of the store.
    func open(_ reference: ImageReference) async throws -> OpenedImage {
        let registries = try registries([reference.domain])
        return try await ImageOpener(workspace: nil, registries: registries).open(reference)
    }

    /// What an image of a registry is made of: one manifest for each platform, with its configuration.
    func parts(of reference: ImageReference) async throws -> (Descriptor, [ImageContent.Part]) {
        try await ExitReason.explaining {
            let place = Repository(reference)
            let client = try client([reference.domain])
            let opened = try await open(reference)
            let graph = try await opened.graph(.everything, reference.familiar)
            var parts: [Digest: ImageContent.Part] = [:]
            for document in graph.documents where !document.descriptor.mediaType.isIndex {
                let manifest = try? Manifest(parsing: document.bytes)
                // Of attestations, the configuration is none.
                let bytes: [UInt8]? =
                    if let manifest { try await client.bytes(of: manifest.config, in: place) } else { nil }
                let config = bytes.flatMap { try? ImageConfig(parsing: $0) }
                let descriptor = document.descriptor
                parts[descriptor.digest] = ImageContent.Part(descriptor: descriptor, manifest: manifest, config: config)
            }
            return (opened.root, graph.documents.compactMap { parts[$0.descriptor.digest] })
        }
    }

    /// Gives an image of a registry another name there, without pulling anything.
    ///
    /// - Parameters:
    ///   - source: Its name.
    ///   - target: The name, in the same registry.
    /// - Returns: The name as it is shown.
    /// - Throws: ``ExitReason`` where there is no such image, or the registry refuses.
    public func tag(_ source: String, as target: String) async throws -> String {
        let from = try ImageLocator.reference(source.suffix(after: "docker://") ?? source)
        let to = try ImageLocator.reference(target.suffix(after: "docker://") ?? target)
        guard from.domain == to.domain else {
            throw ExitReason(
                .usage,
                "\(from.familiar) and \(to.familiar) are in two registries",
                hint: "coracle copy --all-platforms \(from.familiar) \(to.familiar)"
            )
        }
        guard let tag = to.tag, to.digest == nil else {
            throw ExitReason(.usage, "\"\(target)\" has a digest: an image is given a name and a tag")
        }
        return try await ExitReason.explaining {
            let registries = try registries([from.domain])
            let opened = try await ImageOpener(workspace: nil, registries: registries).open(from)
            let place = RegistryTarget(registries.client, Repository(to), tags: [tag]) { _ in [Repository(from)] }
            if Repository(from) == Repository(to) {
                let document = ManifestDocument(descriptor: opened.root, bytes: try await opened.document(opened.root))
                try await place.put(document, isRoot: true) { _ in }
            } else {
                let graph = try await opened.graph(.everything, from.familiar)
                try await Transfer(from: opened.blobs, to: place) { _ in }.run(graph)
            }
            return to.familiar
        }
    }

    private func client(_ hosts: [String]) throws(ExitReason) -> RegistryClient { try registries(hosts).client }

    /// What speaks with the registries that a command names.
    private func registries(_ hosts: [String]) throws(ExitReason) -> Registries {
        try Registries(access.bound(to: hosts), environment: environment) { [note] event in
            switch event {
            case .warning(let text): note("warning: \(text)")
            case .retrying(let text): note(text)
            default: break
            }
        }
    }

    private struct Names: Writable {
        let member: String
        let names: [String]

        var text: String { names.map { $0 + "\n" }.joined() }
        var json: JSONValue { .object([member: JSONValue(names), "version": 1]) }
    }
}
