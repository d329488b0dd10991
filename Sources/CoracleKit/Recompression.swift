// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Dispatch
internal import Glibc
internal import OCI
internal import Store

/// Layers of base images compressed again (`force-compression`), so that all layers of an image are compressed alike.
///
/// What came of a layer is remembered, and its files are the same: only its digest and size are others.
struct Recompression: Sendable {
    let store: ImageStore
    let compression: Compression
    /// How many blocks are compressed at the same time.
    let cores: Int

    /// The same image with all layers of one kind; those that are of it already stay as they are, and all must be here.
    func run(_ image: Descriptor) async throws -> Descriptor {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "coracle.recompress")
                .async { continuation.resume(with: Result { try blocking(image) }) }
        }
    }

    private func blocking(_ image: Descriptor) throws -> Descriptor {
        var manifest = try Manifest(parsing: store.read(image.digest))
        let config = try ImageConfig(parsing: store.read(manifest.config.digest))
        var isChanged = false
        for (index, diffID) in zip(manifest.layers.indices, config.diffIDs)
        where !isWanted(manifest.layers[index].mediaType) {
            manifest.layers[index] = try layer(manifest.layers[index], diffID)
            isChanged = true
        }
        guard isChanged else { return image }
        var result = try store.put(manifest.document, image.mediaType)
        (result.platform, result.annotations) = (image.platform, image.annotations)
        return result
    }

    /// Media types of layers end with how they are compressed, in Docker's words too.
    private func isWanted(_ type: MediaType) -> Bool {
        type.description.hasSuffix(compression.mediaType == .layerZstd ? "zstd" : "gzip")
    }

    private func layer(_ layer: Descriptor, _ diffID: Digest) throws -> Descriptor {
        let words = "\(layer.digest) \(compression.identity)"
        let record = "\(store.root)/files/compressed-\(SHA256.digest(Array(words.utf8)).hex)"
        if let bytes = (try? DiskFile.read(record, limit: 64 << 10)) ?? nil,
            let known = (try? JSONValue(parsing: bytes)).flatMap({ try? Descriptor(json: $0) }), store.has(known)
        {
            return known
        }
        let path = store.path(of: layer.digest)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreError("opening the layer \(path)", errno: errno) }
        defer { close(file) }
        let ingest = try store.ingest()
        let writer = LayerWriter(
            descriptor: ingest.descriptor,
            name: ingest.path,
            compression: compression,
            cores: cores
        )
        let stream = try LayerStream(descriptor: file, name: "layer \(layer.digest.short)", isHashed: false)
        try stream.copy(to: writer)
        let made = try writer.finish()
        guard made.diffID == diffID else { throw ExitReason.damaged(layer, in: store) }
        if !store.has(made.descriptor) { try ingest.commit(made.descriptor.digest) }
        try DiskFile.write(Array(made.descriptor.json.canonical.utf8), to: record, isSynced: false)
        return made.descriptor
    }
}
