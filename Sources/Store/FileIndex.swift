// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The digests of files on disk, so that files that did not change are not read again.
///
/// Like git's index: a file whose size, times and inode are as they were has the content it had. A file that was
/// changed just before it was hashed is not remembered, as a later change could leave its times as they are.
public struct FileIndex {
    /// What identifies a file's content without reading it.
    public struct Stamp: Hashable, Sendable {
        /// The inode's number.
        public let inode: UInt64
        /// Bytes.
        public let size: Int64
        /// Nanoseconds since 1970 of the last change of content.
        public let mtime: Int64
        /// Nanoseconds since 1970 of the last change of content or attributes.
        public let ctime: Int64

        /// Creates a stamp.
        ///
        /// - Parameters:
        ///   - inode: The inode's number.
        ///   - size: Bytes.
        ///   - mtime: Nanoseconds since 1970.
        ///   - ctime: Nanoseconds since 1970.
        public init(inode: UInt64, size: Int64, mtime: Int64, ctime: Int64) {
            (self.inode, self.size, self.mtime, self.ctime) = (inode, size, mtime, ctime)
        }
    }

    /// A digest as four words: smaller and faster to compare than text.
    public typealias Hash = SIMD4<UInt64>

    private struct Record {
        var stamp: Stamp
        var hash: Hash
    }

    /// Changes with the form of the file.
    private static let mark = Array("coracle-files-2\n".utf8)

    private let path: String
    /// The file as it is, the mark and the records one after the other: there are many, and they are held once.
    private var bytes = mark
    /// Where the record of an inode is in ``bytes``.
    private var places: [UInt64: UInt32] = [:]
    private var isChanged = false

    /// Reads the index of a folder; a damaged one is taken as empty.
    ///
    /// - Parameters:
    ///   - store: Where indexes are kept.
    ///   - folder: Names the folder.
    public init(_ store: ImageStore, folder: String) {
        path = "\(store.root)/files/\(folder)"
        let (mark, stride) = (FileIndex.mark, MemoryLayout<Record>.stride)
        guard let bytes = try? DiskFile.read(path), bytes.starts(with: mark),
            (bytes.count - mark.count) % stride == 0, UInt32(exactly: bytes.count) != nil
        else { return }
        // The time of an index is when it was of use last.
        utimensat(AT_FDCWD, path, nil, 0)
        self.bytes = bytes
        places.reserveCapacity((bytes.count - mark.count) / stride)
        for place in Swift.stride(from: mark.count, to: bytes.count, by: stride) {
            places[record(at: place).stamp.inode] = UInt32(place)
        }
    }

    private func record(at place: Int) -> Record {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Record.self) }
    }

    /// The digest of a file that did not change; `nil` where it must be read.
    ///
    /// - Parameter stamp: The file as it is now.
    public subscript(stamp: Stamp) -> Hash? {
        guard let place = places[stamp.inode] else { return nil }
        let record = record(at: Int(place))
        return record.stamp == stamp ? record.hash : nil
    }

    /// Remembers a digest.
    ///
    /// - Parameters:
    ///   - hash: The SHA-256 of the content.
    ///   - stamp: The file as it was before it was read.
    public mutating func remember(_ hash: Hash, of stamp: Stamp) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let time = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
        // File systems without fractions of a second need two whole ones; others a few ticks of the kernel.
        let isCoarse = stamp.mtime % 1_000_000_000 == 0 && stamp.ctime % 1_000_000_000 == 0
        let margin: Int64 = isCoarse ? 2_000_000_000 : 50_000_000
        guard time &- max(stamp.mtime, stamp.ctime) > margin else { return }
        put(Record(stamp: stamp, hash: hash))
    }

    private mutating func put(_ record: Record) {
        if let place = places[record.stamp.inode] {
            bytes.withUnsafeMutableBytes { $0.storeBytes(of: record, toByteOffset: Int(place), as: Record.self) }
        } else {
            // Beyond what a place can say, files are read again.
            guard let place = UInt32(exactly: bytes.count) else { return }
            places[record.stamp.inode] = place
            withUnsafeBytes(of: record) { bytes.append(contentsOf: $0) }
        }
        isChanged = true
    }

    /// Writes the index where anything was remembered.
    ///
    /// - Throws: ``StoreError`` where it cannot be written.
    public mutating func save() throws(StoreError) {
        guard isChanged else { return }
        try DiskFile.write(bytes, to: path, isSynced: false)
        isChanged = false
    }
}
