// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// What an image is made of: one manifest for each platform, with its configuration and layers.
///
/// Blobs that are missing or unreadable are left out, so that what is there can be shown.
struct ImageContent {
    /// An image for one platform.
    struct Part {
        /// The manifest as its index, or the list, has it.
        let descriptor: Descriptor
        /// The manifest; `nil` where it cannot be read.
        let manifest: Manifest?
        /// The configuration; `nil` where it cannot be read, or is of another kind.
        let config: ImageConfig?

        /// What it runs on; `nil` where nothing says so.
        var platform: Platform? { config?.platform ?? descriptor.platform }

        /// Bytes of manifest, configuration and layers.
        var size: Int64 {
            descriptor.size + (manifest.map { $0.config.size + $0.layers.reduce(0) { $0 + $1.size } } ?? 0)
        }

        /// The layers, the lowest first, each with what made it.
        var layers: [Layer] {
            let made = config?.history.filter { !$0.isEmptyLayer } ?? []
            let diffIDs = config?.diffIDs ?? []
            return (manifest?.layers ?? []).enumerated()
                .map { number, blob in
                    Layer(
                        blob: blob,
                        diffID: number < diffIDs.count ? diffIDs[number] : nil,
                        createdBy: number < made.count ? made[number].createdBy : nil
                    )
                }
        }
    }

    /// A layer and what made it.
    struct Layer {
        let blob: Descriptor
        let diffID: Digest?
        let createdBy: String?
    }

    /// The images, in the order of the index.
    private(set) var parts: [Part] = []

    /// Reads an image.
    init(_ image: Descriptor, in layout: ImageLayout) {
        var open = [image]
        var seen: Set<Digest> = []
        while let next = open.popLast() {
            guard seen.insert(next.digest).inserted else { continue }
            if next.mediaType.isIndex {
                let index = (try? layout.read(next.digest)).flatMap { try? ImageIndex(parsing: $0) }
                open += index?.manifests.reversed() ?? []
            } else {
                parts.append(ImageContent.part(next, in: layout))
            }
        }
    }

    private static func part(_ descriptor: Descriptor, in layout: ImageLayout) -> Part {
        let manifest = (try? layout.read(descriptor.digest)).flatMap { try? Manifest(parsing: $0) }
        let config = manifest.flatMap { try? layout.read($0.config.digest) }.flatMap { try? ImageConfig(parsing: $0) }
        return Part(descriptor: descriptor, manifest: manifest, config: config)
    }

    /// Bytes of all blobs; one that several images need counts once.
    func size(with image: Descriptor) -> Int64 {
        var sizes = [image.digest: image.size]
        for part in parts {
            sizes[part.descriptor.digest] = part.descriptor.size
            guard let manifest = part.manifest else { continue }
            for blob in manifest.layers + [manifest.config] { sizes[blob.digest] = blob.size }
        }
        return sizes.values.reduce(0, +)
    }
}
