// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Store
import TestSupport
import Testing

/// The step cache in registries, and layers that stay where they are.
@Suite(.enabled(if: Witnesses.areInstalled, "docker-registry and skopeo are not installed"))
struct RegistryCacheTests {
    let place: BuildPlace

    init() throws {
        place = try BuildPlace()
        try place.write("a.txt", "one\n")
        try place.write("b.txt", "two\n")
    }

    private func build(_ arguments: [String], store: String) throws -> Program {
        try Program.run(
            ["build", "--store", place.root.appending(path: store).path] + arguments + [place.context.path]
        )
    }

    private func blobs(_ store: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: place.root.appending(path: "\(store)/blobs/sha256").path)
    }

    @Test func aCachedBuildThatIsPushedBringsNoLayerHere() async throws {
        let registry = try await TestRegistry()
        let base = "\(registry.host)/base:1"
        try place.write("Dockerfile", "FROM scratch\nCOPY a.txt /base.txt\n")
        try #require(build(["-t", base, "--push"], store: "base").status == 0)
        try place.write(
            "Dockerfile",
            "FROM \(base) AS one\nCOPY a.txt /a\nFROM \(base)\nCOPY --from=one /a /b\nCOPY b.txt /\n"
        )

        let first = try build(
            ["-t", "\(registry.host)/app:1", "--push", "--cache", "\(registry.host)/cache:1"],
            store: "one"
        )
        let again = try build(
            ["-t", "\(registry.host)/app:2", "--push", "--cache", "\(registry.host)/cache:1"],
            store: "two"
        )

        #expect(first.status == 0 && first.errors.contains("kept 3 steps in the cache"), "\(first.errors)")
        #expect(again.status == 0 && again.output == first.output, "\(again.errors)")
        #expect(again.errors.components(separatedBy: "CACHED").count == 4, "\(again.errors)")
        #expect(!again.errors.contains("pulled"), "\(again.errors)")
        // Configuration and manifest of base, image and cache.
        #expect(try blobs("two").count <= 6)
    }

    @Test(.enabled(if: ShellBase.program != nil, "no busybox"))
    func aCachedBuildWithCommandsBringsALayerHereWhenOneIsRun() async throws {
        let registry = try await TestRegistry()
        let base = "\(registry.host)/base:1"
        try place.write("Dockerfile", "FROM busybox\n")
        try #require(build(["-t", base, "--push"] + ShellBase.flags, store: "base").status == 0)
        let file = "FROM \(base)\nRUN echo made > /made\nCOPY b.txt /\n"
        try place.write("Dockerfile", file)
        let flags = ["--push", "--cache", "\(registry.host)/cache:1"]

        let first = try build(["-t", "\(registry.host)/app:1"] + flags, store: "one")
        let again = try build(["-t", "\(registry.host)/app:2"] + flags, store: "two")
        try place.write("Dockerfile", file + "RUN cat /made /b.txt > /all && test -s /all\n")
        let more = try build(["-t", "\(registry.host)/app:3"] + flags, store: "two")

        #expect(first.status == 0 && first.errors.contains("pulled"), "\(first.errors)")
        #expect(again.status == 0 && again.output == first.output, "\(again.errors)")
        #expect(again.errors.components(separatedBy: "CACHED").count == 3, "\(again.errors)")
        #expect(!again.errors.contains("pulled"), "\(again.errors)")
        #expect(more.status == 0 && more.errors.contains("pulled"), "\(more.errors)")
        #expect(more.errors.components(separatedBy: "CACHED").count == 3, "\(more.errors)")
    }

    @Test func anImageWhoseBaseIsElsewhereIsPushedToAnotherRegistry() async throws {
        let (registry, other) = (try await TestRegistry(), try await TestRegistry())
        let base = "\(registry.host)/base:1"
        try place.write("Dockerfile", "FROM scratch\nCOPY a.txt /base.txt\n")
        try #require(build(["-t", base, "--push"], store: "base").status == 0)
        try place.write("Dockerfile", "FROM \(base)\nCOPY --link b.txt /\n")

        let built = try build(["-t", "\(other.host)/app:1", "--push"], store: "one")

        #expect(built.status == 0, "\(built.errors)")
        let target = place.root.appending(path: "copy").path
        let copy = try Program.run([
            "copy", "--store", place.root.appending(path: "two").path, "\(other.host)/app:1", "oci:\(target)",
        ])
        #expect(copy.status == 0, "\(copy.errors)")
        #expect(try BuildPlace.faults(URL(filePath: target)) == nil)
    }

    @Test func aBuildWithoutPushHasAllLayersHere() async throws {
        let registry = try await TestRegistry()
        try place.write("Dockerfile", "FROM scratch\nCOPY a.txt /a\nCOPY b.txt /b\n")
        try #require(
            build(["--cache-to", "type=registry,ref=\(registry.host)/cache:1,mode=max"], store: "one").status == 0
        )

        let built = try build(["--cache-from", "\(registry.host)/cache:1", "-t", "app"], store: "two")

        #expect(built.status == 0 && built.errors.components(separatedBy: "CACHED").count == 3, "\(built.errors)")
        let layout = place.root.appending(path: "two")
        #expect(try BuildPlace.faults(layout, allowsWarnings: true) == nil)
    }

    @Test func aCacheThatFailsIsAWarning() async throws {
        let registry = try await TestRegistry()
        try place.write("Dockerfile", "FROM scratch\nCOPY a.txt /a\n")
        try #require(build(["-t", "\(registry.host)/image:1", "--push"], store: "one").status == 0)

        let built = try build(
            [
                "--cache-from", "\(registry.host)/image:1", "--cache-from", "\(registry.host)/none:1", "--cache-to",
                "type=registry,ref=127.0.0.1:1/x",
            ],
            store: "two"
        )

        #expect(built.status == 0, "\(built.errors)")
        #expect(built.errors.contains("is not used: it is no cache of coracle"))
        #expect(built.errors.contains("the cache \(registry.host)/none:1 is not there yet"))
        #expect(built.errors.contains("the cache 127.0.0.1:1/x:latest is not kept: "))
        for value in ["type=gha", "type=registry", "type=registry,ref=a,mode=all", "UPPER", "type=registry,ref=a,x=y"] {
            let wrong = try build(["--cache-from", value], store: "two")
            #expect(wrong.status == 2 && wrong.errors.contains("--cache-from"), "\(value): \(wrong.errors)")
        }
    }
}

/// ADD of URLs, and build contexts from URLs.
@Suite(.enabled(if: Program.named("python3") != nil, "python3 is not installed"))
struct DownloadTests {
    let place: BuildPlace
    let files: TemporaryFolder

    init() throws {
        place = try BuildPlace()
        files = try TemporaryFolder()
    }

    private func serve() async throws -> (server: ServerProcess, url: String) {
        let server = try await ServerProcess(
            ["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", files.url.path, "0"],
            readyAt: "Serving HTTP on"
        )
        let port = try #require(server.text.firstMatch(of: /port (\d+)/)?.1)
        return (server, "http://127.0.0.1:\(port)")
    }

    @Test func aFileFromAURLHasBuildKitsNameModeAndTime() async throws {
        let file = try files.write("dir/a file.txt", "hello\n")
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1_577_934_245)],
            ofItemAtPath: file.path
        )
        let (server, url) = try await serve()
        try place.write(
            "Dockerfile",
            "FROM scratch\nADD \(url)/dir/a%20file.txt?x=1 /in/\nADD --chmod=644 --chown=5:6 \(url)/dir/a%20file.txt /b\n"
        )

        let entries = try place.files()
        let again = try place.files()

        let found = Dictionary(entries.map { ($0.name, $0) }) { $1 }
        let first = try #require(found["in/a file.txt"])
        #expect(first.mode == 0o600 && first.uid == 0 && first.mtime == 1_577_934_245 && first.size == 6)
        let second = try #require(found["b"])
        #expect(second.mode == 0o644 && second.uid == 5 && second.gid == 6)
        #expect(again.map(\.name) == entries.map(\.name))
        #expect(
            server.text.components(separatedBy: "\" 200").count == 3,
            "what is unchanged is not sent again: \(server.text)"
        )
        #expect(server.text.contains("\" 304"))
    }

    @Test func theDockerfileComesFromAURL() async throws {
        try files.write("other/Dockerfile", "FROM scratch\nCOPY in /in\n")
        try files.write("bad", "FROM scratch\nCOPPY in /in\n")
        try files.write("large", "#" + String(repeating: "x", count: 2 << 20))
        let (server, url) = try await serve()
        defer { withExtendedLifetime(server) {} }
        try place.write("Dockerfile", "FROM scratch\n")
        try place.write("in", "x\n")
        try place.write("out", "x\n")
        try place.write("Dockerfile.dockerignore", "in\n")
        try place.write(".dockerignore", "out\n")

        let names = try place.files(["-f", "\(url)/other/Dockerfile"]).map(\.name)
        let fault = try place.build(["-f", "\(url)/bad?token=s3cret"])
        let missing = try place.build(["-f", "\(url)/nothing"])
        let large = try place.build(["-f", "\(url)/large"])
        let check = try Program.run(["check", "-f", "\(url)/bad", place.context.path])
        try place.write("Dockerfile", "FROM scratch\nCOPY out /out\n")

        #expect(names == ["in"])
        #expect(fault.status == 2 && fault.errors.hasPrefix("\(url)/bad"), "\(fault.errors)")
        #expect(fault.errors.contains(":2:1: error: unknown instruction \"COPPY\"") && !fault.errors.contains("s3cret"))
        #expect(missing.status == 4 && missing.errors.contains("\(url)/nothing: the server answered 404"))
        #expect(large.status == 2 && large.errors.contains("2097153 bytes, and no Dockerfile has 2 MiB"))
        #expect(check.status == 2 && check.errors.contains("only builds fetch Dockerfiles"), "\(check.errors)")
    }

    @Test func aChecksumIsHeldAndThenNobodyIsAsked() async throws {
        try files.write("f", "hello\n")
        let (server, url) = try await serve()
        let sum = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
        try place.write("Dockerfile", "FROM scratch\nADD --checksum=\(sum) \(url)/f /f\n")
        try #require(place.build().status == 0)
        let before = server.text
        #expect(try place.build().status == 0)
        #expect(server.text == before)

        let wrong = "sha256:" + String(repeating: "0", count: 64)
        try place.write("Dockerfile", "FROM scratch\nADD --checksum=\(wrong) \(url)/f /f\n")
        let result = try place.build()
        #expect(
            result.status == 1
                && result.errors.contains("Dockerfile:2:1: error: ADD \(url)/f: it has the digest \(sum)")
        )
    }

    @Test func archivesAreUnpackedWhereThatIsAskedFor() async throws {
        try files.write("in/x", "x\n")
        let tar = try #require(Program.named("tar"))
        try #require(
            Program.run(["czf", files.url.appending(path: "t.tgz").path, "-C", files.url.path, "in"], of: tar).status
                == 0
        )
        let (server, url) = try await serve()
        defer { withExtendedLifetime(server) {} }
        try place.write("Dockerfile", "FROM scratch\nADD \(url)/t.tgz /plain/\nADD --unpack=true \(url)/t.tgz /open/\n")

        let names = Set(try place.files().map(\.name))

        #expect(names.contains("plain/t.tgz") && names.contains("open/in/x"), "\(names)")
        try files.write("Dockerfile", "FROM scratch\nCOPY in /in\n")
        try #require(
            Program.run(
                ["czf", files.url.appending(path: "c.tgz").path, "-C", files.url.path, "Dockerfile", "in"],
                of: tar
            )
            .status == 0
        )
        let context = try Program.run(["build", "--store", place.store.path, "\(url)/c.tgz"])
        #expect(context.status == 0, "\(context.errors)")
        let alone = try Program.run(["build", "--store", place.store.path, "\(url)/Dockerfile"])
        #expect(alone.status == 1 || alone.status == 2, "a Dockerfile alone has no context: \(alone.errors)")
    }

    @Test func whatCannotBeHadIsNamed() async throws {
        let (server, url) = try await serve()
        defer { withExtendedLifetime(server) {} }
        try place.write("Dockerfile", "FROM scratch\nADD \(url)/none?sig=s3cret /f\n")
        let missing = try place.build()
        #expect(missing.status == 4 && missing.errors.contains("the server answered 404"), "\(missing.errors)")
        #expect(!missing.errors.contains("ADD \(url)/none?sig=s3cret: "), "\(missing.errors)")
        let context = try Program.run(["build", "--store", place.store.path, "\(url)/none.tgz"])
        #expect(context.status == 4 && context.errors.contains("404"), "\(context.errors)")
    }
}
