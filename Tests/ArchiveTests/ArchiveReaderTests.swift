// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import TestSupport
import Testing

/// Archives that others made, and ones that nobody should have.
@Suite struct ArchiveReaderTests {
    private func fault(_ bytes: [UInt8], limit: Int64 = 1 << 40) throws -> String {
        try #require(throws: ArchiveError.self) { _ = try read(bytes, tarOnly: false, limit: limit) }.message
    }

    private static func sample() throws -> [UInt8] {
        var file = TarEntry(path: Array("file".utf8), kind: .file)
        file.size = 5000
        return try archive([file, TarEntry(path: Array("folder".utf8), kind: .directory)])
    }

    @Test func noBytesAreAnArchiveWithoutEntries() throws {
        #expect(try read([]).isEmpty)
        #expect(try read([UInt8](repeating: 0, count: 1024)).isEmpty)
    }

    @Test(arguments: [1, 100, 511, 512, 513, 10_000, 100_000])
    func garbageIsNoArchive(count: Int) throws {
        #expect(try fault(noise(count)).hasSuffix("the archive test.tar: Unrecognized archive format"))
    }

    @Test(arguments: [1, 511, 512, 513, 600, 5000, 5631])
    func aTruncatedArchiveIsAFault(length: Int) throws {
        let bytes = Array(try Self.sample().prefix(length))
        // After the first header alone the content is missing.
        #expect(try fault(bytes).contains("test.tar"))
    }

    @Test(.enabled(if: Program.named("gzip") != nil), arguments: [20, 60, 90])
    func aTruncatedCompressedArchiveIsAFault(length: Int) throws {
        let file = try ScratchFile(try Self.sample())
        _ = try Program.run(["-k", file.url.path], of: try #require(Program.named("gzip")))
        let bytes = [UInt8](try Data(contentsOf: file.url.appendingPathExtension("gz")))
        try #require(bytes.count > length)

        #expect(try read(bytes).count == 2)
        #expect(try fault(Array(bytes.prefix(length))).contains("test.tar"))
    }

    @Test func aDamagedHeaderIsAFault() throws {
        var bytes = try Self.sample()
        bytes[5632 + 10] ^= 0xFF
        #expect(try fault(bytes).hasPrefix("reading the archive test.tar: "))
    }

    @Test func flippedBitsNeverCrash() throws {
        let bytes = try archive(TarHeaderTests.entries)
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var damaged = bytes
            for _ in 0..<4 { damaged[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255) }
            _ = try? read(damaged, tarOnly: false, limit: 1 << 24)
        }
    }

    @Test func whatUnpacksToMoreThanTheLimitIsRefused() throws {
        #expect(
            try fault(Self.sample(), limit: 4999) == "the archive test.tar unpacks to more than 4999 bytes, the limit"
        )
        #expect(try read(Self.sample(), limit: 5000).count == 2)
    }

    @Test func hostileNamesAreHandedOutAsTheyAre() throws {
        let names = ["../../etc/passwd", "/etc/passwd", "a/../../b", "./a", "a//b"]
        let entries = names.map { TarEntry(path: Array($0.utf8), kind: .file) }
        #expect(try read(archive(entries)).map { $0.0.name } == names)
    }

    @Test(
        .enabled(if: Program.named("python3") != nil),
        arguments: [
            ("zip", "import zipfile; z = zipfile.ZipFile(p, 'w'); z.writestr('a/b', 'hello'); z.close()"),
            (
                "cpio",
                """
                file = open(p, 'wb')
                for name, mode, text in (('a/b', 0o100644, b'hello'), ('TRAILER!!!', 0, b'')):
                    numbers = [0, mode, 0, 0, 1, 0, len(text), 0, 0, 0, 0, len(name) + 1, 0]
                    head = b'070701' + b''.join(b'%08x' % number for number in numbers) + name.encode() + b'\\0'
                    file.write(head + bytes(-len(head) % 4) + text + bytes(-len(text) % 4))
                file.close()
                """
            ),
            (
                "ar",
                #"open(p, 'w').write('!<arch>\n' + '%-16s%-12d%-6d%-6d%-8o%-10d`\n' % ('#1/3', 0, 0, 0, 0o644, 8) + 'a/bhello')"#
            ),
            ("gnu", "import tarfile, io; t = tarfile.open(p, 'w:bz2', format=tarfile.GNU_FORMAT); a()"),
            ("pax", "import tarfile, io; t = tarfile.open(p, 'w:xz', format=tarfile.PAX_FORMAT); a()"),
        ]
    )
    func archivesOfOthers(name: String, script: String) throws {
        let folder = try TemporaryFolder()
        let path = folder.url.appending(path: name).path
        let head = """
            import sys; p = sys.argv[1]
            def a():
                e = tarfile.TarInfo('a/b'); e.size = 5
                t.addfile(e, io.BytesIO(b'hello')); t.close()

            """
        let made = try Program.run(["-c", head + script, path], of: try #require(Program.named("python3")))
        try #require(made.status == 0, "\(made.errors)")
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))

        let found = try read(bytes, tarOnly: false)

        #expect(found.map { $0.0.name } == ["a/b"])
        #expect(found.map(\.1) == [Array("hello".utf8)])
        if !["gnu", "pax"].contains(name) { #expect(throws: ArchiveError.self) { _ = try read(bytes, tarOnly: true) } }
    }

    /// An mtree file names files of this machine as its content.
    @Test func aListOfFilesElsewhereIsNoArchive() throws {
        let text = "#mtree\n./secret type=file contents=/etc/passwd\n"
        #expect(try fault(Array(text.utf8)).contains("Unrecognized archive format"))
    }
}
