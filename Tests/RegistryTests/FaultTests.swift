// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Registry
import Synchronization
import TestSupport
import Testing

/// A real registry behind a server that spoils what goes through it.
@Suite("Faults", .inTurns, .enabled(if: TestRegistry.isInstalled, "SKIPPED: docker-registry is not installed"))
struct FaultTests {
    static let size = 3_700_000

    /// A registry, the server before it, and the repository as seen through that.
    static func with(
        change: (inout RegistryClient.Settings) -> Void = { _ in },
        _ deed: @escaping @Sendable (FaultyServer.Head) -> FaultyServer.Deed,
        _ work: (RegistryClient, Repository, FaultyServer, Repository) async throws -> Void
    ) async throws {
        let registry = try await TestRegistry()
        let server = try FaultyServer(upstream: registry.port, deed)
        let direct = try Repository(registry: registry.host, name: "team/app")
        let spoilt = try Repository(registry: "127.0.0.1:\(server.port)", name: "team/app")
        try await work(.make(.anonymous, change: change), spoilt, server, direct)
    }

    /// The nth request of a kind that is asked for, counted from 0.
    final class Nth: Sendable {
        private let count = Mutex(0)

        func next() -> Int {
            count.withLock { count in
                defer { count += 1 }
                return count
            }
        }
    }

    static func isBlob(_ head: FaultyServer.Head) -> Bool {
        head.method == "GET" && head.target.contains("/blobs/sha256")
    }

    @Test("A download goes on where the connection broke, and repeats nothing")
    func resumedDownload() async throws {
        let nth = Nth()
        try await Self.with({ Self.isBlob($0) && nth.next() < 3 ? .cutAnswer(1_000_000) : .forward }) {
            client,
            spoilt,
            server,
            direct in
            let memory = Memory()
            let blob = memory.random(Self.size)
            _ = try await client.upload(blob, from: memory, to: direct)

            let target = Memory()
            try await client.download(blob, from: spoilt, into: target)

            #expect(target[blob] == memory[blob])
            let ranges = server.requests.filter(Self.isBlob).map { $0.fields["range"] ?? "all" }
            #expect(ranges.count == 4)
            #expect(ranges[0] == "all")
            #expect(ranges.dropFirst().allSatisfy { $0.hasPrefix("bytes=") && $0 != "bytes=0-" })
        }
    }

    @Test("A server that knows no ranges is read from the start, and what is known already skipped")
    func noRange() async throws {
        let nth = Nth()
        try await Self.with({ head in
            guard Self.isBlob(head) else { return .forward }
            return nth.next() == 0 ? .cutAnswer(2_000_000) : .forwardWithout(["range"])
        }) { client, spoilt, _, direct in
            let memory = Memory()
            let blob = memory.random(Self.size)
            _ = try await client.upload(blob, from: memory, to: direct)

            let target = Memory()
            try await client.download(blob, from: spoilt, into: target)

            #expect(target[blob] == memory[blob])
        }
    }

    @Test("Wrong bytes are never kept, and asked for once more")
    func wrongBytes() async throws {
        for isAlways in [false, true] {
            let nth = Nth()
            try await Self.with({ Self.isBlob($0) && (nth.next() == 0 || isAlways) ? .spoilAnswer : .forward }) {
                client,
                spoilt,
                _,
                direct in
                let memory = Memory()
                let blob = memory.random(Self.size)
                _ = try await client.upload(blob, from: memory, to: direct)

                let target = Memory()
                if isAlways {
                    let error = try await #require(throws: RegistryError.self) {
                        try await client.download(blob, from: spoilt, into: target)
                    }
                    #expect(error.kind == .server)
                    #expect(
                        error.message.hasPrefix("read blob \(blob.digest) of \(spoilt): what came has another digest: ")
                    )
                    #expect(target[blob] == nil)
                } else {
                    try await client.download(blob, from: spoilt, into: target)
                    #expect(target[blob] == memory[blob])
                }
            }
        }
    }

    @Test("An upload ends whole, whatever breaks on the way", arguments: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    func brokenUpload(broken: Int) async throws {
        let nth = Nth()
        try await Self.with({ head in
            guard head.target.contains("/blobs/uploads/"), nth.next() == broken else { return .forward }
            return head.method == "PATCH" ? .cutBody(300_000) : .cutAnswer(1)
        }) { client, spoilt, _, direct in
            let memory = Memory()
            let blob = memory.random(Self.size)

            _ = try await client.upload(blob, from: memory, to: spoilt)

            let target = Memory()
            try await client.download(blob, from: direct, into: target)
            #expect(target[blob] == memory[blob])
        }
    }

    @Test("Chunks carry bare ranges and their length, and follow each other")
    func chunks() async throws {
        try await Self.with({ _ in .forward }) { client, spoilt, server, _ in
            let memory = Memory()
            let blob = memory.random(Self.size)

            _ = try await client.upload(blob, from: memory, to: spoilt)

            let patches = server.requests.filter { $0.method == "PATCH" }
            #expect(
                patches.map { $0.fields["content-range"] } == [
                    "0-1048575", "1048576-2097151", "2097152-3145727", "3145728-\(blob.size - 1)",
                ]
            )
            #expect(patches.map { $0.fields["content-length"] }.first == "1048576")
            #expect(server.requests.filter { $0.method == "PUT" }.map { $0.fields["content-length"] } == ["0"])
        }
    }

    @Test("A registry that refuses large requests is sent smaller ones")
    func tooLarge() async throws {
        try await Self.with(
            change: { $0.chunkSize = 16 << 20 },
            { head in
                (Int(head.fields["content-length"] ?? "0") ?? 0) > 1_500_000 ? .answer(413) : .forward
            }
        ) { client, spoilt, server, direct in
            let memory = Memory()
            let blob = memory.random(Self.size)

            _ = try await client.upload(blob, from: memory, to: spoilt)

            #expect(try await client.exists(blob, in: direct))
            #expect(server.requests.filter { $0.method == "PATCH" }.count < 8)
        }
    }

    @Test("A registry that takes no chunks is sent the blob in one piece", arguments: [405, 400, 501])
    func noChunks(status: Int) async throws {
        try await Self.with({ head in
            head.fields["content-range"] != nil || (status == 405 && head.method == "PATCH")
                ? .answer(status) : .forward
        }) { client, spoilt, _, direct in
            let memory = Memory()
            let blob = memory.random(Self.size)

            _ = try await client.upload(blob, from: memory, to: spoilt)

            #expect(try await client.exists(blob, in: direct))
        }
    }

    @Test("A registry that loses broken uploads, as ACR does, is sent the blob again")
    func lostUpload() async throws {
        let nth = Nth()
        let isLost = Mutex(false)
        try await Self.with({ head in
            if head.method == "PATCH", nth.next() == 2 {
                isLost.withLock { $0 = true }
                return .cutBody(1000)
            }
            if head.method == "POST" { isLost.withLock { $0 = false } }
            guard isLost.withLock({ $0 }), head.method != "HEAD" else { return .forward }
            return .answer(404, [:], "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\",\"message\":\"gone\"}]}")
        }) { client, spoilt, server, direct in
            let memory = Memory()
            let blob = memory.random(Self.size)

            _ = try await client.upload(blob, from: memory, to: spoilt)

            #expect(try await client.exists(blob, in: direct))
            #expect(server.requests.filter { $0.method == "POST" }.count == 2)
        }
    }

    @Test("An upload that is lost at its very end is begun again from the first byte")
    func lostAtTheEnd() async throws {
        let nth = Nth()
        let gone = "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\",\"message\":\"gone\"}]}"
        try await Self.with({ $0.method == "PUT" && nth.next() == 0 ? .answer(404, [:], gone) : .forward }) {
            client,
            spoilt,
            server,
            direct in
            let memory = Memory()
            let blob = memory.random(Self.size)

            let outcome = try await client.upload(blob, from: memory, to: spoilt)

            #expect(outcome == .uploaded)
            #expect(try await client.exists(blob, in: direct))
            let starts = server.requests.filter { $0.fields["content-range"] == "0-1048575" }
            #expect(starts.count == 2)
        }
    }

    @Test(
        "What fails for good ends with the kind of failure, the registry and the repository",
        arguments: [
            (429, RegistryError.Kind.throttled), (500, .server), (503, .server), (403, .denied), (400, .invalid),
        ]
    )
    func kinds(status: Int, kind: RegistryError.Kind) async throws {
        let body = "{\"errors\":[{\"code\":\"X\",\"message\":\"sorry, Bearer hunter22-hunter22\"}]}"
        let fields = ["x-ms-correlation-request-id": "1b2c", "Retry-After": "0"]
        try await Self.with({ $0.method == "PUT" ? .answer(status, fields, body) : .forward }) {
            client,
            spoilt,
            server,
            _ in
            let error = try await #require(throws: RegistryError.self) {
                try await client.put(SmallImage().document, as: .tag("1"), to: spoilt)
            }

            #expect(error.kind == kind)
            #expect(
                error.message
                    == "push \(spoilt):1: sorry, Bearer *** (X) (x-ms-correlation-request-id 1b2c)"
            )
            #expect(server.requests.filter { $0.method == "PUT" }.count == (status < 429 ? 1 : 6))
        }
    }

    @Test("A broken connection that stays broken is told as the network's fault")
    func network() async throws {
        try await Self.with({ $0.method == "PUT" ? .cutAnswer(1) : .forward }) { client, spoilt, _, _ in
            let error = try await #require(throws: RegistryError.self) {
                try await client.put(SmallImage().document, as: .tag("1"), to: spoilt)
            }

            #expect(error.kind == .network)
            #expect(error.message.hasPrefix("push \(spoilt):1: 127.0.0.1 port "))
        }
    }

    @Test("A killed push goes on where it was, from notes that only their owner can read")
    func journal() async throws {
        let folder = try TemporaryFolder()
        let nth = Nth()
        try await Self.with(
            change: {
                $0.journalFolder = folder.url.path
                $0.retries = .never
            },
            { $0.method == "PATCH" && nth.next() == 2 ? .answer(500) : .forward }
        ) { client, spoilt, server, direct in
            let memory = Memory()
            let blob = memory.random(Self.size)
            await #expect(throws: RegistryError.self) { try await client.upload(blob, from: memory, to: spoilt) }
            let notes = try FileManager.default.contentsOfDirectory(at: folder.url, includingPropertiesForKeys: nil)
            let facts = try FileManager.default.attributesOfItem(atPath: #require(notes.first).path)

            let again = RegistryClient.make(.anonymous, change: { $0.journalFolder = folder.url.path })
            _ = try await again.upload(blob, from: memory, to: spoilt)

            #expect(notes.count == 1)
            #expect(facts[.posixPermissions] as? Int == 0o600)
            #expect(try await client.exists(blob, in: direct))
            #expect(server.requests.filter { $0.method == "POST" }.count == 1, "one upload, in two runs")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
        }
    }

    @Test("An upload that is given up is ended at the registry")
    func abandoned() async throws {
        try await Self.with({ $0.method == "PATCH" ? .answer(403) : .forward }) { client, spoilt, server, _ in
            let memory = Memory()

            await #expect(throws: RegistryError.self) {
                try await client.upload(memory.random(Self.size), from: memory, to: spoilt)
            }

            #expect(server.requests.last?.method == "DELETE")
        }
    }

    @Test("A source that has other bytes than its digest says is found out")
    func wrongSource() async throws {
        try await Self.with({ _ in .forward }) { client, spoilt, _, direct in
            let memory = Memory()
            let (real, other) = (memory.random(5000), memory.add([UInt8](repeating: 1, count: 5000)))
            let lying = Descriptor(mediaType: .layerGzip, digest: real.digest, size: other.size)
            struct Swapped: BlobSource {
                let memory: Memory
                let blob: Descriptor
                func open(_: Descriptor, from offset: Int64) -> BlobChunks { memory.open(blob, from: offset) }
            }

            let error = try await #require(throws: RegistryError.self) {
                try await client.upload(lying, from: Swapped(memory: memory, blob: other), to: spoilt)
            }

            #expect(error.kind == .damagedSource)
            #expect(error.message.contains("is damaged where it is read from"))
            #expect(try await !client.exists(lying, in: direct))
        }
    }

    @Test("Mirrors are asked first, and passed over when they fail")
    func mirrors() async throws {
        let registry = try await TestRegistry()
        let told = Told()
        let mirror = try FaultyServer(upstream: registry.port) { _ in .forward }
        let broken = try FaultyServer { _ in .answer(500) }
        let client = RegistryClient.make(.anonymous, told: told) {
            $0.retries = .never
            $0.mirrors["docker.io"] = ["127.0.0.1:\(broken.port)", "127.0.0.1:\(mirror.port)/hub"]
        }
        let image = SmallImage()
        try await image.push(client, Repository(registry: registry.host, name: "hub/library/busybox"), tag: "1")
        let hub = Repository(try ImageReference("busybox:1"))

        #expect(try await client.manifest(.tag("1"), in: hub) == image.document)
        #expect(try await client.bytes(of: image.layer, in: hub) == image.memory[image.layer])

        #expect(broken.requests.count == 1, "a mirror that failed is not asked again")
        #expect(told.text.contains("mirrorFailed(mirror: \"127.0.0.1:\(broken.port)\""))
    }

    @Test("Warnings are told once each")
    func warnings() async throws {
        let told = Told()
        let server = try FaultyServer { _ in .answer(200, ["Warning": "299 - \"going away in June\""], "{\"tags\":[]}")
        }
        let client = RegistryClient.make(.anonymous, told: told)
        let repository = try Repository(registry: "127.0.0.1:\(server.port)", name: "a")

        for _ in 0..<3 { _ = try await client.tags(in: repository) }

        #expect(told.text == "warning(registry: \"127.0.0.1:\(server.port)\", text: \"going away in June\")")
    }

    @Test("A page that links to itself is not read for ever")
    func endlessPages() async throws {
        let server = try FaultyServer { head in
            head.target == "/v2/"
                ? .answer(200)
                : .answer(200, ["Link": "</v2/a/tags/list?n=1000>; rel=\"next\""], "{\"tags\":[\"x\"]}")
        }

        let error = try await #require(throws: RegistryError.self) {
            try await RegistryClient.make(.anonymous)
                .tags(in: Repository(registry: "127.0.0.1:\(server.port)", name: "a"))
        }

        #expect(error.message.hasSuffix("the registry's pages go in a circle"))
    }

    @Test("A server that is no registry is told as such")
    func noRegistry() async throws {
        let server = try FaultyServer { _ in .answer(404, [:], "<html>") }

        let error = try await #require(throws: RegistryError.self) {
            try await RegistryClient.make(.anonymous).ping("127.0.0.1:\(server.port)")
        }

        #expect(error.kind == .invalid)
        #expect(error.message.contains("127.0.0.1:\(server.port) is no registry"))
    }

    @Test(
        "A manifest that is too large or not what it should be is refused",
        arguments: [
            (String(repeating: "x", count: 4 << 20 | 1), "answered with more than 4194304 bytes"),
            ("{}", "what came is not a manifest"), ("", "what came is not a manifest"),
        ]
    )
    func badManifests(body: String, reason: String) async throws {
        let server = try FaultyServer { $0.target == "/v2/" ? .answer(200) : .answer(200, [:], body) }

        let error = try await #require(throws: RegistryError.self) {
            _ = try await RegistryClient.make(.anonymous)
                .manifest(.tag("1"), in: Repository(registry: "127.0.0.1:\(server.port)", name: "a"))
        }

        #expect(error.message.contains(reason))
    }
}
