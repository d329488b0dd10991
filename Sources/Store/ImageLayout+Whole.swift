// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
public import OCI

extension ImageLayout {
    /// Whether a blob is there, and its bytes have its digest: all of it is read.
    ///
    /// A file that cannot be read counts as one that is not whole.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: Whether it is.
    public func isWhole(_ blob: Descriptor) -> Bool {
        let file = open(path(of: blob.digest), O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, Int64(status.st_size) == blob.size else { return false }
        let sink = HashingSink()
        guard (try? sink.copy(descriptor: file, size: blob.size, name: "")) != nil else { return false }
        return Digest(sha256: sink.hash.finish()) == blob.digest
    }

    /// Takes bytes that only their digest is wanted of.
    private final class HashingSink: ByteSink {
        var hash = SHA256()

        func write(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }
    }
}

extension ImageStore {
    /// Whether a blob is there, and its bytes have its digest: all of it is read.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: Whether it is.
    public func isWhole(_ blob: Descriptor) -> Bool { layout.isWhole(blob) }
}
