// SPDX-License-Identifier: Apache-2.0
public import Archive
internal import Glibc
public import OCI
internal import Rootfs
public import Store

/// The files of an image as one tree, to be written somewhere else.
public struct ImageFiles {
    private let tree: FileTree
    private let content: FileContent

    /// Looks at the layers of an image.
    ///
    /// - Parameters:
    ///   - layers: The layers, the lowest first; that their bytes are right was looked at before.
    ///   - store: Where they are.
    /// - Throws: ``StoreError`` or ``ArchiveError`` where a layer is missing or damaged.
    public init(layers: [Descriptor], in store: ImageStore) throws {
        tree = FileTree()
        content = FileContent(store, limit: .max)
        for layer in layers {
            content.know(layer, isWhole: true)
            try tree.add(LayerIndex.entries(of: layer, in: store), of: layer.digest)
        }
    }

    /// Looks at an archive: a build context that comes as one.
    ///
    /// - Parameters:
    ///   - descriptor: An open file, read from where it stands.
    ///   - name: Its name for messages.
    ///   - store: Where what is unpacked lies for a while.
    ///   - limit: The most bytes it may unpack to.
    /// - Throws: ``BuildError`` where it is no archive, or holds what no context may.
    public init(archive descriptor: Int32, name: String, in store: ImageStore, limit: Int64) throws {
        tree = FileTree()
        content = FileContent(store, limit: limit)
        let adder = ArchiveAdder(content: content, destination: tree, everyKind: false)
        guard try adder.add(descriptor, name, to: [], owner: nil) else {
            throw BuildError("\(name) is no tar archive, compressed or not")
        }
    }

    /// Takes a tree whose content is known.
    init(tree: FileTree, content: FileContent) {
        (self.tree, self.content) = (tree, content)
    }

    /// Everything, folders before their content.
    private func all() throws -> [(path: [UInt8], node: FileNode)] {
        var result: [(path: [UInt8], node: FileNode)] = []
        func add(_ folder: FileNode, _ path: [UInt8]) throws {
            for (name, node) in try folder.sortedChildren() {
                let place = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
                result.append((place, node))
                if node.isDirectory { try add(node, place) }
            }
        }
        try add(tree.root, [])
        return result
    }

    /// Writes everything as an archive.
    ///
    /// - Parameter sink: Takes the archive.
    /// - Throws: ``ArchiveError`` where it cannot be written; what reading layers throws.
    public func write(to sink: any ByteSink) throws {
        try ImageFiles.write([(folder: "", files: self)], to: sink)
    }

    /// Writes several images as one archive.
    ///
    /// - Parameters:
    ///   - parts: Each with the folder of the archive that its files are in; an empty one is the archive itself.
    ///   - sink: Takes the archive.
    /// - Throws: ``ArchiveError`` where it cannot be written; what reading layers throws.
    public static func write(_ parts: [(folder: String, files: ImageFiles)], to sink: any ByteSink) throws {
        let writer = TarWriter(sink)
        for part in parts {
            guard !part.folder.isEmpty else {
                try part.files.write(to: writer, below: [])
                continue
            }
            var entry = TarEntry(path: Array(part.folder.utf8), kind: .directory)
            entry.mode = 0o755
            try writer.write(entry)
            try part.files.write(to: writer, below: Array(part.folder.utf8) + [UInt8(ascii: "/")])
        }
        try writer.finish()
    }

    private func write(to writer: TarWriter, below folder: [UInt8]) throws {
        let all = try all().map { (path: folder + $0.path, node: $0.node) }
        try content.unpack(all.map(\.node))
        var names: [ObjectIdentifier: [UInt8]] = [:]
        for (path, node) in all {
            var entry = node.entry(at: path)
            if node.isShared, node.kind == .file, let first = names[ObjectIdentifier(node)] {
                (entry.kind, entry.target, entry.size) = (.hardLink, first, 0)
            } else {
                names[ObjectIdentifier(node)] = path
            }
            guard entry.kind == .file, case .disk(let folder, let name, _) = node.content else {
                try writer.write(entry)
                continue
            }
            let file = try content.open(folder, name)
            defer { close(file) }
            try writer.write(entry) { (sink) throws(ArchiveError) in
                try sink.copy(descriptor: file, size: entry.size, name: entry.name)
            }
        }
    }

    /// Writes everything below a folder.
    ///
    /// - Parameters:
    ///   - folder: The folder; made where it is not there.
    ///   - keepsOwners: Whether owners are kept where this process may give files away; else all is the user's own.
    /// - Throws: ``StoreError`` where something is in the way; what reading layers throws.
    public func extract(to folder: String, keepsOwners: Bool = true) throws {
        try DiskFile.makeFolder(folder)
        let all = try all()
        try content.unpack(all.map(\.node))
        let root = Array(folder.utf8) + [UInt8(ascii: "/")]
        var names: [ObjectIdentifier: [UInt8]] = [:]
        for (path, node) in all {
            let place = root + path
            if node.isShared, node.kind == .file, let first = names[ObjectIdentifier(node)] {
                try clear(place)
                try check(first.withCString { old in place.withCString { link(old, $0) } }, place)
                continue
            }
            names[ObjectIdentifier(node)] = place
            try make(node, place, keepsOwners)
        }
        for (path, node) in all.reversed() where node.isDirectory {
            try finish(node, root + path, keepsOwners)
        }
    }

    private func check(_ result: Int32, _ path: [UInt8]) throws {
        if result != 0 { throw StoreError("writing \(String(decoding: path, as: UTF8.self))", errno: errno) }
    }

    /// Takes away a file or link that an earlier build left, so that nothing is written through it.
    private func clear(_ path: [UInt8]) throws {
        if path.withCString({ unlink($0) }) == 0 || errno == ENOENT { return }
        guard errno == EISDIR else { return try check(-1, path) }
        let text = String(decoding: path, as: UTF8.self)
        throw StoreError(
            "\(text) is a folder, and the image has something else there: remove it, or name another folder"
        )
    }

    /// Makes a folder; one that is there stays, and a link to one is none.
    private func makeFolder(_ path: [UInt8]) throws {
        if path.withCString({ mkdir($0, 0o700) }) == 0 { return }
        guard errno == EEXIST else { return try check(-1, path) }
        var status = stat()
        try check(path.withCString { lstat($0, &status) }, path)
        if status.st_mode & S_IFMT == S_IFDIR { return }
        try clear(path)
        try check(path.withCString { mkdir($0, 0o700) }, path)
    }

    private func make(_ node: FileNode, _ path: [UInt8], _ keepsOwners: Bool) throws {
        if node.isDirectory { return try makeFolder(path) }
        try clear(path)
        switch node.kind {
        case .directory: return
        case .symlink: try check(node.target.withCString { to in path.withCString { symlink(to, $0) } }, path)
        case .fifo: try check(path.withCString { mkfifo($0, 0o600) }, path)
        case .characterDevice, .blockDevice:
            // Only root may make devices; a folder for people to look at does without.
            return
        case .file, .hardLink: try makeFile(node, path)
        }
        try finish(node, path, keepsOwners)
    }

    private func makeFile(_ node: FileNode, _ path: [UInt8]) throws {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let target = path.withCString { open($0, flags, 0o600) }
        if target < 0 { try check(-1, path) }
        defer { close(target) }
        guard case .disk(let folder, let name, let stamp) = node.content else { return }
        let text = String(decoding: path, as: UTF8.self)
        let sink = FileSink(descriptor: target, name: text)
        try content.reading(folder, name, stamp) { try sink.copy(descriptor: $0, size: node.size, name: text) }
    }

    private func finish(_ node: FileNode, _ path: [UInt8], _ keepsOwners: Bool) throws {
        if keepsOwners, geteuid() == 0 { try check(path.withCString { lchown($0, node.uid, node.gid) }, path) }
        if node.kind != .symlink { try check(path.withCString { chmod($0, node.mode) }, path) }
        // After the owner: who gives a file away takes its capabilities.
        DiskTree.set(node.attributes, at: path)
        let times = [timespec(tv_sec: Int(node.mtime), tv_nsec: 0), timespec(tv_sec: Int(node.mtime), tv_nsec: 0)]
        try check(path.withCString { utimensat(AT_FDCWD, $0, times, AT_SYMLINK_NOFOLLOW) }, path)
    }
}
