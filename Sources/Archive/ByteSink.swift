// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A place that bytes go to, in order.
public protocol ByteSink: AnyObject {
    /// Takes bytes.
    ///
    /// - Parameter bytes: May be empty; not kept after the call.
    /// - Throws: ``ArchiveError`` where they cannot be written.
    func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError)
}

extension ByteSink {
    /// Takes bytes.
    ///
    /// - Parameter bytes: May be empty.
    /// - Throws: ``ArchiveError`` where they cannot be written.
    public func write(_ bytes: [UInt8]) throws(ArchiveError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(ArchiveError) in try write(UnsafeRawBufferPointer(buffer)) }
    }

    /// Takes zeros.
    ///
    /// - Parameter count: How many.
    /// - Throws: ``ArchiveError`` where they cannot be written.
    public func writeZeros(_ count: Int) throws(ArchiveError) {
        if count > 0 { try write([UInt8](repeating: 0, count: count)) }
    }

    /// Takes the next bytes of a file, exactly so many; what follows them is not looked at.
    ///
    /// - Parameters:
    ///   - descriptor: An open file.
    ///   - size: How many bytes the file must still have.
    ///   - name: The file's name for messages.
    /// - Throws: ``ArchiveError`` where the file is shorter, as it was changed meanwhile.
    public func copy(descriptor: Int32, size: Int64, name: @autoclosure () -> String) throws(ArchiveError) {
        var left = size
        // Most files are small, and memory for a large one is got from the kernel and given back each time.
        let room = min(256 << 10, max(1, Int(clamping: size)))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 16)
        defer { buffer.deallocate() }
        while left > 0 {
            let count = Glibc.read(descriptor, buffer.baseAddress, min(buffer.count, Int(clamping: left)))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                if count < 0 { throw ArchiveError("reading \(name())", errno: errno) }
                throw ArchiveError("\(name()) became shorter while it was read: \(left) of \(size) bytes are missing")
            }
            try write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            left -= Int64(count)
        }
    }
}

/// An open file, written without anything in between.
public final class FileSink: ByteSink {
    private let descriptor: Int32
    private let name: String

    /// Writes to an open file, which stays open.
    ///
    /// - Parameters:
    ///   - descriptor: The file.
    ///   - name: Its name for messages.
    public init(descriptor: Int32, name: String) {
        (self.descriptor, self.name) = (descriptor, name)
    }

    /// Writes bytes to the file.
    ///
    /// - Parameter bytes: May be empty.
    /// - Throws: ``ArchiveError`` where the disk is full or broken.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        var offset = 0
        while offset < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ArchiveError("writing \(name)", errno: errno) }
            offset += count
        }
    }
}

/// Writes entries one after the other.
public struct TarWriter {
    private let sink: any ByteSink

    /// Writes to a place.
    ///
    /// - Parameter sink: Takes the bytes.
    public init(_ sink: any ByteSink) {
        self.sink = sink
    }

    /// Writes an entry and its content.
    ///
    /// - Parameters:
    ///   - entry: The entry; of a file, `size` says how much content there is.
    ///   - content: Writes exactly as many bytes to the place.
    /// - Throws: ``ArchiveError`` of the place and of the content.
    public func write(
        _ entry: TarEntry,
        content: ((any ByteSink) throws(ArchiveError) -> Void)? = nil
    ) throws(ArchiveError) {
        try sink.write(TarHeader.bytes(entry))
        guard entry.kind == .file, entry.size > 0 else { return }
        try content?(sink)
        try sink.writeZeros(TarHeader.padding(after: entry.size))
    }

    /// Writes the end of the archive.
    ///
    /// - Throws: ``ArchiveError`` of the place.
    public func finish() throws(ArchiveError) {
        try sink.writeZeros(1024)
    }
}
