// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

/// Digests, descriptors, manifests, indexes and configurations: what is written is read again, what is wrong is refused.
@Suite struct DocumentTests {
    private static let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private func digest(_ digit: Character = "a") throws -> Digest {
        try Digest("sha256:" + String(repeating: digit, count: 64))
    }

    private func fault(_ body: () throws -> Void) throws -> String {
        try #require(throws: ContentError.self, performing: body).message
    }

    @Test func aDigestIsItsText() throws {
        let digest = try Digest("sha256:\(Self.hex)")

        #expect(digest.description == "sha256:\(Self.hex)")
        #expect(digest.hex == Self.hex)
        #expect(digest.short == "e3b0c44298fc")
        #expect(Digest(sha256: [UInt8](repeating: 0x0F, count: 32)).hex == String(repeating: "0f", count: 32))
    }

    @Test(arguments: [
        "", "sha256:", hex, "sha256:\(hex.uppercased())", "sha256:\(hex)0", "sha256:\(hex.dropLast())",
        "sha512:\(hex)", "sha256-\(hex)", " sha256:\(hex)", "sha256:\(hex.dropLast())/", "sha256:../\(hex.dropLast(3))",
        "sha256:\(hex.dropLast(2))é",
    ])
    func malformedDigestsAreRefused(text: String) throws {
        #expect(try fault { _ = try Digest(text) }.contains("is not a digest: expected \"sha256:\""))
    }

    @Test func descriptorsAreReadAsWritten() throws {
        var blob = Descriptor(mediaType: .manifest, digest: try digest(), size: 1 << 40)
        blob.annotations = ["org.opencontainers.image.ref.name": "a:b"]
        blob.platform = Platform(os: "linux", architecture: "arm", variant: "v7", osVersion: "1.2")

        #expect(try Descriptor(json: blob.json) == blob)
        let plain = Descriptor(mediaType: .layerGzip, digest: try digest(), size: 0)
        #expect(try Descriptor(json: plain.json) == plain)
        #expect(plain.json.object?.keys.sorted() == ["digest", "mediaType", "size"])
    }

    @Test(arguments: [
        "{}", "[]", "null", "{\"mediaType\":\"a\",\"size\":1}",
        "{\"mediaType\":\"a\",\"size\":-1,\"digest\":\"sha256:\(hex)\"}",
        "{\"mediaType\":\"a\",\"size\":\"1\",\"digest\":\"sha256:\(hex)\"}",
        "{\"mediaType\":\"a\",\"size\":1,\"digest\":\"../../etc/passwd\"}",
        "{\"mediaType\":null,\"size\":1,\"digest\":\"sha256:\(hex)\"}",
    ])
    func malformedDescriptorsAreRefused(text: String) throws {
        let json = try JSONValue(parsing: Array(text.utf8))
        _ = try fault { _ = try Descriptor(json: json) }
        let manifest: JSONValue = ["schemaVersion": 2, "config": json, "layers": []]
        _ = try fault { _ = try Manifest(parsing: Array(manifest.canonical.utf8)) }
        let index: JSONValue = ["schemaVersion": 2, "manifests": [json]]
        _ = try fault { _ = try ImageIndex(parsing: Array(index.canonical.utf8)) }
    }

    @Test func manifestsAreReadAsWritten() throws {
        var manifest = Manifest(
            config: Descriptor(mediaType: .config, digest: try digest("c"), size: 2),
            layers: [
                Descriptor(mediaType: .layerGzip, digest: try digest("1"), size: 3),
                Descriptor(mediaType: .layerZstd, digest: try digest("2"), size: 4),
            ]
        )
        #expect(try Manifest(parsing: manifest.document) == manifest)
        (manifest.mediaType, manifest.annotations, manifest.layers) = (.dockerManifest, ["a": "b"], [])
        #expect(try Manifest(parsing: manifest.document) == manifest)
        #expect(String(decoding: manifest.document, as: UTF8.self).contains("\"layers\":[]"))
    }

    @Test func indexesAreReadAsWritten() throws {
        var image = Descriptor(mediaType: .manifest, digest: try digest(), size: 5)
        image.platform = Platform(os: "linux", architecture: "amd64")
        var index = ImageIndex(manifests: [image])
        index.annotations = ["a": "ü"]

        #expect(try ImageIndex(parsing: index.document) == index)
        #expect(try ImageIndex(parsing: ImageIndex().document) == ImageIndex())
    }

    @Test(arguments: ["", "{}", "[]", "{\"schemaVersion\":1}", "{\"schemaVersion\":2}", "\u{FEFF}{}"])
    func otherDocumentsAreRefused(text: String) throws {
        _ = try fault { _ = try Manifest(parsing: Array(text.utf8)) }
        _ = try fault { _ = try ImageIndex(parsing: Array(text.utf8)) }
        _ = try fault { _ = try ImageConfig(parsing: Array(text.utf8)) }
    }

    /// A configuration in which every member has a value.
    static func full() throws -> ImageConfig {
        var config = ImageConfig(platform: Platform(os: "linux", architecture: "arm", variant: "v6"))
        (config.author, config.user, config.created) = ("me", "1:2", "1970-01-01T00:00:00Z")
        (config.exposedPorts, config.volumes) = (["80/tcp", "53/udp"], ["/a", "/b c"])
        (config.environment, config.labels) = (["B=1", "A=2", "E=", "=x"], ["k": "v\n", "é": ""])
        (config.entrypoint, config.command) = (["/bin/sh", "-c"], [])
        (config.workingDirectory, config.stopSignal) = ("/w", "SIGKILL")
        (config.shell, config.onBuild, config.isArgsEscaped) = (["/bin/bash"], ["RUN x"], true)
        config.healthcheck = ImageConfig.Healthcheck(
            test: ["CMD", "a"],
            interval: 1,
            timeout: 2,
            startPeriod: 3,
            startInterval: 4,
            retries: 5
        )
        var entry = ImageConfig.History(createdBy: "COPY . .", comment: "c", isEmptyLayer: false)
        (entry.created, entry.author) = ("1970-01-01T00:00:01Z", "you")
        config.history = [entry, ImageConfig.History(createdBy: "ENV A=2", comment: "", isEmptyLayer: true)]
        config.diffIDs = [try Digest("sha256:\(hex)")]
        return config
    }

    @Test func configurationsAreReadAsWritten() throws {
        let full = try Self.full()
        #expect(try ImageConfig(parsing: full.document) == full)
        let empty = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"))
        #expect(try ImageConfig(parsing: empty.document) == empty)
        #expect(try ImageConfig(parsing: full.document).document == full.document)
    }

    @Test func nullIsAbsence() throws {
        let members = [
            "Env", "Cmd", "Entrypoint", "Volumes", "ExposedPorts", "Labels", "OnBuild", "Shell", "Healthcheck", "User",
            "WorkingDir", "StopSignal", "ArgsEscaped",
        ]
        let nulls = JSONValue.object(Dictionary(uniqueKeysWithValues: members.map { ($0, JSONValue.null) }))
        let json: JSONValue = [
            "os": "linux", "architecture": "amd64", "variant": nil, "config": nulls, "history": nil, "author": nil,
            "rootfs": ["type": "layers", "diff_ids": nil], "created": nil,
        ]

        let config = try ImageConfig(parsing: Array(json.canonical.utf8))

        #expect(config == ImageConfig(platform: Platform(os: "linux", architecture: "amd64")))
    }

    @Test func aMalformedDiffIDIsRefused() throws {
        let text = "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"sha256:1\"]}}"
        #expect(try fault { _ = try ImageConfig(parsing: Array(text.utf8)) }.contains("\"sha256:1\" is not a digest"))
    }
}
