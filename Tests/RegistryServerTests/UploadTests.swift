// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// end-4, end-5, end-6, end-11, end-13, end-14: blobs on their way in.
@Suite(.inTurns) struct UploadTests {
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
    var digest: Digest { SHA256.digest(bytes) }

    @Test func anUploadGoesByPostAndPut() async throws {
        try await Serving.run { serving in
            let start = try await serving.ask("POST", "/v2/team/app/blobs/uploads/", body: [])
            #expect(start.status == 202 && start["Range"] == "0-0")
            let location = try #require(start["Location"])
            #expect(location.hasSuffix(try #require(start["Docker-Upload-UUID"])))

            let end = try await serving.ask("PUT", "\(location)?digest=\(digest)", body: bytes)

            #expect(end.status == 201)
            #expect(end["Docker-Content-Digest"] == digest.description)
            let blob = try #require(end["Location"])
            #expect(try await serving.ask("GET", blob).body == bytes)
            #expect(try await serving.ask("GET", location).codes == ["BLOB_UPLOAD_UNKNOWN"])
        }
    }

    @Test func chunksComeInOrder() async throws {
        try await Serving.run { serving in
            let location = try await serving.start()
            func patch(_ range: Range<Int>, _ text: String? = nil) async throws -> Wire.Reply {
                let header = text ?? "\(range.lowerBound)-\(range.upperBound - 1)"
                return try await serving.ask("PATCH", location, [("Content-Range", header)], body: Array(bytes[range]))
            }

            let first = try await patch(0..<1_000_000)
            #expect(first.status == 202 && first["Range"] == "0-999999" && first["Location"] == location)
            let again = try await patch(0..<1_000_000)
            #expect(again.status == 416 && again["Range"] == "0-999999" && again["Location"] == location)
            #expect(try await patch(2_000_000..<3_000_000).status == 416)
            for text in ["bytes 1000000-1999999/*", "x-y", "-5", "1000000-", "+1000000-1999999", "5-4"] {
                let reply = try await patch(1_000_000..<2_000_000, text)
                #expect(reply.status == 400 && reply.codes == ["BLOB_UPLOAD_INVALID"], "\(text)")
            }
            #expect(try await patch(1_000_000..<2_000_000, "1000000-1999998").codes == ["SIZE_INVALID"])
            let status = try await serving.ask("GET", location)
            #expect(status.status == 204 && status["Range"] == "0-999999")
            #expect(try await patch(1_000_000..<2_000_000).status == 202)

            let last = try await serving.ask(
                "PUT",
                "\(location)?digest=\(digest)",
                [("Content-Range", "2000000-2999999")],
                body: Array(bytes[2_000_000...])
            )

            #expect(last.status == 201)
            #expect(try await serving.ask("GET", "/v2/team/app/blobs/\(digest)").body == bytes)
        }
    }

    @Test func aBodyMayComeInPiecesOfNoSaidLength() async throws {
        try await Serving.run { serving in
            let location = try await serving.start()

            let reply = try await offPool {
                let wire = try Wire(port: serving.registry.port)
                try wire.sendHead("PATCH", location, [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")])
                for part in stride(from: 0, to: bytes.count, by: 100_000) {
                    try wire.send(Array("186a0\r\n".utf8) + bytes[part..<part + 100_000] + Array("\r\n".utf8))
                }
                try wire.send(Array("0\r\n\r\n".utf8))
                return try wire.receive("PATCH")
            }

            #expect(reply.status == 202 && reply["Range"] == "0-2999999")
            #expect(try await serving.ask("PUT", "\(location)?digest=\(digest)", body: []).status == 201)
        }
    }

    @Test func aWrongDigestLeavesNothing() async throws {
        try await Serving.run { serving in
            let location = try await serving.start()
            let other = SHA256.digest([])

            let reply = try await serving.ask("PUT", "\(location)?digest=\(other)", body: bytes)

            #expect(reply.status == 400 && reply.codes == ["DIGEST_INVALID"])
            #expect(try await serving.ask("HEAD", "/v2/team/app/blobs/\(other)").status == 404)
            #expect(try await serving.ask("HEAD", "/v2/team/app/blobs/\(digest)").status == 404)
            #expect(try await serving.ask("GET", location).status == 404)
            let post = try await serving.ask("POST", "/v2/team/app/blobs/uploads/?digest=\(other)", body: bytes)
            #expect(post.codes == ["DIGEST_INVALID"])
            for query in ["", "?digest=", "?digest=sha256:1", "?digest=md5:0"] {
                let location = try await serving.start()
                #expect(try await serving.ask("PUT", location + query, body: bytes).codes == ["DIGEST_INVALID"])
            }
            #expect(serving.blobFiles == [])
        }
    }

    @Test func anUploadCanBeGivenUp() async throws {
        try await Serving.run { serving in
            let location = try await serving.start()
            #expect(try await serving.ask("PATCH", location, body: bytes).status == 202)

            #expect(try await serving.ask("DELETE", location).status == 204)

            for method in ["GET", "PATCH", "PUT", "DELETE"] {
                let reply = try await serving.ask(method, "\(location)?digest=\(digest)", body: [1])
                #expect(reply.status == 404 && reply.codes == ["BLOB_UPLOAD_UNKNOWN"], "\(method)")
            }
            for id in ["x", "..%2F..%2Fapp", "00000000-0000-4000-8000-000000000000"] {
                let reply = try await serving.ask("PATCH", "/v2/team/app/blobs/uploads/\(id)", body: [1])
                #expect(reply.codes == ["BLOB_UPLOAD_UNKNOWN"], "\(id)")
            }
        }
    }

    @Test func anUploadBelongsToItsRepository() async throws {
        try await Serving.run { serving in
            let location = try await serving.start("team/app")
            let elsewhere = location.replacingOccurrences(of: "team/app", with: "other/app")

            #expect(try await serving.ask("PATCH", elsewhere, body: [1]).codes == ["BLOB_UPLOAD_UNKNOWN"])
        }
    }

    @Test func aBlobIsMountedFromAnotherRepositoryOrUploaded() async throws {
        try await Serving.run { serving in
            try await serving.push(bytes, to: "base")
            func mount(_ query: String) async throws -> Wire.Reply {
                try await serving.ask("POST", "/v2/team/app/blobs/uploads/?\(query)", body: [])
            }

            let mounted = try await mount("mount=\(digest)&from=base")
            #expect(mounted.status == 201 && mounted["Location"] == "/v2/team/app/blobs/\(digest)")
            #expect(try await serving.ask("GET", "/v2/team/app/blobs/\(digest)").body == bytes)
            #expect(try await mount("mount=\(digest)&from=none").status == 202)
            #expect(try await mount("mount=\(SHA256.digest([9]))&from=base").status == 202)
            #expect(try await mount("mount=sha256:1&from=base").codes == ["DIGEST_INVALID"])
            #expect(try await mount("mount=\(digest)&from=BASE").codes == ["NAME_INVALID"])
            #expect(try await serving.ask("POST", "/v2/b/blobs/uploads/?mount=\(digest)", body: []).status == 201)
        }
    }

    @Test func aDigestMayBeSHA512() async throws {
        try await Serving.run { serving in
            var hash = SHA512()
            bytes.withUnsafeBytes { hash.update($0) }
            let name = "sha512:" + hash.finish()

            let location = try await serving.start()
            #expect(try await serving.ask("PUT", "\(location)?digest=\(name)", body: bytes).status == 201)

            let reply = try await serving.ask("GET", "/v2/team/app/blobs/\(name)")
            #expect(reply.body == bytes && reply["Docker-Content-Digest"] == name)
            let wrong = "sha512:" + String(repeating: "0", count: 128)
            let post = try await serving.ask("POST", "/v2/team/app/blobs/uploads/?digest=\(wrong)", body: bytes)
            #expect(post.codes == ["DIGEST_INVALID"])
            let start = "/v2/team/app/blobs/uploads/?digest-algorithm="
            #expect(try await serving.ask("POST", start + "sha512", body: []).status == 202)
            #expect(try await serving.ask("POST", start + "md5", body: []).codes == ["UNSUPPORTED"])
        }
    }

    @Test func aTagOfAManifestPushedBySHA512IsToldBySHA512() async throws {
        try await Serving.run { serving in
            let (digest, manifest, _) = try await serving.pushImage("old")
            var hash = SHA512()
            manifest.withUnsafeBytes { hash.update($0) }
            let name = "sha512:" + hash.finish()

            #expect(try await serving.put(manifest, name + "?tag=new").status == 201)

            for (reference, told) in [
                ("new", name), ("old", digest.description), (digest.description, digest.description),
            ] {
                let reply = try await serving.ask("GET", "/v2/team/app/manifests/\(reference)")
                #expect(reply.body == manifest && reply["Docker-Content-Digest"] == told, "\(reference)")
            }
            let tags = try JSON(parsing: try await serving.ask("GET", "/v2/team/app/tags/list").text)["tags"].array
            #expect(tags.compactMap(\.string) == ["new", "old"])
            #expect(try await serving.ask("DELETE", "/v2/team/app/manifests/\(name)").status == 202)
            #expect(try await serving.ask("GET", "/v2/team/app/manifests/new").status == 404)
        }
    }

    @Test func aCutUploadGoesOnWhereItEnded() async throws {
        try await Serving.run { serving in
            let location = try await serving.start()
            try await offPool {
                let wire = try Wire(port: serving.registry.port)
                try wire.sendHead("PATCH", location, [("Content-Length", "3000000")])
                try wire.send(Array(bytes[..<1_234_567]))
            }

            // The server may not know yet that the client is gone: it is asked until it does.
            var size = 0
            for _ in 0..<600 where size < 1_234_567 {
                let range = try #require(try await serving.ask("GET", location)["Range"])
                size = try #require(Int(range.dropFirst(2))) + 1
                if size < 1_234_567 { try await Task.sleep(for: .milliseconds(100)) }
            }
            let rest = Array(bytes[size...])
            let range = ("Content-Range", "\(size)-2999999")

            #expect(try await serving.ask("PATCH", location, [range], body: rest).status == 202)
            #expect(try await serving.ask("PUT", "\(location)?digest=\(digest)", body: []).status == 201)
        }
    }

    @Test func twentyPushTheSameBlobAtOnce() async throws {
        try await Serving.run { serving in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        let location = try await serving.start("team/app\(number % 3)")
                        _ = try await serving.ask("PATCH", location, body: Array(bytes[..<1_500_000]))
                        let path = "\(location)?digest=\(digest)"
                        return try await serving.ask("PUT", path, body: Array(bytes[1_500_000...])).status
                    }
                }
                for try await status in group { #expect(status == 201) }
            }
            #expect(serving.blobFiles == [digest.hex])
            for number in 0..<3 {
                #expect(try await serving.ask("GET", "/v2/team/app\(number)/blobs/\(digest)").body == bytes)
            }
            #expect(serving.files(below: "tmp") == [])
        }
    }

    @Test func twoServersShareAnUpload() async throws {
        let folder = try TemporaryFolder()
        try await Serving.run(folder: folder) { one in
            try await Serving.run(folder: folder) { two in
                let location = try await one.start()
                for (index, serving) in [one, two, one].enumerated() {
                    let part = Array(bytes[index * 1_000_000..<(index + 1) * 1_000_000])
                    #expect(try await serving.ask("PATCH", location, body: part).status == 202)
                }

                #expect(try await two.ask("PUT", "\(location)?digest=\(digest)", body: []).status == 201)

                #expect(try await one.ask("GET", "/v2/team/app/blobs/\(digest)").body == bytes)
                #expect(try await one.ask("PATCH", location, body: [1]).codes == ["BLOB_UPLOAD_UNKNOWN"])
            }
        }
    }
}

extension Serving {
    /// The names of all blobs in the store.
    var blobFiles: [String] { files(below: "blobs/sha256") }

    func files(below place: String) -> [String] { DiskFile.names(in: registry.store.root + "/" + place) }
}
