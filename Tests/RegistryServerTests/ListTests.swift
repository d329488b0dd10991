// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// end-8, end-12 and the catalog: lists, and the pages they come in.
@Suite(.inTurns) struct ListTests {
    @Test func tagsComeInOrderAndInPages() async throws {
        try await Serving.run { serving in
            let image = try await serving.pushImage("b")
            for tag in ["C", "a", "1.123.4567", "B2", "_x"] { _ = try await serving.put(image.bytes, tag) }
            let path = "/v2/team/app/tags/list"
            func tags(_ query: String) async throws -> ([String]?, String?) {
                let reply = try await serving.ask("GET", path + query)
                return (try JSON(parsing: reply.text)["tags"].strings, reply["Link"])
            }

            let all = ["1.123.4567", "_x", "a", "b", "B2", "C"]
            #expect(try await tags("").0 == all)
            let first = try await tags("?n=2")
            #expect(first.0 == ["1.123.4567", "_x"])
            #expect(first.1 == "<\(path)?n=2&last=_x>; rel=\"next\"")
            #expect(try await tags("?n=2&last=_x").0 == ["a", "b"])
            let last = try await tags("?n=2&last=b")
            #expect(last.0 == ["B2", "C"] && last.1 == nil)
            #expect(try await tags("?last=a2").0 == ["b", "B2", "C"])
            let none = try await tags("?n=0")
            #expect(none.0 == [] && none.1 == nil)
            #expect(try await tags("?n=100").1 == nil)
            for bad in ["x", "-1", "1.5"] { #expect(try await serving.ask("GET", path + "?n=\(bad)").status == 400) }
            #expect(try await serving.ask("GET", "/v2/none/tags/list").codes == ["NAME_UNKNOWN"])
        }
    }

    @Test func repositoriesComeInOrderAndInPages() async throws {
        try await Serving.run { serving in
            for name in ["b", "a/c", "a", "a-b"] { try await serving.pushImage("v1", to: name) }

            let all = try await serving.ask("GET", "/v2/_catalog")
            #expect(all.text == #"{"repositories":["a","a-b","a/c","b"]}"#)
            let page = try await serving.ask("GET", "/v2/_catalog?n=3")
            #expect(page["Link"] == "</v2/_catalog?n=3&last=a/c>; rel=\"next\"")
            #expect(try await serving.ask("GET", "/v2/_catalog?n=3&last=a/c").text == #"{"repositories":["b"]}"#)
        }
    }

    @Test func referrersAreListedAndFiltered() async throws {
        try await Serving.run { serving in
            let image = try await serving.pushImage("v1")
            let path = "/v2/team/app/referrers/\(image.digest)"
            let empty = try await serving.ask("GET", path)
            #expect(empty.status == 200 && empty["Content-Type"] == MediaType.index.description)
            #expect(try JSON(parsing: empty.text)["manifests"].array.isEmpty)

            let sbom = try await serving.pushImage(
                "sbom",
                salt: "1",
                subject: image.digest,
                more: ["artifactType": "application/sbom", "annotations": ["a": "b"]]
            )
            #expect(sbom.reply["OCI-Subject"] == image.digest.description)
            let plain = try await serving.pushImage("plain", salt: "2", subject: image.digest)

            let all = try JSON(parsing: try await serving.ask("GET", path).text)["manifests"].array
            #expect(Set(all.compactMap { $0["digest"].string }) == [sbom.digest.description, plain.digest.description])
            let one = try await serving.ask("GET", path + "?artifactType=application%2Fsbom")
            #expect(one["OCI-Filters-Applied"] == "artifactType")
            let found = try JSON(parsing: one.text)["manifests"].array
            #expect(found.count == 1 && found[0]["annotations"]["a"].string == "b")
            #expect(found[0]["artifactType"].string == "application/sbom")
            let config = "?artifactType=\(MediaType.config.description.replacingOccurrences(of: "+", with: "%2B"))"
            #expect(try JSON(parsing: try await serving.ask("GET", path + config).text)["manifests"].array.count == 1)

            _ = try await serving.ask("DELETE", "/v2/team/app/manifests/\(sbom.digest)")
            #expect(try JSON(parsing: try await serving.ask("GET", path).text)["manifests"].array.count == 1)
            #expect(try await serving.ask("GET", "/v2/team/app/referrers/x").codes == ["DIGEST_INVALID"])
            #expect(try await serving.ask("GET", "/v2/none/referrers/\(image.digest)").status == 200)
        }
    }

    @Test func aSubjectNeedNotBeThere() async throws {
        try await Serving.run { serving in
            let absent = SHA256.digest([42])

            let image = try await serving.pushImage("v1", subject: absent)

            #expect(image.reply.status == 201 && image.reply["OCI-Subject"] == absent.description)
            let reply = try await serving.ask("GET", "/v2/team/app/referrers/\(absent)")
            #expect(try JSON(parsing: reply.text)["manifests"].array.count == 1)
        }
    }

    @Test func imagesOfTheStoresListAreReadAndNotChanged() async throws {
        try await Serving.run { serving in
            let store = serving.registry.store
            let config = try store.put(Array("{}".utf8), .config)
            let layer = try store.put([1, 2, 3], .layerGzip)
            let image = try store.put(Manifest(config: config, layers: [layer]).document, .manifest)
            for name in ["app:1", "my.azurecr.io/team/app:2", "z.example.com/app:1"] {
                try store.tag(image, as: try ImageReference(name))
            }

            #expect(try await serving.ask("GET", "/v2/_catalog").text == #"{"repositories":["app","team/app"]}"#)
            for name in ["app/manifests/1", "library/app/manifests/1", "team/app/manifests/2"] {
                let reply = try await serving.ask("GET", "/v2/\(name)")
                #expect(reply.status == 200 && reply["Docker-Content-Digest"] == image.digest.description, "\(name)")
            }
            #expect(try await serving.ask("GET", "/v2/app/blobs/\(layer.digest)").body == [1, 2, 3])
            #expect(try await serving.ask("GET", "/v2/other/blobs/\(layer.digest)").status == 404)
            for path in ["app/manifests/1", "app/manifests/\(image.digest)", "app/blobs/\(layer.digest)"] {
                let reply = try await serving.ask("DELETE", "/v2/\(path)")
                #expect(reply.status == 405 && reply.text.contains("coracle rm"), "\(path)")
            }
            let mount = "/v2/new/blobs/uploads/?mount=\(layer.digest)&from=team/app"
            #expect(try await serving.ask("POST", mount, body: []).status == 201)
            try store.update { $0.removeAll() }
            #expect(try await serving.ask("GET", "/v2/app/manifests/1").status == 404)
        }
    }
}
