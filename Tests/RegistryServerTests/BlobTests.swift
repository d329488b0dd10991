// SPDX-License-Identifier: Apache-2.0
import Archive
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// end-1, end-2, end-10: what is there, read whole and in parts, and taken away.
@Suite(.inTurns) struct BlobTests {
    let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

    @Test func theRegistrySaysWhatItIs() async throws {
        try await Serving.run { serving in
            let reply = try await serving.ask("GET", "/v2/")

            #expect(reply.status == 200)
            #expect(reply["Docker-Distribution-API-Version"] == "registry/2.0")
            #expect(try await serving.ask("GET", "/v2").status == 200)
            #expect(try await serving.ask("HEAD", "/v2/").body == [])
            #expect(try await serving.ask("GET", "/v1/").status == 404)
            #expect(try await serving.ask("POST", "/v2/", body: []).status == 405)
        }
    }

    @Test func aBlobIsReadWholeAndInParts() async throws {
        try await Serving.run { serving in
            let digest = try await serving.push(bytes)
            let path = "/v2/team/app/blobs/\(digest)"

            let head = try await serving.ask("HEAD", path)
            #expect(head.status == 200)
            #expect(head["Content-Length"] == "300000")
            #expect(head["Docker-Content-Digest"] == digest.description)
            let whole = try await serving.ask("GET", path)
            #expect(whole.status == 200 && whole.body == bytes)
            for (range, expected) in [
                ("bytes=0-0", 0..<1), ("bytes=5-9", 5..<10), ("bytes=299990-", 299_990..<300_000),
                ("bytes=-10", 299_990..<300_000), ("bytes=299999-400000", 299_999..<300_000),
                ("bytes=-999999", 0..<300_000),
            ] {
                let reply = try await serving.ask("GET", path, [("Range", range)])
                #expect(reply.status == 206 && reply.body == Array(bytes[expected]), "\(range)")
                #expect(
                    reply["Content-Range"] == "bytes \(expected.lowerBound)-\(expected.upperBound - 1)/300000",
                    "\(range)"
                )
            }
            let over = try await serving.ask("GET", path, [("Range", "bytes=300000-")])
            #expect(over.status == 416 && over["Content-Range"] == "bytes */300000")
            for range in ["bytes=9-5", "bytes=a-b", "lines=1-2", "bytes=1-2,4-5", "bytes=-"] {
                let reply = try await serving.ask("GET", path, [("Range", range)])
                #expect(reply.status == 200 && reply.body == bytes, "\(range)")
            }
            let stale = try await serving.ask("GET", path, [("Range", "bytes=0-0"), ("If-Range", "\"other\"")])
            #expect(stale.status == 200)
            #expect(try await serving.ask("GET", path, [("If-None-Match", "\"\(digest)\"")]).status == 304)
        }
    }

    @Test func aBlobThatIsNotThereIsUnknownAndABadDigestIsInvalid() async throws {
        try await Serving.run { serving in
            let absent = SHA256.digest([1, 2, 3])

            for method in ["GET", "DELETE"] {
                let reply = try await serving.ask(method, "/v2/team/app/blobs/\(absent)")
                #expect(reply.status == 404 && reply.codes == ["BLOB_UNKNOWN"], "\(method)")
            }
            #expect(try await serving.ask("HEAD", "/v2/team/app/blobs/\(absent)").status == 404)
            for digest in ["sha256:12", "md5:\(absent.hex)", "sha256:\(absent.hex.uppercased())", "sha256:..%2F..%2Fx"]
            {
                let reply = try await serving.ask("GET", "/v2/team/app/blobs/\(digest)")
                #expect(reply.status == 400 && reply.codes == ["DIGEST_INVALID"], "\(digest)")
            }
        }
    }

    @Test func aBlobIsSeenInItsRepositoryOnly() async throws {
        try await Serving.run { serving in
            let digest = try await serving.push(bytes, to: "team/app")

            #expect(try await serving.ask("GET", "/v2/other/app/blobs/\(digest)").codes == ["BLOB_UNKNOWN"])
            #expect(try await serving.ask("GET", "/v2/team/blobs/\(digest)").codes == ["BLOB_UNKNOWN"])
            #expect(try await serving.ask("GET", "/v2/team/app/more/blobs/\(digest)").codes == ["BLOB_UNKNOWN"])
        }
    }

    @Test func aDeletedBlobIsGoneFromItsRepositoryAndNoOther() async throws {
        try await Serving.run { serving in
            let digest = try await serving.push(bytes, to: "a")
            try await serving.push(bytes, to: "b")

            #expect(try await serving.ask("DELETE", "/v2/a/blobs/\(digest)").status == 202)

            #expect(try await serving.ask("GET", "/v2/a/blobs/\(digest)").status == 404)
            #expect(try await serving.ask("GET", "/v2/b/blobs/\(digest)").status == 200)
        }
    }

    @Test(arguments: ["Team/app", "team//app", "team/../app", "team/app.", "-x", "a__b___c", "te%20am", "a..b"])
    func aBadNameIsInvalid(name: String) async throws {
        try await Serving.run { serving in
            let reply = try await serving.ask("GET", "/v2/\(name)/tags/list")
            #expect(reply.status == 400 && reply.codes == ["NAME_INVALID"])
        }
    }

    @Test func aNameMayHaveManyPartsAndTheWordsOfPaths() async throws {
        try await Serving.run { serving in
            for name in ["a/b/c/d/e/f/g", "x/blobs/uploads", "manifests", "a/tags/list", "a-b--c/d__e.f", "v2"] {
                let digest = try await serving.push(bytes, to: name)
                #expect(try await serving.ask("GET", "/v2/\(name)/blobs/\(digest)").body == bytes, "\(name)")
                let image = try await serving.pushImage("v1", to: name)
                #expect(try await serving.ask("GET", "/v2/\(name)/manifests/v1").body == image.bytes, "\(name)")
            }
        }
    }

    @Test func oneConnectionCarriesManyRequests() async throws {
        try await Serving.run { serving in
            let digest = try await serving.push(bytes)

            let statuses = try await offPool {
                let wire = try Wire(port: serving.registry.port)
                return try (0..<50)
                    .map { number in
                        let method = number % 2 == 0 ? "GET" : "HEAD"
                        let name = number % 5 == 0 ? "none" : "team/app"
                        try wire.sendHead(method, "/v2/\(name)/blobs/\(digest)", [])
                        return try wire.receive(method).status
                    }
            }

            #expect(statuses == (0..<50).map { $0 % 5 == 0 ? 404 : 200 })
        }
    }
}
