// SPDX-License-Identifier: Apache-2.0
public import Archive
internal import Glibc
public import OCI
public import Store

/// The entries of a layer without their content, kept beside the store so that a layer is read once.
public enum LayerIndex {
    /// Changes with the form of the files.
    private static let mark = Array("coracle-layer-1\n".utf8)

    /// The entries of a layer.
    ///
    /// - Parameters:
    ///   - layer: The layer; in the store.
    ///   - store: The store.
    /// - Returns: The entries, in order.
    /// - Throws: ``StoreError`` or ``ArchiveError`` where the layer is missing or damaged.
    public static func entries(of layer: Descriptor, in store: ImageStore) throws -> [TarEntry] {
        let path = self.path(layer.digest, store)
        if let bytes = try DiskFile.read(path), let entries = decode(bytes) { return entries }
        var entries: [TarEntry] = []
        try read(layer, in: store) { entry, _, _ in entries.append(entry) }
        try keep(entries, of: layer.digest, in: store)
        return entries
    }

    /// Remembers the entries of a layer.
    ///
    /// - Parameters:
    ///   - entries: The entries, in order.
    ///   - layer: The layer.
    ///   - store: The store.
    /// - Throws: ``StoreError`` where they cannot be written.
    public static func keep(_ entries: [TarEntry], of layer: Digest, in store: ImageStore) throws {
        try DiskFile.write(encode(entries), to: path(layer, store), isSynced: false)
    }

    /// Reads a layer from beginning to end.
    ///
    /// - Parameters:
    ///   - layer: The layer; in the store.
    ///   - store: The store.
    ///   - body: Is given each entry with its place, and may copy its content.
    /// - Throws: ``StoreError`` or ``ArchiveError`` where the layer is missing or damaged; what `body` throws.
    public static func read(
        _ layer: Descriptor,
        in store: ImageStore,
        _ body: (TarEntry, Int, ArchiveReader) throws -> Void
    ) throws {
        let path = store.path(of: layer.digest)
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreError("opening the layer \(path)", errno: errno) }
        defer { close(descriptor) }
        let reader = try ArchiveReader(descriptor: descriptor, name: "layer \(layer.digest.short)", tarOnly: true)
        var number = 0
        while let entry = try reader.next() {
            try body(entry, number, reader)
            number += 1
        }
    }

    private static func path(_ layer: Digest, _ store: ImageStore) -> String { "\(store.root)/layers/\(layer.hex)" }

    // MARK: Form

    private static func encode(_ entries: [TarEntry]) -> [UInt8] {
        var bytes = mark
        func add(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: Int64(truncatingIfNeeded: number).littleEndian) { bytes.append(contentsOf: $0) }
        }
        func add(_ text: [UInt8]) {
            add(text.count)
            bytes.append(contentsOf: text)
        }
        add(entries.count)
        for entry in entries {
            bytes.append(entry.kind.rawValue)
            add(entry.path)
            add(entry.target)
            for number in [entry.mode, entry.uid, entry.gid, entry.major, entry.minor] { add(number) }
            add(entry.size)
            add(entry.mtime)
            add(entry.attributes.count)
            for attribute in entry.attributes {
                add(attribute.name)
                add(attribute.value)
            }
        }
        return bytes
    }

    /// Reads the form again; `nil` where it is damaged.
    private static func decode(_ bytes: [UInt8]) -> [TarEntry]? {
        guard bytes.starts(with: mark) else { return nil }
        var reader = Reader(bytes: bytes, offset: mark.count)
        guard let count = reader.number(), count >= 0 else { return nil }
        var entries: [TarEntry] = []
        for _ in 0..<count {
            guard let entry = reader.entry() else { return nil }
            entries.append(entry)
        }
        return reader.offset == bytes.count ? entries : nil
    }

    private struct Reader {
        let bytes: [UInt8]
        var offset: Int

        mutating func number() -> Int64? {
            guard offset + 8 <= bytes.count else { return nil }
            defer { offset += 8 }
            return bytes.withUnsafeBytes {
                Int64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Int64.self))
            }
        }

        mutating func word() -> UInt32? { number().flatMap { UInt32(exactly: $0) } }

        mutating func text() -> [UInt8]? {
            guard let count = number(), count >= 0, count <= bytes.count - offset else { return nil }
            defer { offset += Int(count) }
            return Array(bytes[offset..<(offset + Int(count))])
        }

        mutating func entry() -> TarEntry? {
            guard offset < bytes.count, let kind = TarEntry.Kind(rawValue: bytes[offset]) else { return nil }
            offset += 1
            guard let path = text(), let target = text() else { return nil }
            var entry = TarEntry(path: path, kind: kind)
            entry.target = target
            guard let mode = word(), let uid = word(), let gid = word(), let major = word(), let minor = word(),
                let size = number(), size >= 0, let mtime = number(), let attributes = number(), attributes >= 0
            else { return nil }
            (entry.mode, entry.uid, entry.gid, entry.major, entry.minor) = (mode, uid, gid, major, minor)
            (entry.size, entry.mtime) = (size, mtime)
            for _ in 0..<attributes {
                guard let name = text(), let value = text() else { return nil }
                entry.attributes.append(TarEntry.Attribute(name: name, value: value))
            }
            return entry
        }
    }
}
