// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import Builder
internal import Glibc
internal import OCI
internal import Registry
internal import Rootfs
internal import Store
internal import Synchronization

/// Base images: in the store, in image layouts that a flag names, or in registries.
///
/// Manifests and configurations are brought here while a plan is made, layers when the plan is known to need them. The
/// lock holds what was found.
final class LocalImages: BaseImageResolver {
    private let store: ImageStore
    /// Contexts given by name: `oci-layout://…`, `docker-image://…`, or what holds files and no image.
    private let contexts: [String: String]
    /// Asked for what is not here; `nil` to ask nobody.
    private let remote: RemoteImages?
    /// Whether the build is for several platforms, so that an image for one of them will not do.
    private let isForSeveral: Bool
    private let found = Mutex<[BaseAction: Found]>([:])

    /// An image that was found.
    private struct Found {
        let name: String
        let layers: BaseLayers
        /// Where it comes from; `nil` for one that is here.
        let remote: (base: RemoteImages.Base, reference: ImageReference)?
    }

    init(_ store: ImageStore, contexts: [String: String], remote: RemoteImages?, isForSeveral: Bool = false) {
        (self.store, self.contexts, self.remote, self.isForSeveral) = (store, contexts, remote, isForSeveral)
    }

    /// The layers of the images asked for so far, by what the plan calls them.
    var layers: [BaseAction: BaseLayers] { found.withLock { $0.mapValues(\.layers) } }

    func resolve(_ request: BaseImageRequest) async throws -> BaseImage? {
        do {
            return try await resolve(request.base).map { BaseImage(reference: nil, config: $0) }
        } catch {
            guard let reason = ExitReason.of(error) as? ExitReason else { throw error }
            throw MissingImage(reason, request)
        }
    }

    /// Finds an image and remembers its layers; `nil` where a name is a folder's.
    func resolve(_ base: BaseAction) async throws -> ImageConfig? {
        guard let (manifest, config, remote) = try await find(base) else { return nil }
        let layers = BaseLayers(layers: manifest.layers, diffIDs: config.diffIDs)
        guard layers.layers.count == layers.diffIDs.count else {
            throw ExitReason(
                .step,
                "the image \(base.label) has \(manifest.layers.count) layers and tells of "
                    + "\(config.diffIDs.count)"
            )
        }
        found.withLock { $0[base] = Found(name: base.label, layers: layers, remote: remote) }
        return config
    }

    /// Finds every image that a COPY or a mount of a plan names, and brings the layers of all images of it here.
    ///
    /// Lazily, layers stay where they are until a step looks into them. What layers hold is verified at once, or with a
    /// loader when a step looks into them.
    func resolve(
        imagesOf plan: Plan,
        loader: LayerLoader?,
        isLazy: Bool,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        var needed: Set<BaseAction> = []
        for step in plan.steps {
            for base in step.images(on: plan.platform) {
                needed.insert(base)
                if layers[base] == nil { _ = try await resolve(BaseImageRequest(base: base, range: step.range)) }
            }
        }
        let images = found.withLock { found in found.filter { needed.contains($0.key) }.map(\.value) }
        for image in images {
            for (layer, diffID) in zip(image.layers.layers, image.layers.diffIDs)
            where !store.has(layer) || !LayerIndex.isKnown(layer.digest, in: store) {
                loader?.know(layer, diffID)
            }
        }
        if !isLazy {
            try await remote?.fetch(LocalImages.each(images.flatMap(\.layers.layers)), events: events)
        }
        for image in images {
            do {
                try check(image, isWhole: loader == nil)
            } catch {
                let damaged = ExitReason.damaged(among: LocalImages.each(image.layers.layers), in: store)
                guard let remote, !damaged.isEmpty else { throw error }
                try await remote.mend(damaged, events: events)
                try check(image, isWhole: loader == nil)
            }
            if let (base, reference) = image.remote { await remote?.keep(base, reference) }
        }
    }

    private static func each(_ layers: [Descriptor]) -> [Descriptor] {
        var seen: Set<Digest> = []
        return layers.filter { seen.insert($0.digest).inserted }
    }

    /// Layers are what the configuration says they are; those that are not here yet are looked at when they come.
    private func check(_ image: Found, isWhole: Bool) throws {
        for (layer, told) in zip(image.layers.layers, image.layers.diffIDs)
        where isWhole || LayerIndex.isKnown(layer.digest, in: store) {
            let diffID = try LayerIndex.diffID(of: layer, in: store)
            guard diffID == told else {
                throw ExitReason(
                    .step,
                    "the image \(image.name) says that its layer \(layer.digest.short) holds \(told.short), and it "
                        + "holds \(diffID.short)",
                    hint: "the image is damaged or was tampered with: take it from where it was made"
                )
            }
        }
    }

    private typealias Answer = (
        manifest: Manifest, config: ImageConfig, remote: (base: RemoteImages.Base, reference: ImageReference)?
    )

    private func find(_ base: BaseAction) async throws -> Answer? {
        switch base.origin {
        case .scratch: return nil
        case .image(let reference): return try await image(reference, base.platform)
        case .namedContext(let name):
            let location = contexts[name] ?? ""
            if let layout = location.suffix(after: "oci-layout://") {
                let (manifest, config) = try imported(layout, base.platform)
                return (manifest, config, nil)
            }
            if let image = location.suffix(after: "docker-image://") {
                let reference: ImageReference
                do {
                    reference = try ImageReference(image)
                } catch {
                    throw ExitReason(.usage, "--build-context \(name): \(error.message)")
                }
                return try await self.image(reference, base.platform)
            }
            return nil
        }
    }

    /// An image by its name: of the store, unless it is to be looked for elsewhere, or is for another platform.
    private func image(_ reference: ImageReference, _ platform: Platform) async throws -> Answer {
        let local = try whole { try stored(reference, platform) }
        guard let remote, remote.policy != .never else {
            if let local { return (local.manifest, local.config, nil) }
            throw missing(reference)
        }
        if remote.policy == .missing, let local, local.isExact { return (local.manifest, local.config, nil) }
        do {
            let base = try await remote.find(reference, platform)
            return (base.manifest, base.config, (base, reference))
        } catch {
            // What was made here for another platform, and is nowhere else, was meant.
            if remote.policy == .missing, let local { return (local.manifest, local.config, nil) }
            guard let reason = ExitReason.of(error) as? ExitReason else { throw error }
            // Where the image is there for another platform, its name was right.
            let isNamed = (error as? RegistryError)?.kind == .wrongPlatform
            let near = local == nil && !isNamed ? " (it is not in the store\(try near(reference)))" : ""
            let subject = reason.message.contains(reference.repository) ? "" : "image \(reference.familiar): "
            throw ExitReason(reason.code, "\(subject)\(reason.message)\(near)", hint: reason.hint)
        }
    }

    /// Reads something of the store; where registries may be asked, what is damaged counts as missing.
    private func whole<Result>(_ read: () throws -> Result?) throws -> Result? {
        do {
            return try read()
        } catch let error as StoreError {
            guard let remote, remote.policy != .never else { throw error }
            return nil
        }
    }

    /// An image of the store; it is exact where it is for the platform that is wanted.
    private func stored(
        _ reference: ImageReference,
        _ platform: Platform
    ) throws -> (manifest: Manifest, config: ImageConfig, isExact: Bool)? {
        guard let image = try entry(reference) else { return nil }
        let read = { (blob: Descriptor) in try self.store.read(blob.digest) }
        let chosen: Descriptor
        if let remote, remote.policy != .never {
            // An index without the platform may be one of which a part was brought here.
            guard let part = try? choose(image, platform, reference.familiar, read) else { return nil }
            chosen = part
        } else {
            chosen = try choose(image, platform, reference.familiar, read)
        }
        let manifest = try Manifest(parsing: store.read(chosen.digest))
        let config = try ImageConfig(parsing: store.read(manifest.config.digest))
        let fits = config.platform.satisfies(platform) && (!isForSeveral || image.mediaType.isIndex)
        return (manifest, config, fits)
    }

    /// The entry of the list for a name; with a digest, also one of the same repository with that digest.
    private func entry(_ reference: ImageReference) throws -> Descriptor? {
        if let image = try store.image(named: reference) { return image }
        guard let digest = reference.digest else { return nil }
        return try store.images()
            .first { image in
                guard image.digest.description == digest, let name = image.annotations[ImageStore.nameAnnotation],
                    let called = try? ImageReference(name)
                else { return false }
                return called.domain == reference.domain && called.repository == reference.repository
            }
    }

    private func near(_ reference: ImageReference) throws -> String {
        let names = try store.images().compactMap { $0.annotations[ImageStore.nameAnnotation] }
        return Near.phrase(for: reference.familiar, among: names)
    }

    private func missing(_ reference: ImageReference) -> ExitReason {
        ExitReason(
            .usage,
            "the image \(reference.familiar) is not in the store\((try? near(reference)) ?? "")",
            hint: "give it with --build-context \(reference.familiar)=oci-layout://FOLDER, or leave --offline out"
        )
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
