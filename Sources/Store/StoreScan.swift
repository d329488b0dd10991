// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI

/// Every file of a store, with the blocks it takes on disk.
struct StoreScan {
    /// Which part of a store a file belongs to.
    enum Area: Hashable {
        case blob, step, layerIndex, fileIndex, snapshot, container, cacheFolder, log, lock, temporary, registry, other
    }

    /// A file by its number: two names of one are hard links.
    struct Inode: Hashable {
        let device: UInt64
        let number: UInt64
    }

    /// A file, or a folder with all that is in it.
    struct Item {
        let area: Area
        /// Relative to the store.
        let place: String
        /// Seconds since 1970.
        let mtime: Int64
        /// What it takes on disk: files, and bytes of each.
        let blocks: [(inode: Inode, bytes: Int64)]

        /// The last part of the place.
        var name: Substring { place.utf8.lastIndex(of: 0x2F).map { place[place.index(after: $0)...] } ?? place[...] }
    }

    private(set) var items: [Item] = []
    private let root: String

    /// Looks at every file; what vanishes meanwhile is left out.
    init(_ root: String) {
        self.root = root
        addFolder("", .other)
        for (folder, area) in [
            ("blobs", Area.other), ("blobs/sha256", .blob), ("steps", .step), ("layers", .layerIndex),
            ("files", .fileIndex), ("tmp", .temporary), ("locks", .lock), ("snapshots", .other),
            ("containers", .container), ("caches", .cacheFolder), ("logs", .log),
        ] { addFolder(folder, area) }
        for system in DiskFile.names(in: root + "/snapshots") { addFolder("snapshots/" + system, .snapshot) }
        addTree("registry")
    }

    private static let structure: Set<String> = [
        "blobs", "blobs/sha256", "steps", "layers", "files", "tmp", "locks", "registry", "snapshots", "containers",
        "caches", "logs",
    ]

    /// Adds what a registry knows, each file for itself; its folders are other things.
    private mutating func addTree(_ place: String) {
        var status = stat()
        guard lstat(root + "/" + place, &status) == 0 else { return }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        add(isFolder ? .other : .registry, place, status, [StoreScan.blocks(status)])
        guard isFolder else { return }
        for name in DiskFile.names(in: root + "/" + place) { addTree(place + "/" + name) }
    }

    /// Adds a folder of the store's own, and each thing in it.
    private mutating func addFolder(_ place: String, _ area: Area) {
        let path = place.isEmpty ? root : root + "/" + place
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        add(.other, place, status, [StoreScan.blocks(status)])
        for name in DiskFile.names(in: path) {
            let below = place.isEmpty ? name : place + "/" + name
            // Unpacked layers are in folders of their own, one for each user namespace.
            guard !StoreScan.structure.contains(below), place != "snapshots", lstat(root + "/" + below, &status) == 0
            else { continue }
            var blocks = [StoreScan.blocks(status)]
            if status.st_mode & S_IFMT == S_IFDIR {
                StoreScan.walk(root + "/" + below, in: AT_FDCWD) { blocks.append(StoreScan.blocks($0)) }
            }
            add(area, below, status, blocks)
        }
    }

    private mutating func add(_ area: Area, _ place: String, _ status: stat, _ blocks: [(Inode, Int64)]) {
        items.append(Item(area: area, place: place, mtime: Int64(status.st_mtim.tv_sec), blocks: blocks))
    }

    private static func blocks(_ status: stat) -> (inode: Inode, bytes: Int64) {
        let inode = Inode(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
        return (inode, Int64(status.st_blocks) * 512)
    }

    /// Looks at everything below a folder; names need not be UTF-8.
    private static func walk(_ name: UnsafePointer<CChar>, in parent: Int32, _ body: (stat) -> Void) {
        let descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0, let folder = fdopendir(descriptor) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { below in
                    var status = stat()
                    guard strcmp(below, ".") != 0, strcmp(below, "..") != 0,
                        fstatat(descriptor, below, &status, AT_SYMLINK_NOFOLLOW) == 0
                    else { return }
                    body(status)
                    if status.st_mode & S_IFMT == S_IFDIR { walk(below, in: descriptor, body) }
                }
            }
        }
    }
}

/// What files take on disk while some of them are taken away: a file with two names goes with the second.
struct DiskLedger {
    private var names: [StoreScan.Inode: Int] = [:]
    /// Bytes of all files that are left.
    private(set) var total: Int64 = 0

    init(_ items: [StoreScan.Item]) {
        for block in items.lazy.flatMap(\.blocks) {
            names[block.inode, default: 0] += 1
            if names[block.inode] == 1 { total += block.bytes }
        }
    }

    mutating func remove(_ item: StoreScan.Item) {
        for block in item.blocks {
            guard let count = names[block.inode] else { continue }
            names[block.inode] = count == 1 ? nil : count - 1
            if count == 1 { total -= block.bytes }
        }
    }
}
