// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import OCI

/// A blob on its way into a store: a file that gets its name when its digest is known.
public final class Ingest {
    /// The open file.
    public let descriptor: Int32
    /// Where it is for now.
    public let path: String
    /// How many bytes of the blob are there already.
    public let start: Int64
    private let store: ImageStore
    private var isCommitted = false
    /// Whether what is there is of use to a later process.
    private var isKept = false

    init(_ store: ImageStore) throws(StoreError) {
        (self.store, start) = (store, 0)
        path = "\(store.root)/tmp/blob-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StoreError("creating \(path)", errno: errno) }
    }

    /// Opens what there is of a blob; one process writes it at a time, and holds a lock on it until it is gone.
    init?(_ store: ImageStore, continuing blob: Descriptor) throws(StoreError) {
        let path = "\(store.root)/tmp/\(Ingest.partial)\(blob.digest.hex)"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw StoreError("creating \(path)", errno: errno) }
        var (status, named) = (stat(), stat())
        // Whoever had the lock may have made the very file a blob of the store meanwhile.
        guard flock(file, LOCK_EX | LOCK_NB) == 0, fstat(file, &status) == 0, stat(path, &named) == 0,
            status.st_ino == named.st_ino
        else {
            close(file)
            return nil
        }
        var size = Int64(status.st_size)
        if size > blob.size {
            ftruncate(file, 0)
            size = 0
        }
        lseek(file, off_t(size), SEEK_SET)
        (self.store, self.path, descriptor, start, isKept) = (store, path, file, size, true)
    }

    /// How files begin that hold the beginning of a blob, before the digits of its digest.
    static let partial = "part-"

    deinit {
        // Before the file is closed, and with it the lock given up.
        if !isCommitted, !isKept { unlink(path) }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Says that what was written is of no use to anybody.
    public func discard() { isKept = false }

    /// Moves what is no blob to a place beside the blobs; a crash may lose it.
    ///
    /// - Parameter path: The place.
    /// - Throws: ``StoreError`` where the disk fails.
    public func move(to path: String) throws(StoreError) {
        guard rename(self.path, path) == 0 else { throw StoreError("writing \(path)", errno: errno) }
        isCommitted = true
    }

    /// Leaves the file to who has moved it.
    func leave() { isCommitted = true }

    /// Moves the blob to its place.
    ///
    /// - Parameter digest: The digest of what was written.
    /// - Throws: ``StoreError`` where the disk fails.
    public func commit(_ digest: Digest) throws(StoreError) {
        guard fsync(descriptor) == 0 else { throw StoreError("writing \(path)", errno: errno) }
        guard rename(path, store.path(of: digest)) == 0 else { throw StoreError("renaming \(path)", errno: errno) }
        isCommitted = true
    }
}
