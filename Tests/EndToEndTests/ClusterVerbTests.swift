// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Deploying to an emulated cluster", .serialized, .waiting, .enabled(if: Containers.canRun))
struct ClusterVerbTests {
    private static let cluster = ["--cluster", "shop", "-g", "demo"]
    private static let pull = ["--pull-with", "service-principal"]

    private func run(_ body: (AzurePlace) async throws -> Void) async throws {
        try await AzurePlace.run(["--cluster", "shop"], body)
    }

    @Test("From a Dockerfile to pods, to the next version, back from one that does not work, and down")
    func whole() async throws {
        try await run { place in
            try place.site("one")
            let flags = [
                "--registry", "testacr", "--secure-env", "KEY", "--env", "MODE=one", "--ip", "public",
            ]
            let start = ["up", "site", "--target", "aks"] + Self.cluster + flags + Self.pull + ShellBase.flags

            let first = try await place.coracle(start)

            try #require(first.status == 0, "\(first.errors)")
            #expect(first.output.hasSuffix(":8080/\n"), "what the image exposes is the service's port, too")
            #expect(await place.page(first.output) == "one", "\(first.output) \(first.errors)")

            try place.site("two")
            let changed = try await place.coracle(["diff", "--exit-code"])
            #expect(changed.status == 1, "\(changed.errors)")
            #expect(changed.output.contains("image"), "\(changed.output)")
            let second = try await place.coracle(["up"])
            try #require(second.status == 0, "\(second.errors)")
            #expect(await place.page(second.output) == "two")
            let same = try await place.coracle(["diff", "--exit-code"])
            #expect(same.status == 0, "\(same.output)\(same.errors)")

            try place.site("three", command: #"["sh", "-c", "echo no database; exit 3"]"#)
            let third = try await place.coracle(["up"])
            #expect(third.status == 5)
            #expect(third.errors.contains("no database"), "\(third.errors)")
            #expect(third.errors.contains("runs again"), "\(third.errors)")
            #expect(await place.page(second.output) == "two", "the version before runs again")

            let list = try await place.coracle(["ps"])
            #expect(list.output.contains("Running"), "\(list.output)\(list.errors)")
            let inside = try await place.coracle(["exec", "sh", "-c", "cat /srv/index.html; echo $KEY >&2; exit 4"])
            #expect(inside.output == "two", "\(inside.errors)")
            #expect(inside.status == 4, "\(inside.errors)")
            #expect(inside.errors.contains("s3cret-of-the-app"))
            place.forget()
            #expect(try await place.coracle(["stop"]).output == "site\n")
            let stopped = try await place.coracle(["ps"])
            #expect(stopped.output.contains("stopped") || stopped.output.contains("Terminating"), "\(stopped.output)")
            let started = try await place.coracle(["start"])
            #expect(started.status == 0, "\(started.errors)")
            let down = try await place.coracle(["down"])
            #expect(down.output == "site\n", "\(down.errors)")
            #expect(down.errors.contains("deleted deployment/site"), "\(down.errors)")
            #expect(try await place.coracle(["down"]).errors.contains("there was no site"))
        }
    }

    @Test("Logs are those of all pods")
    func logs() async throws {
        try await run { place in
            try place.site("page", command: #"["sh", "-c", "echo begun; exec httpd -f -p 8080 -h /srv"]"#)
            let flags = ["-n", "web", "--registry", "testacr", "--replicas", "2"]

            let run = try await place.coracle(
                ["deploy", "aks", "./site"] + Self.cluster + flags + Self.pull + ShellBase.flags
            )

            try #require(run.status == 0, "\(run.errors)")
            #expect(run.output == "web\n", "what only the cluster reaches has no URL")
            let logs = try await place.coracle(["logs", "--name", "web"] + Self.cluster)
            let lines = logs.output.split(separator: "\n")
            #expect(lines.count == 2, "\(logs.output)\(logs.errors)")
            #expect(lines.allSatisfy { $0.hasSuffix(" | begun") }, "\(logs.output)")
            let list = try JSON(
                parsing: try await place.coracle(["ps", "--format", "json"] + Self.cluster).output
            )
            let web = list["deployments"].array.first { $0["name"].string == "web" }
            #expect(web?["state"].string == "Running")
            #expect(web?["containers"].array.count == 2)
        }
    }

    @Test("A new value of a secret starts new pods; the same one does not")
    func settings() async throws {
        try await run { place in
            try place.site("page")
            let ports = ["--ip", "public", "--port", "80:8080"]
            let flags = ["-n", "web", "--registry", "testacr", "--secure-env", "KEY"] + ports
            let start = ["deploy", "aks", "./site"] + Self.cluster + flags + Self.pull + ShellBase.flags
            let first = try await place.coracle(start)
            try #require(first.status == 0, "\(first.errors)")
            #expect(!first.output.contains(":8080"), "the service's port is 80")
            #expect(await place.page(first.output) == "page")

            let same = try await place.coracle(start + ["--dry-run"])
            #expect(same.status == 0, "\(same.errors)")
            #expect(!same.output.contains("settings-revision"), "\(same.output)")
            let other = try await place.coracle(start + ["--dry-run"], ["KEY": "another-s3cret"])
            #expect(other.output.contains("settings-revision"), "\(other.output)")
            let changed = try await place.coracle(start, ["KEY": "another-s3cret"])
            #expect(changed.status == 0, "\(changed.errors)")
            let inside = try await place.coracle(
                ["exec", "--name", "web"] + Self.cluster + ["sh", "-c", "echo ${#KEY}"]
            )
            #expect(inside.output == "14\n", "\(inside.output)\(inside.errors)")
        }
    }

    @Test("Manifests need no cluster, hold no secret, and are what kubectl's kustomize reads")
    func emitted() async throws {
        try await run { place in
            try place.site("page")
            let flags = ["-n", "web", "--registry", "testacr", "--secure-env", "KEY", "--ingress", "a.example.com"]
            let start = ["deploy", "aks", "./site", "--emit", "k8s"] + flags + Self.pull + ShellBase.flags

            let stream = try await place.coracle(start)
            try #require(stream.status == 0, "\(stream.errors)")
            #expect(stream.output.contains("kubectl create secret generic web-env --from-literal=KEY=\"$KEY\""))
            #expect(stream.output.contains("kubectl create secret docker-registry web-pull "))
            #expect(!stream.output.contains("kind: Secret"))

            let folder = try await place.coracle(start + ["-o", "k8s/base"])
            try #require(folder.status == 0, "\(folder.errors)")
            let base = place.root.appending(path: "k8s/base")
            let names = try FileManager.default.contentsOfDirectory(atPath: base.path).sorted()
            #expect(
                names == [".gitignore", "deployment.yaml", "ingress.yaml", "kustomization.yaml", "service.yaml"]
            )
            #expect(try await place.coracle(start + ["-o", "k8s/base"]).status == 0, "what it wrote it writes anew")
            if let kubectl = Program.named("kubectl") {
                try Data("KEY=x\n".utf8).write(to: base.appending(path: "web-env.env"))
                try Data("{}".utf8).write(to: base.appending(path: "web-pull.json"))
                let built = try Program.run(["kustomize", base.path], of: kubectl)
                #expect(built.status == 0, "\(built.errors)")
                #expect(built.output.contains("kind: Secret"))
                #expect(!built.output.contains("name: web-env\n"), "names of Secrets change with what is in them")
            } else {
                print("KUSTOMIZE SKIPPED: there is no kubectl (apt-get install kubernetes-client)")
            }
            try Data("resources: []\n".utf8).write(to: base.appending(path: "kustomization.yaml"))
            let refused = try await place.coracle(start + ["-o", "k8s/base"])
            #expect(refused.status == 2)
            #expect(refused.errors.contains("kustomization.yaml was not written by coracle"), "\(refused.errors)")
        }
    }

    @Test("What would fail is said before anything is built")
    func preflight() async throws {
        try await run { place in
            try place.site("page")
            let start = ["deploy", "aks", "./site", "-n", "web", "--registry", "testacr"] + ShellBase.flags
            let none = try await place.coracle(start)
            #expect(none.status == 2)
            #expect(none.errors.contains("there is no cluster to deploy to"), "\(none.errors)")
            let absent = try await place.coracle(start + ["--cluster", "absent", "-g", "demo"])
            #expect(absent.status != 0)
            #expect(absent.errors.contains("absent"), "\(absent.errors)")
            let space = try await place.coracle(start + Self.cluster + ["--namespace", "nowhere"])
            #expect(space.status == 5)
            #expect(space.errors.contains("there is no namespace nowhere"), "\(space.errors)")
            #expect(!space.errors.contains("built"), "nothing is built")
            let foreign = try await place.coracle(
                ["up", "site", "--target", "aks", "--sku", "Standard"] + Self.cluster
            )
            #expect(foreign.errors.contains("--sku is of Container Instances"), "\(foreign.errors)")
            let other = try await place.coracle(["up", "site", "-g", "demo", "--replicas", "2"])
            #expect(other.errors.contains("--replicas is of Kubernetes"), "\(other.errors)")
        }
    }
}
