// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store

/// A layer in the store.
struct Layer: Hashable {
    let descriptor: Descriptor
    let diffID: Digest
    /// Bytes before compression.
    let size: Int64
}

/// Makes a layer of what a step touched.
final class LayerMaker {
    private let store: ImageStore
    private let content: FileContent
    private let settings: BuildSettings
    private let index: FileDigests
    private let progress: (Int64) -> Void

    init(
        _ store: ImageStore,
        _ content: FileContent,
        _ index: FileDigests,
        _ settings: BuildSettings,
        progress: @escaping (Int64) -> Void
    ) {
        (self.store, self.content, self.index, self.settings) = (store, content, index, settings)
        self.progress = progress
    }

    /// Writes what was touched in a tree; an archive without entries where nothing was.
    func make(_ tree: FileTree) throws -> Layer {
        var packed: [FileNode] = []
        try tree.forEachTouched { _, node in if case .layer = node.content { packed.append(node) } }
        try content.unpack(packed)
        let ingest = try store.ingest()
        let layer = LayerWriter(
            descriptor: ingest.descriptor,
            name: ingest.path,
            compression: settings.compression,
            cores: settings.cores
        )
        let entries = try write(tree, to: layer)
        return try LayerMaker.keep(layer.finish(), ingest, entries, in: store)
    }

    /// Writes what a command changed.
    static func write(
        _ changes: Changes,
        in store: ImageStore,
        _ settings: BuildSettings,
        progress: (Int64) -> Void
    ) throws -> Layer {
        let ingest = try store.ingest()
        let layer = LayerWriter(
            descriptor: ingest.descriptor,
            name: ingest.path,
            compression: settings.compression,
            cores: settings.cores
        )
        let (writer, entries) = (TarWriter(layer), try LayerIndex.Encoder(store))
        var total: Int64 = 0
        try changes.forEach { entry, file in
            let entry = settings.clamped(entry)
            try entries.add(entry)
            try writer.write(entry) { (sink) throws(ArchiveError) in
                if let file { try sink.copy(descriptor: file, size: entry.size, name: entry.name) }
            }
            let before = total
            total += entry.size
            if total >> 20 != before >> 20 { progress(total) }
        }
        try writer.finish()
        return try keep(layer.finish(), ingest, entries, in: store)
    }

    private static func keep(
        _ result: LayerWriter.Result,
        _ ingest: Ingest,
        _ entries: LayerIndex.Encoder,
        in store: ImageStore
    ) throws -> Layer {
        // Also over one that is there: these bytes are right, and those may be damaged.
        try ingest.commit(result.descriptor.digest)
        try LayerIndex.keep(entries, of: result.descriptor.digest, in: store)
        return Layer(descriptor: result.descriptor, diffID: result.diffID, size: result.size)
    }

    private func write(_ tree: FileTree, to layer: LayerWriter) throws -> LayerIndex.Encoder {
        let writer = TarWriter(layer)
        let entries = try LayerIndex.Encoder(store)
        var names: [ObjectIdentifier: [UInt8]] = [:]
        var total: Int64 = 0
        try tree.forEachTouched { path, node in
            if node.isShared, node.kind == .file {
                if let first = names[ObjectIdentifier(node)] {
                    var link = node.entry(at: path)
                    (link.kind, link.target, link.size) = (.hardLink, first, 0)
                    try write(link, to: writer, entries)
                    return
                }
                names[ObjectIdentifier(node)] = path
            }
            if node.kind == .file {
                try writeFile(node, at: path, to: writer, entries)
                let before = total
                total += node.size
                // Once a megabyte is often enough for eyes, and cheap.
                if total >> 20 != before >> 20 { progress(total) }
            } else {
                try write(node.entry(at: path), to: writer, entries)
            }
        }
        try writer.finish()
        return entries
    }

    private func write(_ entry: TarEntry, to writer: TarWriter, _ entries: LayerIndex.Encoder) throws {
        let clamped = settings.clamped(entry)
        try writer.write(clamped)
        try entries.add(clamped)
    }

    private func writeFile(
        _ node: FileNode,
        at path: [UInt8],
        to writer: TarWriter,
        _ entries: LayerIndex.Encoder
    ) throws {
        switch node.content {
        case .none: try write(node.entry(at: path), to: writer, entries)
        case .layer:
            throw StoreError(
                "the content of \(String(decoding: path, as: UTF8.self)) was not unpacked: a fault of coracle"
            )
        case .inline(let bytes):
            node.size = Int64(bytes.count)
            let entry = settings.clamped(node.entry(at: path))
            try writer.write(entry) { (sink) throws(ArchiveError) in try sink.write(bytes) }
            try entries.add(entry)
        case .disk(let folder, let name, let stamp):
            var status = stat()
            let file = try content.open(folder, name, &status)
            defer { close(file) }
            let isFromContext = !content.isSpooled(folder)
            if isFromContext {
                // The file may have changed since the folder was read; what is read now is what counts.
                node.size = Int64(status.st_size)
                node.attributes = DiskTree.attributes(of: file)
            }
            let entry = settings.clamped(node.entry(at: path))
            let isKnown = isFromContext && FileIndex.Stamp(status) == stamp && index.knows(stamp)
            let hashing = isFromContext && !isKnown ? HashingSink() : nil
            try writer.write(entry) { (sink) throws(ArchiveError) in
                hashing?.next = sink
                try (hashing ?? sink).copy(descriptor: file, size: entry.size, name: entry.name)
            }
            if let hashing {
                index.remember(hashing.finish(entry.attributes), of: stamp, isWhole: FileIndex.Stamp(status) == stamp)
            } else if isKnown, fstat(file, &status) != 0 || FileIndex.Stamp(status) != stamp {
                content.distrust(stamp)
            }
            try entries.add(entry)
        }
    }
}
