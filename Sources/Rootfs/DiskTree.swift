// SPDX-License-Identifier: Apache-2.0
public import Archive
internal import CLinux
internal import Glibc
internal import Store

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

    /// The tree.
    ///
    /// - Returns: A tree whose folders are read when they are needed.
    /// - Throws: ``StoreError`` where there is no such folder.
    public func tree() throws -> FileTree {
        var status = stat()
        let text = String(decoding: root, as: UTF8.self)
        guard stat(text, &status) == 0 else { throw StoreError("looking at \(text)", errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw StoreError("\(text) is not a folder") }
        return FileTree(root: folder(root, [], status, visibility))
    }

    private func folder(
        _ path: [UInt8],
        _ relative: [UInt8],
        _ status: stat,
        _ visibility: (@Sendable ([UInt8]) -> Visibility)?
    ) -> FileNode {
        let node = FileNode(mode: status.st_mode & 0o7777) {
            try self.read($0, FolderPath(path, device: UInt64(status.st_dev)), relative, visibility)
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
        _ relative: [UInt8],
        _ visibility: (@Sendable ([UInt8]) -> Visibility)?
    ) throws -> [FileNode.Child] {
        let fault = { (code: Int32) in
            StoreError("reading the folder \(String(decoding: place.bytes, as: UTF8.self))", errno: code)
        }
        let folder = CName(place.bytes).with { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK) }
        guard folder >= 0 else { throw fault(errno) }
        defer { close(folder) }
        node.attributes = DiskTree.attributes(of: folder)
        var nodes: [FileNode.Child] = []
        // Most folders have fewer, and the array need not grow with each.
        nodes.reserveCapacity(16)
        let code = try DiskTree.forEachName(in: folder) { name in
            if let node = try self.node(name, in: place, folder, relative, visibility) { nodes.append(node) }
        }
        guard code == 0 else { throw fault(code) }
        return nodes
    }

    /// Goes through the names in a folder where they are: there may be a hundred thousand of them, and a folder of
    /// the C library costs a look at it and 32 KiB.
    ///
    /// - Returns: What the kernel says of a folder that cannot be read to its end; else 0.
    private static func forEachName(in folder: Int32, _ body: (UnsafePointer<CChar>) throws -> Void) rethrows -> Int32 {
        try withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
            while true {
                let count = clinux_list_folder(folder, buffer.baseAddress, buffer.count)
                // One that was removed meanwhile has no more names.
                guard count > 0 else { return count < 0 && errno != ENOENT ? errno : 0 }
                var place = 0
                while place < count {
                    // A record: inode, place in the folder, its length, a kind, and a name that ends with 0.
                    let length = buffer.load(fromByteOffset: place + 16, as: UInt16.self)
                    let name = UnsafeRawBufferPointer(rebasing: buffer[(place + 19)...])
                    if let name = name.baseAddress { try body(name.assumingMemoryBound(to: CChar.self)) }
                    place += Int(length)
                }
            }
        }
    }

    private func node(
        _ text: UnsafePointer<CChar>,
        in place: FolderPath,
        _ folder: Int32,
        _ relative: [UInt8],
        _ visibility: (@Sendable ([UInt8]) -> Visibility)?
    ) throws -> FileNode.Child? {
        let name = Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
        let dot = UInt8(ascii: ".")
        if name[0] == dot, name.count == 1 || (name.count == 2 && name[1] == dot) { return nil }
        let below = relative.isEmpty ? name : visibility == nil ? [] : relative + [UInt8(ascii: "/")] + name
        let seen = visibility?(below) ?? .visible
        if case .hidden = seen { return nil }
        var status = stat()
        guard fstatat(folder, text, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            // Removed since the folder was read.
            if errno == ENOENT { return nil }
            throw StoreError("looking at \(String(decoding: place.appending(name), as: UTF8.self))", errno: errno)
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            let node = self.folder(place.appending(name), below, status, visibility)
            if case .partial = seen, try node.sortedChildren().isEmpty { return nil }
            return (name, node)
        }
        if case .partial = seen { return nil }
        return try leaf(name, in: place, status).map { (name, $0) }
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

    func with<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        text.withUnsafeBufferPointer { buffer in
            // SAFETY: the buffer has at least the byte that ends it.
            body(buffer.baseAddress.unsafelyUnwrapped)
        }
    }
}
