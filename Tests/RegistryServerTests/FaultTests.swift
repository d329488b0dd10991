// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// What goes wrong on purpose goes wrong as often as it should, and then no more.
@Suite(.inTurns) struct FaultTests {
    let bytes = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 >> 8) }

    @Test func aDownloadIsCut() async throws {
        try await Serving.run { serving in
            let digest = try await serving.push(bytes)
            serving.registry.faults.add(Fault(.cutDownload(after: 1_234_567)))

            let cut = try await serving.ask("GET", "/v2/team/app/blobs/\(digest)")
            #expect(cut.status == 200 && cut.isCut && cut.body == Array(bytes[..<1_234_567]))
            let rest = try await serving.ask("GET", "/v2/team/app/blobs/\(digest)", [("Range", "bytes=1234567-")])
            #expect(cut.body + rest.body == bytes)
            #expect(serving.registry.faults.happened == [.cutDownload(after: 1_234_567)])
        }
    }

    @Test func anUploadIsCutAndGoesOn() async throws {
        try await Serving.run { serving in
            let location = try await serving.start()
            serving.registry.faults.add(Fault(.cutUpload(after: 1_000_000)))

            await #expect(throws: Wire.Ended.self) { try await serving.ask("PATCH", location, body: bytes) }

            let range = try #require(try await serving.ask("GET", location)["Range"])
            let size = try #require(Int(range.dropFirst(2))) + 1
            #expect(size >= 1_000_000 && size < 2_000_000)
            #expect(try await serving.ask("PATCH", location, body: Array(bytes[size...])).status == 202)
            let digest = SHA256.digest(bytes)
            #expect(try await serving.ask("PUT", "\(location)?digest=\(digest)", body: []).status == 201)
        }
    }

    @Test func statusesComeAsOftenAsPlanned() async throws {
        try await Serving.run(faults: [Fault(.status(429, retryAfter: 7)), Fault(.status(500), times: 2, skipped: 1)]) {
            serving in
            var replies: [Wire.Reply] = []
            for _ in 0..<5 { replies.append(try await serving.ask("GET", "/v2/")) }

            #expect(replies.map(\.status) == [429, 200, 500, 500, 200])
            #expect(replies[0]["Retry-After"] == "7" && replies[0].codes == ["TOOMANYREQUESTS"])
            #expect(serving.registry.faults.waiting == [])
        }
    }

    @Test func faultsFitMethodAndPath() async throws {
        try await Serving.run(faults: [Fault(.status(503), times: 9, method: "HEAD", path: "/blobs/")]) { serving in
            let digest = try await serving.push([1])

            #expect(try await serving.ask("HEAD", "/v2/team/app/blobs/\(digest)").status == 503)
            #expect(try await serving.ask("GET", "/v2/team/app/blobs/\(digest)").status == 200)
            #expect(try await serving.ask("HEAD", "/v2/").status == 200)
        }
    }

    @Test func contentIsWrongInOneByte() async throws {
        try await Serving.run { serving in
            let digest = try await serving.push(bytes)
            serving.registry.faults.add(Fault(.wrongContent))

            let reply = try await serving.ask("GET", "/v2/team/app/blobs/\(digest)")

            #expect(zip(reply.body, bytes).filter { $0 != $1 }.count == 1 && reply.body.count == bytes.count)
        }
    }

    @Test func aSlowBlobTakesItsTime() async throws {
        try await Serving.run { serving in
            let digest = try await serving.push(bytes)
            serving.registry.faults.add(Fault(.slow(bytesPerSecond: 4_000_000)))

            #expect(try await serving.ask("GET", "/v2/team/app/blobs/\(digest)").body == bytes)
            #expect(serving.registry.requests.last?.method == "GET", "who has an answer finds it noted")
            // Its end is noted after the answer went out. Half a second is the least it takes at that speed.
            try await Waiting.until("the end") { serving.registry.requests.last?.bytesOut == Int64(bytes.count) }
            #expect((serving.registry.requests.last?.microseconds ?? 0) > 400_000)
        }
    }

    @Test func chunksMountsRangesAndUploadsAreRefused() async throws {
        try await Serving.run { serving in
            let faults = serving.registry.faults
            let digest = try await serving.push(bytes, to: "base")

            for status in [404, 405, 416] {
                faults.add(Fault(.noChunks(status: status)))
                #expect(try await serving.ask("PATCH", try await serving.start(), body: bytes).status == status)
            }
            faults.add(Fault(.noMount))
            let mount = "/v2/team/app/blobs/uploads/?mount=\(digest)&from=base"
            #expect(try await serving.ask("POST", mount, body: []).status == 202)
            #expect(try await serving.ask("POST", mount, body: []).status == 201)
            faults.add(Fault(.noRange))
            let range = [("Range", "bytes=5-9")]
            #expect(try await serving.ask("GET", "/v2/base/blobs/\(digest)", range).body == bytes)
            faults.add(Fault(.forgottenUpload))
            let location = try await serving.start()
            #expect(try await serving.ask("PATCH", location, body: bytes).codes == ["BLOB_UPLOAD_UNKNOWN"])
            faults.add(Fault(.tooLarge(over: 1_000_000)))
            let other = try await serving.start()
            #expect(try await serving.ask("PATCH", other, body: bytes).status == 413)
            #expect(try await serving.ask("PATCH", other, body: Array(bytes[..<1_000_000])).status == 202)
        }
    }

    @Test func theConnectionIsCutBeforeAndAfterTheWork() async throws {
        try await Serving.run { serving in
            serving.registry.faults.add(Fault(.cutBeforeAnswer, method: "PUT"))
            serving.registry.faults.add(Fault(.cutAfterWork, method: "PUT"))
            let location = try await serving.start()
            let digest = SHA256.digest(bytes)
            let path = "\(location)?digest=\(digest)"

            await #expect(throws: Wire.Ended.self) { try await serving.ask("PUT", path, body: bytes) }
            #expect(try await serving.ask("HEAD", "/v2/team/app/blobs/\(digest)").status == 404)
            await #expect(throws: Wire.Ended.self) { try await serving.ask("PUT", path, body: bytes) }
            #expect(try await serving.ask("HEAD", "/v2/team/app/blobs/\(digest)").status == 200)
        }
    }

    @Test func aTokenExpiresInTheMiddle() async throws {
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.access = .tokens(try AccessTests.passwords(folder))
        try await Serving.run(options) { serving in
            let reply = try await serving.ask(
                "GET",
                "/token?scope=repository:team/app:pull,push",
                AccessTests.basic("ann", "secret")
            )
            var ann = serving
            let token = try #require(try JSON(parsing: reply.text)["token"].string)
            ann.headers = [("Authorization", "Bearer \(token)")]
            serving.registry.faults.add(Fault(.expiredToken, method: "PATCH"))
            let location = try await ann.start()

            let expired = try await ann.ask("PATCH", location, body: bytes)
            #expect(expired.status == 401)
            #expect(expired["WWW-Authenticate"]?.contains("error=\"invalid_token\"") ?? false)
            #expect(try await ann.ask("PATCH", location, body: bytes).status == 202)
        }
    }

    @Test func aBlobElsewhereTakesNoCredentials() async throws {
        var options = RegistryOptions()
        options.redirectsBlobs = true
        try await Serving.run(options) { serving in
            let digest = try await serving.push(bytes)

            let reply = try await serving.ask("GET", "/v2/team/app/blobs/\(digest)")
            #expect(reply.status == 307)
            let location = try #require(reply["Location"])
            let place = try #require(URL(string: location))
            #expect(place.host == "localhost")
            let port = try #require(place.port)
            #expect(port != serving.registry.port)
            let path = place.path + "?" + (place.query ?? "")
            let blob = try await Wire.ask("GET", path, port: port)
            #expect(blob.status == 200 && blob.body == bytes)
            let part = try await Wire.ask("GET", path, port: port, headers: [("Range", "bytes=1-2")])
            #expect(part.status == 206 && part.body == Array(bytes[1...2]))
            let refused = try await Wire.ask("GET", path, port: port, headers: [("Authorization", "Bearer x")])
            #expect(refused.status == 400 && refused.text.contains("InvalidAuthenticationInfo"))
            #expect(try await Wire.ask("GET", place.path + "?sig=x", port: port).status == 403)
            #expect(serving.registry.requests.allSatisfy { !$0.path.contains("sig=") || $0.path.contains("sig=…") })
            #expect(try await serving.ask("HEAD", "/v2/team/app/blobs/\(digest)").status == 200)
        }
    }
}
