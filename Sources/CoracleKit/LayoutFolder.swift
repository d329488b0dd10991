// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import OCI
internal import Store

/// An image layout in a folder that images are added to; those that it has already stay.
struct LayoutFolder {
    /// Where containerd and BuildKit keep the whole name; the specification's annotation has the tag alone.
    static let wholeNameAnnotation = "io.containerd.image.name"

    let path: String

    init(_ path: String) {
        self.path = path
    }

    /// Adds an image under each of its names.
    ///
    /// The list comes last: until then the folder is no layout of the new image.
    func add(
        _ images: [Descriptor],
        _ blobs: [Descriptor],
        _ documents: [(String, [UInt8])],
        from store: ImageStore
    ) throws {
        try DiskFile.makeFolder(path + "/blobs/sha256")
        for blob in blobs { try copy(blob, from: store) }
        for (name, bytes) in documents { try DiskFile.write(bytes, to: "\(path)/\(name)", isSynced: false) }
        // The folder itself is the lock, so that none is left behind.
        let lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard lock >= 0 else { throw StoreError("opening \(path)", errno: errno) }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else { throw StoreError("locking \(path)", errno: errno) }
        }
        var index = try DiskFile.read(path + "/index.json") == nil ? ImageIndex() : ImageLayout(path).index()
        index.manifests.removeAll { old in images.contains { LayoutFolder.replaces($0, old) } }
        index.manifests += images
        try DiskFile.write(index.document, to: path + "/index.json", isSynced: false)
    }

    /// Whether an image takes another's place: it has the same name, or neither has one.
    private static func replaces(_ new: Descriptor, _ old: Descriptor) -> Bool {
        let tag = ImageStore.nameAnnotation
        if let (one, other) = both(new.annotations[wholeNameAnnotation], old.annotations[wholeNameAnnotation]) {
            return one == other
        }
        return new.annotations[tag] == old.annotations[tag]
    }

    private static func both(_ one: String?, _ other: String?) -> (String, String)? {
        if let one, let other { (one, other) } else { nil }
    }

    private func copy(_ blob: Descriptor, from store: ImageStore) throws {
        let target = "\(path)/blobs/sha256/\(blob.digest.hex)"
        // One that was damaged there is written anew.
        if ImageLayout(unchecked: path).isWhole(blob) { return }
        let copy = try BlobCopy(blob, from: store)
        try OutputFile(target)
            .write { sink in
                try copy.write(to: sink)
                try copy.check()
            }
    }
}
