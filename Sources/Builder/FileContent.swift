// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Dispatch
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store
internal import Synchronization

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
    private let mend: ([Descriptor]) throws -> Bool
    /// Layers whose bytes are known to be right.
    private var whole: Set<Digest> = []

    init(
        _ store: ImageStore,
        limit: Int64,
        bring: @escaping (Descriptor) throws -> Void = { _ in },
        mend: @escaping ([Descriptor]) throws -> Bool = { _ in false }
    ) {
        (self.store, self.limit, self.bring, self.mend) = (store, limit, bring, mend)
    }

    deinit {
        if let folder { DiskFile.remove(String(decoding: folder.bytes, as: UTF8.self)) }
    }

    /// Says where the content of a layer's files is, and whether its bytes are known to be right.
    func know(_ layer: Descriptor, isWhole: Bool = false) {
        layers[layer.digest] = layer
        if isWhole { whole.insert(layer.digest) }
    }

    /// Opens a file that was found before.
    func open(_ folder: FolderPath, _ name: [UInt8]) throws -> Int32 {
        var status = stat()
        return try open(folder, name, &status)
    }

    /// What stands for the bytes of files that changed while they were read, by how they were found: it is like nothing
    /// else, so that no key of another build tells of them.
    private(set) var torn: [FileIndex.Stamp: FileIndex.Hash] = [:]

    /// Says that what was read of a file is not known.
    func distrust(_ stamp: FileIndex.Stamp) {
        guard torn[stamp] == nil else { return }
        torn[stamp] = FileIndex.Hash(x: .random(in: 0 ... .max), y: .random(in: 0 ... .max), z: 0, w: 0)
    }

    /// Reads a file whose digest is, or will be, in a key, and notices where it is not as it was found.
    func reading<Result>(
        _ folder: FolderPath,
        _ name: [UInt8],
        _ stamp: FileIndex.Stamp,
        _ body: (Int32) throws -> Result
    ) throws -> Result {
        var status = stat()
        let file = try open(folder, name, &status)
        defer { close(file) }
        let isAsFound = FileIndex.Stamp(status) == stamp
        let result = try body(file)
        let isStill = isAsFound && fstat(file, &status) == 0 && FileIndex.Stamp(status) == stamp
        if !isStill, !isSpooled(folder) { distrust(stamp) }
        return result
    }

    /// Opens a file that was found before; what it is like is put into `status`.
    func open(_ folder: FolderPath, _ name: [UInt8], _ status: inout stat) throws -> Int32 {
        let path = folder.appending(name)
        let descriptor = path.withCString { Glibc.open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) }
        let code = errno
        let text = { String(decoding: path, as: UTF8.self) }
        guard descriptor >= 0 else {
            if code == ENOENT || code == ENOTDIR { throw StoreError("\(text()) vanished before it was read") }
            if code == ELOOP { throw StoreError("\(text()) is no file any more") }
            throw StoreError("opening \(text())", errno: code)
        }
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
            try bring(layer)
            let before = unpacked
            do {
                try verified(layer) { try unpack(entries, of: layer) }
            } catch {
                guard try mend([layer]) else { throw error }
                unpacked = before
                try verified(layer) { try unpack(entries, of: layer) }
            }
        }
    }

    private func unpack(_ entries: [Int: [FileNode]], of layer: Descriptor) throws {
        var left = entries
        try LayerIndex.read(layer, in: store) { entry, number, reader in
            guard let nodes = left.removeValue(forKey: number), let first = nodes.first else { return true }
            try spool(first, from: reader, name: entry.name)
            for node in nodes.dropFirst() { (node.size, node.content) = (first.size, first.content) }
            return !left.isEmpty
        }
        guard left.isEmpty else { throw StoreError("the layer \(layer.digest) has fewer entries than it had") }
    }

    /// Reads a layer while another thread hashes it: decompressing finds few faults, and what is read here becomes part of
    /// other layers, with digests of their own.
    private func verified(_ layer: Descriptor, _ body: () throws -> Void) throws {
        if whole.contains(layer.digest) { return try body() }
        let verification = Verification(of: layer, in: store)
        let result = Result { try body() }
        guard verification.isWhole else {
            throw StoreError(
                "the layer \(layer.digest) is damaged in the store \(store.root): its bytes have another digest"
            )
        }
        whole.insert(layer.digest)
        try result.get()
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

/// Hashes a blob on a thread of its own; the lock holds what it found.
private final class Verification: Sendable {
    private let found = Mutex(false)
    private let done = DispatchSemaphore(value: 0)

    init(of blob: Descriptor, in store: ImageStore) {
        DispatchQueue(label: "coracle.layer.verify")
            .async { [self] in
                let answer = store.isWhole(blob)
                found.withLock { $0 = answer }
                done.signal()
            }
    }

    /// Waits for the end; asked once.
    var isWhole: Bool {
        done.wait()
        return found.withLock { $0 }
    }
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
