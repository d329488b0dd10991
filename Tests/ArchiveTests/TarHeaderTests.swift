// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import TestSupport
import Testing

/// What TarHeader writes, as we, Python and GNU tar read it.
@Suite struct TarHeaderTests {
    static func path(_ length: Int) -> [UInt8] {
        Array((0..<length).map { $0 % 60 == 59 && $0 < length - 1 ? UInt8(ascii: "/") : UInt8(ascii: "p") })
    }

    private static func entry(
        _ path: String,
        _ kind: TarEntry.Kind = .file,
        _ change: (inout TarEntry) -> Void = { _ in }
    ) -> TarEntry {
        var entry = TarEntry(path: Array(path.utf8), kind: kind)
        entry.mode = 0o644
        change(&entry)
        return entry
    }

    /// Entries of every kind, with all that a ustar header cannot say.
    static var entries: [TarEntry] {
        var all = [99, 100, 101, 255, 256, 257, 1000, 4000]
            .map { length in
                var entry = TarEntry(path: path(length), kind: .file)
                entry.size = 3
                return entry
            }
        all += [
            entry("f") { ($0.mode, $0.uid, $0.gid, $0.mtime, $0.size) = (0o7777, 1, 2, 1_700_000_000, 513) },
            entry("empty"),
            entry("big-owner") { ($0.uid, $0.gid) = (0o7777777 + 1, .max) },
            entry("negative") { $0.mtime = -1 }, entry("ancient") { $0.mtime = -10_000_000_000 },
            entry("late") { $0.mtime = 0o77777777777 + 1 }, entry("last") { $0.mtime = 0o77777777777 },
            entry("d", .directory) { $0.mode = 0o1777 }, entry("d/ü/日本", .directory),
            entry("name with\nnewline and = sign") { $0.size = 1 },
            entry("link", .symlink) { $0.target = Array("../../a b/é".utf8) },
            entry("long link", .symlink) { $0.target = path(300) },
            entry("hard", .hardLink) { $0.target = Array("f".utf8) },
            entry("long hard", .hardLink) { $0.target = path(257) },
            entry("null", .characterDevice) { ($0.major, $0.minor) = (1, 3) },
            entry("sda", .blockDevice) { ($0.major, $0.minor) = (259, 0o7777777) }, entry("pipe", .fifo),
            entry("attributes") {
                $0.attributes = [
                    TarEntry.Attribute(name: Array("security.capability".utf8), value: [1, 0, 0, 2, 0x0A, 0xFF, 0x3D]),
                    TarEntry.Attribute(name: Array("user.empty".utf8), value: []),
                    TarEntry.Attribute(name: Array("user.long".utf8), value: [UInt8](repeating: 0x78, count: 9000)),
                ]
                $0.size = 1
            },
        ]
        for bytes in [[0x66, 0xFF, 0x80], [0xE9], Array("d/".utf8) + [0xC3]] as [[UInt8]] {
            var entry = TarEntry(path: bytes, kind: .file)
            entry.size = 2
            all.append(entry)
        }
        return all
    }

    /// The entry as it is read: folders have a slash at their end.
    private static func asRead(_ entry: TarEntry) -> TarEntry {
        var entry = entry
        if entry.kind == .directory { entry.path.append(UInt8(ascii: "/")) }
        return entry
    }

    @Test func weReadWhatWeWrote() throws {
        let entries = Self.entries

        let found = try read(archive(entries))

        try #require(found.count == entries.count)
        for (number, (entry, content)) in found.enumerated() {
            #expect(entry == Self.asRead(entries[number]), "\(entries[number].name.prefix(40))")
            #expect(content == [UInt8](repeating: UInt8(number), count: Int(entries[number].size)))
        }
    }

    @Test(.enabled(if: Program.named("python3") != nil))
    func pythonReadsWhatWeWrote() throws {
        let entries = Self.entries

        let rows = try PythonTar.list(archive(entries))

        try #require(rows.count == entries.count)
        for (entry, row) in zip(entries, rows) { #expect(row == PythonTar.Row(entry), "\(entry.name.prefix(40))") }
    }

    @Test(.enabled(if: Program.named("tar") != nil))
    func gnuTarReadsWhatWeWrote() throws {
        let file = try ScratchFile(archive(Self.entries))
        let tar = try #require(Program.named("tar"))

        let list = try Program.run(
            ["--quoting-style=escape", "-tf", file.url.path],
            of: tar,
            environment: ["LC_ALL": "C"]
        )

        #expect(list.status == 0)
        #expect(list.errors == "")
        let names = list.output.split(separator: "\n")
        #expect(names.count == Self.entries.count)
        #expect(names.contains("f\\377\\200") && names.contains("name with\\nnewline and = sign"))
        #expect(names.contains("d/\\303\\274/\\346\\227\\245\\346\\234\\254/"))
    }

    @Test(arguments: [0o77777777777, 0o77777777777 + 1, 1 << 40, Int64.max - 511] as [Int64])
    func anySizeFits(size: Int64) throws {
        let entry = Self.entry("huge") { $0.size = size }

        let file = try ScratchFile(TarHeader.bytes(entry))
        let reader = try ArchiveReader(descriptor: file.descriptor, name: "test.tar", tarOnly: true)

        #expect(try reader.next() == entry)
        if Program.named("python3") != nil {
            #expect(try PythonTar.list(TarHeader.bytes(entry)) == [PythonTar.Row(entry)])
        }
    }

    /// The length of a pax record counts its own digits.
    @Test(arguments: Array(80...110) + Array(980...1010))
    func recordsOfAnyLength(length: Int) throws {
        let name = Array("user.a".utf8)
        let entry = Self.entry("a") {
            $0.attributes = [TarEntry.Attribute(name: name, value: [UInt8](repeating: 0x61, count: length))]
        }
        #expect(try read(archive([entry])).map(\.0) == [entry])
    }

    @Test func theRootHasAName() throws {
        let root = TarEntry(path: [], kind: .directory)
        #expect(try read(archive([root])).map { $0.0.name } == ["./"])
    }

    @Test func onlyFilesHaveContent() throws {
        for kind in [TarEntry.Kind.directory, .symlink, .hardLink, .fifo] {
            let odd = Self.entry("odd", kind) { ($0.size, $0.target) = (5, Array("x".utf8)) }
            #expect(try read(archive([odd, Self.entry("next")])).map { $0.0.name }.last == "next")
        }
    }

    @Test func headersAreWholeBlocksAndTheSameEachTime() {
        for entry in Self.entries {
            #expect(TarHeader.bytes(entry).count % 512 == 0)
            #expect(TarHeader.bytes(entry) == TarHeader.bytes(entry))
        }
        #expect([0, 1, 511, 512, 513].map { TarHeader.padding(after: $0) } == [0, 511, 1, 0, 511])
    }
}
