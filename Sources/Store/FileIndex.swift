// SPDX-License-Identifier: Apache-2.0
public import Glibc

/// The digests of files on disk, so that files that did not change are not read again.
///
/// Like git's index: a file whose size, times and inode are as they were has the content it had. A file that was
/// changed just before it was hashed is not remembered, as a later change could leave its times as they are.
public struct FileIndex: Sendable {
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

        /// The stamp of a file.
        ///
        /// - Parameter status: What the kernel says of it.
        public init(_ status: stat) {
            (inode, size) = (UInt64(status.st_ino), Int64(status.st_size))
            // After the year 2262 this wraps around, which is as good for telling two times apart.
            mtime = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
            ctime = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
        }
    }

    /// A digest as four words: smaller and faster to compare than text.
    public typealias Hash = SIMD4<UInt64>

    private struct Record {
        var stamp: Stamp
        var hash: Hash
    }

    /// Changes with the form of the file.
    private static let mark = Array("coracle-files-3\n".utf8)

    private let path: String
    /// The file as it is, the mark and the records one after the other: there are many, and they are held once.
    private var bytes = mark
    /// Where the record of an inode is in ``bytes``.
    private var places = Places(0)
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
        places = Places((bytes.count - mark.count) / stride)
        for place in Swift.stride(from: mark.count, to: bytes.count, by: stride) { add(UInt32(place)) }
    }

    /// Takes the record at a place into ``places``, instead of one of the same inode.
    private mutating func add(_ place: UInt32) {
        let bytes = bytes
        places.set(place, for: FileIndex.inode(at: place, in: bytes)) { FileIndex.inode(at: $0, in: bytes) }
    }

    private func place(of inode: UInt64) -> UInt32? {
        places.find(inode) { FileIndex.inode(at: $0, in: bytes) }
    }

    /// The inode is the first field of a record.
    private static func inode(at place: UInt32, in bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(place), as: UInt64.self) }
    }

    private func record(at place: Int) -> Record {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Record.self) }
    }

    /// The digest of a file that did not change; `nil` where it must be read.
    ///
    /// - Parameter stamp: The file as it is now.
    public subscript(stamp: Stamp) -> Hash? {
        guard let place = place(of: stamp.inode) else { return nil }
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
        if let place = place(of: record.stamp.inode) {
            bytes.withUnsafeMutableBytes { $0.storeBytes(of: record, toByteOffset: Int(place), as: Record.self) }
        } else {
            // Beyond what a place can say, files are read again.
            guard let place = UInt32(exactly: bytes.count) else { return }
            withUnsafeBytes(of: record) { bytes.append(contentsOf: $0) }
            add(place)
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

/// A hash table from inodes to places of records that hold them.
///
/// A dictionary would hold each inode a second time, and take five times as long to fill, at the begin of every build.
private struct Places {
    /// Places, and 0 where there is none; a power of two of them, never more than half of them in use.
    private var slots: [UInt32]
    private var count = 0

    init(_ expected: Int) {
        var size = 16
        while size < 2 * expected { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
    }

    /// Where the search for an inode begins; inodes that follow each other must not.
    private func start(_ inode: UInt64) -> Int {
        Int((inode &* 0x9E37_79B9_7F4A_7C15) >> 32) & (slots.count - 1)
    }

    func find(_ inode: UInt64, _ held: (UInt32) -> UInt64) -> UInt32? {
        let place = slots[slot(inode, held)]
        return place == 0 ? nil : place
    }

    /// The slot of an inode, or the free one where it belongs.
    private func slot(_ inode: UInt64, _ held: (UInt32) -> UInt64) -> Int {
        var slot = start(inode)
        while slots[slot] != 0, held(slots[slot]) != inode { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    mutating func set(_ place: UInt32, for inode: UInt64, _ held: (UInt32) -> UInt64) {
        let slot = slot(inode, held)
        if slots[slot] == 0 { count += 1 }
        slots[slot] = place
        if 2 * count > slots.count { grow(held) }
    }

    private mutating func grow(_ held: (UInt32) -> UInt64) {
        let old = slots
        slots = [UInt32](repeating: 0, count: 2 * old.count)
        for place in old where place != 0 { slots[slot(held(place), held)] = place }
    }
}
