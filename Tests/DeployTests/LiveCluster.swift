// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kubernetes
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Deploy

/// A cluster of the emulated Azure, in a process of its own; its pods run on this machine.
final class LiveCluster: Sendable {
    /// Whether there is one: its pods need rights and a shell.
    static let canRun: Bool = {
        guard Program.named("busybox") != nil, geteuid() == 0 else {
            print("SKIPPED: tests with pods that run: they need root and busybox")
            return false
        }
        return true
    }()
    static let image = "example.org/shell:1"

    private let folder: TemporaryFolder
    private let process: ServerProcess
    let client: ClusterClient

    init() async throws {
        folder = try TemporaryFolder()
        let bases = folder.url.appending(path: "bases").path
        let script = ConformanceData.projectRoot.appending(path: "scripts/bases").path
        let made = try Program.run([script, Program.coracle.path, bases, "busybox"], of: URL(filePath: "/bin/bash"))
        #expect(made.status == 0, "\(made.errors)")
        let program = Program.coracle.deletingLastPathComponent().appending(path: "coracle-azure-emulator")
        var command = [
            program.path, "--plain-http", "--folder", folder.url.appending(path: "azure").path, "--cluster", "test",
            "--image", "\(Self.image)=\(bases)/busybox",
        ]
        if let schemas = JSONSchema.azure { command += ["--specs", schemas.path] }
        process = try await ServerProcess(command, readyAt: "KUBECONFIG_test=")
        let line = process.text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("KUBECONFIG_test=") } ?? ""
        let config = try Kubeconfig.load(String(line.dropFirst("KUBECONFIG_test=".count)), environment: [:])
        client = ClusterClient(try config.access())
    }

    /// What the emulator printed.
    var log: String { process.text }

    /// A target that does not wait for long.
    func target(_ manifests: [JSONValue], _ change: (inout AKSTarget) -> Void = { _ in }) -> AKSTarget {
        var target = AKSTarget(client, name: "web", manifests: manifests)
        target.pace.rollout.settling = .seconds(1)
        target.pace.interval = .milliseconds(200)
        change(&target)
        return target
    }

    /// Plans and applies, and gives what was told.
    func apply(_ target: AKSTarget) async throws -> (report: DeployReport, told: [String]) {
        let told = Mutex<[String]>([])
        let report = try await target.apply(try await target.plan()) { event in
            told.withLock { $0.append(event.text) }
        }
        return (report, told.withLock { $0 })
    }

    /// A deployment that runs a shell command.
    static func deployment(_ script: String, _ more: JSONValue = [:], image: String = image) -> JSONValue {
        var container: JSONValue = [
            "name": "web", "image": .string(image), "command": ["/bin/sh", "-c", .string(script)],
        ]
        for (name, value) in more.object ?? [:] { container[name] = value }
        return [
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": [
                "name": "web",
                "labels": ["app.kubernetes.io/instance": "web", "app.kubernetes.io/managed-by": "coracle"],
            ],
            "spec": [
                "replicas": 1, "selector": ["matchLabels": ["app": "web"]],
                "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": [container]]],
            ],
        ]
    }

    static func settings(_ kind: String, _ data: JSONValue) -> JSONValue {
        [
            "apiVersion": "v1", "kind": .string(kind),
            "metadata": [
                "name": "web",
                "labels": ["app.kubernetes.io/instance": "web", "app.kubernetes.io/managed-by": "coracle"],
            ],
            "data": data,
        ]
    }
}
