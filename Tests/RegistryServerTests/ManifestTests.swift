// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// end-3, end-7, end-9: manifests and indexes.
@Suite(.inTurns) struct ManifestTests {
    @Test func aManifestIsReadAsItWasPushed() async throws {
        try await Serving.run { serving in
            let image = try await serving.pushImage("v1")
            #expect(image.reply.status == 201)
            #expect(image.reply["Docker-Content-Digest"] == image.digest.description)
            #expect(image.reply["Location"] == "/v2/team/app/manifests/\(image.digest)")

            for reference in ["v1", image.digest.description] {
                let reply = try await serving.ask("GET", "/v2/team/app/manifests/\(reference)")
                #expect(reply.status == 200 && reply.body == image.bytes)
                #expect(reply["Content-Type"] == MediaType.manifest.description)
                #expect(reply["Docker-Content-Digest"] == image.digest.description)
                let head = try await serving.ask("HEAD", "/v2/team/app/manifests/\(reference)")
                #expect(head.status == 200 && head["Content-Length"] == String(image.bytes.count))
            }
        }
    }

    @Test func theMediaTypeStaysAsItWasPushed() async throws {
        try await Serving.run { serving in
            let docker = MediaType.dockerManifest.description
            let image = try await serving.pushImage("v0")
            let text = String(decoding: image.bytes, as: UTF8.self)
                .replacingOccurrences(of: MediaType.manifest.description, with: docker)

            let reply = try await serving.put(Array(text.utf8), "v1", type: docker + "; charset=utf-8")

            #expect(reply.status == 201)
            #expect(try await serving.ask("GET", "/v2/team/app/manifests/v1")["Content-Type"] == docker)
        }
    }

    @Test func anIndexTakesItsManifests() async throws {
        try await Serving.run { serving in
            let image = try await serving.pushImage("v1")
            let absent = SHA256.digest([7])
            func index(_ digest: Digest) -> [UInt8] {
                let manifests = [Serving.descriptor(MediaType.manifest.description, digest, image.bytes.count)]
                let json: JSONValue = ["schemaVersion": 2, "manifests": .array(manifests)]
                return Array(json.canonical.utf8)
            }

            for type in [MediaType.index, .dockerIndex] {
                let reply = try await serving.put(index(image.digest), "all", type: type.description)
                #expect(reply.status == 201)
            }
            let refused = try await serving.put(index(absent), "none", type: MediaType.index.description)

            #expect(refused.codes == ["MANIFEST_BLOB_UNKNOWN"] && refused.text.contains(absent.description))
        }
    }

    @Test func allThatIsMissingIsNamed() async throws {
        try await Serving.run { serving in
            let json = JSONValue.object(Serving.manifest(config: [1], layers: [[2], [3]]))
            try await serving.push([2])

            let reply = try await serving.put(Array(json.canonical.utf8), "v1")

            #expect(reply.status == 400)
            #expect(reply.codes == ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"])
            #expect(reply.text.contains(SHA256.digest([1]).hex) && reply.text.contains(SHA256.digest([3]).hex))
            #expect(try await serving.ask("GET", "/v2/team/app/manifests/v1").codes == ["MANIFEST_UNKNOWN"])
        }
    }

    @Test func aBlobOfAnotherRepositoryDoesNotCount() async throws {
        try await Serving.run { serving in
            let image = try await serving.pushImage("v1", to: "one")

            #expect(try await serving.put(image.bytes, "v1", to: "two").codes.first == "MANIFEST_BLOB_UNKNOWN")
        }
    }

    @Test func foreignLayersNeedNotBeThere() async throws {
        try await Serving.run { serving in
            try await serving.push([1])
            var members = Serving.manifest(config: [1], layers: [])
            members["layers"] = [
                [
                    "mediaType": .string("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
                    "digest": .string(SHA256.digest([2]).description), "size": 1,
                    "urls": ["https://example.com/layer"],
                ]
            ]

            #expect(try await serving.put(Array(JSONValue.object(members).canonical.utf8), "v1").status == 201)
        }
    }

    @Test(arguments: [
        ("{", "application/vnd.oci.image.manifest.v1+json"), ("[]", "application/vnd.oci.image.manifest.v1+json"),
        (#"{"schemaVersion":1}"#, "application/vnd.oci.image.manifest.v1+json"),
        (#"{"schemaVersion":2}"#, "application/vnd.oci.image.manifest.v1+json"),
        (#"{"schemaVersion":2,"config":{}}"#, "application/vnd.oci.image.manifest.v1+json"),
        (#"{"schemaVersion":2,"manifests":3}"#, "application/vnd.oci.image.index.v1+json"),
        (#"{"schemaVersion":2,"manifests":[]}"#, "text/plain"),
        (
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
            "application/vnd.oci.image.index.v1+json"
        ),
    ])
    func whatIsNoManifestIsInvalid(text: String, type: String) async throws {
        try await Serving.run { serving in
            let reply = try await serving.put(Array(text.utf8), "v1", type: type)
            #expect(reply.status == 400 && reply.codes == ["MANIFEST_INVALID"], "\(reply.text)")
        }
    }

    @Test func aLargeManifestIsTakenAndATooLargeOneIsNot() async throws {
        try await Serving.run { serving in
            let limit = 4 << 20
            for (size, expected) in [(limit, 201), (limit + 1, 413), (limit * 4, 413)] {
                try await serving.push([1])
                let json = JSONValue.object(Serving.manifest(config: [1], layers: [])).canonical
                let bytes = Array(json.utf8) + [UInt8](repeating: 0x20, count: size - json.utf8.count)
                let reply = try await serving.put(bytes, "v1")
                #expect(reply.status == expected && (expected == 201 || reply.codes == ["SIZE_INVALID"]), "\(size)")
            }
        }
    }

    @Test func aManifestPushedByDigestHasThatDigest() async throws {
        try await Serving.run { serving in
            let image = try await serving.pushImage("v1")
            let other = image.bytes + [0x0A]

            #expect(try await serving.put(other, image.digest.description).codes == ["DIGEST_INVALID"])
            #expect(try await serving.put(other, SHA256.digest(other).description).status == 201)
            #expect(try await serving.put(other, "sha256:1").codes == ["DIGEST_INVALID"])
            #expect(try await serving.put(other, "-bad").codes == ["MANIFEST_INVALID"])
            #expect(try await serving.ask("GET", "/v2/team/app/manifests/-bad").codes == ["MANIFEST_UNKNOWN"])
            let many = try await serving.put(other, "\(SHA256.digest(other))?tag=a&tag=b")
            #expect(many["OCI-Tag"] == "a, b")
            #expect(try await serving.ask("GET", "/v2/team/app/manifests/b").body == other)
            let long = String(repeating: "t", count: 128)
            #expect(try await serving.put(other, long).status == 201)
            #expect(try await serving.put(other, long + "t").codes == ["MANIFEST_INVALID"])
        }
    }

    @Test func aTagIsDeletedAloneAndAManifestWithItsTags() async throws {
        try await Serving.run { serving in
            let image = try await serving.pushImage("v1")
            for tag in ["v2", "v3"] { _ = try await serving.put(image.bytes, tag) }
            func get(_ reference: String) async throws -> Int {
                try await serving.ask("GET", "/v2/team/app/manifests/\(reference)").status
            }

            #expect(try await serving.ask("DELETE", "/v2/team/app/manifests/v1").status == 202)
            #expect(try await get("v1") == 404)
            #expect(try await get("v2") == 200)
            #expect(try await serving.ask("DELETE", "/v2/team/app/manifests/\(image.digest)").status == 202)

            for reference in ["v2", "v3", image.digest.description] { #expect(try await get(reference) == 404) }
            #expect(try await serving.ask("DELETE", "/v2/team/app/manifests/v2").codes == ["MANIFEST_UNKNOWN"])
            #expect(try await serving.ask("DELETE", "/v2/none/manifests/v2").codes == ["NAME_UNKNOWN"])
            #expect(try await serving.ask("GET", "/v2/team/app/tags/list").text == #"{"name":"team/app","tags":[]}"#)
        }
    }

    @Test func whatIsNotChangedWhereNothingMayChange() async throws {
        let folder = try TemporaryFolder()
        try await Serving.run(folder: folder) { try await $0.pushImage("v1") }
        var options = RegistryOptions()
        options.isReadOnly = true
        try await Serving.run(options, folder: folder) { serving in
            #expect(try await serving.ask("GET", "/v2/team/app/manifests/v1").status == 200)
            for (method, path) in [
                ("PUT", "manifests/v2"), ("DELETE", "manifests/v1"), ("POST", "blobs/uploads/"),
                ("DELETE", "blobs/\(SHA256.digest([1]))"),
            ] {
                let reply = try await serving.ask(method, "/v2/team/app/\(path)", body: [1])
                #expect(reply.status == 405 && reply.codes == ["UNSUPPORTED"], "\(method) \(path)")
            }
        }
    }
}
