// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Dispatch
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store
internal import Synchronization

/// The digests of the files a build reads, remembered from build to build.
final class FileDigests {
    private var index: FileIndex
    /// What this build read of files that changed too recently for the index: a key must tell of the bytes that went
    /// into the layer, whatever became of the file since.
    private var recent: [FileIndex.Stamp: FileIndex.Hash] = [:]
    private let content: FileContent

    init(_ store: ImageStore, folder: String, _ content: FileContent) {
        index = FileIndex(store, folder: folder)
        self.content = content
    }

    /// Whether a file need not be hashed as long as it is like that.
    func knows(_ stamp: FileIndex.Stamp) -> Bool { content.torn[stamp] == nil && index[stamp] != nil }

    /// Remembers a digest.
    ///
    /// - Parameters:
    ///   - hash: The digest of what was read.
    ///   - stamp: The file as it was found.
    ///   - isWhole: Whether it was still like that when it was read.
    func remember(_ hash: [UInt8], of stamp: FileIndex.Stamp, isWhole: Bool) {
        keep(FileDigests.words(hash), of: stamp, isWhole: isWhole)
    }

    private func keep(_ hash: FileIndex.Hash, of stamp: FileIndex.Stamp, isWhole: Bool) {
        // Read twice in one build, and not the same: no key can tell which of both is in a layer.
        guard (index[stamp] ?? recent[stamp] ?? hash) == hash else { return content.distrust(stamp) }
        if isWhole { index.remember(hash, of: stamp) }
        if index[stamp] == nil { recent[stamp] = hash }
    }

    /// Writes what was remembered.
    func save() throws { try index.save() }

    private static func words(_ hash: [UInt8]) -> FileIndex.Hash {
        hash.withUnsafeBytes { $0.loadUnaligned(as: FileIndex.Hash.self) }
    }

    /// The digest of a file on disk, read where it changed.
    private func digest(_ folder: FolderPath, _ name: [UInt8], _ stamp: FileIndex.Stamp) throws -> FileIndex.Hash {
        if !content.torn.isEmpty, let torn = content.torn[stamp] { return torn }
        if let known = index[stamp] ?? recent[stamp] { return known }
        let file = try content.open(folder, name)
        defer { close(file) }
        let sink = DigestSink()
        try sink.copy(descriptor: file, size: stamp.size, name: String(decoding: folder.appending(name), as: UTF8.self))
        for attribute in DiskTree.attributes(of: file) { sink.add(attribute.name + [0] + attribute.value) }
        let hash = FileDigests.words(sink.finish())
        keep(hash, of: stamp, isWhole: true)
        return hash
    }

    /// The content of a file or folder as COPY sees it: names, kinds, owners, permissions and bytes; no times.
    func describe(_ node: FileNode, _ rules: CopyRules, into key: inout KeyHasher) throws {
        var links: [LinkKey: UInt64] = [:]
        // Paths are for rules to look at; names and the ends of folders say as much to the key.
        let path: [UInt8]? = rules.include == nil && rules.exclude == nil ? nil : []
        try describe(node, [], path, rules, &links, into: &key)
    }

    private func describe(
        _ node: FileNode,
        _ name: [UInt8],
        _ path: [UInt8]?,
        _ rules: CopyRules,
        _ links: inout [LinkKey: UInt64],
        into key: inout KeyHasher
    ) throws {
        if let path, !path.isEmpty, !node.isDirectory, !rules.takes(path) { return }
        key.add(name)
        key.add(UInt64(node.kind.rawValue) << 32 | UInt64(node.mode))
        key.add(UInt64(node.uid) << 32 | UInt64(node.gid))
        switch node.content {
        case .none: break
        case .inline(let bytes): key.add(bytes)
        case .layer(let layer, let entry):
            key.add(Array(layer.hex.utf8))
            key.add(UInt64(entry))
        case .disk(let folder, let name, let stamp): key.add(try digest(folder, name, stamp))
        }
        key.add(node.target)
        if let shared = node.linkKey {
            let number = links[shared] ?? UInt64(links.count)
            links[shared] = number
            key.add(number)
        }
        if node.kind == .characterDevice || node.kind == .blockDevice {
            key.add(UInt64(node.device.major) << 32 | UInt64(node.device.minor))
        }
        guard node.isDirectory else { return }
        for (name, child) in try node.sortedChildren() {
            let below = path.map { $0.isEmpty ? name : $0 + [UInt8(ascii: "/")] + name }
            try describe(child, name, below, rules, &links, into: &key)
        }
        for attribute in node.attributes { key.add(attribute.name + [0] + attribute.value) }
        // No field is this long, so no name is taken for the end of a folder.
        key.add(UInt64.max)
    }
}

extension CopyRules {
    /// Whether a file at a path below the source is copied.
    func takes(_ path: [UInt8]) -> Bool {
        if let exclude, exclude.decision(for: path).isIgnored { return false }
        return include.map { $0.decision(for: path).isIgnored } ?? true
    }
}

/// Hashes what is written to it, and keeps nothing.
private final class DigestSink: ByteSink {
    private var hash = FileHash()

    func write(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

    func add(_ bytes: [UInt8]) { hash.update(bytes) }

    func finish() -> [UInt8] { hash.finish() }
}

/// A digest over fields, each with its length before it; of many fields, made on another thread while they are collected.
struct KeyHasher: ~Copyable {
    private let hash = SerialHash()
    private var buffer: [UInt8] = []

    init(_ kind: String) {
        buffer.reserveCapacity(KeyHasher.most + 256)
        add(Array(kind.utf8))
    }

    mutating func add(_ bytes: [UInt8]) {
        add(UInt64(bytes.count))
        buffer.append(contentsOf: bytes)
        if buffer.count > KeyHasher.most { flush() }
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }

    mutating func add(_ number: UInt64) {
        withUnsafeBytes(of: number.littleEndian) { buffer.append(contentsOf: $0) }
    }

    mutating func add(_ words: FileIndex.Hash) {
        withUnsafeBytes(of: words) { buffer.append(contentsOf: $0) }
    }

    /// Bytes that are hashed at once.
    private static let most = 64 << 10

    private mutating func flush() {
        hash.update(buffer)
        buffer = []
        buffer.reserveCapacity(KeyHasher.most + 256)
    }

    consuming func finish() -> Digest { hash.finish(buffer) }
}

/// Hashes pieces on a thread of its own, in the order of the queue; the lock is for the compiler, as nobody waits for it.
private final class SerialHash: Sendable {
    private let hash = Mutex(SHA256())
    private let queue = DispatchQueue(label: "coracle.key")

    func update(_ bytes: [UInt8]) {
        queue.async { [self] in hash.withLock { $0.update(bytes) } }
    }

    func finish(_ bytes: [UInt8]) -> Digest {
        queue.sync {
            hash.withLock {
                $0.update(bytes)
                return Digest(sha256: $0.finish())
            }
        }
    }
}
