// SPDX-License-Identifier: Apache-2.0
public import Archive
internal import CLinux
internal import Glibc
internal import Store

/// What a step changed, found by comparing what overlayfs wrote with the layers below it: the entries of a layer.
///
/// Folders come before what is in them, names are sorted in each folder. A folder is there when it is new, when its
/// mode, owner or attributes changed, and when anything in it is there. Left out are the root, sockets, and what was
/// copied up and is as it was: the same in kind, mode, owner, time to the nanosecond, attributes and content. What was
/// removed is a whiteout; folders that hide those below them become whiteouts of all that is missing, as not every
/// reader of layers knows opaque folders.
///
/// Specification: OCI image-spec 1.1, `layer.md`.
public struct Changes {
    private let upper: String
    private let lower: [String]
    private let marks: OverlayMarks
    private let copy: TreeCopy?

    /// Describes where to look.
    ///
    /// - Parameters:
    ///   - upper: The folder that overlayfs wrote to; not mounted any more.
    ///   - lower: The layers below, lowest first.
    ///   - marks: Which attributes the mount read.
    public init(upper: String, lower: [String], marks: OverlayMarks) {
        (self.upper, self.lower, self.marks, copy) = (upper, lower, marks, nil)
    }

    /// Describes where to look when a step changed a copy.
    ///
    /// - Parameters:
    ///   - copy: The copy; the step is done.
    ///   - lower: The layers that it should be the same as but for the step, lowest first.
    ///   - marks: Which attributes the layers have.
    public init(copy: TreeCopy, lower: [String], marks: OverlayMarks) {
        (upper, self.lower, self.marks, self.copy) = (copy.root, lower, marks, copy)
    }

    /// Goes through all changes.
    ///
    /// - Parameter body: Is given entries in order and, of a file that has content, its open descriptor, which is valid
    ///   during the call.
    /// - Throws: ``StoreError`` where a folder cannot be read, or was written by a mount with redirects or without data;
    ///   what `body` throws.
    public func forEach(_ body: (TarEntry, Int32?) throws -> Void) throws {
        let root = OpenFile(open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard root.isOpen else { throw StoreError("opening \(upper)", errno: errno) }
        try withoutActuallyEscaping(body) { body in
            let walk = ChangeWalk(try LowerFolders(lower, marks), marks, copy, body)
            // Nothing shows through a copy.
            try walk.visit(root, path: [], lower: walk.below.root(), hides: copy != nil)
        }
    }
}

/// One walk through the upper folder.
private final class ChangeWalk {
    private typealias Name = FileTree.Name

    /// A folder that is written when something in it is.
    private struct Waiting {
        let entry: TarEntry
        var isWritten: Bool
    }

    /// A name of a file with several.
    private struct Link {
        let path: [UInt8]
        let entry: TarEntry
        let folders: [TarEntry]
    }

    let below: LowerFolders
    private let marks: OverlayMarks
    private let copy: TreeCopy?
    private let body: (TarEntry, Int32?) throws -> Void
    private var folders: [Waiting] = []
    /// Files with several names: the first that was written.
    private var written: [UInt64: [UInt8]] = [:]
    /// Files with several names of which none changed so far.
    private var unchanged: [UInt64: [Link]] = [:]
    /// Folders that were written out of order.
    private var early: Set<[UInt8]> = []

    init(
        _ below: LowerFolders,
        _ marks: OverlayMarks,
        _ copy: TreeCopy?,
        _ body: @escaping (TarEntry, Int32?) throws -> Void
    ) {
        (self.below, self.marks, self.copy, self.body) = (below, marks, copy, body)
    }

    /// Whether nothing was done to a file of a copy since it was made; its time may not be that of the layer.
    private func isSettled(_ status: stat, _ found: LowerFolders.Found?) -> Bool {
        guard let copy, let old = found?.status, copy.isSettled(status) else { return false }
        return old.st_mode == status.st_mode && old.st_uid == status.st_uid && old.st_gid == status.st_gid
            && old.st_rdev == status.st_rdev && (old.st_size == status.st_size || found?.isDirectory == true)
    }

    /// Compares a folder; `hides` says that nothing of the lower one shows through.
    func visit(_ folder: OpenFile, path: [UInt8], lower: LowerFolders.Found?, hides: Bool) throws {
        var names = try folder.names()
        if hides, let lower {
            let own = Set(names)
            names += try below.names(in: lower).filter { !own.contains($0) }
        }
        for name in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let text = CName(name)
            let place = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
            let found = try lower.flatMap { try below.child(name, of: $0) }
            var status = stat()
            let isThere = text.with { fstatat(folder.descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) } == 0
            guard isThere || errno == ENOENT else { throw fault("looking at", place) }
            if !isThere || OverlayMarks.isWhiteout(status) {
                if found != nil { try writeWhiteout(name, in: path) }
                continue
            }
            switch status.st_mode & S_IFMT {
            case S_IFDIR: try visitFolder(text, in: folder, place, status, found, hides)
            case S_IFREG: try visitFile(text, in: folder, place, status, found)
            case S_IFSOCK: if found != nil { try writeWhiteout(name, in: path) }
            default: try visitOther(text, in: folder, place, status, found)
            }
        }
    }

    private func fault(_ what: String, _ path: [UInt8]) -> StoreError {
        let code = errno
        return StoreError("\(what) /\(String(decoding: path, as: UTF8.self)), which a step wrote", errno: code)
    }

    private func entry(_ path: [UInt8], _ kind: TarEntry.Kind, _ status: stat) -> TarEntry {
        var entry = TarEntry(path: path, kind: kind)
        (entry.mode, entry.uid, entry.gid) = (status.st_mode & 0o7777, status.st_uid, status.st_gid)
        entry.mtime = Int64(status.st_mtim.tv_sec)
        return entry
    }

    private func openFile(_ text: CName, in folder: OpenFile, _ path: [UInt8], _ flags: Int32) throws -> OpenFile {
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags
        let file = OpenFile(text.with { openat(folder.descriptor, $0, flags) })
        guard file.isOpen else { throw fault("opening", path) }
        return file
    }

    // MARK: Folders

    private func visitFolder(
        _ text: CName,
        in parent: OpenFile,
        _ path: [UInt8],
        _ status: stat,
        _ found: LowerFolders.Found?,
        _ hides: Bool
    ) throws {
        let folder = try openFile(text, in: parent, path, O_DIRECTORY)
        var entry = entry(path, .directory, status)
        let attributes = try FileAttributes(of: folder.descriptor, marks)
        guard !attributes.isRedirected else { throw Changes.redirected(path) }
        entry.attributes = attributes.portable
        let old = found.flatMap { $0.isDirectory ? $0 : nil }
        folders.append(Waiting(entry: entry, isWritten: false))
        defer { folders.removeLast() }
        let isOld = try old.map { try isSettled(status, $0) || isSame(entry, status, $0) } ?? false
        if !isOld { try writeFolders() }
        try visit(folder, path: path, lower: old, hides: hides || attributes.isOpaque)
    }

    /// Whether mode, owner and attributes of a file or folder are those of the one below.
    private func isSame(_ entry: TarEntry, _ status: stat, _ found: LowerFolders.Found) throws -> Bool {
        let old = found.status
        guard old.st_mode == status.st_mode, old.st_uid == status.st_uid, old.st_gid == status.st_gid,
            old.st_rdev == status.st_rdev
        else { return false }
        guard found.isDirectory || found.kind == S_IFREG else { return true }
        return try below.open(found).with { DiskTree.attributes(of: $0) } == entry.attributes
    }

    /// Writes the folders that lead here, as far as that was not done.
    private func writeFolders() throws {
        for index in folders.indices where !folders[index].isWritten {
            folders[index].isWritten = true
            if !early.contains(folders[index].entry.path) { try body(folders[index].entry, nil) }
        }
    }

    private func writeWhiteout(_ name: Name, in path: [UInt8]) throws {
        try writeFolders()
        let hidden = Array(".wh.".utf8) + name
        let place = path.isEmpty ? hidden : path + [UInt8(ascii: "/")] + hidden
        try body(TarEntry(path: place, kind: .file), nil)
    }

    // MARK: Files

    private func visitFile(
        _ text: CName,
        in folder: OpenFile,
        _ path: [UInt8],
        _ status: stat,
        _ found: LowerFolders.Found?
    ) throws {
        var entry = entry(path, .file, status)
        entry.size = Int64(status.st_size)
        let settled = isSettled(status, found)
        if settled, status.st_nlink == 1 { return }
        let file = try openFile(text, in: folder, path, 0)
        let attributes = try FileAttributes(of: file.descriptor, marks)
        guard !attributes.isRedirected else { throw Changes.redirected(path) }
        entry.attributes = attributes.portable
        let isSame = try settled || found.map { try isUnchanged(entry, status, file, $0) } ?? false
        try write(entry, status, isSame: isSame) { try self.body($0, $0.size > 0 ? file.descriptor : nil) }
    }

    private func isUnchanged(
        _ entry: TarEntry,
        _ status: stat,
        _ file: OpenFile,
        _ found: LowerFolders.Found
    ) throws -> Bool {
        let old = found.status
        guard found.kind == S_IFREG, old.st_size == status.st_size, ChangeWalk.sameTime(old, status),
            try isSame(entry, status, found)
        else { return false }
        // A program can write a file and set back its time.
        return try below.open(found).with { try FileComparison.areEqual(file.descriptor, $0) }
    }

    private static func sameTime(_ first: stat, _ second: stat) -> Bool {
        first.st_mtim.tv_sec == second.st_mtim.tv_sec && first.st_mtim.tv_nsec == second.st_mtim.tv_nsec
    }

    /// Writes a name of a file unless it is unchanged; all names of a file are written when one of them is.
    private func write(
        _ entry: TarEntry,
        _ status: stat,
        isSame: Bool,
        _ content: (TarEntry) throws -> Void
    ) throws {
        guard status.st_nlink > 1 else {
            guard !isSame else { return }
            try writeFolders()
            return try content(entry)
        }
        let inode = UInt64(status.st_ino)
        if let first = written[inode] {
            try writeFolders()
            return try body(ChangeWalk.link(entry, to: first), nil)
        }
        guard !isSame else {
            let link = Link(path: entry.path, entry: entry, folders: folders.map(\.entry))
            unchanged[inode, default: []].append(link)
            return
        }
        written[inode] = entry.path
        try writeFolders()
        try content(entry)
        for link in unchanged.removeValue(forKey: inode) ?? [] {
            let open = Set(folders.filter(\.isWritten).map(\.entry.path))
            for folder in link.folders where !open.contains(folder.path) && early.insert(folder.path).inserted {
                try body(folder, nil)
            }
            try body(ChangeWalk.link(link.entry, to: entry.path), nil)
        }
    }

    private static func link(_ entry: TarEntry, to first: [UInt8]) -> TarEntry {
        var link = entry
        (link.kind, link.target, link.size) = (.hardLink, first, 0)
        return link
    }

    // MARK: Links and devices

    private func visitOther(
        _ text: CName,
        in folder: OpenFile,
        _ path: [UInt8],
        _ status: stat,
        _ found: LowerFolders.Found?
    ) throws {
        var entry: TarEntry
        switch status.st_mode & S_IFMT {
        case S_IFLNK:
            entry = self.entry(path, .symlink, status)
            (entry.mode, entry.target) = (0o777, try text.linkTarget(in: folder.descriptor))
        case S_IFIFO: entry = self.entry(path, .fifo, status)
        case S_IFCHR: entry = self.entry(path, .characterDevice, status)
        default: entry = self.entry(path, .blockDevice, status)
        }
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            entry.major = UInt32(gnu_dev_major(status.st_rdev))
            entry.minor = UInt32(gnu_dev_minor(status.st_rdev))
        }
        var isUnchanged = isSettled(status, found)
        if !isUnchanged, let found, found.kind == status.st_mode & S_IFMT, ChangeWalk.sameTime(found.status, status) {
            isUnchanged = try isSame(entry, status, found)
            if entry.kind == .symlink, isUnchanged { isUnchanged = try below.target(of: found) == entry.target }
        }
        try write(entry, status, isSame: isUnchanged) { try body($0, nil) }
    }
}

extension Changes {
    fileprivate static func redirected(_ path: [UInt8]) -> StoreError {
        StoreError(
            "/\(String(decoding: path, as: UTF8.self)) was written by an overlay mount with redirect_dir or metacopy, "
                + "from which no layer can be made"
        )
    }
}

/// The attributes of a file that overlayfs wrote.
private struct FileAttributes {
    private(set) var portable: [TarEntry.Attribute] = []
    private(set) var isOpaque = false
    /// Whether its content, or that of the folder, is elsewhere.
    private(set) var isRedirected = false

    init(of file: Int32, _ marks: OverlayMarks) throws {
        var names = [CChar](repeating: 0, count: 1024)
        var count = flistxattr(file, &names, names.count)
        if count < 0, errno == ERANGE {
            names = [CChar](repeating: 0, count: 65536)
            count = flistxattr(file, &names, names.count)
        }
        guard count > 0 else { return }
        for name in names[..<count].split(separator: 0) {
            let text = String(decoding: name.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text == marks.rawValue + "opaque" { isOpaque = marks.isOpaque(file) }
            if text == marks.rawValue + "redirect" || text == marks.rawValue + "metacopy" { isRedirected = true }
            if DiskTree.isPortable(text) { portable = DiskTree.attributes(of: file) }
        }
    }
}

/// Compares files byte by byte.
enum FileComparison {
    static func areEqual(_ first: Int32, _ second: Int32) throws -> Bool {
        let size = 64 << 10
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * size, alignment: 4096)
        defer { buffer.deallocate() }
        var offset = 0
        while true {
            let left = try read(first, buffer.baseAddress, size, offset)
            let right = try read(second, buffer.baseAddress?.advanced(by: size), size, offset)
            guard left == right, let base = buffer.baseAddress, memcmp(base, base + size, left) == 0 else {
                return false
            }
            if left == 0 { return true }
            offset += left
        }
    }

    /// Fills the buffer as far as the file goes.
    private static func read(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ size: Int, _ offset: Int) throws
        -> Int
    {
        var filled = 0
        while filled < size {
            let count = pread(file, buffer?.advanced(by: filled), size - filled, offset + filled)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError("reading a file that a step wrote", errno: errno) }
            if count == 0 { break }
            filled += count
        }
        return filled
    }
}
