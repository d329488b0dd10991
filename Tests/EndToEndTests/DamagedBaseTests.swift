// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Layers of pulled images that the disk changed: they are fetched again where they come from, and no wrong byte gets
/// into another image.
@Suite(.enabled(if: TestRegistry.isInstalled, "docker-registry is not installed"))
struct DamagedBaseTests {
    private static let text = String(repeating: "all is well\n", count: 20_000)

    let place: BuildPlace
    let registry: TestRegistry
    /// The base's name in the registry.
    let base: String
    /// The file of its layer in the store.
    let layer: URL
    private let right: Data

    /// Pulls a base whose layer is not compressed, so that decompressing finds no fault in it.
    init() async throws {
        place = try BuildPlace("FROM scratch\nCOPY a.txt /a.txt\nCOPY b.txt /b.txt\n")
        registry = try await TestRegistry()
        base = "\(registry.host)/base:1"
        let tree = try TemporaryFolder()
        try tree.write("a.txt", Self.text)
        let tar = tree.url.appending(path: "layer.tar")
        let made = try Program.run(["-C", tree.url.path, "-cf", tar.path, "a.txt"], of: #require(Program.named("tar")))
        try #require(made.status == 0, "\(made.errors)")
        let layout = try DamagedBaseTests.layout(tar, in: tree)
        right = try Data(contentsOf: tar)
        let store = place.store.path
        for arguments in [["copy", "oci:\(layout.path)", base, "--all-platforms"], ["pull", base, "--all-platforms"]] {
            let result = try Program.run(arguments, environment: ["CORACLE_STORE": store, "HOME": place.root.path])
            try #require(result.status == 0, "\(arguments): \(result.errors)")
        }
        let digest = try DamagedBaseTests.digest(of: tar)
        layer = place.store.appending(path: "blobs/sha256/\(digest)")
        try #require(try Data(contentsOf: layer) == right)
    }

    private static func digest(of file: URL) throws -> String {
        let sum = try Program.run([file.path], of: #require(Program.named("sha256sum")))
        return String(sum.output.prefix(64))
    }

    /// A layout with an image of one layer that is a plain archive.
    private static func layout(_ tar: URL, in folder: TemporaryFolder) throws -> URL {
        func blob(_ data: Data) throws -> (digest: String, size: Int) {
            let name = UUID().uuidString
            let file = try folder.write(name, "")
            try data.write(to: file)
            let digest = try digest(of: file)
            try folder.write("layout/blobs/sha256/\(digest)", "")
            try data.write(to: folder.url.appending(path: "layout/blobs/sha256/\(digest)"))
            return (digest, data.count)
        }
        let layer = try blob(Data(contentsOf: tar))
        let config = try blob(
            Data(
                """
                {"architecture":"amd64","os":"linux","config":{},\
                "rootfs":{"type":"layers","diff_ids":["sha256:\(layer.digest)"]}}
                """
                .utf8
            )
        )
        let type = "application/vnd.oci.image"
        let manifest = try blob(
            Data(
                """
                {"schemaVersion":2,"mediaType":"\(type).manifest.v1+json","config":{"mediaType":"\(type).config.v1+json",\
                "digest":"sha256:\(config.digest)","size":\(config.size)},"layers":[{"mediaType":"\(type).layer.v1.tar",\
                "digest":"sha256:\(layer.digest)","size":\(layer.size)}]}
                """
                .utf8
            )
        )
        try folder.write("layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}")
        try folder.write(
            "layout/index.json",
            """
            {"schemaVersion":2,"manifests":[{"mediaType":"\(type).manifest.v1+json",\
            "digest":"sha256:\(manifest.digest)","size":\(manifest.size)}]}
            """
        )
        return folder.url.appending(path: "layout")
    }

    /// Changes one byte of the file in the layer, which no size tells of.
    private func damage() throws {
        var bytes = right
        let place = try #require(bytes.range(of: Data("all is well".utf8), in: 100_000..<bytes.count))
        bytes[place.lowerBound] = UInt8(ascii: "X")
        try bytes.write(to: layer)
    }

    private func coracle(_ arguments: String...) throws -> Program {
        try Program.run(arguments, environment: ["CORACLE_STORE": place.store.path, "HOME": place.root.path])
    }

    @Test func aPullFetchesADamagedLayerAgain() throws {
        try damage()

        let pull = try coracle("pull", base, "--all-platforms")

        #expect(pull.status == 0, "\(pull.errors)")
        #expect(pull.errors.contains("is damaged in the store"), "\(pull.errors)")
        #expect(try Data(contentsOf: layer) == right)
        let again = try coracle("pull", base, "--all-platforms", "--json")
        #expect(try JSON(parsing: again.output)["moved"].int == 0, "what is whole stays: \(again.errors)")
    }

    @Test func aPullWritesADamagedManifestAnew() throws {
        let blobs = place.store.appending(path: "blobs/sha256")
        for name in try FileManager.default.contentsOfDirectory(atPath: blobs.path) {
            let file = blobs.appending(path: name)
            var bytes = try Data(contentsOf: file)
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: file)
        }

        let pull = try coracle("pull", base, "--all-platforms")

        #expect(pull.status == 0, "\(pull.errors)")
        for name in try FileManager.default.contentsOfDirectory(atPath: blobs.path) {
            #expect(try DamagedBaseTests.digest(of: blobs.appending(path: name)) == name)
        }
    }

    @Test(arguments: ["FROM scratch\nCOPY --from=BASE /a.txt /c.txt\n", "FROM BASE\nCOPY --from=BASE /a.txt /c.txt\n"])
    func aCopyFromADamagedLayerHasTheRightBytes(dockerfile: String) throws {
        try place.write("Dockerfile", dockerfile.replacingOccurrences(of: "BASE", with: base))
        // Its entries are known before it is damaged, so that nothing else is a reason to look at it.
        try #require(place.build(["--platform", "linux/amd64"]).status == 0)
        try damage()
        let target = place.root.appending(path: "out")

        let build = try place.build([
            "--platform", "linux/amd64", "--no-cache", "-o", "type=local,dest=\(target.path)",
        ])

        #expect(build.status == 0, "\(build.errors)")
        #expect(try String(contentsOf: target.appending(path: "c.txt"), encoding: .utf8) == Self.text)
        #expect(build.errors.contains("is damaged in the store"), "\(build.errors)")
        #expect(try Data(contentsOf: layer) == right)
    }

    @Test func aCopyFromALayerThatWasNeverLookedAtHasTheRightBytes() throws {
        try damage()
        try place.write("Dockerfile", "FROM \(base)\nCOPY --from=\(base) /a.txt /c.txt\n")
        let target = place.root.appending(path: "out")

        let build = try place.build(["--platform", "linux/amd64", "-o", "type=local,dest=\(target.path)"])

        #expect(build.status == 0, "\(build.errors)")
        for name in ["a.txt", "c.txt"] {
            #expect(try String(contentsOf: target.appending(path: name), encoding: .utf8) == Self.text)
        }
        #expect(try Data(contentsOf: layer) == right)
    }

    @Test func withoutRegistriesADamagedLayerIsAnErrorWithAWayOut() throws {
        try damage()
        try place.write("Dockerfile", "FROM scratch\nCOPY --from=\(base) /a.txt /c.txt\n")

        let build = try place.build(["--platform", "linux/amd64", "--offline", "-t", "app"])

        #expect(build.status == 1, "\(build.errors)")
        #expect(build.errors.contains("the layer sha256:\(layer.lastPathComponent) is damaged in the store"))
        #expect(build.errors.contains("coracle pull IMAGE"), "\(build.errors)")
        #expect(try coracle("inspect", "app").status != 0)
    }
}
