// SPDX-License-Identifier: Apache-2.0
internal import Builder
internal import OCI
internal import Registry
internal import Store

/// `coracle copy`: an image from anywhere to anywhere, byte for byte.
///
/// Between registries nothing touches the disk; within one registry nothing is moved.
public struct CopyImage: Sendable {
    /// Flags about registries.
    public var access = RegistryAccess()
    /// `--platform`; `nil` for this machine's where the image is for several.
    public var platform: String?
    /// `--all-platforms`.
    public var takesAllPlatforms = false
    let workspace: Workspace
    let environment: [String: String]
    var verb = "copied"

    /// Copies with the store of a workspace.
    ///
    /// - Parameters:
    ///   - workspace: Where the store is.
    ///   - environment: The environment of the process.
    public init(_ workspace: Workspace, environment: [String: String]) {
        (self.workspace, self.environment) = (workspace, environment)
    }

    /// What was copied.
    public struct Report: Sendable {
        /// The image by its digest: `myacr.azurecr.io/app@sha256:…`; the digest alone where it has no name.
        public let reference: String
        /// The digest of the manifest or index.
        public let digest: String
        /// Bytes that were moved.
        public let moved: Int64
        /// Manifest or index.
        let image: Descriptor

        /// One line of JSON, which docs/formats.md describes.
        public var json: String {
            let members: [String: JSONValue] = [
                "version": 1, "digest": .string(digest), "moved": .int(moved), "reference": .string(reference),
            ]
            return JSONValue.object(members).canonical
        }
    }

    /// Copies an image.
    ///
    /// - Parameters:
    ///   - source: Where it is: a reference, `store:NAME`, `oci:FOLDER[:TAG]`, `oci-archive:FILE`, `docker-archive:FILE`.
    ///   - target: Where it goes, in the same forms.
    ///   - progress: Is told what happens, from any thread.
    /// - Returns: What was copied.
    /// - Throws: ``ExitReason`` where one of the places cannot be reached or used.
    public func run(
        from source: String,
        to target: String,
        progress: @escaping @Sendable (TransferProgress) -> Void
    ) async throws -> Report {
        try await run(from: ImagePlace(source), to: ImagePlace(target), more: [], progress)
    }

    /// Copies an image to a place, and gives it more tags there.
    func run(
        from source: ImagePlace,
        to target: ImagePlace,
        more tags: [String],
        _ progress: @escaping @Sendable (TransferProgress) -> Void
    ) async throws -> Report {
        let choice = try choice(for: source)
        let teller = TransferTeller(verb, progress)
        let access = try access.bound(to: [source, target].compactMap(\.registry))
        let registries = try Registries(access, environment: environment, store: workspace.path) { teller.take($0) }
        return try await ExitReason.explaining {
            let needsStore = [source, target].contains { if case .registry = $0 { false } else { true } }
            if needsStore { try workspace.store().removeLeftovers() }
            let lease = needsStore ? try workspace.store().lease() : nil
            defer { withExtendedLifetime(lease) {} }
            let image = try await ImageOpener(workspace: workspace, registries: registries).open(source)
            let graph = try await image.graph(choice, source.text)
            let transfer = ImageDelivery(workspace: workspace, registries: registries, image: image, source: source)
            try await transfer.run(graph, to: target, tags) { teller.take($0) }
            return Report(
                reference: CopyImage.reference(target, image, graph.root.digest),
                digest: graph.root.digest.description,
                moved: teller.moved,
                image: graph.root
            )
        }
    }

    /// Which parts of an image are wanted.
    private func choice(for source: ImagePlace) throws(ExitReason) -> ImageGraph.Choice {
        if takesAllPlatforms {
            guard platform == nil else { throw ExitReason(.usage, "--platform and --all-platforms are given both") }
            return .everything
        }
        guard let platform else { return .platform(.host) }
        return .platform(try PlanSettings.platform(platform))
    }

    private static func reference(_ target: ImagePlace, _ image: OpenedImage, _ digest: Digest) -> String {
        switch target {
        case .registry(let reference): "\(Repository(reference))@\(digest)"
        case .store, .layout, .archive, .dockerArchive: digest.description
        }
    }
}

/// Brings an image that was opened to where it goes.
struct ImageDelivery {
    let workspace: Workspace
    let registries: Registries
    let image: OpenedImage
    let source: ImagePlace

    func run(
        _ graph: ImageGraph,
        to target: ImagePlace,
        _ tags: [String],
        _ events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        switch target {
        case .registry(let reference):
            let place = try registryTarget(reference, tags)
            try check(reference, graph)
            do {
                try await Transfer(from: image.blobs, to: place, events: events).run(graph)
            } catch let error as RegistryError where error.kind == .damagedSource {
                if let store = try workspace.storeIfAny(), image.layout?.root == store.root,
                    let blob = ExitReason.firstDamaged(try ImageOutput.blobs(of: graph.root, in: store), in: store)
                {
                    throw ExitReason.damaged(blob, in: store)
                }
                throw error
            }
        case .store(let name):
            let store = try workspace.store()
            var place = StoreTarget(store: store, origin: image.repository)
            // Who pulls wants the image as it is there, whatever became of the copy that is here.
            place.onDamaged = { events(.damaged($0)) }
            try await Transfer(from: image.blobs, to: place, events: events).run(graph)
            guard !name.hasPrefix("sha256:") else { return }
            try store.tag(graph.root, as: ImageLocator.reference(name))
        case .layout(let folder, let tag):
            try await write(graph, .oci, folder, isArchive: false, tag, events)
        case .archive(let file, let tag): try await write(graph, .oci, file, isArchive: true, tag, events)
        case .dockerArchive(let file, let name):
            try await write(graph, .docker, file, isArchive: true, name, events)
        }
    }

    /// A name with a digest says what must come there.
    private func check(_ reference: ImageReference, _ graph: ImageGraph) throws {
        guard let digest = reference.digest, digest != graph.root.digest.description else { return }
        throw ExitReason(
            .usage,
            "\(reference.familiar) names another image than \(source.text), which is \(graph.root.digest)"
        )
    }

    private func registryTarget(_ reference: ImageReference, _ tags: [String]) throws -> RegistryTarget {
        let store = try workspace.storeIfAny()
        let own = image.repository
        let names = (reference.tag.map { [$0] } ?? []) + tags
        let place = Repository(reference)
        let origins = store.map { BlobOrigins($0) }
        return RegistryTarget(registries.client, place, tags: names) { blob in
            let own = own.map { [$0] } ?? []
            return origins?.mounts(blob.digest, into: place, from: own) ?? own
        } onHeld: { blob in
            // What is here may be pushed elsewhere next.
            if let store, store.has(blob) { origins?.note(blob.digest, place) }
        }
    }

    /// Writes a layout or an archive, by way of the store or of a store of its own.
    private func write(
        _ graph: ImageGraph,
        _ kind: ImageOutput.Kind,
        _ path: String,
        isArchive: Bool,
        _ name: String?,
        _ events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        let shared = try workspace.store()
        let isHere = image.layout?.root == shared.root
        let scratch = isHere ? nil : try ScratchFolder(shared)
        defer { withExtendedLifetime(scratch) {} }
        let store = try scratch.map { try ImageStore($0.path + "/store") } ?? shared
        let transfer = Transfer(from: image.blobs, to: StoreTarget(store: store)) { event in
            // What the store has is nothing that the target has.
            switch event {
            case .present where isHere, .document where isHere: return
            default: events(event)
            }
        }
        try await transfer.run(graph)
        let output = ImageOutput(kind: kind, destination: path, isArchive: isArchive, usesOCITypes: kind == .oci)
        try output.write(graph.root, names(name), from: store)
        if isHere { events(.document(graph.root)) }
    }

    /// What the image is called in a layout: a whole name, or a tag of the name that it had.
    private func names(_ name: String?) throws -> [ImageReference] {
        guard let name else { return image.name.flatMap { $0.tag == nil ? nil : [$0] } ?? [] }
        if name.contains("/") || name.contains(":") || image.name == nil { return [try ImageLocator.reference(name)] }
        let base = image.name.map { "\($0.domain)/\($0.repository):\(name)" } ?? name
        return [try ImageLocator.reference(base)]
    }
}
