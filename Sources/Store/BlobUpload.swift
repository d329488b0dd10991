// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
public import OCI

/// A blob that arrives in pieces, hashed on the way: it gets a name only if that is its digest.
///
/// The pieces so far are a file, so that another process can go on after a crash. One thread at a time.
public final class BlobUpload {
    /// Where the pieces are.
    public let path: String
    /// How many bytes there are.
    public private(set) var size: Int64 = 0
    private let descriptor: Int32
    private let store: ImageStore
    private var hash = SHA256()
    /// The hash of what was written, once there will be no more.
    private var finished: Digest?

    /// Opens an upload, and hashes what is there already.
    ///
    /// - Parameters:
    ///   - path: The file, on the disk of the store.
    ///   - store: Where the blob will go.
    ///   - isNew: Whether there is none yet.
    /// - Throws: ``StoreError`` where it cannot be opened.
    public init(_ path: String, in store: ImageStore, isNew: Bool) throws(StoreError) {
        (self.path, self.store) = (path, store)
        let flags = isNew ? O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC : O_RDWR | O_CLOEXEC
        descriptor = open(path, flags, 0o644)
        guard descriptor >= 0 else { throw StoreError("opening the upload \(path)", errno: errno) }
        if !isNew { try rehash() }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Whether the file is the one that this process wrote: nobody removed it, and nobody added to it.
    public var isCurrent: Bool {
        var (mine, there) = (stat(), stat())
        return fstat(descriptor, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino
            && Int64(there.st_size) == size
    }

    private func rehash() throws(StoreError) {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(size)) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError("reading the upload \(path)", errno: errno) }
            if count == 0 { return }
            buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            size += Int64(count)
        }
    }

    /// Adds bytes.
    ///
    /// - Parameter bytes: At most 1 MiB is what callers should hold at once; may be empty.
    /// - Throws: ``StoreError`` where the disk fails.
    public func append(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(size))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StoreError("writing the upload \(path)", errno: errno) }
            hash.update(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            size += Int64(count)
        }
    }

    /// Moves the blob to its place, if the name is right.
    ///
    /// - Parameter name: What its digest should be.
    /// - Returns: The blob's name in the store; `nil` where the bytes have another digest, and then nothing was done.
    /// - Throws: ``StoreError`` where the disk fails.
    public func commit(_ name: BlobName) throws(StoreError) -> Digest? {
        let digest = finished ?? Digest(sha256: hash.finish())
        finished = digest
        guard try hasName(name, digest) else { return nil }
        guard fsync(descriptor) == 0 else { throw StoreError("writing \(path)", errno: errno) }
        guard rename(path, store.path(of: digest)) == 0 else { throw StoreError("renaming \(path)", errno: errno) }
        return digest
    }

    private func hasName(_ name: BlobName, _ digest: Digest) throws(StoreError) -> Bool {
        switch name.algorithm {
        case .sha256: return name.hex == digest.hex
        case .sha512:
            var hash = SHA512()
            var offset: off_t = 0
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = buffer.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw StoreError("reading the upload \(path)", errno: errno) }
                if count == 0 { return hash.finish() == name.hex }
                buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
                offset += off_t(count)
            }
        }
    }

    /// Removes the pieces.
    public func cancel() { unlink(path) }
}
