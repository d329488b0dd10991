// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A store whose disk lost something: nothing damaged leaves it, and a build mends it.
@Suite struct DamagedStoreTests {
    let place: BuildPlace

    init() throws {
        place = try BuildPlace("FROM scratch\nCOPY a.txt /a.txt\n")
        try place.write("a.txt", String(repeating: "one\n", count: 4000))
    }

    private func coracle(_ arguments: String...) throws -> Program {
        try Program.run(arguments, environment: ["CORACLE_STORE": place.store.path, "HOME": place.root.path])
    }

    /// Builds, and gives the file of the only layer.
    private func layer() throws -> URL {
        let built = try place.build(["-t", "app"])
        try #require(built.status == 0, "\(built.errors)")
        let inspect = try JSON(parsing: coracle("inspect", "app", "--format", "json").output)
        let digest = try #require(inspect["images"].array.first?["layers"].array.first?["digest"].string)
        return place.store.appending(path: "blobs/sha256/\(digest.dropFirst(7))")
    }

    /// Changes one byte, which no size tells of.
    private func damage(_ file: URL) throws -> Data {
        var bytes = try Data(contentsOf: file)
        let right = bytes
        bytes[bytes.count / 2] ^= 0xFF
        try bytes.write(to: file)
        return right
    }

    @Test(arguments: ["oci:", "oci-archive:", "docker-archive:"])
    func aDamagedLayerIsNotCopied(kind: String) throws {
        let file = try layer()
        _ = try damage(file)
        let target = place.root.appending(path: "out").path

        let copy = try coracle("copy", "store:app", kind + target)

        #expect(copy.status == 1, "\(copy.errors)")
        #expect(copy.errors.contains("the layer sha256:\(file.lastPathComponent) is damaged in the store"))
        #expect(copy.errors.contains("coracle build --no-cache"))
        #expect(!FileManager.default.fileExists(atPath: target + "/index.json"))
        #expect(!FileManager.default.fileExists(atPath: target + "/blobs/sha256/\(file.lastPathComponent)"))
        if kind != "oci:" { #expect(!FileManager.default.fileExists(atPath: target)) }
    }

    @Test(arguments: ["oci", "docker", "tar"])
    func aDamagedLayerIsNoResultOfABuild(type: String) throws {
        _ = try damage(try layer())
        let target = place.root.appending(path: "out.tar").path

        let build = try place.build(["-o", "type=\(type),dest=\(target)"])

        // What the files are is known without the layer, and a build that never reads it may do without.
        #expect(build.status == 1, "\(build.errors)")
        #expect(build.errors.contains("is damaged in the store"), "\(build.errors)")
        #expect(!FileManager.default.fileExists(atPath: target))
    }

    @Test func aBuildWithoutCacheMendsTheStore() throws {
        let file = try layer()
        let right = try damage(file)

        let build = try place.build(["--no-cache", "-t", "app"])

        #expect(build.status == 0, "\(build.errors)")
        #expect(try Data(contentsOf: file) == right)
    }

    @Test func aDamagedCopyInALayoutIsWrittenAnew() throws {
        let file = try layer()
        let target = place.root.appending(path: "out")
        let first = try coracle("copy", "store:app", "oci:" + target.path)
        #expect(first.status == 0 && !first.errors.contains("is there already"), "\(first.errors)")
        let copied = target.appending(path: "blobs/sha256/\(file.lastPathComponent)")
        let right = try damage(copied)

        let again = try coracle("copy", "store:app", "oci:" + target.path)

        #expect(again.status == 0, "\(again.errors)")
        #expect(try Data(contentsOf: copied) == right)
    }

    @Test(.enabled(if: TestRegistry.isInstalled, "docker-registry is not installed"))
    func aPushOfADamagedLayerEndsAtOnce() async throws {
        let registry = try await TestRegistry()
        let file = try layer()
        _ = try damage(file)

        let push = try coracle("push", "app", "\(registry.host)/app:1")

        #expect(push.status == 1, "\(push.errors)")
        #expect(push.errors.contains("the layer sha256:\(file.lastPathComponent) is damaged in the store"))
        #expect(!push.errors.contains("attempt"), "nothing is tried again: \(push.errors)")
    }

    @Test func whatKilledProcessesLeftGoesWithTheNextBuild() throws {
        _ = try layer()
        // No process has the largest number, and this one lives.
        let dead = place.store.appending(path: "tmp/blob-2147483647-1")
        let alive = place.store.appending(path: "tmp/blob-\(ProcessInfo.processInfo.processIdentifier)-1")
        for file in [dead, alive] { try Data("half".utf8).write(to: file) }

        let build = try place.build()

        #expect(build.status == 0, "\(build.errors)")
        #expect(!FileManager.default.fileExists(atPath: dead.path))
        #expect(FileManager.default.fileExists(atPath: alive.path))
    }
}
