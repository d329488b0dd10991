// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// The names in folders on disk, so that folders that did not change are not listed again.
///
/// Whoever adds, removes or renames something in a folder changes the folder's times, as POSIX has it. Whether that holds
/// on a file system is for the caller to know; where it does not, a folder must be listed.
public final class FolderIndex: Sendable {
    /// Changes with the form of the file.
    private static let mark = Array("coracle-names-1\n".utf8)

    /// What comes before the names of a folder, each of which ends with a byte that is 0; then a multiple of 8 is
    /// filled up.
    private struct Head {
        /// The inode is its first field, and so the record's.
        var stamp: FileIndex.Stamp
        /// Names.
        var count: UInt32
        /// Bytes of them, those that end them among these.
        var size: UInt32
        /// Over the bytes of them: a name too few would be missing in an image.
        var check: UInt64

        /// Bytes of the whole record.
        var stride: Int { (MemoryLayout<Head>.size + Int(size) + 7) & ~7 }
    }

    private let path: String
    private let opened = Moment()
    private let saved: SavedRecords?
    /// Records, in pieces: an array that grew to a megabyte would teach the C library to keep what large arrays give back.
    private let new = Mutex<[[UInt8]]>([])
    private static let piece = 64 << 10

    /// Reads the index of a folder and those in it; one of another form is taken as empty.
    ///
    /// - Parameters:
    ///   - store: Where indexes are kept.
    ///   - folder: Names the folder.
    public init(_ store: ImageStore, folder: String) {
        path = "\(store.root)/files/\(folder).names"
        saved = SavedRecords(path, mark: FolderIndex.mark)
        // The time of an index is when it was of use last.
        if saved != nil { utimensat(AT_FDCWD, path, nil, 0) }
    }

    /// Goes through the names in a folder that did not change.
    ///
    /// - Parameters:
    ///   - stamp: The folder as it is now.
    ///   - reserve: Is told how many names there are, and their bytes together.
    ///   - body: Is given each name; a byte that is 0 comes after it.
    /// - Returns: Whether the names are known; where not, the folder must be listed.
    public func forEachName(
        in stamp: FileIndex.Stamp,
        reserve: (Int, Int) -> Void,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) rethrows -> Bool {
        guard let saved, let place = saved.place(of: stamp.inode, size: MemoryLayout<Head>.size),
            let head = FolderIndex.head(at: place, of: saved.bytes), head.stamp == stamp
        else { return false }
        var rest = saved.bytes[(place + MemoryLayout<Head>.size)...].prefix(Int(head.size))
        guard FolderIndex.check(rest) == head.check else { return false }
        reserve(Int(head.count), Int(head.size))
        while let end = rest.firstIndex(of: 0) {
            try body(UnsafeRawBufferPointer(rebasing: rest[..<end]))
            rest = rest[(end + 1)...]
        }
        return true
    }

    /// The head of the record at a place; `nil` where no whole record is there.
    private static func head(at place: Int, of records: UnsafeRawBufferPointer) -> Head? {
        guard place + MemoryLayout<Head>.size <= records.count else { return nil }
        let head = records.loadUnaligned(fromByteOffset: place, as: Head.self)
        // A name has two bytes at least.
        guard 2 * Int(head.count) <= Int(head.size) else { return nil }
        return place + head.stride <= records.count ? head : nil
    }

    /// A number that other names have most likely not (FNV-1a).
    private static func check(_ names: Slice<UnsafeRawBufferPointer>) -> UInt64 {
        names.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }

    /// Remembers what is in a folder.
    ///
    /// - Parameters:
    ///   - names: The names, each with a byte that is 0 after it.
    ///   - count: How many.
    ///   - stamp: The folder as it was before it was listed.
    public func remember(_ names: [UInt8], count: Int, of stamp: FileIndex.Stamp) {
        guard opened.isWellAfter(stamp), let size = UInt32(exactly: names.count), let count = UInt32(exactly: count)
        else { return }
        let check = names.withUnsafeBytes { FolderIndex.check($0[...]) }
        let head = Head(stamp: stamp, count: count, size: size, check: check)
        var record = withUnsafeBytes(of: head) { Array($0) } + names
        record += repeatElement(0, count: head.stride - record.count)
        new.withLock { new in
            if new.last.map({ $0.count + record.count > FolderIndex.piece }) ?? true {
                new.append([])
                new[new.count - 1].reserveCapacity(max(FolderIndex.piece, record.count))
            }
            new[new.count - 1] += record
        }
    }

    /// Writes the index where anything was remembered.
    ///
    /// - Throws: ``StoreError`` where it cannot be written.
    public func save() throws(StoreError) {
        var pieces = new.withLock { new in
            defer { new = [] }
            return new
        }
        guard !pieces.isEmpty else { return }
        // Others may have written meanwhile.
        let saved = SavedRecords(path, mark: FolderIndex.mark)
        var all = NewRecords(mark: FolderIndex.mark)
        all.reserve(pieces.reduce(saved?.records.count ?? 0) { $0 + $1.count })
        while let piece = pieces.popLast() {
            piece.withUnsafeBytes { FolderIndex.add($0, to: &all) }
        }
        if let saved { FolderIndex.add(UnsafeRawBufferPointer(rebasing: saved.bytes[saved.records]), to: &all) }
        try all.write(to: path)
    }

    /// Adds records of folders that there is none of: what is remembered now is in the place of what was.
    private static func add(_ records: UnsafeRawBufferPointer, to all: inout NewRecords) {
        var place = 0
        while let head = head(at: place, of: records) {
            let record = UnsafeRawBufferPointer(rebasing: records[place..<(place + head.stride)])
            if all.place(of: head.stamp.inode) == nil { all.add(head.stamp.inode, record) }
            place += head.stride
        }
    }
}
