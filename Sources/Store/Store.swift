// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
public import OCI

/// Images and layers on disk: an OCI image layout, with what builds remember beside it.
///
/// Any number of processes share it. Every file is written beside its place and renamed into it, so that a crash
/// leaves none half-written.
///
/// Specification: OCI image-spec 1.1, `image-layout.md`.
public struct ImageStore: Sendable {
    /// The folder, without a slash at its end.
    public let root: String

    /// The form of everything beside the image layout; a store with another is left alone.
    private static let version = "1"

    /// Opens a store, and makes it where there is none.
    ///
    /// - Parameter path: The folder.
    /// - Throws: ``StoreError`` where it cannot be used, or is of a later version.
    public init(_ path: String) throws(StoreError) {
        root = path
        let marker = root + "/coracle-store"
        if let found = try DiskFile.read(marker, limit: 4096) {
            let text = String(decoding: found, as: UTF8.self).prefix { !$0.isNewline }
            guard text == ImageStore.version else {
                throw StoreError(
                    "the store \(root) has version \(text), and this coracle knows version \(ImageStore.version): "
                        + "use a newer coracle, or another folder with --store"
                )
            }
            return
        }
        for folder in ["blobs/sha256", "tmp", "steps", "layers", "files", "locks"] {
            try DiskFile.makeFolder(root + "/" + folder)
        }
        let lock = try FileLock(root + "/locks/index")
        defer { withExtendedLifetime(lock) {} }
        if try DiskFile.read(root + "/index.json") == nil {
            try DiskFile.write(ImageIndex().document, to: root + "/index.json", isSynced: true)
        }
        let layout = Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8)
        try DiskFile.write(layout, to: root + "/oci-layout", isSynced: true)
        try DiskFile.write(Array((ImageStore.version + "\n").utf8), to: marker, isSynced: true)
    }

    // MARK: Blobs

    /// Where a blob is, or would be.
    ///
    /// - Parameter digest: Its name.
    /// - Returns: The file.
    public func path(of digest: Digest) -> String { layout.path(of: digest) }

    /// The store as every tool that knows image layouts sees it.
    public var layout: ImageLayout { ImageLayout(root: root) }

    /// Whether a blob is there with the size it should have.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: Whether it is.
    public func has(_ blob: Descriptor) -> Bool { layout.has(blob) }

    /// Whether a blob is there, whatever its size.
    ///
    /// - Parameter digest: Its name.
    /// - Returns: Whether it is.
    public func holds(_ digest: Digest) -> Bool { access(path(of: digest), F_OK) == 0 }

    /// Reads a small blob and verifies it.
    ///
    /// - Parameter digest: Its name.
    /// - Returns: Its bytes, at most 32 MiB.
    /// - Throws: ``StoreError`` where it is missing or damaged.
    public func read(_ digest: Digest) throws(StoreError) -> [UInt8] { try layout.read(digest) }

    /// Keeps a small blob.
    ///
    /// - Parameters:
    ///   - bytes: Its bytes.
    ///   - mediaType: What they are.
    /// - Returns: Its name.
    /// - Throws: ``StoreError`` where it cannot be written.
    public func put(_ bytes: [UInt8], _ mediaType: MediaType) throws(StoreError) -> Descriptor {
        let blob = Descriptor(mediaType: mediaType, digest: SHA256.digest(bytes), size: Int64(bytes.count))
        // One that was damaged is written anew.
        if has(blob), (try? read(blob.digest)) != nil { return blob }
        // Beside the blobs there is never anything that is none, also after a crash.
        let temporary = "\(root)/tmp/blob-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        try DiskFile.write(parts: [bytes], to: path(of: blob.digest), by: temporary, isSynced: true)
        return blob
    }

    /// Starts a blob whose digest is not known yet.
    ///
    /// - Returns: A file to write into.
    /// - Throws: ``StoreError`` where none can be made.
    public func ingest() throws(StoreError) -> Ingest { try Ingest(self) }

    /// Goes on with a blob that an earlier process began to fetch, or begins it so that a later one can go on.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: A file to write the rest into; `nil` where somebody else writes it now.
    /// - Throws: ``StoreError`` where none can be made.
    public func ingest(continuing blob: Descriptor) throws(StoreError) -> Ingest? {
        try Ingest(self, continuing: blob)
    }

    /// A folder of its own for files that are needed for a while; the caller removes it.
    ///
    /// - Returns: The folder.
    /// - Throws: ``StoreError`` where none can be made.
    public func temporaryFolder() throws(StoreError) -> String {
        let path = "\(root)/tmp/\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        try DiskFile.makeFolder(path)
        return path
    }

    /// Holds off ``Collector`` while it lives.
    ///
    /// - Returns: The lease.
    /// - Throws: ``StoreError`` where it cannot be had.
    public func lease() throws(StoreError) -> FileLock { try FileLock(root + "/locks/use", isShared: true) }

    // MARK: Images

    /// The annotation that holds an image's name.
    public static let nameAnnotation = "org.opencontainers.image.ref.name"

    /// Every image that has a name.
    ///
    /// - Returns: Manifests and indexes, each with its name as an annotation.
    /// - Throws: ``StoreError`` where the list cannot be read.
    public func images() throws(StoreError) -> [Descriptor] { try layout.index().manifests }

    /// The image of a name.
    ///
    /// - Parameter name: As `coracle build -t` had it, made whole.
    /// - Returns: Its manifest or index; `nil` where there is none of that name.
    /// - Throws: ``StoreError`` where the list cannot be read.
    public func image(named name: ImageReference) throws(StoreError) -> Descriptor? {
        try images().first { $0.annotations[ImageStore.nameAnnotation] == name.familiar }
    }

    /// Changes the list of images; others wait.
    ///
    /// - Parameter change: Is given the list and changes it.
    /// - Throws: ``StoreError`` where the list cannot be read or written.
    public func update(_ change: (inout [Descriptor]) -> Void) throws(StoreError) {
        let lock = try FileLock(root + "/locks/index")
        defer { withExtendedLifetime(lock) {} }
        var index = try layout.index()
        change(&index.manifests)
        try DiskFile.write(index.document, to: root + "/index.json", isSynced: true)
    }

    /// Gives an image a name, which another may have had.
    ///
    /// - Parameters:
    ///   - image: A manifest or index in the store.
    ///   - name: The name.
    /// - Throws: ``StoreError`` where the list cannot be read or written.
    public func tag(_ image: Descriptor, as name: ImageReference) throws(StoreError) {
        var image = image
        image.annotations[ImageStore.nameAnnotation] = name.familiar
        try update { images in
            images.removeAll { $0.annotations[ImageStore.nameAnnotation] == name.familiar }
            images.append(image)
        }
    }
}
