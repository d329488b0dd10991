// SPDX-License-Identifier: Apache-2.0
public import Archive
internal import CLinux
internal import Dispatch
internal import Glibc
public import Store

/// A folder on disk as a file tree: looked at where something asks for it, and nowhere else.
///
/// Everything belongs to root, as a build context's files do in every builder. Sockets are left out.
public struct DiskTree: Sendable {
    /// Whether a build sees a path.
    public enum Visibility: Sendable {
        /// It does.
        case visible
        /// It does not, and nothing below it either.
        case hidden
        /// It does not, but it may see something below.
        case partial
    }

    private let root: [UInt8]
    private let visibility: (@Sendable ([UInt8]) -> Visibility)?
    private let keepsOwners: Bool
    private var index: FolderIndex?
    /// The file system that the index is of.
    private var device: dev_t?

    /// Describes a folder.
    ///
    /// - Parameters:
    ///   - root: Its absolute path.
    ///   - keepsOwners: Whether files keep their owners.
    ///   - visibility: Whether a path, relative to the folder, is seen; `nil` where all are.
    public init(
        _ root: String,
        keepsOwners: Bool = false,
        visibility: (@Sendable ([UInt8]) -> Visibility)? = nil
    ) {
        var bytes = Array(root.utf8)
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        (self.root, self.visibility, self.keepsOwners) = (bytes, visibility, keepsOwners)
    }

    /// The same folder, where no folder is listed that did not change since it was; not where times do not tell.
    ///
    /// - Parameter index: What was in folders, and will be told of those that are listed.
    /// - Returns: The folder.
    public func indexed(by index: FolderIndex) -> DiskTree {
        var indexed = self
        if CName.with(root, { clinux_has_folder_times($0) }) != 0 { indexed.index = index }
        return indexed
    }

    /// The tree.
    ///
    /// - Returns: A tree whose folders are read when they are needed.
    /// - Throws: ``StoreError`` where there is no such folder.
    public func tree() throws -> FileTree {
        var status = stat()
        let text = String(decoding: root, as: UTF8.self)
        guard stat(text, &status) == 0 else { throw StoreError("looking at \(text)", errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw StoreError("\(text) is not a folder") }
        var tree = self
        tree.device = status.st_dev
        return FileTree(root: tree.folder(root, [], status, visibility))
    }

    private func folder(
        _ path: [UInt8],
        _ relative: [UInt8],
        _ status: stat,
        _ visibility: (@Sendable ([UInt8]) -> Visibility)?
    ) -> FileNode {
        // A path that is nearly too long is for the kernel to follow in two parts.
        let isIndexed = index != nil && status.st_dev == device && path.count < 3800
        let seen = isIndexed ? Sighting(stamp: FileIndex.Stamp(status)) : nil
        let node = FileNode(mode: status.st_mode & 0o7777) {
            try self.read($0, FolderPath(path, device: UInt64(status.st_dev)), seen, relative, visibility)
        }
        describe(node, status)
        return node
    }

    private func describe(_ node: FileNode, _ status: stat) {
        node.mtime = Int64(status.st_mtim.tv_sec)
        if keepsOwners { (node.uid, node.gid) = (status.st_uid, status.st_gid) }
    }

    private func read(
        _ node: FileNode,
        _ place: FolderPath,
        _ seen: Sighting?,
        _ relative: [UInt8],
        _ visibility: (@Sendable ([UInt8]) -> Visibility)?
    ) throws -> FileNode.Found {
        var found = Finding(place: place, relative: relative, visibility: visibility)
        if let index, let seen,
            try index.forEachName(
                in: seen.stamp,
                reserve: { found.reserve($0, $1) },
                { try look(at: $0, in: nil, &found) }
            ),
            !found.isStale, seen.isFresh || isUnchanged(place, seen.stamp)
        {
            return found.content
        }
        let fault = { (code: Int32) in
            StoreError("reading the folder \(String(decoding: place.bytes, as: UTF8.self))", errno: code)
        }
        let folder = CName.with(place.bytes) { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK) }
        guard folder >= 0 else { throw fault(errno) }
        defer { close(folder) }
        node.attributes = DiskTree.attributes(of: folder)
        found = Finding(place: place, relative: relative, visibility: visibility)
        var (names, count) = ([UInt8](), 0)
        let code = try DiskTree.forEachName(in: folder, reserve: { found.draft.reserve(files: $0, bytes: $1) }) {
            name in
            try self.look(at: name, in: folder, &found)
            guard seen != nil else { return }
            names += name
            names.append(0)
            count += 1
        }
        guard code == 0 else { throw fault(code) }
        // Attributes are not in the index: a folder that has any is opened each time.
        if let index, let seen, node.attributes.isEmpty { index.remember(names, count: count, of: seen.stamp) }
        return found.content
    }

    /// A folder as it was when the folder above was read, which may be long ago.
    private struct Sighting {
        let stamp: FileIndex.Stamp
        private let time = DispatchTime.now()

        init(stamp: FileIndex.Stamp) { self.stamp = stamp }

        /// Whether it was just now: between listing a folder and looking at its files goes as much time.
        var isFresh: Bool { DispatchTime.now().uptimeNanoseconds - time.uptimeNanoseconds < 5_000_000 }
    }

    /// Whether a folder is still as it was, and at its place.
    private func isUnchanged(_ place: FolderPath, _ stamp: FileIndex.Stamp) -> Bool {
        var status = stat()
        guard CName.with(place.bytes, { lstat($0, &status) }) == 0 else { return false }
        return status.st_dev == device && FileIndex.Stamp(status) == stamp
    }

    /// What was found in a folder so far.
    private struct Finding {
        let place: FolderPath
        let relative: [UInt8]
        let visibility: (@Sendable ([UInt8]) -> Visibility)?
        var draft = FolderListing.Draft()
        var others: [FileNode.Child] = []
        /// Whether there is nothing under a name, or nothing that can be looked at.
        var isStale = false

        /// Makes room for files, but not for more than most folders have: some names may be hidden, or those of folders.
        mutating func reserve(_ files: Int, _ bytes: Int) {
            draft.reserve(files: min(files, 1000), bytes: min(bytes, 16 << 10))
        }

        var content: FileNode.Found {
            let listing = draft.finish(in: place)
            return others.isEmpty ? .listing(listing) : .nodes(listing.children() + others)
        }
    }

    /// Goes through the names in a folder where they are: there may be a hundred thousand of them, and a folder of
    /// the C library costs a look at it and 32 KiB.
    ///
    /// - Parameters:
    ///   - folder: The open folder.
    ///   - reserve: Is told how many names come at least, but for those of folders, and how long they are together.
    ///   - body: Is given each name.
    /// - Returns: What the kernel says of a folder that cannot be read to its end; else 0.
    private static func forEachName(
        in folder: Int32,
        reserve: (Int, Int) -> Void,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) rethrows -> Int32 {
        try withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
            while true {
                let count = clinux_list_folder(folder, buffer.baseAddress, buffer.count)
                // One that was removed meanwhile has no more names.
                guard count > 0 else { return count < 0 && errno != ENOENT ? errno : 0 }
                let names = FolderNames(bytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                var (files, bytes) = (0, 0)
                for entry in names where Int(entry.kind) != DT_DIR {
                    files += 1
                    bytes += entry.name.count
                }
                reserve(files, bytes)
                for entry in names { try body(entry.name) }
            }
        }
    }

    /// Looks at a name in a folder that is open, or whose names were known.
    private func look(at text: UnsafeRawBufferPointer, in folder: Int32?, _ found: inout Finding) throws {
        var (below, seen) = ([UInt8](), Visibility.visible)
        if let visibility = found.visibility {
            below = found.relative.isEmpty ? Array(text) : found.relative + [UInt8(ascii: "/")] + text
            seen = visibility(below)
        }
        if case .hidden = seen { return }
        guard let status = try DiskTree.status(of: text, in: folder, at: found.place) else {
            found.isStale = true
            return
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            let name = Array(text)
            let node = self.folder(found.place.appending(name), below, status, found.visibility)
            if case .partial = seen, try node.sortedChildren().isEmpty { return }
            return found.draft.folders.append((name, node))
        }
        if case .partial = seen { return }
        if status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 {
            return found.draft.add(text, status, keepsOwner: keepsOwners)
        }
        let name = Array(text)
        if let node = try leaf(name, in: found.place, status) { found.others.append((name, node)) }
    }

    /// What the kernel says of a file; `nil` where it was removed since the folder was listed.
    private static func status(
        of name: UnsafeRawBufferPointer,
        in folder: Int32?,
        at place: FolderPath
    ) throws -> stat? {
        var status = stat()
        let code: Int32
        if let folder {
            // SAFETY: a byte that is 0 comes after each name.
            let text = name.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)
            code = fstatat(folder, text, &status, AT_SYMLINK_NOFOLLOW)
        } else {
            // One call with the whole path is less than one to open the folder, and one to close it.
            let start = place.bytes.count
            code = withUnsafeTemporaryAllocation(byteCount: start + name.count + 2, alignment: 1) { path in
                path.copyBytes(from: place.bytes)
                path[start] = UInt8(ascii: "/")
                UnsafeMutableRawBufferPointer(rebasing: path[(start + 1)...]).copyBytes(from: name)
                path[path.count - 1] = 0
                // SAFETY: the buffer has at least the byte that ends it.
                return lstat(path.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self), &status)
            }
        }
        if code == 0 { return status }
        // What is wrong with a name that was known is seen when the folder is listed.
        if errno == ENOENT || folder == nil { return nil }
        throw StoreError("looking at \(String(decoding: place.appending(Array(name)), as: UTF8.self))", errno: errno)
    }

    private func leaf(_ name: [UInt8], in place: FolderPath, _ status: stat) throws -> FileNode? {
        let node: FileNode
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            node = FileNode(.file, mode: status.st_mode & 0o7777)
            node.size = Int64(status.st_size)
            node.isShared = status.st_nlink > 1
            node.content = .disk(place, name: name, FileIndex.Stamp(status))
        case S_IFLNK:
            node = FileNode(.symlink, mode: 0o777)
            node.target = try DiskTree.link(place.appending(name))
        case S_IFIFO: node = FileNode(.fifo, mode: status.st_mode & 0o7777)
        case S_IFCHR, S_IFBLK:
            let isCharacter = status.st_mode & S_IFMT == S_IFCHR
            node = FileNode(isCharacter ? .characterDevice : .blockDevice, mode: status.st_mode & 0o7777)
            node.device = (UInt32(gnu_dev_major(status.st_rdev)), UInt32(gnu_dev_minor(status.st_rdev)))
        default: return nil
        }
        describe(node, status)
        return node
    }

    private static func link(_ path: [UInt8]) throws -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = CName(path).with { readlink($0, &buffer, buffer.count) }
        guard count >= 0 else { throw StoreError("reading \(String(decoding: path, as: UTF8.self))", errno: errno) }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }

    /// What overlayfs keeps on disk for itself would change other files if a layer brought it.
    static func isPortable(_ attribute: String) -> Bool {
        attribute == "security.capability" || attribute.hasPrefix("user.") && !attribute.hasPrefix("user.overlay.")
    }

    /// Gives a file the attributes that it may have here; where it may not have them, it does without.
    ///
    /// - Parameters:
    ///   - attributes: The attributes; those that are not for images are left out.
    ///   - path: The file; a link is not followed.
    public static func set(_ attributes: [TarEntry.Attribute], at path: [UInt8]) {
        for attribute in attributes {
            let name = String(decoding: attribute.name, as: UTF8.self)
            guard isPortable(name) else { continue }
            _ = CName(path).with { lsetxattr($0, name, attribute.value, attribute.value.count, 0) }
        }
    }

    /// The extended attributes of a file that belong into images: capabilities and the user's own.
    ///
    /// - Parameter descriptor: The open file.
    /// - Returns: The attributes, sorted by name; empty where the file system has none.
    public static func attributes(of descriptor: Int32) -> [TarEntry.Attribute] {
        let length = flistxattr(descriptor, nil, 0)
        guard length > 0 else { return [] }
        var names = [UInt8](repeating: 0, count: length)
        let read = names.withUnsafeMutableBytes {
            flistxattr(descriptor, $0.baseAddress?.assumingMemoryBound(to: CChar.self), length)
        }
        guard read > 0 else { return [] }
        var found: [TarEntry.Attribute] = []
        for name in names[..<read].split(separator: 0) {
            let text = String(decoding: name, as: UTF8.self)
            guard isPortable(text) else { continue }
            var value = [UInt8](repeating: 0, count: 65536)
            let size = value.withUnsafeMutableBytes { fgetxattr(descriptor, text, $0.baseAddress, $0.count) }
            if size >= 0 { found.append(TarEntry.Attribute(name: Array(name), value: Array(value[..<size]))) }
        }
        return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }
}

/// A name of bytes as C functions take it.
struct CName {
    private let text: [CChar]

    init(_ name: [UInt8]) {
        text = [CChar](unsafeUninitializedCapacity: name.count + 1) { buffer, count in
            for (index, byte) in name.enumerated() { buffer[index] = CChar(bitPattern: byte) }
            buffer[name.count] = 0
            count = name.count + 1
        }
    }

    /// The name without the byte that ends it.
    var bytes: [UInt8] { text.dropLast().map { UInt8(bitPattern: $0) } }

    /// A name that is asked for once.
    static func with<Result>(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: name.count + 1) { buffer in
            buffer.withMemoryRebound(to: UInt8.self) { _ = $0.initialize(from: name) }
            buffer[name.count] = 0
            // SAFETY: the buffer has at least the byte that ends it.
            return body(buffer.baseAddress.unsafelyUnwrapped)
        }
    }

    func with<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        text.withUnsafeBufferPointer { buffer in
            // SAFETY: the buffer has at least the byte that ends it.
            body(buffer.baseAddress.unsafelyUnwrapped)
        }
    }
}
