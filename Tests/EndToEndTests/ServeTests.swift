// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import TestSupport
import Testing

/// `coracle registry serve` as people run it.
@Suite struct ServeTests {
    let folder: TemporaryFolder
    var store: String { folder.url.path + "/store" }

    init() throws { folder = try TemporaryFolder() }

    /// The program, once it said where it listens.
    private func serve(_ arguments: String...) async throws -> (process: Child, port: Int) {
        let output = folder.url.appending(path: "output-\(UUID().uuidString)")
        let flags = ["--listen", "127.0.0.1:0", "--store", store] + arguments
        let process = try Child(["registry", "serve"] + flags, output: .file(output))
        let said = { String(decoding: FileManager.default.contents(atPath: output.path) ?? Data(), as: UTF8.self) }
        try await Waiting.until("its address") { said().contains("\n") || !process.isRunning }
        let text = said().trimmingCharacters(in: .newlines)
        return (process, try #require(text.split(separator: ":").last.flatMap { Int($0) }, "\(text)"))
    }

    private func wait(_ process: Child) async throws -> Child.Ending { try await offPool { try process.wait() } }

    @Test(arguments: [SIGTERM, SIGINT])
    func itEndsWhenItIsTold(signal: Int32) async throws {
        let (process, port) = try await serve()
        #expect(try await Wire.ask("GET", "/v2/", port: port).status == 200)

        process.send(signal)

        #expect(try await wait(process) == .exited(0))
    }

    @Test func aRegistryThatTakesNoChangesSaysSo() async throws {
        let (process, port) = try await serve("--read-only")
        defer { process.send(SIGTERM) }

        let result = try await offPool {
            try Program.run(
                ["registry", "rm", "127.0.0.1:\(port)/app:1"],
                environment: ["HOME": folder.url.path, "CORACLE_STORE": folder.url.path + "/other"]
            )
        }

        #expect(result.status == 4, "\(result.errors)")
        #expect(result.errors.contains("127.0.0.1:\(port) is read-only: 127.0.0.1:\(port)/app:1 stays"))
    }

    @Test(arguments: [false, true]) func tokensAreGoodAfterARestart(withFile: Bool) async throws {
        let users = try folder.write(
            "users",
            "ann:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
        )
        let key = try folder.write("key", String(repeating: "0123456789abcdef", count: 4)).path
        let fields = "service=coracle" + (withFile ? ",key=\(key)" : "")
        let basic = [("Authorization", "Basic " + Data("ann:secret".utf8).base64EncodedString())]
        var bearer = [("Authorization", "Bearer x")]
        for round in 0..<2 {
            let (process, port) = try await serve("--htpasswd", users.path, "--token-auth", fields)
            let reply = try await Wire.ask("GET", "/v2/", port: port, headers: bearer)
            #expect(reply.status == (round == 0 ? 401 : 200))
            let token = try await Wire.ask("GET", "/token?service=coracle", port: port, headers: basic)
            bearer = [("Authorization", "Bearer \(try JSON(parsing: token.text)["token"].string ?? "")")]
            process.send(SIGTERM)
            #expect(try await wait(process) == .exited(0))
        }
        #expect(FileManager.default.fileExists(atPath: store + "/registry/_token-key") == !withFile)
    }

    @Test func aWarningIsSent() async throws {
        let (process, port) = try await serve("--warning", "This registry goes on Monday")
        let reply = try await Wire.ask("GET", "/v2/", port: port)
        #expect(reply["Warning"] == #"299 - "This registry goes on Monday""#)
        process.send(SIGTERM)
        #expect(try await wait(process) == .exited(0))
    }

    @Test func itEndsThoughAClientHoldsOn() async throws {
        let (process, port) = try await serve()
        let start = try await Wire.ask("POST", "/v2/app/blobs/uploads/", port: port, body: [])
        let wire = try Wire(port: port)
        try wire.sendHead(
            "PATCH",
            try #require(start["Location"]),
            [("Content-Length", "100"), ("Expect", "100-continue")]
        )
        try wire.send([1, 2, 3])

        process.send(SIGTERM)

        #expect(try await wait(process) == .exited(0))
        withExtendedLifetime(wire) {}
    }

    @Test func aKilledRegistryGoesOnWhereItEnded() async throws {
        let bytes = (0..<8_000_000).map { UInt8(truncatingIfNeeded: $0 &* 11 &+ $0 >> 10) }
        let digest = SHA256.digest(bytes)
        let (first, port) = try await serve()
        let start = try await Wire.ask("POST", "/v2/app/blobs/uploads/", port: port, body: [])
        let location = try #require(start["Location"])
        try await offPool {
            let wire = try Wire(port: port)
            try wire.sendHead("PATCH", location, [("Content-Length", "8000000")])
            try wire.send(Array(bytes[..<6_000_000]))
            kill(first.processIdentifier, SIGKILL)
        }
        _ = try await wait(first)
        let blobs = folder.url.appending(path: "store/blobs/sha256").path
        #expect(try FileManager.default.contentsOfDirectory(atPath: blobs) == [])

        let (second, next) = try await serve()
        let status = try await Wire.ask("GET", location, port: next)
        #expect(status.status == 204)
        // Of no bytes the range is the same as of one, as the specification has no other.
        let last = try #require(status["Range"]?.dropFirst(2).description)
        let size = last == "0" ? 0 : try #require(Int(last)) + 1
        #expect(size <= 6_000_000)
        let patch = try await Wire.ask(
            "PATCH",
            location,
            port: next,
            headers: [("Content-Range", "\(size)-7999999")],
            body: Array(bytes[size...])
        )
        #expect(patch.status == 202)
        #expect(try await Wire.ask("PUT", "\(location)?digest=\(digest)", port: next, body: []).status == 201)
        #expect(try await Wire.ask("GET", "/v2/app/blobs/\(digest)", port: next).body == bytes)
        second.send(SIGTERM)
        #expect(try await wait(second) == .exited(0))
    }

    @Test func whatWasBuiltCanBePulledAndPruneKeepsWhatWasPushed() async throws {
        let context = try folder.write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
        let build = try Program.run([
            "build", "-q", "--store", store, "-t", "app:1", context.deletingLastPathComponent().path,
        ])
        try #require(build.status == 0, "\(build.errors)")
        let digest = build.output.trimmingCharacters(in: .newlines)
        let (process, port) = try await serve("--log", "json")
        defer { process.send(SIGTERM) }

        let manifest = try await Wire.ask("GET", "/v2/app/manifests/1", port: port)
        #expect(manifest.status == 200 && manifest["Docker-Content-Digest"] == digest)
        for blob in try Manifest(parsing: manifest.body).layers + [try Manifest(parsing: manifest.body).config] {
            let mount = "/v2/kept/blobs/uploads/?mount=\(blob.digest)&from=app"
            #expect(try await Wire.ask("POST", mount, port: port, body: []).status == 201)
        }
        let type = [("Content-Type", MediaType.manifest.description)]
        let put = try await Wire.ask("PUT", "/v2/kept/manifests/1", port: port, headers: type, body: manifest.body)
        #expect(put.status == 201, "\(put.text)")
        #expect(try Program.run(["rm", "--store", store, "app:1"]).status == 0)
        let prune = try Program.run(["prune", "--all", "--store", store])
        #expect(prune.status == 0, "\(prune.errors)")

        #expect(try await Wire.ask("GET", "/v2/app/manifests/1", port: port).status == 404)
        #expect(try await Wire.ask("GET", "/v2/kept/manifests/1", port: port).body == manifest.body)
        for blob in try Manifest(parsing: manifest.body).layers {
            let reply = try await Wire.ask("GET", "/v2/kept/blobs/\(blob.digest)", port: port)
            #expect(reply.status == 200 && Int64(reply.body.count) == blob.size)
        }
    }

    @Test(arguments: [
        (["--listen", "0.0.0.0:0"], "can be reached from other machines, and nobody would need a password"),
        (["--listen", "here"], "is not ADDRESS:PORT"), (["--listen", "::1:0"], "is not ADDRESS:PORT"),
        (["--htpasswd", "nowhere"], "there is no file nowhere"),
        (["--token-auth", "service=a"], "--htpasswd"), (["--token-auth", "a=b"], "is none of realm=URL"),
        (["--token-auth", "realm=https://a"], "takes service=NAME, issuer=NAME and certificate=FILE"),
        (["--tls-cert", "a.pem"], "--tls-cert and --tls-key go together"),
        (["--tls-cert", "a.pem", "--tls-key", "b.pem"], "reading the certificate a.pem"), (["--log", "x"], "--log"),
    ])
    func wrongUsageIsSaid(arguments: [String], message: String) throws {
        let run = try Program.run(["registry", "serve", "--store", store] + arguments)

        #expect(run.status == 2)
        #expect(run.errors.contains(message), "\(run.errors)")
        #expect(run.output == "")
    }

    @Test func aTakenPortIsSaid() async throws {
        let (process, port) = try await serve()
        defer { process.send(SIGTERM) }

        let run = try await offPool { [store] in
            try Program.run(["registry", "serve", "--store", store, "--listen", "127.0.0.1:\(port)"])
        }

        #expect(run.status == 4)
        #expect(run.errors == "coracle: error: listening on 127.0.0.1:\(port): Address already in use\n")
    }
}
