// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
public import OCI

/// An OCI image layout on disk, ours or of others, which is only read.
///
/// Specification: OCI image-spec 1.1, `image-layout.md`.
public struct ImageLayout: Sendable {
    /// The folder, without a slash at its end.
    public let root: String

    /// A layout that is known to be one.
    init(root: String) {
        self.root = root
    }

    /// A folder that is a layout, or is to become one.
    ///
    /// - Parameter path: The folder, without a slash at its end.
    public init(unchecked path: String) {
        root = path
    }

    /// Opens a layout.
    ///
    /// - Parameter path: The folder.
    /// - Throws: ``StoreError`` where it has no list of images.
    public init(_ path: String) throws(StoreError) {
        root = path
        _ = try index()
    }

    /// Where a blob is, or would be.
    ///
    /// - Parameter digest: Its name.
    /// - Returns: The file.
    public func path(of digest: Digest) -> String { "\(root)/blobs/sha256/\(digest.hex)" }

    /// Whether a blob is there with the size it should have.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: Whether it is.
    public func has(_ blob: Descriptor) -> Bool {
        var status = stat()
        return stat(path(of: blob.digest), &status) == 0 && Int64(status.st_size) == blob.size
    }

    /// Reads a small blob and verifies it.
    ///
    /// - Parameter digest: Its name.
    /// - Returns: Its bytes, at most 32 MiB.
    /// - Throws: ``StoreError`` where it is missing or damaged.
    public func read(_ digest: Digest) throws(StoreError) -> [UInt8] {
        guard let bytes = try DiskFile.read(path(of: digest), limit: 32 << 20) else {
            throw StoreError("the store \(root) lacks the blob \(digest)")
        }
        guard SHA256.digest(bytes) == digest else {
            throw StoreError("the blob \(path(of: digest)) is damaged: build or pull again, which writes it anew")
        }
        return bytes
    }

    /// The list of images.
    ///
    /// - Returns: Manifests and indexes; those that have a name have it as an annotation.
    /// - Throws: ``StoreError`` where the list cannot be read.
    public func index() throws(StoreError) -> ImageIndex {
        guard let bytes = try DiskFile.read(root + "/index.json") else {
            throw StoreError("\(root) is no image layout: it has no index.json")
        }
        do {
            return try ImageIndex(parsing: bytes)
        } catch {
            throw StoreError("\(root)/index.json: \(error.message)")
        }
    }
}
