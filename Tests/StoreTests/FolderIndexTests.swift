// SPDX-License-Identifier: Apache-2.0
import Foundation
import Store
import TestSupport
import Testing

@Suite struct FolderIndexTests {
    let folder: TemporaryFolder
    let store: ImageStore

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.path)
    }

    /// A folder that was changed so many seconds ago.
    private static func stamp(_ inode: UInt64, age: Double = 60) -> FileIndex.Stamp {
        let time = (Int64((Date().timeIntervalSince1970 - age) * 1000) * 1_000_000) | 1
        return FileIndex.Stamp(inode: inode, size: 4096, mtime: time, ctime: time)
    }

    private func index() -> FolderIndex { FolderIndex(store, folder: "a") }

    private func remember(_ names: [String], _ index: FolderIndex, _ stamp: FileIndex.Stamp) {
        index.remember(names.flatMap { Array($0.utf8) + [0] }, count: names.count, of: stamp)
    }

    private func names(_ index: FolderIndex, _ stamp: FileIndex.Stamp) -> [String]? {
        var names: [String] = []
        let isKnown = index.forEachName(in: stamp, reserve: { #expect($0 <= 100 && $1 <= 1000) }) { name in
            #expect(name.baseAddress?.load(fromByteOffset: name.count, as: UInt8.self) == 0)
            names.append(String(decoding: name, as: UTF8.self))
        }
        #expect(isKnown || names.isEmpty)
        return isKnown ? names : nil
    }

    @Test func whatWasRememberedIsThereTheNextTime() throws {
        let (first, stamps) = (index(), (1...100).map { Self.stamp($0) })
        for (number, stamp) in stamps.enumerated() { remember((0..<number).map { "file \($0)" }, first, stamp) }
        try first.save()
        let second = index()
        for (number, stamp) in stamps.enumerated() {
            #expect(names(second, stamp) == (0..<number).map { "file \($0)" })
        }
        #expect(names(second, Self.stamp(101)) == nil)
        #expect(names(FolderIndex(store, folder: "b"), stamps[0]) == nil)

        let changed = Self.stamp(7, age: 50)
        remember(["new"], second, changed)
        try second.save()

        remember(["later"], second, Self.stamp(200))
        try second.save()

        let third = index()
        #expect(names(third, changed) == ["new"], "what was written in between is kept")
        #expect(names(third, stamps[6]) == nil)
        #expect(names(third, stamps[99])?.count == 99, "what is not remembered anew is kept")
    }

    @Test func aFolderThatChangedIsListedAgain() throws {
        let (index, old) = (index(), Self.stamp(7))
        remember(["x"], index, old)
        try index.save()
        let again = self.index()
        for other in [
            FileIndex.Stamp(inode: 7, size: old.size + 1, mtime: old.mtime, ctime: old.ctime),
            FileIndex.Stamp(inode: 7, size: old.size, mtime: old.mtime + 1, ctime: old.ctime),
            FileIndex.Stamp(inode: 7, size: old.size, mtime: old.mtime, ctime: old.ctime + 1),
        ] { #expect(names(again, other) == nil) }
        #expect(names(again, old) == ["x"])
    }

    @Test(
        "What changes may change again, and have the same time",
        arguments: [(0.0, false), (-3600, false), (10, true)]
    )
    func aFolderThatJustChangedIsNotRemembered(age: Double, isRemembered: Bool) throws {
        let (index, stamp) = (index(), Self.stamp(7, age: age))
        remember(["x"], index, stamp)
        try index.save()
        #expect((names(self.index(), stamp) != nil) == isRemembered)
    }

    @Test("Of a damaged index nothing is taken that is not whole")
    func damage() throws {
        let (first, stamp) = (index(), Self.stamp(7))
        remember(["one", "two"], first, stamp)
        try first.save()
        let path = "\(store.root)/files/a.names"
        let bytes = try #require(try DiskFile.read(path))
        for place in bytes.indices {
            for damaged in [Array(bytes.prefix(place)), bytes.enumerated().map { $0 == place ? ~$1 : $1 }] {
                try DiskFile.write(damaged, to: path, isSynced: false)
                let again = index()
                if let names = names(again, stamp) { #expect(names == ["one", "two"], "the byte at \(place)") }
                remember(["three"], again, stamp)
                try again.save()
                #expect(names(index(), stamp) == ["three"])
            }
        }
    }
}
