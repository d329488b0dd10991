// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import CLinux
internal import Glibc
internal import Store
internal import Synchronization

/// A full copy of an image's files, for steps where overlayfs cannot be mounted: slower, and right.
///
/// Blocks are shared with the unpacked layers where the file system can. Protects the time from which on changes count.
public final class TreeCopy: Sendable {
    /// The image's root folder, which steps change.
    public var root: String { snapshot.upper }
    private let snapshot: Snapshot
    private let mark: Mutex<timespec>

    /// Copies what the layers show.
    init(_ directories: [String], into snapshot: Snapshot, _ snapshots: Snapshots) throws {
        self.snapshot = snapshot
        mark = Mutex(timespec(tv_sec: 0, tv_nsec: 0))
        let root = OpenFile(open(snapshot.upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard root.isOpen else { throw StoreError("opening \(snapshot.upper)", errno: errno) }
        let lower = try LowerFolders(directories, snapshots.marks)
        let unpacker = Unpacker(root, snapshots.owners, snapshots.marks, lower: nil) { _ in }
        var status = stat()
        guard fstat(root.descriptor, &status) == 0 else { throw StoreError("looking at \(self.root)", errno: errno) }
        unpacker.endings[[]] = Unpacker.Ending(mode: status.st_mode & 0o7777, mtime: status.st_mtim)
        var walk = CopyWalk(lower: lower, unpacker: unpacker)
        try walk.copy(lower.root())
        try unpacker.finish()
        try settle()
    }

    /// Says that what a step changed is in a layer now: only what changes from here on counts.
    ///
    /// - Throws: ``StoreError`` where the root folder is gone.
    public func settle() throws {
        var status = stat()
        // The system's own clock for files ticks in steps, so it is asked by changing one.
        guard stat(root, &status) == 0, chmod(root, status.st_mode & 0o7777) == 0, stat(root, &status) == 0 else {
            throw StoreError("looking at \(root)", errno: errno)
        }
        mark.withLock { [time = status.st_ctim] in $0 = time }
    }

    /// Whether something was not changed since, in any way.
    func isSettled(_ status: stat) -> Bool {
        let mark = mark.withLock { $0 }
        let time = status.st_ctim
        return time.tv_sec < mark.tv_sec || time.tv_sec == mark.tv_sec && time.tv_nsec < mark.tv_nsec
    }

    /// Removes the copy; a second time does nothing.
    public func close() { snapshot.close() }
}

extension Snapshots {
    /// Copies what an image shows, for steps where overlayfs cannot be mounted.
    ///
    /// - Parameter directories: The layers, lowest first, as ``directories(of:cores:)`` gave them.
    /// - Returns: A folder that is removed with it.
    /// - Throws: ``StoreError`` where the disk is full, or a file cannot be made by this user.
    public func copy(of directories: [String]) throws -> TreeCopy {
        try TreeCopy(directories, into: begin(over: directories), self)
    }
}

/// Goes through merged layers and makes each file again.
private struct CopyWalk {
    /// A file of a layer.
    private struct Inode: Hashable {
        let layer: Int
        let number: UInt
    }

    let lower: LowerFolders
    let unpacker: Unpacker
    /// Files with several names: the first.
    private var links: [Inode: [UInt8]] = [:]

    init(lower: LowerFolders, unpacker: Unpacker) {
        (self.lower, self.unpacker) = (lower, unpacker)
    }

    mutating func copy(_ folder: LowerFolders.Found) throws {
        for name in try lower.names(in: folder) {
            guard let found = try lower.child(name, of: folder) else { continue }
            try unpacker.enter(FileTree.names(folder.path)[...])
            try copy(found, CName(name), name)
            if found.isDirectory { try copy(found) }
        }
    }

    private mutating func copy(_ found: LowerFolders.Found, _ text: CName, _ name: FileTree.Name) throws {
        let status = found.status
        var entry = TarEntry(path: found.path, kind: .file)
        (entry.mode, entry.uid, entry.gid) = (status.st_mode & 0o7777, status.st_uid, status.st_gid)
        entry.mtime = Int64(status.st_mtim.tv_sec)
        if !found.isDirectory, status.st_nlink > 1 {
            let inode = Inode(layer: found.layers[0], number: status.st_ino)
            if let first = links[inode] {
                (entry.kind, entry.target) = (.hardLink, first)
                return try unpacker.makeLink(entry, text, name)
            }
            links[inode] = found.path
        }
        switch found.kind {
        case S_IFREG:
            let source = try lower.open(found)
            entry.attributes = source.with { DiskTree.attributes(of: $0) }
            try unpacker.makeFile(entry, text, name, status.st_mtim) {
                try source.copyContent(to: $0, size: Int64(status.st_size))
            }
        case S_IFDIR:
            entry.kind = .directory
            entry.attributes = try lower.open(found).with { DiskTree.attributes(of: $0) }
            try unpacker.makeFolder(entry, text, status.st_mtim)
        case S_IFLNK:
            (entry.kind, entry.target) = (.symlink, try lower.target(of: found))
            try unpacker.makeSymlink(entry, text, name)
        case S_IFSOCK: break
        default:
            entry.kind =
                found.kind == S_IFIFO ? .fifo : found.kind == S_IFBLK ? .blockDevice : .characterDevice
            (entry.major, entry.minor) = (gnu_dev_major(status.st_rdev), gnu_dev_minor(status.st_rdev))
            try unpacker.makeSpecial(entry, text, name)
        }
    }
}
