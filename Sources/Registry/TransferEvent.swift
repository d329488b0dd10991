// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What a transfer tells while it runs.
public enum TransferEvent: Sendable {
    /// So many bytes of blobs belong to the image; some may be there already.
    case planned(blobs: Int, bytes: Int64)
    /// A blob was there already.
    case present(Descriptor)
    /// A blob was taken from another repository of the same registry, without moving it.
    case mounted(Descriptor, from: String)
    /// So many more bytes of a blob were moved; fewer than none where it had to be started over.
    case moved(Descriptor, bytes: Int64)
    /// A blob was moved.
    case finished(Descriptor)
    /// A manifest or index is in its place.
    case document(Descriptor)
    /// Something that is good to know: one line.
    case note(String)
    /// Something is tried again: why, in one line.
    case retrying(String)
    /// Something that is probably not what was meant: one line.
    case warning(String)
}

/// A place that an image goes to: a repository of a registry, a store, a layout.
public protocol ImageTarget: Sendable {
    /// Whether a blob is there.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: Whether it is, whole.
    /// - Throws: The place's own error.
    func holds(_ blob: Descriptor) async throws -> Bool

    /// Takes a blob that is not there.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - source: Where its bytes are.
    ///   - events: Is told what happens.
    /// - Throws: The error of either place; then nobody sees the blob.
    func take(
        _ blob: Descriptor,
        from source: any BlobSource,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws

    /// Takes a manifest or index; all that it names is there.
    ///
    /// - Parameters:
    ///   - document: The manifest or index.
    ///   - isRoot: Whether it is the image itself, which gets its names.
    ///   - events: Is told what happens.
    /// - Throws: The place's own error.
    func put(
        _ document: ManifestDocument,
        isRoot: Bool,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws
}
