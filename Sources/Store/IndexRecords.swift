// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The records of an index as they are on disk: a mark, the records, the table of their places.
///
/// To make the table anew would take as long as what else a build does by itself that changes nothing.
// SAFETY: nobody writes to the bytes once they are read.
final class SavedRecords: @unchecked Sendable {
    private let file: UnsafeRawBufferPointer
    private let slots: Int
    /// The file up to the end of the records, to which places are counted.
    let bytes: UnsafeRawBufferPointer
    /// Where the records are in it.
    let records: Range<Int>

    /// Reads a file; `nil` where there is none, or one of another form.
    init?(_ path: String, mark: [UInt8]) {
        guard let file = SavedRecords.read(path) else { return nil }
        let slots = file.loadUnaligned(fromByteOffset: file.count - InodePlaces.tail, as: UInt64.self)
        guard file.starts(with: mark), slots.nonzeroBitCount == 1, slots <= UInt64(file.count) / 4,
            file.count - InodePlaces.tail - 4 * Int(slots) >= mark.count
        else {
            file.deallocate()
            return nil
        }
        (self.file, self.slots) = (file, Int(slots))
        bytes = UnsafeRawBufferPointer(rebasing: file[..<(file.count - InodePlaces.tail - 4 * Int(slots))])
        records = mark.count..<bytes.count
    }

    deinit { file.deallocate() }

    /// The bytes of a file, which the caller gives back.
    ///
    /// They are not mapped: a file on a network could be gone where it is looked at.
    private static func read(_ path: String) -> UnsafeRawBufferPointer? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        // One that has grown for years is not worth its place.
        guard fstat(descriptor, &status) == 0, status.st_size > InodePlaces.tail, status.st_size <= 1 << 30 else {
            return nil
        }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(status.st_size), alignment: 8)
        var count = 0
        while count < bytes.count {
            let more = Glibc.read(descriptor, bytes.baseAddress?.advanced(by: count), bytes.count - count)
            if more < 0, errno == EINTR { continue }
            guard more > 0 else {
                bytes.deallocate()
                return nil
            }
            count += more
        }
        return UnsafeRawBufferPointer(bytes)
    }

    /// Where the record of an inode is, which has so many bytes at least; `nil` where there is none.
    func place(of inode: UInt64, size: Int) -> Int? {
        var slot = InodePlaces.start(inode, slots)
        // In a damaged table there may be no end; in any other it is near.
        for _ in 0..<min(slots, 1024) {
            let place = Int(file.loadUnaligned(fromByteOffset: records.upperBound + 4 * slot, as: UInt32.self))
            guard place >= records.lowerBound, place <= records.upperBound - size else { return nil }
            if bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self) == inode { return place }
            slot = (slot + 1) & (slots - 1)
        }
        return nil
    }
}

/// Records that are new, in the form that they will have on disk: an inode is the first field of each.
struct NewRecords: Sendable {
    /// The mark and the records one after the other: there are many, and they are held once.
    private(set) var bytes: [UInt8]
    private var places = InodePlaces()
    private let mark: Int

    init(mark: [UInt8]) { (bytes, self.mark) = (mark, mark.count) }

    var isEmpty: Bool { bytes.count == mark }

    /// Makes room for so many bytes more: arrays that grow are there twice for a while.
    mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    func place(of inode: UInt64) -> Int? {
        if isEmpty { return nil }
        return
            places.find(inode) { place in
                bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(place), as: UInt64.self) }
            }
            .map { Int($0) }
    }

    func load<Record>(at place: Int, as type: Record.Type) -> Record {
        bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: type) }
    }

    mutating func store<Record>(_ record: Record, at place: Int) {
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: record, toByteOffset: place, as: Record.self) }
    }

    /// Adds a record, instead of one of the same inode.
    mutating func add(_ inode: UInt64, _ record: UnsafeRawBufferPointer) {
        // Beyond what a place can say, files are looked at again.
        guard let place = UInt32(exactly: bytes.count) else { return }
        bytes.append(contentsOf: record)
        let held = bytes
        places.set(place, for: inode) { place in
            held.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(place), as: UInt64.self) }
        }
    }

    /// Writes the file that ``SavedRecords`` reads.
    func write(to path: String) throws(StoreError) {
        try DiskFile.write(parts: [bytes, places.bytes], to: path, isSynced: false)
    }
}

/// A hash table from inodes to places of records that hold them.
///
/// A dictionary would hold each inode a second time, and take five times as long to fill.
struct InodePlaces: Sendable {
    /// Bytes after the slots on disk: their number.
    static let tail = 8

    /// Places, and 0 where there is none; a power of two of them, never more than half of them in use.
    private var slots = [UInt32](repeating: 0, count: 16)
    private var count = 0

    /// Where the search for an inode begins among so many slots; inodes that follow each other must not.
    static func start(_ inode: UInt64, _ slots: Int) -> Int {
        Int((inode &* 0x9E37_79B9_7F4A_7C15) >> 32) & (slots - 1)
    }

    /// The table as it is on disk.
    var bytes: [UInt8] {
        slots.withUnsafeBytes { Array($0) } + withUnsafeBytes(of: UInt64(slots.count)) { Array($0) }
    }

    func find(_ inode: UInt64, _ held: (UInt32) -> UInt64) -> UInt32? {
        let place = slots[slot(inode, held)]
        return place == 0 ? nil : place
    }

    /// The slot of an inode, or the free one where it belongs.
    private func slot(_ inode: UInt64, _ held: (UInt32) -> UInt64) -> Int {
        var slot = InodePlaces.start(inode, slots.count)
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
