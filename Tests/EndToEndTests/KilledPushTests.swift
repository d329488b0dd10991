// SPDX-License-Identifier: Apache-2.0
import Foundation
import RegistryServer
import Store
import TestSupport
import Testing

/// A push that is killed, and the next one.
@Suite(.inTurns) struct KilledPushTests {
    @Test(
        "A killed push goes on in the middle of a chunk, or sends the blob again where the registry forgot the upload",
        arguments: [false, true]
    )
    func killed(isForgotten: Bool) async throws {
        let folder = try TemporaryFolder()
        let name = "localhost/big:1"
        try await offPool {
            let dockerfile = try folder.write("context/Dockerfile", "FROM scratch\nCOPY file /file\n")
            try Data(randomBytes(40_000_000))
                .write(to: dockerfile.deletingLastPathComponent().appending(path: "file"))
            let build = try Self.coracle(["build", "-t", name, folder.url.path + "/context"], folder)
            try #require(build.status == 0, "\(build.errors)")
        }
        var options = RegistryOptions()
        options.rememberedRequests = 1000
        let store = try ImageStore(folder.url.path + "/registry")
        try await EmbeddedRegistry.run(store, options) { registry in
            let target = "\(registry.host)/team/app:1"
            // Only the second chunk is slow, so that it is killed in the middle of it, however late this test looks.
            registry.faults.add(Fault(.slowUpload(bytesPerSecond: 1_000_000), skipped: 1, method: "PATCH"))
            let push = try Self.start(["push", name, target], folder)
            // The first chunk has come, and the second is on its way.
            try await Waiting.until("the second chunk", upTo: 600) {
                try #require(push.isRunning, "it ended before: \(Self.errors(folder))")
                return !registry.faults.happened.isEmpty
            }
            push.send(SIGKILL)
            #expect(try await offPool { try push.wait() } == .killed(SIGKILL), "it was killed in time")
            // What was on its way when it was killed is still taken.
            try await Waiting.until("the end of the second chunk") { Self.patches(registry).count == 2 }
            #expect(try await Wire.ask("GET", "/v2/team/app/manifests/1", port: registry.port).status == 404)
            // As if it had been killed while it wrote its note, and the one before while it read.
            let uploads = folder.url.path + "/store/uploads"
            for name in ["new", "taken"] {
                try Data().write(to: URL(filePath: "\(uploads)/half.json.\(push.processIdentifier).\(name)"))
            }
            if isForgotten { registry.faults.add(Fault(.forgottenUpload, method: "GET")) }

            let again = try await offPool { try Self.coracle(["push", name, target], folder) }

            #expect(again.status == 0, "\(again.errors)")
            let reply = try await Wire.ask("GET", "/v2/team/app/manifests/1", port: registry.port)
            let size = try Int64(#require(JSON(parsing: reply.text)["layers"].array.first?["size"].int))
            let sent = Self.patches(registry).reduce(0) { $0 + $1.bytesIn }
            #expect(isForgotten ? sent > size : sent == size, "\(sent) of \(size) bytes were sent")
            #expect(registry.faults.waiting == [], "the second push asked for the upload of the first")
            #expect(try FileManager.default.contentsOfDirectory(atPath: uploads) == [])
        }
    }

    private static func patches(_ registry: EmbeddedRegistry) -> [RequestRecord] {
        registry.requests.filter { $0.method == "PATCH" }
    }

    private static func environment(_ folder: TemporaryFolder) -> [String: String] {
        ["CORACLE_STORE": folder.url.path + "/store", "HOME": folder.url.path, "DOCKER_CONFIG": ""]
    }

    private static func coracle(_ arguments: [String], _ folder: TemporaryFolder) throws -> Program {
        try Program.run(arguments, environment: environment(folder))
    }

    private static func start(_ arguments: [String], _ folder: TemporaryFolder) throws -> Child {
        try Child(arguments, environment: environment(folder), errors: .file(folder.url.appending(path: "errors")))
    }

    private static func errors(_ folder: TemporaryFolder) -> String {
        (try? String(contentsOf: folder.url.appending(path: "errors"), encoding: .utf8)) ?? ""
    }
}
