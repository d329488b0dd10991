// SPDX-License-Identifier: Apache-2.0
import Foundation
import Store
import TestSupport
import Testing

@Suite struct FileIndexTests {
    let folder: TemporaryFolder
    let store: ImageStore

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.path)
    }

    private static let hash = FileIndex.Hash(1, 2, 3, .max)

    /// A file that was changed so many seconds ago.
    private func stamp(age: Double, inode: UInt64 = 7, size: Int64 = 10) -> FileIndex.Stamp {
        // Not a whole second: that would be a file system without fractions.
        let time = (Int64((Date().timeIntervalSince1970 - age) * 1000) * 1_000_000) | 1
        return FileIndex.Stamp(inode: inode, size: size, mtime: time, ctime: time)
    }

    @Test func whatWasRememberedIsThereTheNextTime() throws {
        var index = FileIndex(store, folder: "a")
        let stamps = (1...100).map { stamp(age: 60, inode: $0) }
        for (number, stamp) in stamps.enumerated() {
            index.remember(FileIndex.Hash(repeating: UInt64(number)), of: stamp)
        }
        try index.save()

        let again = FileIndex(store, folder: "a")

        for (number, stamp) in stamps.enumerated() {
            #expect(again[stamp] == FileIndex.Hash(repeating: UInt64(number)))
        }
        #expect(FileIndex(store, folder: "b")[stamps[0]] == nil)
    }

    @Test(
        "Inodes far apart and close together are told apart, and a file has one record",
        arguments: [1, 3, 1 << 20, 1 << 33]
    )
    func manyInodes(apart: UInt64) throws {
        var index = FileIndex(store, folder: "a")
        let (old, new) = (
            (1...3000).map { stamp(age: 60, inode: $0 * apart) }, (1...3000).map { stamp(age: 50, inode: $0 * apart) }
        )
        for stamp in old { index.remember(Self.hash, of: stamp) }
        for (number, stamp) in new.enumerated() { index.remember(FileIndex.Hash(repeating: UInt64(number)), of: stamp) }
        try index.save()

        for index in [index, FileIndex(store, folder: "a")] {
            for (number, stamp) in new.enumerated() {
                #expect(index[stamp] == FileIndex.Hash(repeating: UInt64(number)))
            }
            #expect(old.allSatisfy { index[$0] == nil })
            #expect(index[stamp(age: 50, inode: 3001 * apart)] == nil)
        }
    }

    @Test func aChangedFileIsReadAgain() throws {
        var index = FileIndex(store, folder: "a")
        let stamp = stamp(age: 60)
        index.remember(Self.hash, of: stamp)

        #expect(index[stamp] == Self.hash)
        let (inode, size, mtime, ctime) = (stamp.inode, stamp.size, stamp.mtime, stamp.ctime)
        for other in [
            FileIndex.Stamp(inode: inode + 1, size: size, mtime: mtime, ctime: ctime),
            FileIndex.Stamp(inode: inode, size: size + 1, mtime: mtime, ctime: ctime),
            FileIndex.Stamp(inode: inode, size: size, mtime: mtime + 1, ctime: ctime),
            FileIndex.Stamp(inode: inode, size: size, mtime: mtime, ctime: ctime + 1),
        ] { #expect(index[other] == nil) }
    }

    @Test(arguments: [(0.0, false), (-3600, false), (10, true)])
    func aFileThatWasJustChangedIsNotRemembered(age: Double, isRemembered: Bool) {
        var index = FileIndex(store, folder: "a")
        let stamp = stamp(age: age)
        index.remember(Self.hash, of: stamp)
        #expect((index[stamp] != nil) == isRemembered)
    }

    @Test func wholeSecondsNeedAWholeSecondMore() {
        var index = FileIndex(store, folder: "a")
        let second: Int64 = 1_000_000_000
        let now = Int64(Date().timeIntervalSince1970)
        let (young, old) = ((now - 1) * second, (now - 10) * second)
        for time in [young, old] {
            index.remember(Self.hash, of: FileIndex.Stamp(inode: UInt64(time), size: 1, mtime: time, ctime: time))
        }
        #expect(index[FileIndex.Stamp(inode: UInt64(young), size: 1, mtime: young, ctime: young)] == nil)
        #expect(index[FileIndex.Stamp(inode: UInt64(old), size: 1, mtime: old, ctime: old)] == Self.hash)
    }

    @Test(arguments: [0, 1, 10, 15, 16, 17, 64, 100, 128, 151])
    func aDamagedIndexIsEmpty(length: Int) throws {
        let stamp = stamp(age: 60)
        var index = FileIndex(store, folder: "a")
        index.remember(Self.hash, of: stamp)
        try index.save()
        let path = "\(store.root)/files/a"
        let bytes = try #require(try DiskFile.read(path))
        let damaged = length < bytes.count ? Array(bytes.prefix(length)) : [UInt8](repeating: 0xAA, count: length)
        try DiskFile.write(damaged, to: path, isSynced: false)

        var again = FileIndex(store, folder: "a")

        #expect(again[stamp] == nil)
        again.remember(Self.hash, of: stamp)
        try again.save()
        #expect(FileIndex(store, folder: "a")[stamp] == Self.hash)
    }

    @Test("A search in a damaged table ends", arguments: [0x00, 0x01, 0x50, 0xFF])
    func damagedTable(byte: UInt8) throws {
        var index = FileIndex(store, folder: "a")
        for inode in 1...3 { index.remember(Self.hash, of: stamp(age: 60, inode: UInt64(inode))) }
        try index.save()
        let path = "\(store.root)/files/a"
        var bytes = try #require(try DiskFile.read(path))
        for place in (16 + 3 * 64)..<(bytes.count - 8) { bytes[place] = place % 4 == 0 ? byte : 0 }
        try DiskFile.write(bytes, to: path, isSynced: false)

        #expect(FileIndex(store, folder: "a")[stamp(age: 60, inode: 4)] == nil)
    }

    @Test func readingAnIndexIsUsingIt() throws {
        var index = FileIndex(store, folder: "a")
        index.remember(Self.hash, of: stamp(age: 60))
        try index.save()
        let path = "\(store.root)/files/a"
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 5)], ofItemAtPath: path)

        _ = FileIndex(store, folder: "a")

        let date = try #require(FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date)
        #expect(date.timeIntervalSince1970 > 1_000_000_000)
    }
}
