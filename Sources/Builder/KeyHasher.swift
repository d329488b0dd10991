// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import OCI
internal import Rootfs
internal import Store

/// Fields as a digest is made of them: each says how long it is, or is as long as every one of its kind.
struct KeyFields {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ field: [UInt8]) {
        add(UInt64(field.count))
        bytes.append(contentsOf: field)
    }

    mutating func add(_ number: UInt64) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func add(_ words: FileIndex.Hash) {
        withUnsafeBytes(of: words) { bytes.append(contentsOf: $0) }
    }

    /// What COPY takes along of a file or link, or of a folder without what is in it.
    ///
    /// - Parameters:
    ///   - node: It.
    ///   - name: Its name.
    ///   - digest: The digest of its bytes, where these are on disk.
    ///   - link: The number of a file with several names among those of its step.
    mutating func add(_ node: FileNode, _ name: [UInt8], _ digest: FileIndex.Hash?, link: UInt64?) {
        let content: UInt64 =
            switch node.content {
            case .none: 0
            case .inline: 1
            case .layer: 2
            case .disk: 3
            }
        add(name)
        // Which fields follow, and what it is.
        add((link == nil ? 0 : 1) << 63 | content << 56 | UInt64(node.kind.rawValue) << 32 | UInt64(node.mode))
        add(UInt64(node.uid) << 32 | UInt64(node.gid))
        switch node.content {
        case .none: break
        case .inline(let bytes): add(bytes)
        case .layer(let layer, let entry):
            add(Array(layer.hex.utf8))
            add(UInt64(entry))
        case .disk: if let digest { add(digest) }
        }
        if let link { add(link) }
        switch node.kind {
        case .symlink: add(node.target)
        case .characterDevice, .blockDevice: add(UInt64(node.device.major) << 32 | UInt64(node.device.minor))
        case .directory:
            add(UInt64(node.attributes.count))
            for attribute in node.attributes { add(attribute.name + [0] + attribute.value) }
        default: break
        }
    }

    /// What ``add(_:_:_:link:)`` says of a node with one name and its bytes on disk, without the node.
    mutating func add(_ file: FolderListing.File, _ name: UnsafeRawBufferPointer, _ digest: FileIndex.Hash) {
        add(UInt64(name.count))
        bytes.append(contentsOf: name)
        add(3 << 56 | UInt64(TarEntry.Kind.file.rawValue) << 32 | UInt64(file.mode))
        add(UInt64(file.uid) << 32 | UInt64(file.gid))
        add(digest)
    }

    /// Forgets all fields, and keeps their room.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
}

/// A short digest over fields, made again and again.
final class FieldsHasher {
    /// The fields so far.
    var fields = KeyFields()
    private var hash = FileHash()

    /// The digest of the fields; starts again with none.
    func finish() -> FileIndex.Hash {
        hash.update(fields.bytes)
        fields.removeAll()
        return hash.finish { $0.loadUnaligned(as: FileIndex.Hash.self) }
    }

    /// Starts again without one.
    func discard() -> FileIndex.Hash? {
        fields.removeAll()
        return nil
    }
}

/// A digest over fields.
struct KeyHasher: ~Copyable {
    private var hash = SHA256()
    private var fields = KeyFields()

    init(_ kind: String) { add(kind) }

    mutating func add(_ bytes: [UInt8]) {
        fields.add(bytes)
        flush()
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }

    mutating func add(_ number: UInt64) { fields.add(number) }

    mutating func add(_ words: FileIndex.Hash) { fields.add(words) }

    /// Adds a folder without what is in it.
    mutating func add(_ folder: FileNode, _ name: [UInt8]) {
        fields.add(folder, name, nil, link: nil)
        flush()
    }

    /// Many short fields are hashed at once.
    private mutating func flush() {
        guard fields.bytes.count > 16 << 10 else { return }
        hash.update(fields.bytes)
        fields.removeAll()
    }

    consuming func finish() -> Digest {
        hash.update(fields.bytes)
        return Digest(sha256: hash.finish())
    }
}
