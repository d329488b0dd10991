// SPDX-License-Identifier: Apache-2.0
public import Archive
internal import Glibc
public import OCI
public import Store

/// The entries of a layer without their content, kept beside the store so that a layer is read once.
public enum LayerIndex {
    /// Changes with the form of the files.
    private static let mark = Array("coracle-layer-3\n".utf8)
    /// Stands where a further entry would have its kind.
    private static let end: UInt8 = 0xFF

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
        _ = try learn(layer, in: store) { entries.append($0) }
        return entries
    }

    /// Whether the entries of a layer are known, so that the layer itself need not be here.
    ///
    /// - Parameters:
    ///   - layer: The layer's digest.
    ///   - store: The store.
    /// - Returns: Whether its entries are known, and what it holds before compression too.
    public static func isKnown(_ layer: Digest, in store: ImageStore) -> Bool {
        access(path(layer, store), R_OK) == 0 && access(path(layer, store) + ".diff", R_OK) == 0
    }

    /// The digest of a layer before compression, found out once.
    ///
    /// What a configuration says of it may be wrong, and everything that is kept by diff IDs with it.
    ///
    /// - Parameters:
    ///   - layer: The layer; in the store.
    ///   - store: The store.
    /// - Returns: Its diff ID.
    /// - Throws: ``StoreError`` or ``ArchiveError`` where the layer is missing or damaged.
    public static func diffID(of layer: Descriptor, in store: ImageStore) throws -> Digest {
        let known = path(layer.digest, store) + ".diff"
        if let bytes = try DiskFile.read(known), let digest = try? Digest(String(decoding: bytes, as: UTF8.self)) {
            return digest
        }
        return try learn(layer, in: store) { _ in }
    }

    /// Reads a layer once, and keeps its entries and its diff ID.
    private static func learn(
        _ layer: Descriptor,
        in store: ImageStore,
        _ body: (TarEntry) -> Void
    ) throws -> Digest {
        let encoder = try Encoder(store)
        let digest = try stream(layer, in: store) { stream in
            let reader = try ArchiveReader(stream, name: "layer \(layer.digest.short)")
            while let entry = try reader.next() {
                body(entry)
                try encoder.add(entry)
            }
        }
        try keep(encoder, of: layer.digest, in: store)
        try keep(digest, of: layer.digest, in: store)
        return digest
    }

    /// Remembers what a layer holds before compression.
    static func keep(_ diffID: Digest, of layer: Digest, in store: ImageStore) throws {
        try DiskFile.write(Array(diffID.description.utf8), to: path(layer, store) + ".diff", isSynced: false)
    }

    /// Remembers the entries of a layer.
    ///
    /// - Parameters:
    ///   - entries: The entries, in order.
    ///   - layer: The layer.
    ///   - store: The store.
    /// - Throws: ``StoreError`` where they cannot be written.
    public static func keep(_ entries: Encoder, of layer: Digest, in store: ImageStore) throws {
        try entries.finish(at: path(layer, store))
    }

    /// Forgets what was learnt of a layer whose bytes were damaged.
    ///
    /// - Parameters:
    ///   - layer: The layer's digest.
    ///   - store: The store.
    public static func forget(_ layer: Digest, in store: ImageStore) {
        unlink(path(layer, store) + ".diff")
        unlink(path(layer, store))
    }

    /// Reads a layer from its beginning, as far as it is of interest.
    ///
    /// - Parameters:
    ///   - layer: The layer; in the store.
    ///   - store: The store.
    ///   - body: Is given each entry with its place, and may copy its content; says whether to go on.
    /// - Throws: ``StoreError`` or ``ArchiveError`` where the layer is missing or damaged; what `body` throws.
    public static func read(
        _ layer: Descriptor,
        in store: ImageStore,
        _ body: (TarEntry, Int, ArchiveReader) throws -> Bool
    ) throws {
        try withStream(layer, in: store, isHashed: false) { stream in
            let reader = try ArchiveReader(stream, name: "layer \(layer.digest.short)")
            var number = 0
            while let entry = try reader.next(), try body(entry, number, reader) { number += 1 }
        }
    }

    /// Whether the entries of a layer are remembered.
    ///
    /// - Parameters:
    ///   - layer: The layer's digest.
    ///   - store: The store.
    /// - Returns: Whether they are; what the layer holds before compression may not be known.
    public static func isKept(_ layer: Digest, in store: ImageStore) -> Bool { access(path(layer, store), F_OK) == 0 }

    /// Reads a layer to its end; its digest before compression.
    static func stream(
        _ layer: Descriptor,
        in store: ImageStore,
        _ body: (LayerStream) throws -> Void
    ) throws -> Digest {
        try withStream(layer, in: store, isHashed: true) { stream in
            try body(stream)
            return try stream.finish()
        }
    }

    private static func withStream<Result>(
        _ layer: Descriptor,
        in store: ImageStore,
        isHashed: Bool,
        _ body: (LayerStream) throws -> Result
    ) throws -> Result {
        let path = store.path(of: layer.digest)
        let file = OpenFile(open(path, O_RDONLY | O_CLOEXEC))
        guard file.isOpen else { throw StoreError("opening the layer \(path)", errno: errno) }
        defer { withExtendedLifetime(file) {} }
        let name = "layer \(layer.digest.short)"
        return try body(LayerStream(descriptor: file.descriptor, name: name, isHashed: isHashed))
    }

    private static func path(_ layer: Digest, _ store: ImageStore) -> String { "\(store.root)/layers/\(layer.hex)" }

    // MARK: Form

    /// Collects the entries of a layer while it is written; numbers take as few bytes as they can.
    ///
    /// They go to disk as they come: a layer may have more of them than memory should hold.
    public final class Encoder {
        private var bytes = mark
        private var count = 0
        private let file: Ingest
        private let sink: FileSink

        /// Starts without entries.
        ///
        /// - Parameter store: Where they will be kept.
        /// - Throws: ``StoreError`` where no file can be made.
        public init(_ store: ImageStore) throws {
            file = try store.ingest()
            sink = FileSink(descriptor: file.descriptor, name: file.path)
        }

        private func add(_ number: some FixedWidthInteger) {
            let value = Int64(truncatingIfNeeded: number)
            // Small numbers of either sign become small, and seven bits go into each byte.
            var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }

        private func add(_ text: [UInt8]) {
            add(text.count)
            bytes.append(contentsOf: text)
        }

        /// Adds the next entry.
        ///
        /// - Parameter entry: The entry.
        /// - Throws: ``ArchiveError`` where the disk is full.
        public func add(_ entry: TarEntry) throws {
            count += 1
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
            if bytes.count > 64 << 10 { try flush() }
        }

        private func flush() throws {
            try sink.write(bytes)
            bytes.removeAll(keepingCapacity: true)
        }

        fileprivate func finish(at path: String) throws {
            // Without its end, a file cut short would be taken for that of a smaller layer.
            bytes.append(end)
            add(count)
            try flush()
            try file.move(to: path)
        }
    }

    /// Reads the form again; `nil` where it is damaged.
    private static func decode(_ bytes: [UInt8]) -> [TarEntry]? {
        guard bytes.starts(with: mark) else { return nil }
        var reader = Reader(bytes: bytes, offset: mark.count)
        var entries: [TarEntry] = []
        while reader.offset < bytes.count, bytes[reader.offset] != end {
            guard let entry = reader.entry() else { return nil }
            entries.append(entry)
        }
        reader.offset += 1
        return reader.number() == Int64(entries.count) && reader.offset == bytes.count ? entries : nil
    }

    private struct Reader {
        let bytes: [UInt8]
        var offset: Int

        mutating func number() -> Int64? {
            var (value, shift): (UInt64, UInt64) = (0, 0)
            while offset < bytes.count, shift < 64 {
                let byte = bytes[offset]
                offset += 1
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
                shift += 7
            }
            return nil
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
