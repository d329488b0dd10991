// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import CLinux
internal import Glibc
internal import Store

/// Writes the entries of one layer into a folder, as overlayfs takes it for a lower folder.
///
/// Every step goes from an open folder to a name in it, never through a link, so that nothing is made outside.
/// Belongs to one thread.
final class Unpacker {
    /// The layers below are needed, and are not unpacked yet.
    struct NeedsLower: Error {}

    /// What a folder gets when all is in it.
    struct Ending {
        let mode: UInt32?
        let mtime: timespec
    }

    let owners: FileOwners
    let marks: OverlayMarks
    let cursor: FolderCursor
    let root: OpenFile
    /// Where hard links lead to.
    var targets: FolderCursor
    /// Whether what was made would differ over other layers.
    private(set) var dependsOnLower = false
    /// What was left out, as this process may not make devices.
    var devicesLeftOut = 0
    var endings: [[UInt8]: Ending] = [:]
    /// A folder that gives its group to what is made in it.
    var givesGroups = false
    private var opaque: Set<[UInt8]> = []
    private let lower: LowerFolders?
    private let charge: (Int64) throws -> Void
    private static let mostLinks = 40

    /// Begins with an empty folder.
    ///
    /// `lower` are the layers below, `nil` where they are not unpacked yet; `charge` is told of bytes before they are
    /// written.
    init(
        _ root: OpenFile,
        _ owners: FileOwners,
        _ marks: OverlayMarks,
        lower: LowerFolders?,
        charge: @escaping (Int64) throws -> Void
    ) {
        (self.root, self.owners, self.marks) = (root, owners, marks)
        (self.lower, self.charge) = (lower, charge)
        (cursor, targets) = (FolderCursor(root), FolderCursor(root))
        var status = stat()
        givesGroups = fstat(root.descriptor, &status) != 0 || status.st_mode & S_ISGID != 0
    }

    /// Adds the next entry.
    func add(_ entry: TarEntry, _ reader: ArchiveReader) throws {
        // An entry without content takes a block all the same.
        try charge(512)
        let path = try FileTree.checked(entry.path, entry)
        guard let name = path.last else {
            if entry.kind == .directory { try describeRoot(entry) }
            return
        }
        if FileTree.isWhiteout(entry) {
            try hide(name, in: path.dropLast())
            return
        }
        try enter(path.dropLast())
        try make(entry, CName(name), name, reader)
    }

    func willWrite(_ count: Int) throws { try charge(Int64(count)) }

    // MARK: Folders

    /// Goes to a folder, made where it is not there; links of the image are followed within the image.
    func enter(_ path: ArraySlice<FileTree.Name>) throws {
        // Most entries are in the folder of the one before.
        if cursor.names.count == path.count, cursor.names.elementsEqual(path) { return }
        let path = Array(path)
        let shared = cursor.share(path)
        var open = Array(path[shared...].reversed())
        var links = 0
        while let name = open.popLast() {
            if name == Array("..".utf8) {
                cursor.leave(keeping: max(0, cursor.names.count - 1))
                continue
            }
            if cursor.enter(name) { continue }
            guard let target = try linkOrFolder(name, errno) else { continue }
            links += 1
            guard links <= Unpacker.mostLinks else {
                throw TreeError("symbolic links lead in a circle at /\(FileTree.text(cursor.names + [name]))")
            }
            if target.first == UInt8(ascii: "/") { cursor.leave(keeping: 0) }
            open += FileTree.names(target).reversed()
        }
    }

    /// Makes what is to be a folder one and goes into it; where it is a link, what that names.
    private func linkOrFolder(_ name: FileTree.Name, _ code: Int32) throws -> [UInt8]? {
        let text = CName(name)
        let folder = cursor.folder.descriptor
        if code == ENOENT {
            let found = try below(cursor.names + [name])
            if let found, found.link != nil { return found.link }
            try makeFolder(text, found?.status, found.flatMap { $0.attributes } ?? [])
        } else {
            var status = stat()
            guard code == ENOTDIR || code == ELOOP,
                text.with({ fstatat(folder, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0
            else { throw StoreError("opening the folder \(FileTree.text(cursor.names + [name]))", errno: code) }
            if status.st_mode & S_IFMT == S_IFLNK { return try text.linkTarget(in: folder) }
            try remove(text)
            try makeFolder(text, nil, [])
            try markOpaque(name)
        }
        guard cursor.enter(name) else {
            throw StoreError("opening the folder \(FileTree.text(cursor.names + [name]))", errno: errno)
        }
        return nil
    }

    /// Makes a folder that no entry describes, like one below, or readable for all.
    private func makeFolder(_ name: CName, _ status: stat?, _ attributes: [TarEntry.Attribute]) throws {
        var entry = TarEntry(path: [], kind: .directory)
        entry.mode = status.map { $0.st_mode & 0o7777 } ?? 0o755
        (entry.uid, entry.gid) = status.map { ($0.st_uid, $0.st_gid) } ?? (0, 0)
        entry.attributes = attributes
        let mtime = status?.st_mtim ?? timespec(tv_sec: 0, tv_nsec: 0)
        try makeFolder(entry, name, mtime)
    }

    func markOpaque(_ name: FileTree.Name) throws {
        opaque.insert(Unpacker.joined(cursor.names + [name]))
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let folder = OpenFile(CName(name).with { openat(cursor.folder.descriptor, $0, flags) })
        guard folder.isOpen else { throw StoreError("opening a folder of a layer", errno: errno) }
        try folder.with { try marks.setOpaque($0) }
    }

    static func joined(_ names: [FileTree.Name]) -> [UInt8] { Array(names.joined(separator: [UInt8(ascii: "/")])) }

    /// Removes a name with all that is below it.
    func remove(_ name: CName) throws {
        name.with { DiskFile.remove($0, in: cursor.folder.descriptor) }
        targets = FolderCursor(root)
    }

    // MARK: Layers below

    /// What the layers below have at a path.
    private struct Below {
        let status: stat?
        let attributes: [TarEntry.Attribute]?
        let link: [UInt8]?
    }

    private func below(_ path: [FileTree.Name]) throws -> Below? {
        dependsOnLower = true
        guard let lower else { throw NeedsLower() }
        guard !isHidden(path), let found = try lower.find(path) else { return nil }
        if found.kind == S_IFLNK { return Below(status: nil, attributes: nil, link: try lower.target(of: found)) }
        guard found.isDirectory else { return nil }
        let attributes = try lower.open(found).with { DiskTree.attributes(of: $0) }
        return Below(status: found.status, attributes: attributes, link: nil)
    }

    private func isHidden(_ path: [FileTree.Name]) -> Bool {
        if opaque.isEmpty { return false }
        return (0...path.count).contains { opaque.contains(Unpacker.joined(Array(path.prefix($0)))) }
    }

    /// Brings a file of the layers below into this layer, so that it can get a second name; its path without links,
    /// `nil` where it is not there.
    func copyUp(_ path: [FileTree.Name]) throws -> [FileTree.Name]? {
        dependsOnLower = true
        guard let lower else { throw NeedsLower() }
        guard let name = path.last, !isHidden(path), let parent = try lower.follow(path.dropLast()), parent.isDirectory,
            let found = try lower.child(name, of: parent), !found.isDirectory
        else { return nil }
        let before = cursor.names
        let real = FileTree.names(found.path)
        try enter(real.dropLast())
        var status = stat()
        let isThere = CName(name).with { fstatat(cursor.folder.descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) } == 0
        if !isThere, try !copyUp(found, name) { return nil }
        try enter(before[...])
        return real
    }

    /// Copies what is below into the folder that the cursor is in; `false` where it is of no kind to link to.
    private func copyUp(_ found: LowerFolders.Found, _ name: FileTree.Name) throws -> Bool {
        guard let lower else { return false }
        var entry = TarEntry(path: found.path, kind: .file)
        (entry.mode, entry.uid, entry.gid) = (found.status.st_mode & 0o7777, found.status.st_uid, found.status.st_gid)
        switch found.kind {
        case S_IFREG:
            try charge(Int64(found.status.st_size))
            let source = try lower.open(found)
            entry.attributes = source.with { DiskTree.attributes(of: $0) }
            try makeFile(entry, CName(name), name, found.status.st_mtim) {
                try source.copyContent(to: $0, size: Int64(found.status.st_size))
            }
        case S_IFLNK:
            (entry.kind, entry.target) = (.symlink, try lower.target(of: found))
            try makeSymlink(entry, CName(name), name)
        default: return false
        }
        return true
    }

    // MARK: Whiteouts

    private func hide(_ name: FileTree.Name, in parent: ArraySlice<FileTree.Name>) throws {
        // What AUFS kept for itself begins like this.
        let isOpaque = name == Array(".wh..wh..opq".utf8)
        if !isOpaque, name.starts(with: Array(".wh..wh.".utf8)) { return }
        try enter(parent)
        if isOpaque {
            opaque.insert(Unpacker.joined(cursor.names))
            try marks.setOpaque(cursor.folder.descriptor)
            return
        }
        let hidden = FileTree.Name(name.dropFirst(4))
        guard !hidden.isEmpty, hidden != Array(".".utf8), hidden != Array("..".utf8) else {
            throw TreeError(
                "the layer removes \"\(FileTree.text(cursor.names + [hidden]))\", which is no name of a file"
            )
        }
        let text = CName(hidden)
        if try OverlayMarks.hide(text, in: cursor.folder.descriptor) { return }
        // What the layer itself holds stays, and hides what is below.
        var status = stat()
        let isThere = text.with { fstatat(cursor.folder.descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) } == 0
        if isThere, status.st_mode & S_IFMT == S_IFDIR { try markOpaque(hidden) }
    }
}
