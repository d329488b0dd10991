// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store

/// The bytes of files, wherever they are.
///
/// What lies in layers is unpacked into a folder of its own first, in one pass for each layer.
final class FileContent {
    private let store: ImageStore
    /// The layers that files may lie in.
    private var layers: [Digest: Descriptor] = [:]
    private var folder: FolderPath?
    private var count = 0
    /// Bytes that archives and layers may unpack to in all.
    private let limit: Int64
    private var unpacked: Int64 = 0

    private let bring: (Descriptor) throws -> Void

    init(_ store: ImageStore, limit: Int64, bring: @escaping (Descriptor) throws -> Void = { _ in }) {
        (self.store, self.limit, self.bring) = (store, limit, bring)
    }

    deinit {
        if let folder { DiskFile.remove(String(decoding: folder.bytes, as: UTF8.self)) }
    }

    /// Says where the content of a layer's files is.
    func know(_ layer: Descriptor) {
        layers[layer.digest] = layer
    }

    /// Opens a file that was found before.
    func open(_ folder: FolderPath, _ name: [UInt8]) throws -> Int32 {
        let path = folder.appending(name)
        let descriptor = path.withCString { Glibc.open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) }
        let code = errno
        let text = { String(decoding: path, as: UTF8.self) }
        guard descriptor >= 0 else {
            if code == ENOENT || code == ENOTDIR { throw StoreError("\(text()) vanished before it was read") }
            if code == ELOOP { throw StoreError("\(text()) is no file any more") }
            throw StoreError("opening \(text())", errno: code)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw StoreError("\(text()) is no file any more")
        }
        return descriptor
    }

    /// Reads a small file as a whole.
    func read(_ node: FileNode) throws -> [UInt8] {
        try unpack([node])
        switch node.content {
        case .none, .layer: return []
        case .inline(let bytes): return bytes
        case .disk(let folder, let name, _):
            let path = String(decoding: folder.appending(name), as: UTF8.self)
            return try DiskFile.read(path, limit: 10 << 20) ?? []
        }
    }

    /// Brings files that lie in layers to disk.
    func unpack(_ nodes: [FileNode]) throws {
        // One file may be copied to several places.
        var wanted: [Digest: [Int: [FileNode]]] = [:]
        for node in nodes {
            if case .layer(let layer, let entry) = node.content {
                wanted[layer, default: [:]][entry, default: []].append(node)
            }
        }
        for (digest, entries) in wanted {
            guard let layer = layers[digest] else { throw StoreError("the layer \(digest) is not known") }
            var left = entries
            try bring(layer)
            try LayerIndex.read(layer, in: store) { entry, number, reader in
                guard let nodes = left.removeValue(forKey: number), let first = nodes.first else { return true }
                try spool(first, from: reader, name: entry.name)
                for node in nodes.dropFirst() { (node.size, node.content) = (first.size, first.content) }
                return !left.isEmpty
            }
            guard left.isEmpty else { throw StoreError("the layer \(digest) has fewer entries than it had") }
        }
    }

    /// Copies what a reader stands at into a file of its own, and makes that a node's content.
    func spool(_ node: FileNode, from reader: ArchiveReader, name: String) throws {
        let folder = try spoolFolder()
        count += 1
        let file = Array(String(count).utf8)
        let path = folder.appending(file)
        let descriptor = path.withCString { Glibc.open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
        guard descriptor >= 0 else {
            throw StoreError("creating \(String(decoding: path, as: UTF8.self))", errno: errno)
        }
        defer { close(descriptor) }
        let sink = LimitedSink(FileSink(descriptor: descriptor, name: name)) { [self] (count) throws(ArchiveError) in
            try charge(count)
        }
        node.size = try reader.copyContent(to: sink, limit: .max)
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StoreError("looking at \(name)", errno: errno) }
        let stamp = FileIndex.Stamp(inode: UInt64(status.st_ino), size: node.size, mtime: 0, ctime: 0)
        node.content = .disk(folder, name: file, stamp)
    }

    /// Makes a file of the store a node's content, under a second name that is this build's own.
    func adopt(_ path: String, _ node: FileNode) throws {
        let folder = try spoolFolder()
        count += 1
        let name = Array(String(count).utf8)
        let result = path.withCString { old in folder.appending(name).withCString { link(old, $0) } }
        guard result == 0 else { throw StoreError("linking \(path)", errno: errno) }
        let stamp = FileIndex.Stamp(inode: 0, size: node.size, mtime: 0, ctime: 0)
        node.content = .disk(folder, name: name, stamp)
    }

    /// Counts what is unpacked, so that no archive fills disk or memory.
    func charge(_ bytes: Int) throws(ArchiveError) {
        unpacked += Int64(bytes)
        guard unpacked > limit else { return }
        throw ArchiveError(
            "archives and layers unpack to more than \(limit) bytes in all, the limit: allow more with --unpack-limit"
        )
    }

    private func spoolFolder() throws -> FolderPath {
        if let folder { return folder }
        let made = FolderPath(Array(try store.temporaryFolder().utf8))
        folder = made
        return made
    }

    /// Whether a file lies where it was unpacked to, and not in the build context.
    func isSpooled(_ folder: FolderPath) -> Bool { folder === self.folder }
}

/// Asks before each piece of bytes whether there may be more.
private final class LimitedSink: ByteSink {
    private let next: any ByteSink
    private let charge: (Int) throws(ArchiveError) -> Void

    init(_ next: any ByteSink, charge: @escaping (Int) throws(ArchiveError) -> Void) {
        (self.next, self.charge) = (next, charge)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        try charge(bytes.count)
        try next.write(bytes)
    }
}

extension [UInt8] {
    /// The bytes as a name that C functions take.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        var name = map { CChar(bitPattern: $0) }
        name.append(0)
        // SAFETY: the buffer has at least the byte that ends it.
        return name.withUnsafeBufferPointer { body($0.baseAddress.unsafelyUnwrapped) }
    }
}
