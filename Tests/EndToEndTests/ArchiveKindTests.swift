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
