// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Dispatch
internal import Glibc
public import OCI
public import Store
internal import Synchronization

/// Unpacked layers in a store, as overlayfs mounts them: each unpacked once, and shared by all builds and processes.
///
/// A layer is in `snapshots/SYSTEM/NAME`. SYSTEM stands for what the files depend on besides the layer: the user
/// namespace, and the time since the system started, as nothing is synced to disk. NAME is `d` and part of the diff ID;
/// of a layer that does not stand on its own, `c` and part of the chain ID. Names are short, as the options of a mount
/// may have 4,096 bytes in all. Who uses snapshots holds a lease of the store meanwhile.
public struct Snapshots: Sendable {
    /// A layer of an image.
    public struct Layer: Hashable, Sendable {
        /// The layer as it is in the store.
        public let descriptor: Descriptor
        /// Its digest before compression.
        public let diffID: Digest

        /// Describes a layer.
        ///
        /// - Parameters:
        ///   - descriptor: The layer as it is in the store.
        ///   - diffID: Its digest before compression.
        public init(_ descriptor: Descriptor, diffID: Digest) {
            (self.descriptor, self.diffID) = (descriptor, diffID)
        }
    }

    /// What unpacked layers are in, readable by this user alone; every path of ``directories(of:cores:)`` is in it.
    public let folder: String
    /// Which attributes a mount of the layers must read.
    public let marks: OverlayMarks
    let store: ImageStore
    let owners: FileOwners
    private let limit: Int64

    /// Looks at what this process may do in a store.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - limit: The most bytes that layers may take on disk when one image is unpacked.
    /// - Throws: ``StoreError`` where nothing can be written, or the file system has no attributes.
    public init(_ store: ImageStore, limit: Int64) throws {
        (self.store, self.limit, owners) = (store, limit, FileOwners())
        let all = store.root + "/snapshots"
        try DiskFile.makeFolder(all)
        let source = "/proc/sys/kernel/random/boot_id"
        let start = FileOwners.text(source).prefix(8)
        // Where no more files can be opened, what others use would look old.
        guard !start.isEmpty || access(source, F_OK) != 0 else { throw StoreError("\(source) cannot be read") }
        let system = SHA256.digest(Array(owners.mapping.utf8)).hex.prefix(8)
        folder = "\(all)/\(start)-\(system)"
        // Programs of an image that run as their owner are for nobody on this machine.
        if mkdir(folder, 0o700) != 0, errno != EEXIST { throw StoreError("creating \(folder)", errno: errno) }
        marks = try OverlayMarks(in: folder)
        clearLeftovers(String(start))
    }

    /// Removes what killed processes left, and what was unpacked before the system started.
    private func clearLeftovers(_ start: String) {
        let all = store.root + "/snapshots"
        // Where /proc does not say it, as in some sandboxes, nothing is known to be old.
        let old = start.isEmpty ? [] : DiskFile.names(in: all).filter { !$0.hasPrefix(start + "-") }
        for name in old { DiskFile.remove(all + "/" + name) }
        Snapshot.clearLeftovers(store)
    }

    // MARK: Unpacking

    /// Folders with the layers of an image, unpacked unless they are there.
    ///
    /// Layers are unpacked side by side; of each, bytes are decompressed and hashed while others are written.
    ///
    /// - Parameters:
    ///   - layers: All layers of the image, lowest first.
    ///   - cores: How many are unpacked at the same time; at least 1.
    /// - Returns: Their folders, lowest first; fewer than there are layers where one hides all below it.
    /// - Throws: ``StoreError``, ``ArchiveError`` or ``TreeError`` where a layer is missing, damaged, not what its diff
    ///   ID says, would leave the root, or is too large; then nothing is left of it.
    public func directories(of layers: [Layer], cores: Int) throws -> [String] {
        let work = UnpackWork(self, layers, limit: limit)
        DispatchQueue.concurrentPerform(iterations: max(1, min(cores, work.missing))) { _ in work.run() }
        let folders = Snapshots.withoutRepeats(try work.result())
        // Overlayfs knows nothing of a root that hides what is below it.
        let first = folders.lastIndex { path in
            let root = OpenFile(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            return root.isOpen && root.with { marks.isOpaque($0) }
        }
        return Array(folders[(first ?? 0)...])
    }

    /// Leaves out layers that come again further up: all they say is said again there, and overlayfs refuses to have one
    /// folder twice.
    private static func withoutRepeats(_ folders: [String]) -> [String] {
        var seen: Set<String> = []
        return folders.reversed().filter { seen.insert($0).inserted }.reversed()
    }

    /// The names of chains of layers, as the image specification has them.
    ///
    /// Specification: OCI image-spec 1.1, `config.md#layer-chainid`.
    static func chain(_ diffIDs: [Digest]) -> [Digest] {
        var chain: [Digest] = []
        for diffID in diffIDs {
            let above = chain.last.map { SHA256.digest(Array("\($0) \(diffID)".utf8)) }
            chain.append(above ?? diffID)
        }
        return chain
    }

    /// Says of what layer a folder is, for who removes folders that nobody needs; its time is when it was of use last.
    func note(_ diffID: Digest, at path: String) throws {
        try DiskFile.write(Array(diffID.description.utf8), to: path + ".diff", isSynced: false)
    }

    /// Says that a folder is of use.
    func touch(_ path: String) { utimensat(AT_FDCWD, path + ".diff", nil, 0) }

    func path(_ kind: Character, _ digest: Digest) -> String { "\(folder)/\(kind)\(digest.hex.prefix(28))" }

    /// Where a layer is, if it is unpacked.
    func find(_ diffID: Digest, chain: Digest) -> String? {
        [path("d", diffID), path("c", chain)].first { access($0, F_OK) == 0 }
    }

    // MARK: Steps

    /// A place for one step.
    ///
    /// - Parameter directories: The layers below, lowest first, as ``directories(of:cores:)`` gave them.
    /// - Returns: Fresh folders, which are removed with it.
    /// - Throws: ``StoreError`` where none can be made.
    public func begin(over directories: [String]) throws -> Snapshot {
        try Snapshot(store, like: root(of: directories))
    }

    /// What the root of an image is: that of the highest layer that says something of it.
    private func root(of directories: [String]) -> String? {
        directories.last { path in
            var status = stat()
            return stat(path, &status) == 0 && !RootMark.isUnstated(status)
        }
    }

    /// Keeps what a step wrote as the unpacked form of the layer that was made of it; the step's folders are gone then.
    ///
    /// - Parameters:
    ///   - snapshot: The step's folders; not mounted any more.
    ///   - diffID: The layer.
    ///   - below: The diff IDs of the layers that the step ran on, lowest first.
    /// - Throws: ``StoreError`` where it cannot be moved; then it is still there.
    public func adopt(_ snapshot: Snapshot, as diffID: Digest, over below: [Digest]) throws {
        // What changes nothing is the same over any layers: however many such steps there are, mounts have one folder more.
        if diffID == Snapshots.emptyArchive { return try adoptNothing(snapshot) }
        // It holds copies of what did not change, so it is right over these layers only.
        let chain = Snapshots.chain(below + [diffID])[below.count]
        guard find(diffID, chain: chain) == nil else { return snapshot.close() }
        let lock = try lock(diffID)
        defer { withExtendedLifetime(lock) {} }
        guard find(diffID, chain: chain) == nil else { return snapshot.close() }
        let place = path("c", chain)
        try note(diffID, at: place)
        try snapshot.move(to: place)
    }

    /// The diff ID of a layer without entries: the two empty blocks that end an archive.
    static let emptyArchive = SHA256.digest([UInt8](repeating: 0, count: 1024))

    private func adoptNothing(_ snapshot: Snapshot) throws {
        let place = path("d", Snapshots.emptyArchive)
        guard access(place, F_OK) != 0 else { return snapshot.close() }
        let lock = try lock(Snapshots.emptyArchive)
        defer { withExtendedLifetime(lock) {} }
        guard access(place, F_OK) != 0 else { return snapshot.close() }
        // Overlayfs copies folders up that files are made in for a while.
        DiskFile.remove(snapshot.upper)
        guard mkdir(snapshot.upper, 0o755) == 0 else { throw StoreError("creating \(snapshot.upper)", errno: errno) }
        try note(Snapshots.emptyArchive, at: place)
        try snapshot.move(to: place)
    }

    /// Removes what was made for mounts to be put on and is empty: files and folders that the layers below do not have.
    ///
    /// The folders that they are in get back the time that they had before.
    ///
    /// - Parameters:
    ///   - paths: Paths from the root, without links on the way; those above others may be among them.
    ///   - root: A step's upper folder, or the root of a copy; nothing is mounted there any more.
    ///   - directories: The layers below, lowest first.
    /// - Throws: ``StoreError`` where a folder cannot be read.
    public func removeStubs(_ paths: [[UInt8]], from root: String, over directories: [String]) throws {
        let top = OpenFile(open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard top.isOpen else { throw StoreError("opening \(root)", errno: errno) }
        let lower = try LowerFolders(directories, marks)
        let cursor = FolderCursor(top)
        // The longest first, so that folders are empty when it is their turn.
        for names in paths.map({ FileTree.names($0) }).sorted(by: { $0.count > $1.count }) {
            guard let name = names.last, try lower.find(names) == nil else { continue }
            let shared = cursor.share(Array(names.dropLast()))
            guard names.dropLast()[shared...].allSatisfy({ cursor.enter($0) }) else { continue }
            let folder = cursor.folder.descriptor
            var (status, above) = (stat(), stat())
            let text = CName(name)
            guard text.with({ fstatat(folder, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0, fstat(folder, &above) == 0
            else { continue }
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            guard isFolder || status.st_mode & S_IFMT == S_IFREG && status.st_size == 0 else { continue }
            guard text.with({ unlinkat(folder, $0, isFolder ? AT_REMOVEDIR : 0) }) == 0 else { continue }
            var times = [above.st_atim, above.st_mtim]
            futimens(folder, &times)
        }
    }

    func lock(_ diffID: Digest) throws -> FileLock {
        try FileLock("\(store.root)/locks/unpack-\(diffID.hex.prefix(28))")
    }

    /// Reads a file of an image, `/etc/passwd` for instance; links on the way are followed within the image.
    ///
    /// - Parameters:
    ///   - path: The path from the image's root.
    ///   - directories: The image's layers, lowest first; a step's upper folder may be the last.
    ///   - limit: The most bytes that it may have.
    /// - Returns: Its bytes; `nil` where there is no file at the path.
    /// - Throws: ``StoreError`` or ``TreeError`` where it cannot be read, is longer, or links lead in a circle.
    public func read(_ path: [UInt8], in directories: [String], limit: Int) throws -> [UInt8]? {
        let lower = try LowerFolders(directories, marks)
        guard let found = try lower.follow(FileTree.names(path)), found.kind == S_IFREG else { return nil }
        let name = String(decoding: path, as: UTF8.self)
        guard found.status.st_size <= limit else {
            throw StoreError("\(name) of the image has \(found.status.st_size) bytes, over the limit of \(limit)")
        }
        let file = try lower.open(found)
        var bytes = [UInt8](repeating: 0, count: Int(found.status.st_size))
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                pread(file.descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset, offset)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError("reading \(name) of the image", errno: errno) }
            if count == 0 { break }
            offset += count
        }
        return Array(bytes.prefix(offset))
    }
}
