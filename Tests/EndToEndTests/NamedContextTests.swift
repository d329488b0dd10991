// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import TestSupport
import Testing

/// What `--build-context NAME=` takes besides images.
@Suite("Contexts given by name")
struct NamedContextTests {
    private let place: BuildPlace
    private let files: TemporaryFolder

    init() throws {
        place = try BuildPlace("FROM scratch\nCOPY --from=data . /in/\n")
        files = try TemporaryFolder()
    }

    /// An archive with a file and what its ignore file hides.
    private func archive(_ name: String) throws -> URL {
        try files.write("tree/one", "1")
        try files.write("tree/two", "2")
        try files.write("tree/.dockerignore", "two\n")
        let file = files.url.appending(path: name)
        let tar = try #require(Program.named("tar"))
        let made = try Program.run(["-czf", file.path, "-C", files.url.path + "/tree", "."], of: tar)
        try #require(made.status == 0, "\(made.errors)")
        return file
    }

    private func names(_ location: String) throws -> [String] {
        try place.files(["--build-context", "data=\(location)"]).map(\.name)
    }

    @Test("A folder and a tar archive of this machine hold the same files, and their ignore file counts")
    func local() throws {
        let file = try archive("data.tar.gz")

        #expect(try names(files.url.path + "/tree") == ["in/", "in/.dockerignore", "in/one"])
        #expect(try names(file.path) == ["in/", "in/.dockerignore", "in/one"])
        let left = try FileManager.default.contentsOfDirectory(atPath: place.store.path + "/tmp")
        #expect(left.isEmpty, "what was unpacked goes with the build: \(left)")
    }

    @Test("The URL of an archive is unpacked; any other file is called context, with its time")
    func url() async throws {
        _ = try archive("data.tgz")
        let server = try await ServerProcess(
            ["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", files.url.path, "0"],
            readyAt: "Serving HTTP on"
        )
        let port = try #require(server.text.firstMatch(of: /port (\d+)/)?.1)
        let text = try files.write("note.txt", "hello\n")
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1_577_934_245)],
            ofItemAtPath: text.path
        )

        #expect(try names("http://127.0.0.1:\(port)/data.tgz").contains("in/one"))
        let entries = try place.files(["--build-context", "data=http://127.0.0.1:\(port)/note.txt"])
        let entry = try #require(entries.first { $0.name == "in/context" }, "\(entries.map(\.name))")
        #expect(entry.size == 6 && entry.mode == 0o600 && entry.mtime == 1_577_934_245)
        let missing = try place.build(["--build-context", "data=http://127.0.0.1:\(port)/nothing"])
        #expect(missing.status == 4, "\(missing.errors)")
        #expect(
            missing.errors.contains("--build-context data: http://127.0.0.1:\(port)/nothing: "),
            "\(missing.errors)"
        )
    }

    @Test("docker-image://scratch holds nothing")
    func nothing() throws {
        #expect(try names("docker-image://scratch") == ["in/"])
        try place.write("Dockerfile", "FROM data\nCOPY a /a\n")
        try place.write("a", "a")
        #expect(try names("docker-image://scratch") == ["a"])
    }

    @Test("A context that no instruction needs is not fetched")
    func unused() throws {
        let run = try place.build([
            "--build-context", "data=docker-image://scratch", "--build-context", "other=http://127.0.0.1:1/x.tar",
        ])

        #expect(run.status == 0, "\(run.errors)")
    }

    @Test(
        "A location that means nothing is named, with what there is",
        arguments: [
            ("target:base", "--build-context data=target:base: target: is a word of buildx bake"),
            ("s3://bucket/x", "--build-context data: \"s3://\" is not known; expected a folder, a tar archive"),
            ("-", "--build-context data=-: standard input is for the main context"),
            ("/no/such", "--build-context data: /no/such: there is no such folder"),
            ("/proc/self/stat", "--build-context data: /proc/self/stat: is neither a folder nor a tar archive"),
            (
                "https://host/r.git?nosuch=1",
                "--build-context data: \"https://host/r.git?nosuch=1\": a git source has no"
            ),
        ]
    )
    func refused(location: String, message: String) throws {
        let run = try place.build(["--build-context", "data=\(location)"])

        #expect(run.status == 2, "\(run.errors)")
        #expect(run.errors.contains("coracle: error: \(message)"), "\(run.errors)")
    }
}
