// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Kubernetes

@Suite("Plug-ins for credentials", .inTurns)
struct PluginTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A plug-in that is a script; `$n` is how often it was asked, this time included.
    private func script(_ script: String) throws -> ExecPlugin {
        let file = try Program.install(
            "#!/bin/sh\ncd \(folder.url.path)\necho x >> asked\nn=$(wc -l < asked)\n\(script)\n",
            at: folder.url.appending(path: "plugin")
        )
        return ExecPlugin(file.path)
    }

    private static func credential(_ status: String) -> String {
        """
        cat <<EOF
        {"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{\(status)}}
        EOF
        """
    }

    private let environment = ["PATH": "/usr/bin:/bin"]

    @Test("A token is asked for once, and again where it is refused")
    func again() async throws {
        let peer = try ClusterPeer { request, _ in
            request.fields["authorization"] == "Bearer tok1"
                ? .status(401, "Unauthorized", "Unauthorized") : .json(["gitVersion": "v1"])
        }
        let plugin = try script(Self.credential("\"token\":\"tok$n\""))
        let client = ClusterClient(try peer.access(.plugin(plugin)), environment: environment)

        _ = try await client.version()
        _ = try await client.version()

        #expect(peer.requests.map { $0.fields["authorization"] } == ["Bearer tok1", "Bearer tok2", "Bearer tok2"])
    }

    @Test("A token that has ended is asked for again")
    func expired() async throws {
        let peer = try ClusterPeer { _, _ in .json(["gitVersion": "v1"]) }
        let ended = "\"expirationTimestamp\":\"2020-01-01T00:00:00Z\""
        let plugin = try script(Self.credential("\"token\":\"tok$n\",\(ended)"))
        let client = ClusterClient(try peer.access(.plugin(plugin)), environment: environment)

        _ = try await client.version()
        _ = try await client.version()

        #expect(peer.requests.map { $0.fields["authorization"] } == ["Bearer tok1", "Bearer tok2"])
    }

    @Test("It is told about the cluster where it wants to, with its own variables; what it says is handed on")
    func told() async throws {
        let peer = try ClusterPeer { _, _ in .json(["gitVersion": "v1"]) }
        var plugin = try script(
            "printf %s \"$KUBERNETES_EXEC_INFO\" > info; printf %s \"$A $1\" > told; echo 'open a page' >&2\n"
                + Self.credential("\"token\":\"t\"")
        )
        (plugin.wantsCluster, plugin.environment, plugin.arguments) = (true, ["A": "b"], ["get-token"])
        var access = try peer.access(.plugin(plugin))
        access.authority = Array("ABC".utf8)
        let said = Mutex<[String]>([])
        let client = ClusterClient(
            access,
            environment: environment,
            note: { line in said.withLock { $0.append(line) } }
        )

        _ = try await client.version()

        let info = try JSONValue.of(String(contentsOf: folder.url.appending(path: "info"), encoding: .utf8))
        #expect(info["kind"] == "ExecCredential")
        #expect(info["apiVersion"] == "client.authentication.k8s.io/v1")
        #expect(info["spec"]?["interactive"] == false)
        #expect(info["spec"]?["cluster"]?["server"] == .string("http://127.0.0.1:\(peer.port)/"))
        #expect(info["spec"]?["cluster"]?["certificate-authority-data"] == "QUJD")
        #expect(try String(contentsOf: folder.url.appending(path: "told"), encoding: .utf8) == "b get-token")
        #expect(said.withLock { $0.first } == "open a page")
    }

    @Test(
        "One that gives nothing is named, with what it said and without secrets",
        arguments: [
            ("echo 'token=hush expired' >&2; exit 3", "the plug-in plugin ended with 3: token=*** expired"),
            ("echo nothing", "the plug-in plugin gave no ExecCredential"),
            (credential(""), "the plug-in plugin gave neither token nor certificate"),
            (credential("\"token\":\"a b\""), "the plug-in plugin gave a token with blanks in it"),
            (
                "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\"}'",
                "answered in client.authentication.k8s.io/v1beta1, and was asked in client.authentication.k8s.io/v1"
            ),
        ]
    )
    func faults(script: String, message: String) async throws {
        let plugin = try self.script(script)
        let peer = try ClusterPeer { _, _ in .json([:]) }
        let client = ClusterClient(try peer.access(.plugin(plugin)), environment: environment)

        let error = try await #require(throws: KubernetesError.self) { try await client.version() }

        #expect(error.code == .credentials)
        #expect(error.message.hasPrefix("credentials for test: "))
        #expect(error.message.contains(message))
        #expect(!"\(error)".contains("hush"))
        #expect(peer.requests.isEmpty)
    }

    @Test("One that is not there says how to get it, or who needs a terminal")
    func absent() async throws {
        let peer = try ClusterPeer { _, _ in .json([:]) }
        var plugin = ExecPlugin("kubelogin-nowhere", ["get-token"])
        plugin.installHint = "az aks install-cli\nand more"
        let client = ClusterClient(try peer.access(.plugin(plugin)), environment: environment)
        let error = try await #require(throws: KubernetesError.self) { try await client.version() }
        #expect(error.message == "credentials for test: the plug-in kubelogin-nowhere is not in PATH")
        #expect(error.hint == "az aks install-cli")

        plugin.interaction = "Always"
        let other = ClusterClient(try peer.access(.plugin(plugin)), environment: environment)
        let needy = try await #require(throws: KubernetesError.self) { try await other.version() }
        #expect(needy.message.hasSuffix("wants to talk to somebody at a terminal"))
    }

    @Test("An answer in its place is taken, and it is not run")
    func answered() async throws {
        let peer = try ClusterPeer { _, _ in .json(["gitVersion": "v1"]) }
        let plugin = ExecPlugin("kubelogin", ["get-token"])
        let client = ClusterClient(
            try peer.access(.plugin(plugin)),
            environment: environment,
            answer: { $0.name == "kubelogin" ? ExecCredential(token: "ours", expires: nil) : nil }
        )

        _ = try await client.version()

        #expect(peer.requests.first?.fields["authorization"] == "Bearer ours")
    }
}
