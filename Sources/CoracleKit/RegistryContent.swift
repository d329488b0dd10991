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
            let names = try await client(try? Repository(registry: host, name: "any")).catalog(host)
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
            Names(member: "tags", names: try await client(place).tags(in: place)).formatted(format)
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
    /// - Returns: A line for each.
    /// - Throws: ``ExitReason`` where there is no such image, or the registry removes nothing.
    public func remove(_ images: [String], removesImage: Bool) async throws -> String {
        let references = try images.map { try ImageLocator.reference($0) }
        for (reference, text) in zip(references, images) where reference.digest == nil {
            // A name without a tag would mean "latest", which nobody should remove by leaving something out.
            guard text.hasSuffix(":" + (reference.tag ?? "")) else {
                throw ExitReason(.usage, "\"\(text)\" has neither tag nor digest: what shall be removed?")
            }
        }
        var lines = ""
        for reference in references {
            lines += try await ExitReason.explaining {
                let place = Repository(reference)
                let client = try client(place)
                var name = try ManifestName(reference)
                if removesImage, case .tag = name {
                    guard let found = try await client.resolve(name, in: place, for: .delete) else {
                        throw ExitReason(.registry, "\(place.registry) has no image \(reference.familiar)")
                    }
                    name = .digest(found.digest)
                }
                try await client.delete(name, in: place)
                return reference.familiar + "\n"
            }
        }
        return lines
    }

    /// An image of a registry as `coracle inspect` shows those of the store.
    func open(_ reference: ImageReference) async throws -> OpenedImage {
        let registries = try registries(Repository(reference))
        // The store is not looked at for an image of a registry.
        let workspace = try Workspace(store: "/nonexistent", environment: environment)
        return try await ImageOpener(workspace: workspace, registries: registries).open(.registry(reference))
    }

    private func client(_ place: Repository?) throws(ExitReason) -> RegistryClient { try registries(place).client }

    private func registries(_ place: Repository?) throws(ExitReason) -> Registries {
        try Registries(access, environment: environment, repositories: place.map { [$0] } ?? []) { [note] event in
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
