// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import Builder
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store
internal import Synchronization

/// Base images that are on this machine: in the store, or in image layouts that a flag names.
final class LocalImages: BaseImageResolver {
    private let store: ImageStore
    /// Contexts given by name: `oci-layout://…`, `docker-image://…` or a folder.
    private let contexts: [String: String]
    private let found = Mutex<[BaseAction: BaseLayers]>([:])

    init(_ store: ImageStore, contexts: [String: String]) {
        (self.store, self.contexts) = (store, contexts)
    }

    /// The layers of the images asked for so far, by what the plan calls them.
    var layers: [BaseAction: BaseLayers] { found.withLock { $0 } }

    func resolve(_ request: BaseImageRequest) async throws -> BaseImage? {
        try resolve(request.base).map { BaseImage(reference: nil, config: $0) }
    }

    /// Finds an image and remembers its layers; `nil` where a name is a folder's.
    func resolve(_ base: BaseAction) throws -> ImageConfig? {
        guard let (manifest, config) = try find(base) else { return nil }
        let layers = BaseLayers(layers: manifest.layers, diffIDs: config.diffIDs)
        guard layers.layers.count == layers.diffIDs.count else {
            throw ExitReason(
                .step,
                "the image \(base.label) has \(manifest.layers.count) layers and tells of "
                    + "\(config.diffIDs.count)"
            )
        }
        for (layer, told) in zip(layers.layers, layers.diffIDs) {
            let diffID = try LayerIndex.diffID(of: layer, in: store)
            guard diffID == told else {
                throw ExitReason(
                    .step,
                    "the image \(base.label) says that its layer \(layer.digest.short) holds \(told.short), and it "
                        + "holds \(diffID.short)",
                    hint: "the image is damaged or was tampered with: take it from where it was made"
                )
            }
        }
        found.withLock { $0[base] = layers }
        return config
    }

    /// Finds every image that a COPY or a mount of a plan names.
    func resolve(imagesOf plan: Plan) throws {
        for step in plan.steps {
            guard case .base(let base) = step.action, base.origin != .scratch, layers[base] == nil else { continue }
            _ = try resolve(base)
        }
        for case .copy(let copy) in plan.steps.map(\.action) {
            guard case .namedContext(let name) = copy.origin else { continue }
            let base = BaseAction(origin: .namedContext(name), platform: plan.platform)
            if layers[base] == nil { _ = try resolve(base) }
        }
    }

    private func find(_ base: BaseAction) throws -> (Manifest, ImageConfig)? {
        switch base.origin {
        case .scratch: return nil
        case .image(let reference): return try stored(reference, base.platform)
        case .namedContext(let name):
            let location = contexts[name] ?? ""
            if let layout = location.suffix(after: "oci-layout://") { return try imported(layout, base.platform) }
            if let image = location.suffix(after: "docker-image://") {
                do {
                    return try stored(ImageReference(image), base.platform)
                } catch let error as ContentError {
                    throw ExitReason(.usage, "--build-context \(name): \(error.message)")
                }
            }
            return nil
        }
    }

    private func stored(_ reference: ImageReference, _ platform: Platform) throws -> (Manifest, ImageConfig) {
        guard let image = try store.image(named: reference) else {
            let names = try store.images().compactMap { $0.annotations[ImageStore.nameAnnotation] }
            let near = Near.phrase(for: reference.familiar, among: names)
            throw ExitReason(
                .step,
                "the image \(reference.familiar) is not in the store\(near)",
                hint: "give it with --build-context \(reference.familiar)=oci-layout://FOLDER"
            )
        }
        let chosen = try choose(image, platform, reference.familiar) { try self.store.read($0.digest) }
        let manifest = try Manifest(parsing: store.read(chosen.digest))
        return (manifest, try ImageConfig(parsing: store.read(manifest.config.digest)))
    }

    // MARK: Image layouts

    /// Brings an image of a layout into the store.
    private func imported(_ location: String, _ platform: Platform) throws -> (Manifest, ImageConfig) {
        var (folder, name) = (location, String?.none)
        if let mark = location.lastIndex(where: { $0 == ":" || $0 == "@" || $0 == "/" }), location[mark] != "/" {
            let start = location[mark] == "@" || !location[..<mark].contains("@") ? mark : mark
            let at = location.firstIndex(of: "@") ?? start
            (folder, name) = (String(location[..<at]), String(location[location.index(after: at)...]))
        }
        guard let bytes = try DiskFile.read(folder + "/index.json") else {
            throw ExitReason(.usage, "\(folder): no image layout, as there is no index.json in it")
        }
        let index = try ImageIndex(parsing: bytes)
        let matching = index.manifests.filter { entry in
            guard let name else { return true }
            return entry.annotations[ImageStore.nameAnnotation] == name || entry.digest.description == name
        }
        guard let entry = matching.first else {
            let names = index.manifests.compactMap { $0.annotations[ImageStore.nameAnnotation] }
            throw ExitReason(
                .usage,
                "\(folder): no image \"\(name ?? "")\"\(Near.phrase(for: name ?? "", among: names))"
            )
        }
        let path = { (digest: Digest) in "\(folder)/blobs/sha256/\(digest.hex)" }
        let read = { (blob: Descriptor) throws -> [UInt8] in
            guard let bytes = try DiskFile.read(path(blob.digest), limit: 32 << 20), SHA256.digest(bytes) == blob.digest
            else { throw ExitReason(.step, "\(path(blob.digest)) is missing or damaged") }
            return bytes
        }
        let candidates = matching.count > 1 && name == nil ? ImageIndex(manifests: matching) : nil
        let chosen = try candidates.map { try pick($0, platform, folder) } ?? choose(entry, platform, folder, read)
        let manifest = try Manifest(parsing: read(chosen))
        for layer in manifest.layers { try copy(layer, from: path(layer.digest)) }
        _ = try store.put(read(manifest.config), manifest.config.mediaType)
        return (manifest, try ImageConfig(parsing: read(manifest.config)))
    }

    /// The manifest for a platform: the image itself, or one of its index.
    private func choose(
        _ image: Descriptor,
        _ platform: Platform,
        _ name: String,
        _ read: (Descriptor) throws -> [UInt8]
    ) throws -> Descriptor {
        guard image.mediaType.isIndex else { return image }
        return try choose(pick(ImageIndex(parsing: read(image)), platform, name), platform, name, read)
    }

    private func pick(_ index: ImageIndex, _ platform: Platform, _ name: String) throws -> Descriptor {
        if let match = index.manifests.first(where: { $0.platform?.satisfies(platform) ?? false }) { return match }
        if index.manifests.count == 1, let only = index.manifests.first, only.platform == nil { return only }
        let list = index.manifests.compactMap { $0.platform?.description }.joined(separator: ", ")
        throw ExitReason(.step, "the image \(name) is not made for \(platform); it is for \(list)")
    }

    private func copy(_ blob: Descriptor, from path: String) throws {
        if store.has(blob) { return }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreError("opening \(path)", errno: errno) }
        defer { close(file) }
        let ingest = try store.ingest()
        let sink = VerifyingSink(FileSink(descriptor: ingest.descriptor, name: ingest.path))
        try sink.copy(descriptor: file, size: blob.size, name: path)
        guard sink.digest() == blob.digest else { throw ExitReason(.step, "\(path) is damaged: its digest is another") }
        try ingest.commit(blob.digest)
    }
}

/// Hashes what goes through it.
final class VerifyingSink: ByteSink {
    private let next: any ByteSink
    private var hash = SHA256()

    init(_ next: any ByteSink) {
        self.next = next
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        hash.update(bytes)
        try next.write(bytes)
    }

    func digest() -> Digest { Digest(sha256: hash.finish()) }
}

extension String {
    /// What follows a beginning; `nil` where this begins otherwise.
    func suffix(after start: String) -> String? {
        hasPrefix(start) ? String(dropFirst(start.count)) : nil
    }
}
