// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import TestSupport
import Testing

/// Archives of other kinds than tar, which ADD takes as files unless `--unpack` asks for what is in them.
@Suite(.enabled(if: Program.named("python3") != nil)) struct ArchiveKindTests {
    private let place: BuildPlace

    init() throws {
        place = try BuildPlace()
        // A program, a link and a file without a mode, as made on Windows; none of the times has a zone.
        let script = """
            import sys, zipfile
            with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
                def add(name, mode, text):
                    entry = zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6))
                    entry.external_attr = mode << 16
                    entry.create_system = 3 if mode else 0
                    archive.writestr(entry, text)
                add("app/", 0o40755, "")
                add("app/run", 0o100755, "#!/bin/sh\\n")
                add("app/link", 0o120777, "run")
                add("plain.txt", 0, "plain\\n")
            """
        let file = try place.write("a.zip", "")
        let made = try Program.run(["-c", script, file.path], of: try #require(Program.named("python3")))
        try #require(made.status == 0, "\(made.errors)")
    }

    @Test func aZipIsAFileUnlessItsContentIsAskedFor() throws {
        try place.write(
            "Dockerfile",
            "FROM scratch\nADD a.zip /plain/\nADD --unpack=false a.zip /kept/\nADD --unpack --chown=7:8 a.zip /open\n"
        )

        let files = Dictionary(try place.files().map { ($0.name, $0) }) { $1 }

        #expect(
            files.keys.sorted() == [
                "kept/", "kept/a.zip", "open/", "open/app/", "open/app/link", "open/app/run", "open/plain.txt",
                "plain/",
                "plain/a.zip",
            ]
        )
        #expect(files["open/app/run"]?.mode == 0o755)
        #expect(files["open/app/run"]?.uid == 7)
        #expect(files["open/app/link"]?.target == Array("run".utf8))
        #expect(files["open/plain.txt"]?.size == 6)
        #expect(files["open/plain.txt"]?.mtime == 1_577_934_246)
    }

    @Test func timesWithoutAZoneAreTheSameEverywhere() throws {
        try place.write("Dockerfile", "FROM scratch\nARG TZ\nENV ZONE=$TZ\nADD --unpack a.zip /\n")

        let times = try ["UTC", "EST5"]
            .map { zone in
                let tar = place.root.appending(path: "out.tar")
                let arguments = ["--no-cache", "--build-arg", "TZ", "--output", "type=tar,dest=\(tar.path)"]
                let result = try place.build(arguments, environment: ["TZ": zone])
                try #require(result.status == 0, "\(result.errors)")
                return try BuildPlace.entries(tar).first { $0.name == "plain.txt" }?.mtime
            }
        #expect(times == [1_577_934_246, 1_577_934_246])

        // The zone of the person is still what is asked for by its name.
        let plan = try Program.run(
            ["plan", "--build-arg", "TZ", place.context.path],
            environment: ["TZ": "EST5"]
        )
        #expect(plan.output.contains("ZONE=EST5"), "\(plan.output)\(plan.errors)")
    }

    /// The content of a file with two names comes with the last of them in a cpio archive.
    @Test func namesOfOneFileInACpioArchiveHaveItsContent() throws {
        var bytes: [UInt8] = []
        func add(_ name: String, _ text: String, inode: Int, links: Int, mode: Int = 0o100644) {
            func pad() { while bytes.count % 4 != 0 { bytes.append(0) } }
            let numbers = [inode, mode, 0, 0, links, 0, text.utf8.count, 0, 0, 0, 0, name.utf8.count + 1, 0]
            bytes += Array("070701".utf8)
            for number in numbers {
                let digits = String(number, radix: 16)
                bytes += Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
            }
            bytes += Array(name.utf8) + [0]
            pad()
            bytes += Array(text.utf8)
            pad()
        }
        add("a", "", inode: 7, links: 2)
        add("b", "content", inode: 7, links: 2)
        add("TRAILER!!!", "", inode: 0, links: 1, mode: 0)
        try Data(bytes).write(to: place.context.appending(path: "a.cpio"))
        try place.write("Dockerfile", "FROM scratch\nADD --unpack a.cpio /\n")

        let files = Dictionary(try place.files().map { ($0.name, $0) }) { $1 }

        #expect(files["a"]?.size == 7)
        #expect(files["b"]?.kind == .hardLink && files["b"]?.target == Array("a".utf8))
    }

    @Test func anArchiveThatIsKnownAndCannotBeReadIsAnErrorWhereItIsToBeUnpacked() throws {
        // As encrypted: of the kind 7z only the first bytes are needed to know it.
        let head: [UInt8] = [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C, 0, 4]
        try Data(head + [UInt8](repeating: 1, count: 200)).write(to: place.context.appending(path: "a.7z"))
        try place.write("Dockerfile", "FROM scratch\nADD a.7z /plain/\n")
        #expect(try place.files().map(\.name) == ["plain/", "plain/a.7z"])
        try place.write("Dockerfile", "FROM scratch\nADD --unpack a.7z /open/\n")

        let result = try place.build()

        #expect(result.status == 1)
        #expect(result.errors.contains("Dockerfile:2:1: error: reading the archive a.7z: "), "\(result.errors)")
    }

    @Test func aDamagedZipIsAnError() throws {
        let file = place.context.appending(path: "a.zip")
        var bytes = try Data(contentsOf: file)
        let name = try #require(bytes.range(of: Data("app/run".utf8)))
        // In the compressed bytes of the program.
        for offset in 0..<4 { bytes[name.upperBound + offset] ^= 0xff }
        try bytes.write(to: file)
        try place.write("Dockerfile", "FROM scratch\nADD --unpack a.zip /\n")

        let result = try place.build()

        #expect(result.status == 1, "\(result.errors)")
        #expect(result.errors.contains("Dockerfile:2:1: error: reading the archive "), "\(result.errors)")
    }
}
