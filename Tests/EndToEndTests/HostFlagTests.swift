// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Hosts of flags and variables in a form that could never match are refused, with the right form.
@Suite struct HostFlagTests {
    private func ls(_ flags: [String] = [], mirrors: String? = nil) throws -> Program {
        let home = try TemporaryFolder()
        var environment = ["HOME": home.url.path, "CORACLE_STORE": home.url.appending(path: "store").path]
        environment["CORACLE_REGISTRY_MIRRORS"] = mirrors
        // Nobody listens on that port: what is no fault of usage ends with 4.
        return try Program.run(["registry", "ls"] + flags + ["127.0.0.1:9"], environment: environment)
    }

    @Test(arguments: [
        ("http://reg.example:5000", "a host is written without http:// or https://", "reg.example:5000"),
        ("https://reg.example/", "a host is written without http:// or https://", "reg.example"),
        ("reg.example/team", "it is for a whole host, and takes no path", "reg.example"),
        ("reg.example:5000/", "it is for a whole host, and takes no path", "reg.example:5000"),
        ("", "expected HOST or HOST:PORT", "registry.example:5000"),
        ("reg.example:http", "expected HOST or HOST:PORT", "registry.example:5000"),
        ("a b", "expected HOST or HOST:PORT", "registry.example:5000"),
    ])
    func anInsecureHostThatCanNeverMatch(text: String, reason: String, right: String) throws {
        let result = try ls(["--insecure", text])

        #expect(result.status == 2, "\(result.errors)")
        #expect(result.errors.contains("--insecure \"\(text)\" is no host: \(reason)"), "\(result.errors)")
        #expect(result.errors.contains("--insecure \(right)\n"), "\(result.errors)")
    }

    @Test func aPasswordInAHostIsNotRepeated() throws {
        for text in ["http://me:hunter22@reg.example", "me:hunter22@reg.example"] {
            let result = try ls(["--insecure", text])

            #expect(result.status == 2, "\(result.errors)")
            #expect(!result.errors.contains("hunter22"), "\(result.errors)")
            #expect(result.errors.contains("--insecure reg.example\n"), "\(result.errors)")
        }
    }

    @Test func whatMayMatchIsTaken() throws {
        let hosts = ["reg", "reg.example", "localhost:5000", "[::1]:5000", "::1", "10.0.0.1", "docker.io"]

        let result = try ls(
            hosts.flatMap { ["--insecure", $0] },
            mirrors: "docker.io=m:1, docker.io=m/hub,reg.example:5000=[::1]:5000,index.docker.io=m.example/a/b,"
        )

        #expect(result.status == 4, "\(result.errors)")
    }

    @Test(arguments: [
        ("docker.io/library=m.example", "a mirror is for all of a registry, docker.io", "docker.io=m.example"),
        ("https://docker.io=m.example", "it is written as in image names", "docker.io=m.example"),
        (
            "docker.io=http://m.example:5000/hub", "where it has no TLS, say so with --insecure",
            "docker.io=m.example:5000/hub"
        ),
        ("docker.io=m.example/hub/", "expected HOST[:PORT][/PREFIX]", "docker.io=m.example/hub"),
        ("docker.io=m.example/UP", "expected HOST[:PORT][/PREFIX]", "docker.io=mirror.example"),
        ("docker.io=", "expected HOST[:PORT][/PREFIX]", "docker.io=mirror.example"),
        ("hub=m.example", "is no registry that an image's name could begin with", "docker.io=m.example"),
        ("m.example", "is not HOST=MIRROR[/PREFIX]", "docker.io=mirror.example:5000/hub"),
    ])
    func aMirrorThatCanNeverMatch(text: String, reason: String, right: String) throws {
        let result = try ls(mirrors: text)

        #expect(result.status == 2, "\(result.errors)")
        #expect(result.errors.contains("CORACLE_REGISTRY_MIRRORS: "), "\(result.errors)")
        #expect(result.errors.contains(reason), "\(result.errors)")
        #expect(result.errors.contains("CORACLE_REGISTRY_MIRRORS=\(right)\n"), "\(result.errors)")
    }
}
