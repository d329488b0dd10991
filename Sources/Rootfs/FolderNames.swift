// SPDX-License-Identifier: Apache-2.0

/// What the kernel writes of the names in a folder, `.` and `..` left out.
///
/// A record is an inode, a place in the folder, its own length, a kind, and a name that ends with 0 (getdents64(2)).
struct FolderNames: Sequence, IteratorProtocol {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func next() -> (kind: UInt8, name: UnsafeRawBufferPointer)? {
        while place < bytes.count {
            let record = bytes[place..<(place + Int(bytes.loadUnaligned(fromByteOffset: place + 16, as: UInt16.self)))]
            place = record.endIndex
            let start = record.startIndex + 19
            // The name ends in the last 8 bytes, to which records are aligned.
            var end = Swift.max(record.endIndex - 8, start)
            while end < record.endIndex, bytes[end] != 0 { end += 1 }
            let name = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            if name.count <= 2, name.allSatisfy({ $0 == UInt8(ascii: ".") }) { continue }
            return (bytes[start - 1], name)
        }
        return nil
    }
}
