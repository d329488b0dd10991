// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// A way to run programs without cables between networks: seccomp, set up by Python.
enum NoCables {
    static let launcher: [String] = {
        let script = ConformanceData.projectRoot.appending(path: "Tests/AzureEmulatorTests/clients/no_netlink.py").path
        guard let python = Program.named("python3"),
            let tried = try? Program.run([script, "/bin/true"], of: python), tried.status == 0
        else {
            print("SKIPPED: tests without cables between networks: they need python3 and seccomp")
            return []
        }
        return [python.path, script]
    }()
}

@Suite(
    "Services where there are no cables between networks",
    .serialized,
    .waiting,
    .enabled(if: ShellImage.canRun && !NoCables.launcher.isEmpty, "no busybox, not root, or no seccomp")
)
struct KubernetesNetworkTests {
    private let space = "/api/v1/namespaces/default"

    /// What the first pod of a deployment wrote, once it did.
    private func words(_ cluster: Clustering, _ app: String) async throws -> String {
        for _ in 0..<300 {
            let pods = try cluster.ask("GET", "\(space)/pods?labelSelector=app%3D\(app)").json
            if let name = pods["items"].array.first?["metadata"]["name"].string {
                let log = try cluster.ask("GET", "\(space)/pods/\(name)/log")
                if log.status == 200, !log.text.isEmpty { return log.text }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        return ""
    }

    @Test("Pods reach a service all the same, but for a port of their own; that is said once")
    func fallback() async throws {
        let cluster = try await Clustering(ShellImage.flags, launcher: NoCables.launcher)
        _ = try cluster.apply("\(space)/services/web", Manifest.service("web"))
        let apps = "/apis/apps/v1/namespaces/default/deployments"
        _ = try cluster.apply("\(apps)/web", Manifest.server("web", "first"))
        _ = try await cluster.object("\(apps)/web") { $0["status"]["availableReplicas"].int == 1 }

        let ask = "until wget -qO- http://web/ 2>/dev/null; do sleep 0.2; done; sleep 100"
        _ = try cluster.apply("\(apps)/client", Manifest.deployment("client", ask))
        let refused = "wget -qO- http://web/ 2>/dev/null || echo refused; sleep 100"
        let port = #""ports": [{"containerPort": 80}],"#
        _ = try cluster.apply("\(apps)/same", Manifest.deployment("same", refused, container: port))

        #expect(try await words(cluster, "client") == "first\n", "\(cluster.azure.log)")
        #expect(try await words(cluster, "same") == "refused\n", "a port of its own is its own")
        let address = try #require(try cluster.ask("GET", "\(space)/services/web").json["spec"]["clusterIP"].string)
        let outside = try Program.run(["--silent", "http://\(address)/"], of: URL(filePath: "/usr/bin/curl"))
        #expect(outside.output == "first\n")
        let notes = cluster.azure.log.ranges(of: "pods reach no service at a port that one of their own containers has")
        #expect(notes.count == 1, "\(cluster.azure.log)")
    }
}
