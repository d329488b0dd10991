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

    /// Changes with the form of the file.
    private static let mark = Array("coracle-files-4\n".utf8)

    /// 64 bytes, as they are on disk.
    private struct Record {
        /// The inode is its first field, and so the record's.
        var stamp: Stamp
        var hash: Hash
    }

    private let path: String
    private let opened = Moment()
    private var saved: SavedRecords?
    private var new = NewRecords(mark: mark)

    /// Reads the index of a folder; one of another form is taken as empty.
    ///
    /// - Parameters:
    ///   - store: Where indexes are kept.
    ///   - folder: Names the folder.
    public init(_ store: ImageStore, folder: String) {
        path = "\(store.root)/files/\(folder)"
        saved = FileIndex.saved(path)
        // The time of an index is when it was of use last.
        if saved != nil { utimensat(AT_FDCWD, path, nil, 0) }
    }

    private static func saved(_ path: String) -> SavedRecords? {
        guard let saved = SavedRecords(path, mark: mark) else { return nil }
        return saved.records.count % MemoryLayout<Record>.stride == 0 ? saved : nil
    }

    /// The digest of a file that did not change; `nil` where it must be read.
    ///
    /// - Parameter stamp: The file as it is now.
    public subscript(stamp: Stamp) -> Hash? {
        let record: Record
        if let place = new.place(of: stamp.inode) {
            record = new.load(at: place, as: Record.self)
        } else if let saved, let place = saved.place(of: stamp.inode, size: MemoryLayout<Record>.stride) {
            record = saved.bytes.loadUnaligned(fromByteOffset: place, as: Record.self)
        } else {
            return nil
        }
        return record.stamp == stamp ? record.hash : nil
    }

    /// Remembers a digest.
    ///
    /// - Parameters:
    ///   - hash: The digest of the content.
    ///   - stamp: The file as it was before it was read.
    public mutating func remember(_ hash: Hash, of stamp: Stamp) {
        guard opened.isWellAfter(stamp) else { return }
        put(Record(stamp: stamp, hash: hash))
    }

    private mutating func put(_ record: Record) {
        if let place = new.place(of: record.stamp.inode) { return new.store(record, at: place) }
        withUnsafeBytes(of: record) { new.add(record.stamp.inode, $0) }
    }

    /// Writes the index where anything was remembered.
    ///
    /// - Throws: ``StoreError`` where it cannot be written.
    public mutating func save() throws(StoreError) {
        guard !new.isEmpty else { return }
        if let saved {
            new.reserve(saved.records.count)
            // What is remembered of a file now is in the place of what was.
            for place in stride(
                from: saved.records.lowerBound,
                to: saved.records.upperBound,
                by: MemoryLayout<Record>.stride
            ) {
                let record = saved.bytes.loadUnaligned(fromByteOffset: place, as: Record.self)
                if new.place(of: record.stamp.inode) == nil { put(record) }
            }
        }
        try new.write(to: path)
        saved = FileIndex.saved(path)
        new = NewRecords(mark: FileIndex.mark)
    }
}

/// When an index was opened: what changed just before may change again, and have the time that it has.
struct Moment: Sendable {
    private let nanoseconds: Int64

    init() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        nanoseconds = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    /// Whether any change from now on gives a file or folder another time.
    func isWellAfter(_ stamp: FileIndex.Stamp) -> Bool {
        // File systems without fractions of a second need two whole ones; others a few ticks of the kernel.
        let isCoarse = stamp.mtime % 1_000_000_000 == 0 && stamp.ctime % 1_000_000_000 == 0
        let margin: Int64 = isCoarse ? 2_000_000_000 : 50_000_000
        return nanoseconds &- max(stamp.mtime, stamp.ctime) > margin
    }
}
