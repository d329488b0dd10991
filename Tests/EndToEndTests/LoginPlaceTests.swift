// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The password of a run is shown to the registry that the run is about, and to no other.
@Suite struct LoginPlaceTests {
    private let folder: TemporaryFolder
    private let login = ["-u", TestRegistry.user, "--password-stdin"]

    init() throws { folder = try TemporaryFolder() }

    /// A registry that asks everybody for a password, and has nothing.
    private func stranger() throws -> LoopbackServer {
        try LoopbackServer { _, _ in
            LoopbackServer.Reply(status: 401, fields: ["WWW-Authenticate": "Basic realm=\"stranger\""])
        }
    }

    private func coracle(_ arguments: [String], _ environment: [String: String] = [:]) throws -> Program {
        let home = folder.url.path
        let own = [
            "HOME": home, "XDG_RUNTIME_DIR": home, "DOCKER_CONFIG": "", "REGISTRY_AUTH_FILE": "",
            "CORACLE_STORE": home + "/store",
        ]
        return try Program.run(arguments, input: TestRegistry.password, environment: own.merging(environment) { $1 })
    }

    private func wasShown(_ server: LoopbackServer) -> Bool {
        server.requests.contains { $0.fields["authorization"] != nil }
    }

    @Test("Base images, caches and mirrors elsewhere are asked without it")
    func others() throws {
        let (own, other) = (try stranger(), try stranger())
        let dockerfile = try folder.write("Dockerfile", "FROM \(other.host)/base\nLABEL a=b\n").path
        let scratch = try folder.write("scratch/Dockerfile", "FROM scratch\nLABEL a=b\n").path
        let push = ["--push", "-t", "\(own.host)/app:1"] + login

        let base = try coracle(["build", dockerfile] + push)
        let cache = try coracle(["build", scratch, "--cache-from", "\(other.host)/cache:1"] + push)
        let mirror = try coracle(
            ["pull", "\(own.host)/app:1"] + login,
            ["CORACLE_REGISTRY_MIRRORS": "\(own.host)=\(other.host)"]
        )

        #expect(base.status != 0 && cache.status != 0 && mirror.status != 0)
        #expect(!other.requests.isEmpty)
        #expect(!wasShown(other))
        #expect(wasShown(own))
    }

    @Test("A command about two registries, or none, says what to do in place of it")
    func several() throws {
        let (own, other) = (try stranger(), try stranger())
        let dockerfile = try folder.write("Dockerfile", "FROM \(other.host)/base\n").path

        for (arguments, words) in [
            (
                ["copy", "\(own.host)/a:1", "\(other.host)/a:1"],
                "coracle login \(own.host) and coracle login \(other.host)"
            ),
            (["copy", "oci:a", "oci:b"], "no registry is named"),
            (["registry", "rm", "\(own.host)/a:1", "\(other.host)/a:1"], "--username is for one registry"),
            (["build", "--push", "-t", "\(own.host)/a", "-t", "\(other.host)/a", dockerfile], "is for one registry"),
            (["build", "-t", "\(own.host)/a", dockerfile], "--username is for the registry that --push goes to"),
            (["plan", "--resolve", dockerfile], "--username is for the registry that --push goes to"),
        ] {
            let result = try coracle(arguments + login)
            #expect(result.status == 2, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(words), "\(result.errors)")
        }
        #expect(own.requests.isEmpty && other.requests.isEmpty)
    }

    @Test("A copy between a registry and somewhere else, or within one, is about that registry")
    func one() throws {
        for target in ["oci:\(folder.url.path)/out", ""] {
            let own = try stranger()
            let result = try coracle(["copy", "\(own.host)/a:1", target.isEmpty ? "\(own.host)/b:1" : target] + login)
            #expect(result.status == 3, "\(result.errors)")
            #expect(wasShown(own))
        }
    }
}
