// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import OCI
internal import Registry
internal import Store

/// Base images in registries: each name is asked for once in a run, whatever it comes to mean meanwhile.
///
/// Protects what was found.
actor RemoteImages {
    /// When registries are asked.
    enum Policy: Sendable {
        /// For what is not in the store.
        case missing
        /// Always (`--pull`).
        case always
        /// Never (`--offline`).
        case never
    }

    nonisolated let policy: Policy
    nonisolated let registries: Registries
    private let store: ImageStore
    private let opener: ImageOpener
    private var found: [ImageReference: OpenedImage] = [:]
    private var named: [ImageReference: Base] = [:]

    init(_ workspace: Workspace, _ registries: Registries, _ policy: Policy) throws {
        (self.registries, self.policy) = (registries, policy)
        store = try workspace.store()
        opener = ImageOpener(workspace: workspace, registries: registries)
    }

    /// A base image of a registry; its layers may not be here yet.
    struct Base: Sendable {
        let manifest: Manifest
        let config: ImageConfig
        /// The manifest's own name.
        let root: Descriptor
        let repository: Repository
    }

    /// Finds an image, and brings its manifest and configuration into the store.
    func find(_ reference: ImageReference, _ platform: Platform) async throws -> Base {
        let image = try await open(reference)
        let name = reference.familiar
        let root = try await ImageGraph.choose(image.root, platform, name, image.document)
        let bytes = try await image.document(root)
        let manifest = try Manifest(parsing: bytes)
        var config = (try? store.read(manifest.config.digest)) ?? []
        if config.isEmpty, manifest.config.size > 0 {
            config = try await registries.client.bytes(of: manifest.config, in: Repository(reference))
        }
        _ = try store.put(config, manifest.config.mediaType)
        _ = try store.put(bytes, root.mediaType)
        BlobOrigins(store).note(manifest.config.digest, Repository(reference))
        for layer in manifest.layers { BlobOrigins(store).note(layer.digest, Repository(reference)) }
        let parsed = try ImageConfig(parsing: config)
        return Base(manifest: manifest, config: parsed, root: root, repository: Repository(reference))
    }

    private func open(_ reference: ImageReference) async throws -> OpenedImage {
        if let known = found[reference] { return known }
        let image = try await opener.open(.registry(reference))
        // Two that asked at once get the same answer.
        if let known = found[reference] { return known }
        found[reference] = image
        return image
    }

    /// Brings layers here that are missing, in parallel, from the repositories that are known to have them.
    func fetch(_ layers: [Descriptor], events: @escaping @Sendable (TransferEvent) -> Void) async throws {
        try await move(layers.filter { !store.has($0) }, events)
    }

    /// Brings layers again that are known to be damaged.
    func mend(_ damaged: [Descriptor], events: @escaping @Sendable (TransferEvent) -> Void) async throws {
        guard let first = damaged.first else { return }
        let reason = ExitReason.damaged(first, in: store)
        let origins = BlobOrigins(store)
        guard policy != .never, damaged.allSatisfy({ !origins.all($0.digest).isEmpty }) else { throw reason }
        do {
            try await move(damaged, events)
        } catch {
            guard let cause = ExitReason.of(error) as? ExitReason else { throw error }
            let message = "\(reason.message), and it cannot be had again: \(cause.message)"
            throw ExitReason(cause.code, message, hint: cause.hint)
        }
    }

    private func move(_ layers: [Descriptor], _ events: @escaping @Sendable (TransferEvent) -> Void) async throws {
        guard !layers.isEmpty else { return }
        let source = OriginBlobs(client: registries.client, store: store)
        let target = StoreTarget(store: store, onDamaged: { events(.damaged($0)) })
        let told: @Sendable (TransferEvent) -> Void = { if case .present = $0 {} else { events($0) } }
        try await Transfer(from: source, to: target, events: told).move(layers)
    }

    /// Brings all layers of an image here that are somewhere else.
    func complete(_ image: Descriptor, events: @escaping @Sendable (TransferEvent) -> Void) async throws {
        var layers: [Descriptor] = []
        for part in ImageContent(image, in: store.layout).parts { layers += part.manifest?.layers ?? [] }
        var seen: Set<Digest> = []
        let missing = layers.filter { seen.insert($0.digest).inserted }
        try await fetch(missing, events: events)
    }

    /// Remembers a base for ``nameAll()``; the first platform of a run counts.
    func keep(_ base: Base, _ reference: ImageReference) {
        if named[reference] == nil { named[reference] = base }
    }

    /// Gives bases their names in the store, those of which all is here.
    func nameAll() throws {
        for (reference, base) in named where base.manifest.layers.allSatisfy(store.has) {
            try store.tag(base.root, as: reference)
        }
    }
}

/// Blobs that are in the repositories that a store knows them from.
struct OriginBlobs: BlobSource {
    let client: RegistryClient
    let store: ImageStore

    func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks {
        var fault: any Error = ExitReason(
            .registry,
            "the store lacks the blob \(blob.digest), and does not know where it is",
            hint: "build again with --pull"
        )
        for place in BlobOrigins(store).all(blob.digest) {
            do {
                return try await client.open(blob, in: place, from: offset)
            } catch {
                fault = error
            }
        }
        throw fault
    }
}
