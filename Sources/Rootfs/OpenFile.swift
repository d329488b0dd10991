// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Store

/// An open file or folder, closed with the last reference to it.
final class OpenFile {
    let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    var isOpen: Bool { descriptor >= 0 }

    /// Uses the descriptor of a file that nothing else refers to, which would be closed before.
    func with<Result>(_ body: (Int32) throws -> Result) rethrows -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(descriptor)
    }

    /// The names in a folder, in no order.
    func names() throws -> [[UInt8]] {
        // A folder that is read from has a position, which must be its own.
        let own = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard own >= 0, let folder = fdopendir(own) else {
            let code = errno
            if own >= 0 { close(own) }
            throw StoreError("reading a folder", errno: code)
        }
        defer { closedir(folder) }
        var names: [[UInt8]] = []
        errno = 0
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in Array(bytes.prefix { $0 != 0 }) }
            if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw StoreError("reading a folder", errno: errno) }
        return names
    }

    /// Copies all content of a file to another, which is empty; shares blocks where the file system can.
    func copyContent(to other: OpenFile, size: Int64) throws {
        // FICLONE, of linux/fs.h.
        if ioctl(other.descriptor, 0x4004_9409, descriptor) == 0 { return }
        var left = Int(size)
        while left > 0 {
            let count = clinux_copy_range(descriptor, other.descriptor, left)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP {
                return try copyBytes(to: other)
            }
            guard count >= 0 else { throw StoreError("copying a file of a layer", errno: errno) }
            if count == 0 { return }
            left -= count
        }
    }

    private func copyBytes(to other: OpenFile) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError("copying a file of a layer", errno: errno) }
            if count == 0 { return }
            try other.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Writes bytes where the file stands.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var offset = 0
        while offset < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StoreError("writing a file of a layer", errno: errno) }
            offset += count
        }
    }
}

extension CName {
    /// What a link names.
    func linkTarget(in folder: Int32) throws -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4097)
        let count = with { readlinkat(folder, $0, &buffer, buffer.count) }
        guard count >= 0 else { throw StoreError("reading a link", errno: errno) }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }
}
