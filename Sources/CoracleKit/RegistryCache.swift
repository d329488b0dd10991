// SPDX-License-Identifier: Apache-2.0
internal import Builder
internal import OCI
internal import Registry
internal import Store
internal import Synchronization

/// The step cache in registries: records of steps as the configuration of an image, their layers as its layers.
///
/// Whatever fails here costs time and no build. docs/formats.md describes the image. The lock holds what was found, and
/// what the build used.
final class RegistryCache: Sendable {
    /// What the configuration is.
    static let configType = MediaType("application/vnd.coracle.cache.config.v1+json")

    private struct State {
        var used: [StepCache.Entry] = []
        /// What each cache was when it was read.
        var found: [ImageReference: Digest] = [:]
    }

    private let sources: [CacheOption]
    private let targets: [CacheOption]
    private let remote: RemoteImages
    private let store: ImageStore
    private let events: @Sendable (TransferEvent) -> Void
    private let state = Mutex(State())

    init(
        _ settings: BuildRegistries,
        _ remote: RemoteImages,
        _ store: ImageStore,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) throws(ExitReason) {
        var both: [CacheOption] = []
        for text in settings.caches { both.append(try CacheOption(text, flag: "--cache")) }
        var (sources, targets) = (both, both)
        for text in settings.cachesFrom { sources.append(try CacheOption(text, flag: "--cache-from")) }
        for text in settings.cachesTo { targets.append(try CacheOption(text, flag: "--cache-to")) }
        (self.sources, self.targets, self.remote, self.store) = (sources, targets, remote, store)
        self.events = events
    }

    /// Remembers a record that the build found or made.
    @Sendable func record(_ entry: StepCache.Entry) {
        state.withLock { state in
            if !state.used.contains(where: { $0.key == entry.key }) { state.used.append(entry) }
        }
    }

    // MARK: Import

    /// Reads the records of all caches; layers stay where they are until a step needs them.
    func load(_ loader: LayerLoader) async {
        for source in sources {
            let name = source.reference.familiar
            do {
                guard let count = try await load(source.reference, loader) else {
                    events(.warning("the cache \(name) is not there yet"))
                    continue
                }
                events(.note("\(RegistryCache.steps(count)) in the cache \(name)"))
            } catch {
                events(.warning("the cache \(name) is not used: \(RegistryCache.reason(error))"))
            }
        }
    }

    private func load(_ reference: ImageReference, _ loader: LayerLoader) async throws -> Int? {
        let (client, place) = (remote.registries.client, Repository(reference))
        guard let document = try await client.manifest(ManifestName(reference), in: place) else { return nil }
        guard document.descriptor.mediaType.isManifest else { throw ContentError(message: "it is no cache of coracle") }
        let manifest = try Manifest(parsing: document.bytes)
        guard manifest.config.mediaType == RegistryCache.configType else {
            throw ContentError(message: "it is no cache of coracle, but \(manifest.config.mediaType)")
        }
        let json = try JSONValue(parsing: try await client.bytes(of: manifest.config, in: place, limit: 32 << 20))
        let layers = Set(manifest.layers.map(\.digest))
        var count = 0
        for record in json["records"]?.array ?? [] {
            guard let key = record["key"]?.string.flatMap({ try? Digest($0) }),
                let entry = StepCache.Entry(json: record, key: key), layers.contains(entry.record.layer.digest)
            else { continue }
            BlobOrigins(store).note(entry.record.layer.digest, place)
            if !store.has(entry.record.layer) { loader.know(entry.record.layer, entry.record.diffID) }
            try StepCache(store).keep(entry.record, key, definition: entry.definition, text: entry.text)
            count += 1
        }
        state.withLock { $0.found[reference] = document.descriptor.digest }
        return count
    }

    // MARK: Export

    /// Writes the records of this build to all caches.
    func save(_ image: Descriptor) async {
        for target in targets {
            let name = target.reference.familiar
            do {
                let count = try await save(target, image)
                if let count { events(.note("kept \(RegistryCache.steps(count)) in the cache \(name)")) }
            } catch {
                events(.warning("the cache \(name) is not kept: \(RegistryCache.reason(error))"))
            }
        }
    }

    private func save(_ target: CacheOption, _ image: Descriptor) async throws -> Int? {
        let needed = target.keepsAll ? nil : try ImageMarks([image], in: store)
        let entries = state.withLock(\.used)
            .filter { needed?.contains($0.record.layer.digest) ?? true }
            .sorted { $0.key.hex < $1.key.hex }
        guard !entries.isEmpty else { return nil }
        let records = entries.map { entry in
            var members = entry.json.object ?? [:]
            members["key"] = .string(entry.key.description)
            return JSONValue.object(members)
        }
        let json: JSONValue = ["version": 1, "records": .array(records)]
        let config = try store.put(Array(json.canonical.utf8), RegistryCache.configType)
        var layers: [Descriptor] = []
        for entry in entries where !layers.contains(where: { $0.digest == entry.record.layer.digest }) {
            layers.append(entry.record.layer)
        }
        let root = try store.put(Manifest(config: config, layers: layers).document, .manifest)
        let reference = target.reference
        if state.withLock({ $0.found[reference] }) == root.digest { return nil }
        let local = LayoutBlobs(layout: store.layout)
        let (client, store) = (remote.registries.client, store)
        let graph = try await ImageGraph(root, .everything, name: reference.familiar, read: local.document)
        let place = RegistryTarget(client, Repository(reference), tags: [reference.tag ?? "latest"]) { blob in
            Array(BlobOrigins(store).repositories(of: blob.digest, at: reference.domain).prefix(2))
        }
        let source = StoreOrRegistry(local: local, client: client, store: store)
        // What the image of the build sends too is told there.
        let quiet: @Sendable (TransferEvent) -> Void = { [events] event in
            switch event {
            case .retrying, .warning: events(event)
            default: break
            }
        }
        try await Transfer(from: source, to: place, events: quiet).run(graph)
        return entries.count
    }

    private static func steps(_ count: Int) -> String { count == 1 ? "1 step" : "\(count) steps" }

    private static func reason(_ error: any Error) -> String {
        (ExitReason.of(error) as? ExitReason)?.message ?? "\(error)"
    }
}
