// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("kubectl and the emulated cluster", .serialized, .waiting, .enabled(if: Kubectl.program != nil, "no kubectl"))
struct KubectlTests {
    private func manifests(_ words: String) -> String {
        "\(Manifest.service("web"))\n\(Manifest.server("web", words, replicas: 2))\n"
    }

    @Test("apply on the client's side and on the server's, as a dry run and in earnest")
    func applies() async throws {
        let cluster = try await Clustering()
        let file = try cluster.azure.files.write("web.json", manifests("first")).path

        for mode in ["client", "server"] {
            let dry = try cluster.kubectl("apply", "--dry-run=\(mode)", "-f", file)
            let word = mode == "client" ? "dry run" : "server dry run"
            #expect(
                dry.output == "service/web created (\(word))\ndeployment.apps/web created (\(word))\n",
                "\(dry.errors)"
            )
        }
        #expect(try cluster.kubectl("get", "deploy").errors.hasPrefix("No resources found in default namespace."))
        #expect(try cluster.kubectl("apply", "-f", file).output == "service/web created\ndeployment.apps/web created\n")
        #expect(
            try cluster.kubectl("apply", "-f", file).output == "service/web unchanged\ndeployment.apps/web unchanged\n"
        )
        let serverSide = try cluster.kubectl("apply", "--server-side", "-f", file)
        #expect(serverSide.output.contains("deployment.apps/web serverside-applied"), "\(serverSide.errors)")
        let table = try cluster.kubectl("get", "deploy", "web").output.split(separator: "\n")
        #expect(table.first?.split(separator: " ") == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"])
        #expect(try cluster.kubectl("delete", "-f", file).status == 0)
    }

    @Test("A manifest with a member that is not known is refused", .enabled(if: Specifications.folder != nil))
    func validates() async throws {
        let cluster = try await Clustering()
        let text = manifests("first").replacingOccurrences(of: "\"replicas\"", with: "\"replicos\"")
        let file = try cluster.azure.files.write("web.json", text).path

        let result = try cluster.kubectl("apply", "-f", file)

        #expect(result.status == 1)
        #expect(result.errors.contains("replicos"), "\(result.errors)")
    }

    @Test("rollout status, history and undo, logs, exec", .enabled(if: ShellImage.canRun, "no busybox, or not root"))
    func rollout() async throws {
        let cluster = try await Clustering(ShellImage.flags)
        let file = try cluster.azure.files.write("web.json", manifests("first")).path
        #expect(try cluster.kubectl("apply", "-f", file).status == 0)

        let done = try cluster.kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        #expect(done.output.contains("deployment \"web\" successfully rolled out"), "\(done.errors)")
        _ = try cluster.kubectl("set", "image", "deploy/web", "web=example.org/nope:1")
        let stuck = try cluster.kubectl("rollout", "status", "deploy/web", "--timeout=3s")
        #expect(stuck.status == 1)
        #expect(try cluster.kubectl("rollout", "undo", "deploy/web").output == "deployment.apps/web rolled back\n")
        #expect(try cluster.kubectl("rollout", "status", "deploy/web", "--timeout=60s").status == 0)
        let history = try cluster.kubectl("rollout", "history", "deploy/web").output
        #expect(
            history.split(separator: "\n").filter { $0.first?.isNumber ?? false }.map { $0.prefix(1) } == ["2", "3"]
        )
        #expect(try cluster.kubectl("logs", "deploy/web").output.contains("response:200"))
        let pods = try cluster.kubectl("get", "pods", "-o", "wide").output
        #expect(pods.split(separator: "\n").filter { $0.contains("Running") }.count == 2, "\(pods)")
        if Kubectl.speaksWebsockets {
            let command = "echo out; echo err >&2; exit 3"
            let said = try cluster.kubectl("exec", "deploy/web", "--", "sh", "-c", command)
            #expect(said.output == "out\n")
            #expect(said.errors.hasPrefix("err\n"))
            #expect(said.status == 3)
            let typed = try cluster.kubectl("exec", "-i", "deploy/web", "--", "cat", input: "typed\n")
            #expect(typed.output == "typed\n")
        } else {
            print("SKIPPED: kubectl exec: this kubectl speaks no websockets, which those from 1.31 on do")
        }
    }
}
