// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import RegistryServer
import Store
import TestSupport
import Testing

/// A pull that is killed, and the next one.
@Suite(.inTurns, .serialized) struct KilledPullTests {
    /// What becomes of the beginning of the blob before the next pull.
    enum Beginning: CaseIterable {
        case stays, isChanged, isLonger
    }

    /// Puts an image with one large layer into a store, and gives the layer.
    private static func image(_ store: ImageStore) throws -> Descriptor {
        var bytes = [UInt8](repeating: 0, count: 1024)
        // A tar archive of nothing, with much after its end.
        let numbers = (0..<1_000_000).map { _ in UInt64.random(in: 0...UInt64.max) }
        numbers.withUnsafeBytes { bytes += $0 }
        let layer = try store.put(bytes, MediaType("application/vnd.oci.image.layer.v1.tar"))
        var config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"))
        config.diffIDs = [layer.digest]
        let manifest = Manifest(config: try store.put(config.document, .config), layers: [layer])
        try store.tag(try store.put(manifest.document, .manifest), as: ImageReference("big:1"))
        return layer
    }

    @Test(
        "A killed pull goes on with what is here, unless that is not the blob's beginning",
        arguments: Beginning.allCases
    )
    func killed(beginning: Beginning) async throws {
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.rememberedRequests = 1000
        let store = try ImageStore(folder.url.path + "/registry")
        let layer = try await offPool { try Self.image(store) }
        let part = folder.url.appending(path: "store/tmp/part-\(layer.digest.hex)")
        try await EmbeddedRegistry.run(store, options) { registry in
            let name = "\(registry.host)/big:1"
            let path = "/blobs/\(layer.digest)"
            registry.faults.add(Fault(.slow(bytesPerSecond: 1_000_000), method: "GET", path: path))
            let pull = try Child(["pull", name], environment: Self.environment(folder))
            try await Waiting.until("the first megabyte") { Self.size(part) > 1 << 20 }
            pull.send(SIGKILL)
            #expect(try await offPool { try pull.wait() } == .killed(SIGKILL), "it was killed in time")
            let here = Self.size(part)
            switch beginning {
            case .stays: break
            case .isChanged: try Self.change(part)
            case .isLonger: truncate(part.path, off_t(layer.size + 1))
            }

            let again = try await offPool { try Self.coracle(["pull", name], folder) }

            #expect(again.status == 0, "\(again.errors)")
            let blob = try ImageStore(folder.url.path + "/store").path(of: layer.digest)
            #expect(try SHA256.digest(Array(Data(contentsOf: URL(filePath: blob)))) == layer.digest)
            // The registry counts what it sent once all of it has gone out, and of the killed pull nothing.
            let rest = layer.size - here
            let whole: [Int64] =
                switch beginning {
                case .stays: [rest]
                case .isChanged: [rest, layer.size]
                case .isLonger: [layer.size]
                }
            func sent() -> [Int64] {
                registry.requests.filter { $0.method == "GET" && $0.path.contains(path) }.map(\.bytesOut)
                    .filter { $0 > 0 }
            }
            try await Waiting.until("the count of bytes") { sent().count == whole.count }
            #expect(sent() == whole)
            #expect(again.errors.contains("goes on after") == (beginning != .isLonger), "\(again.errors)")
            #expect(again.errors.contains("from its begin") == (beginning == .isChanged), "\(again.errors)")
            #expect(!FileManager.default.fileExists(atPath: part.path))
        }
    }

    @Test func whatWasFetchedInPartGoesWithPruneAndAfterADay() throws {
        let folder = try TemporaryFolder()
        let names = ["part-" + String(repeating: "a", count: 64), "part-" + String(repeating: "b", count: 64)]
        try folder.write("context/Dockerfile", "FROM scratch\nENV A=1\n")
        try #require(Self.coracle(["build", folder.url.path + "/context"], folder).status == 0)
        let files = try names.map { try folder.write("store/tmp/\($0)", "begin") }
        let old = Date().addingTimeInterval(-2 * 86400)
        try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: files[1].path)

        try #require(Self.coracle(["build", folder.url.path + "/context"], folder).status == 0)
        let afterBuild = files.map { FileManager.default.fileExists(atPath: $0.path) }
        try #require(Self.coracle(["prune"], folder).status == 0)

        #expect(afterBuild == [true, false])
        #expect(!FileManager.default.fileExists(atPath: files[0].path))
    }

    private static func size(_ file: URL) -> Int64 {
        (try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int64) ?? 0
    }

    private static func change(_ file: URL) throws {
        let handle = try FileHandle(forUpdating: file)
        try handle.seek(toOffset: 1000)
        try handle.write(contentsOf: Data("wrong".utf8))
        try handle.close()
    }

    private static func environment(_ folder: TemporaryFolder) -> [String: String] {
        ["CORACLE_STORE": folder.url.path + "/store", "HOME": folder.url.path, "DOCKER_CONFIG": ""]
    }

    private static func coracle(_ arguments: [String], _ folder: TemporaryFolder) throws -> Program {
        try Program.run(arguments, environment: environment(folder))
    }
}
