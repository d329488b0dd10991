// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store

/// An image for one platform whose layers are in the store, ready to be unpacked.
struct RunnableImage {
    /// As it was asked for.
    let name: String
    /// The digest of its manifest; `nil` for one that came from a layout.
    let digest: Digest?
    /// What it runs, and how.
    let config: ImageConfig
    /// The layers, lowest first.
    let layers: [Snapshots.Layer]

    /// Finds an image by what people call it: a name, `sha256:` and a digest, or `oci-layout://FOLDER[:TAG]`.
    ///
    /// What is in registries alone was pulled before.
    static func find(
        _ name: String,
        for platform: Platform,
        in workspace: Workspace
    ) async throws -> RunnableImage {
        let image =
            name.hasPrefix("oci-layout://")
            ? try await imported(name, platform, workspace) : try stored(name, platform, workspace)
        try image.check(for: platform)
        return image
    }

    /// Pulls an image that is not here, and the layers that a build left where its base is, as `docker run` does.
    static func pull(
        _ name: String,
        _ platform: String?,
        in workspace: Workspace,
        environment: [String: String],
        note: @escaping @Sendable (String) -> Void
    ) async throws {
        if name.hasPrefix("oci-layout://") { return }
        let store = try workspace.store()
        if let found = try? ImageLocator(store.layout).find(name) {
            let remote = try BuildRegistries().images(workspace, environment: environment)
            try await remote.complete(found.image) { _ in }
        } else if !name.hasPrefix("sha256:"), let reference = try? ImageReference(name) {
            note("\(reference.familiar) is not in the store: pulling it")
            var pull = PullImage(workspace, environment: environment)
            pull.platform = platform
            _ = try await pull.run(name) { _ in }
        }
    }

    private static func stored(
        _ name: String,
        _ platform: Platform,
        _ workspace: Workspace
    ) throws -> RunnableImage {
        let store = try workspace.store()
        var image = try ImageLocator(store.layout).find(name).image
        while image.mediaType.isIndex {
            let index = try ImageIndex(parsing: store.read(image.digest))
            let only = index.manifests.count == 1 && index.manifests[0].platform == nil ? index.manifests.first : nil
            guard let match = index.manifests.first(where: { $0.platform?.satisfies(platform) ?? false }) ?? only else {
                let list = index.manifests.compactMap { $0.platform?.description }.joined(separator: ", ")
                throw ExitReason(
                    .usage,
                    "the image \(name) is not made for \(platform); it is for \(list)",
                    hint: index.manifests.first?.platform.map { "--platform \($0)" }
                )
            }
            image = match
        }
        let manifest = try Manifest(parsing: store.read(image.digest))
        let config = try ImageConfig(parsing: store.read(manifest.config.digest))
        return try RunnableImage(name, image.digest, config, manifest.layers)
    }

    /// Takes an image of a layout into the store, as a build takes its base.
    private static func imported(
        _ name: String,
        _ platform: Platform,
        _ workspace: Workspace
    ) async throws -> RunnableImage {
        let images = LocalImages(try workspace.store(), contexts: ["image": name], remote: nil)
        let base = BaseAction(origin: .namedContext("image"), platform: platform)
        guard let config = try await images.resolve(base), let layers = images.layers[base] else {
            throw ExitReason(.usage, "\(name): there is no such image")
        }
        return try RunnableImage(name, nil, config, layers.layers)
    }

    private init(_ name: String, _ digest: Digest?, _ config: ImageConfig, _ blobs: [Descriptor]) throws {
        guard blobs.count == config.diffIDs.count else {
            throw ExitReason(
                .step,
                "the image \(name) has \(blobs.count) layers and tells of \(config.diffIDs.count)",
                hint: "it is damaged: build or pull it again"
            )
        }
        (self.name, self.digest, self.config) = (name, digest, config)
        layers = zip(blobs, config.diffIDs).map { Snapshots.Layer($0, diffID: $1) }
    }

    private func check(for wanted: Platform) throws(ExitReason) {
        guard !layers.isEmpty else {
            throw ExitReason(.step, "the image \(name) has no files, so there is nothing to run")
        }
        let platform = config.platform
        guard platform.os == "linux" else {
            throw ExitReason(.step, "the image \(name) is for \(platform), and this machine runs Linux")
        }
        // One image without an index is taken for any machine, unless another one was asked for.
        if wanted != .host, !platform.satisfies(wanted) {
            throw ExitReason(.usage, "the image \(name) is for \(platform), not for \(wanted)")
        }
        if let fault = Emulator.fault(for: platform.architecture) {
            throw ExitReason(.step, "the image \(name) is for \(platform): \(fault)")
        }
    }
}
