// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI

extension Collector {
    /// What a store takes on disk, in blocks; a file with several names counts once.
    public struct Usage: Hashable, Sendable {
        /// A part of the store; no file is in two parts.
        public struct Part: Hashable, Sendable {
            /// How many things there are.
            public var count = 0
            /// Bytes on disk.
            public var bytes: Int64 = 0
        }

        /// Images of the list: manifests, indexes and configurations.
        public var images = Part()
        /// Layers that images of the list need.
        public var layers = Part()
        /// What repositories of a registry need and no image of the list; counts blobs.
        public var registry = Part()
        /// Records of steps, layers that only they need, what is known of layers and build contexts; counts records.
        public var cache = Part()
        /// Unpacked layers.
        public var snapshots = Part()
        /// What is kept of containers: logs, and how they ended.
        public var containers = Part()
        /// What `RUN --mount=type=cache` keeps; counts caches.
        public var folders = Part()
        /// Everything else: logs, what nothing refers to, files on their way, folders; counts files.
        public var other = Part()
        /// Bytes on disk of everything.
        public var total: Int64 = 0
        /// Bytes on disk that would be free if every record of a step, unpacked layer and cache folder
        /// were removed.
        public var reclaimable: Int64 = 0

        /// Nothing.
        public init() {}
    }

    /// Measures the store; builds may go on meanwhile.
    ///
    /// - Returns: What it takes on disk.
    /// - Throws: ``StoreError`` where the list of images or a manifest is damaged.
    public func usage() throws(StoreError) -> Usage {
        let images = try store.images()
        let marks = try ImageMarks(images, in: store)
        let cached = cachedLayers()
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let registry = try RegistryMarks(store, now: Int64(time.tv_sec))
        let items = StoreScan(store.root).items
        var usage = Usage()
        var seen: Set<StoreScan.Inode> = []
        usage.images.count = images.count
        for part in [
            \Usage.images, \.layers, \.registry, \.cache, \.snapshots, \.folders, \.containers, \.other,
        ] {
            for item in items where Collector.part(of: item, marks, registry, cached) == part {
                usage[keyPath: part].bytes += item.blocks.reduce(0) {
                    $0 + (seen.insert($1.inode).inserted ? $1.bytes : 0)
                }
                if Collector.isCounted(item, in: part) { usage[keyPath: part].count += 1 }
            }
            usage.total += usage[keyPath: part].bytes
        }
        var everything = Policy()
        everything.records = .all
        usage.reclaimable = try preview(everything).freed
        return usage
    }

    private static func isCounted(_ item: StoreScan.Item, in part: WritableKeyPath<Usage, Usage.Part>) -> Bool {
        switch part {
        case \.images: false
        case \.registry: item.area == .blob
        case \.cache: item.area == .step && !item.name.hasSuffix(".any")
        case \.snapshots: !item.name.contains(".")
        default: true
        }
    }

    private static func part(
        of item: StoreScan.Item,
        _ marks: ImageMarks,
        _ registry: RegistryMarks,
        _ cached: Set<Digest>
    ) -> WritableKeyPath<Usage, Usage.Part> {
        switch item.area {
        case .step, .layerIndex, .fileIndex: return \.cache
        case .snapshot: return \.snapshots
        case .container: return \.containers
        case .cacheFolder: return \.folders
        case .temporary, .log, .lock, .other: return \.other
        case .registry: return \.registry
        case .blob:
            guard let digest = try? Digest("sha256:" + item.name) else { return \.other }
            if marks.documents.contains(digest) { return \.images }
            if marks.layers.contains(digest) { return \.layers }
            if registry.blobs.contains(digest) { return \.registry }
            return cached.contains(digest) ? \.cache : \.other
        }
    }

    /// The layers that records of steps name.
    private func cachedLayers() -> Set<Digest> {
        let folder = store.root + "/steps"
        return Set(
            DiskFile.names(in: folder)
                .compactMap { name in
                    let bytes = try? DiskFile.read(folder + "/" + name, limit: 1 << 20)
                    let json = bytes.flatMap { try? JSONValue(parsing: $0) }
                    return json?["layer"]?["digest"]?.string.flatMap { try? Digest($0) }
                }
        )
    }
}
