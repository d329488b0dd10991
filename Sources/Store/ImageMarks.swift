// SPDX-License-Identifier: Apache-2.0
public import OCI

/// The blobs that some images need.
public struct ImageMarks: Sendable {
    /// Manifests, indexes and configurations.
    public private(set) var documents: Set<Digest> = []
    /// Layers.
    public private(set) var layers: Set<Digest> = []

    /// Follows images to all that they need; a blob that is not there is marked all the same.
    ///
    /// - Parameters:
    ///   - images: Manifests and indexes.
    ///   - store: Where they are.
    /// - Throws: ``StoreError`` where a manifest is damaged, as what it needs is not known then.
    public init(_ images: [Descriptor], in store: ImageStore) throws(StoreError) {
        var open = images
        while let image = open.popLast() {
            guard documents.insert(image.digest).inserted, store.has(image) else { continue }
            guard image.mediaType.isIndex || image.mediaType.isManifest else { continue }
            let bytes = try store.read(image.digest)
            do throws(ContentError) {
                if image.mediaType.isIndex {
                    open += try ImageIndex(parsing: bytes).manifests
                } else {
                    let manifest = try Manifest(parsing: bytes)
                    documents.insert(manifest.config.digest)
                    layers.formUnion(manifest.layers.map(\.digest))
                }
            } catch {
                throw StoreError("the blob \(store.path(of: image.digest)): \(error.message)")
            }
        }
    }

    /// The diff IDs of all layers, as the images' configurations have them.
    ///
    /// - Parameter store: Where they are.
    /// - Returns: The diff IDs as text; a configuration that is not there, or damaged, has none.
    func diffIDs(in store: ImageStore) -> Set<String> {
        var found: Set<String> = []
        for document in documents {
            let json = (try? store.read(document)).flatMap { try? JSONValue(parsing: $0) }
            found.formUnion((json?["rootfs"]?["diff_ids"]?.array ?? []).compactMap(\.string))
        }
        return found
    }

    /// Whether an image needs a blob.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: Whether one does.
    public func contains(_ blob: Digest) -> Bool { documents.contains(blob) || layers.contains(blob) }
}
