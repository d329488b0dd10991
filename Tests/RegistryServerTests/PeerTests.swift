// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// Other people's clients and servers against ours; skipped where they are not installed.
@Suite(.inTurns) struct PeerTests {
    /// A layout with an image of one layer of random bytes, and its manifest's digest.
    static func layout(in folder: TemporaryFolder) throws -> (path: String, digest: Digest) {
        let store = try ImageStore(folder.url.path + "/layout")
        var layer = LayerBytes.empty
        layer.append(contentsOf: (0..<1000).map { _ in UInt8.random(in: 0...255) })
        let content = try store.put(layer, MediaType("application/vnd.oci.image.layer.v1.tar"))
        var config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"))
        config.diffIDs = [content.digest]
        let image = Manifest(config: try store.put(config.document, .config), layers: [content])
        let manifest = try store.put(image.document, .manifest)
        try store.tag(manifest, as: try ImageReference("app:1"))
        return (store.root, manifest.digest)
    }

    private enum LayerBytes {
        /// Two blocks of zeros: a tar archive of nothing.
        static let empty = [UInt8](repeating: 0, count: 1024)
    }

    static func skopeo(_ arguments: String..., home: TemporaryFolder) async throws -> Program {
        let skopeo = try #require(Program.named("skopeo"))
        return try await offPool {
            try Program.run(arguments, of: skopeo, environment: ["HOME": home.url.path, "REGISTRY_AUTH_FILE": ""])
        }
    }

    /// The program that `go build` makes of the folder `conformance` of opencontainers/distribution-spec.
    private static let suite: URL? = {
        let named = ProcessInfo.processInfo.environment["CORACLE_OCI_CONFORMANCE"].map { URL(filePath: $0) }
        if named == nil {
            print("SKIPPED the suite of the distribution-spec: CORACLE_OCI_CONFORMANCE names no program")
        }
        return named
    }()

    @Test(.enabled(if: suite != nil, "CORACLE_OCI_CONFORMANCE names no program"), arguments: ["1.1", "dev"])
    func theSuiteOfTheSpecificationFindsNothing(version: String) async throws {
        let suite = try #require(PeerTests.suite)
        try await Serving.run { serving in
            let environment = [
                "OCI_REGISTRY": serving.registry.host, "OCI_TLS": "disabled", "OCI_VERSION": version,
                "OCI_RESULTS_DIR": serving.folder.url.path + "/results", "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
                "OCI_API_MANIFESTS_TAG_PARAM": "true", "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
                "OCI_API_BLOBS_DIGEST_HEADER": "true",
            ]
            let result = try await offPool { try Program.run([], of: suite, environment: environment) }

            #expect(result.status == 0, "\(result.output)\(result.errors)")
            #expect(result.output.contains("OCI Conformance Test: Pass"))
            #expect(result.output.firstMatch(of: /FAIL\.*: +0\n/) != nil, "\(result.output)")
        }
    }

    @Test(.enabled(if: Program.named("skopeo") != nil))
    func skopeoPushesInspectsListsPullsAndDeletes() async throws {
        try await Serving.run { serving in
            let (home, name) = (serving.folder, "docker://\(serving.registry.host)/team/app:1")
            let image = try Self.layout(in: home)

            let push = try await Self.skopeo(
                "copy",
                "--preserve-digests",
                "--dest-tls-verify=false",
                "oci:\(image.path):app:1",
                name,
                home: home
            )
            #expect(push.status == 0, "\(push.errors)")
            let inspect = try await Self.skopeo("inspect", "--tls-verify=false", name, home: home)
            #expect(try JSON(parsing: inspect.output)["Digest"].string == image.digest.description)
            let tags = try await Self.skopeo(
                "list-tags",
                "--tls-verify=false",
                name.replacingOccurrences(of: ":1", with: ""),
                home: home
            )
            #expect(tags.output.contains("\"1\"") || tags.status != 0)
            let back = "oci:\(home.url.path)/back:1"
            let pull = try await Self.skopeo(
                "copy",
                "--preserve-digests",
                "--preserve-digests",
                "--src-tls-verify=false",
                name,
                back,
                home: home
            )
            #expect(pull.status == 0, "\(pull.errors)")
            let layout = try ImageLayout(home.url.path + "/back")
            #expect(try layout.index().manifests.map(\.digest) == [image.digest])
            #expect(try await Self.skopeo("delete", "--tls-verify=false", name, home: home).status == 0)
            #expect(try await Self.skopeo("inspect", "--tls-verify=false", name, home: home).status != 0)
        }
    }

    @Test(.enabled(if: Program.named("skopeo") != nil), arguments: [false, true])
    func skopeoSaysWhoItIs(withTokens: Bool) async throws {
        let folder = try TemporaryFolder()
        let users = try AccessTests.passwords(folder)
        var options = RegistryOptions()
        options.access = withTokens ? .tokens(users) : .passwords(users)
        try await Serving.run(options, folder: folder) { serving in
            let image = try Self.layout(in: folder)
            let name = "docker://\(serving.registry.host)/team/app:1"
            func push(_ credentials: String...) async throws -> Int32 {
                let skopeo = try #require(Program.named("skopeo"))
                let arguments =
                    ["copy", "--preserve-digests", "--dest-tls-verify=false"] + credentials + [
                        "oci:\(image.path):app:1", name,
                    ]
                return try await offPool { try Program.run(arguments, of: skopeo).status }
            }

            #expect(try await push("--dest-no-creds") != 0)
            #expect(try await push("--dest-creds", "ann:wrong") != 0)
            #expect(try await push("--dest-creds", "ann:secret") == 0)
            let inspect = try await Self.skopeo(
                "inspect",
                "--tls-verify=false",
                "--creds",
                "bob:p:ä",
                name,
                home: folder
            )
            #expect(try JSON(parsing: inspect.output)["Digest"].string == image.digest.description)
        }
    }

    @Test(.enabled(if: Program.named("skopeo") != nil && Program.named("openssl") != nil))
    func skopeoTrustsAPrivateAuthority() async throws {
        let folder = try TemporaryFolder()
        let openssl = try #require(Program.named("openssl"))
        let made = try await offPool {
            try Program.run(
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "ca.crt", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                ],
                of: openssl,
                in: folder.url
            )
        }
        try #require(made.status == 0, "\(made.errors)")
        var options = RegistryOptions()
        options.certificate = (folder.url.path + "/ca.crt", folder.url.path + "/key.pem")
        try await Serving.run(options, folder: folder) { serving in
            let image = try Self.layout(in: folder)
            let name = "docker://\(serving.registry.host)/team/app:1"
            #expect(serving.registry.url.hasPrefix("https://"))

            let trusting = try await Self.skopeo(
                "copy",
                "--preserve-digests",
                "--dest-cert-dir",
                folder.url.path,
                "oci:\(image.path):app:1",
                name,
                home: folder
            )
            let doubting = try await Self.skopeo("inspect", name, home: folder)

            #expect(trusting.status == 0, "\(trusting.errors)")
            #expect(doubting.status != 0)
        }
    }

    @Test(.enabled(if: Program.named("skopeo") != nil && Program.named("docker-registry") != nil))
    func dockerRegistryPullsThrough() async throws {
        try await Serving.run { serving in
            let home = serving.folder
            let image = try Self.layout(in: home)
            let name = "docker://\(serving.registry.host)/team/app:1"
            let push = try await Self.skopeo(
                "copy",
                "--preserve-digests",
                "--dest-tls-verify=false",
                "oci:\(image.path):app:1",
                name,
                home: home
            )
            try #require(push.status == 0, "\(push.errors)")
            let port = try UnusedPort.find()
            let file = try home.write(
                "cache.yml",
                """
                version: 0.1
                storage: {filesystem: {rootdirectory: \(home.url.path)/cache}}
                http: {addr: "127.0.0.1:\(port)"}
                proxy: {remoteurl: "\(serving.registry.url)"}
                """
            )
            let cache = try Child(["serve", file.path], of: #require(Program.named("docker-registry")))
            defer { cache.send(SIGTERM) }
            for _ in 0..<200 where (try? Wire(port: port)) == nil { try await Task.sleep(for: .milliseconds(50)) }

            for _ in 0..<2 {
                let pull = try await Self.skopeo(
                    "copy",
                    "--preserve-digests",
                    "--src-tls-verify=false",
                    "docker://127.0.0.1:\(port)/team/app:1",
                    "oci:\(home.url.path)/cached:1",
                    home: home
                )
                #expect(pull.status == 0, "\(pull.errors)")
            }

            let layout = try ImageLayout(home.url.path + "/cached")
            #expect(try layout.index().manifests.map(\.digest) == [image.digest])
        }
    }
}
