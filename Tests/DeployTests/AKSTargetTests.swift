// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import TestSupport
import Testing

@testable import Deploy
@testable import Kubernetes

@Suite("Deploying to a cluster", .inTurns, .enabled(if: LiveCluster.canRun))
struct AKSTargetTests {
    private static let stays = "echo version $V; trap exit TERM; while :; do sleep 0.1; done"

    private static func version(_ text: JSONValue) -> JSONValue { ["env": [["name": "V", "value": text]]] }

    private func version(_ cluster: LiveCluster) async throws -> JSONValue? {
        let live = try await cluster.client.find(.deployment, "web")
        return live?["spec"]?["template"]?["spec"]?["containers"]?.array?.first?["env"]?.array?.first?["value"]
    }

    @Test("What is new is made, what is the same is left, and what changes is said before it is done")
    func lifecycle() async throws {
        let cluster = try await LiveCluster()
        let map = LiveCluster.settings("ConfigMap", ["A": "1"])
        let first = cluster.target([map, LiveCluster.deployment(Self.stays, Self.version("1"))])

        #expect(try await first.check().allSatisfy { $0.level != .bad })
        let plan = try await first.plan()
        #expect(plan.action == .create)
        #expect(try await cluster.client.find(.deployment, "web") == nil, "planning changes nothing")
        let (report, told) = try await cluster.apply(first)
        #expect(report.outcome == .running, "\(report)")
        #expect(report.image == LiveCluster.image)
        #expect(told.prefix(2) == ["creating configmap/web", "creating deployment/web"])

        let again = try await first.plan()
        #expect(again.action == .unchanged, "\(again.text)")
        #expect(try await cluster.apply(first).report.outcome == .unchanged)

        let second = cluster.target([map, LiveCluster.deployment(Self.stays, Self.version("2"))])
        let change = try await second.plan()
        #expect(change.action == .restart)
        #expect(change.text.contains("~ .spec.template.spec.containers[web].env[V].value: 1 -> 2"), "\(change.text)")
        #expect(try await cluster.apply(second).report.outcome == .running)
        #expect(try await version(cluster) == "2")
    }

    @Test("A version that does not work goes back to the one that did, with all that came with it")
    func rollback() async throws {
        let cluster = try await LiveCluster()
        let good = cluster.target([
            LiveCluster.settings("ConfigMap", ["A": "1"]), LiveCluster.deployment(Self.stays, Self.version("1")),
        ])
        #expect(try await cluster.apply(good).report.outcome == .running)
        let bad = cluster.target([
            LiveCluster.settings("ConfigMap", ["A": "2", "B": "3"]), LiveCluster.settings("Secret", ["S": "aHVzaA=="]),
            LiveCluster.deployment("echo no database; exit 3", Self.version("2")),
        ])

        let (report, told) = try await cluster.apply(bad)

        #expect(report.outcome == .rolledBack, "\(report) \(told)")
        #expect(report.cause?.hasPrefix("web ended with exit code 3") == true, "\(report)")
        #expect(report.cause?.hasSuffix(": no database") == true, "\(report)")
        #expect(report.log.contains("no database"))
        #expect(!report.events.isEmpty)
        #expect(try await version(cluster) == "1")
        #expect(try await cluster.client.find(.configMap, "web")?["data"] == ["A": "1"])
        #expect(try await cluster.client.find(.secret, "web") == nil, "what was made is taken away")
        #expect(try await good.plan().action == .unchanged)
    }

    @Test("An image that is not there is a failure at once; a first version is left to be looked at")
    func missingImage() async throws {
        let cluster = try await LiveCluster()
        let target = cluster.target([LiveCluster.deployment(Self.stays, image: "example.org/nothing:1")])

        let (report, told) = try await cluster.apply(target)

        #expect(report.outcome == .failed)
        #expect(report.cause?.contains("the image example.org/nothing:1 of web cannot be pulled") == true, "\(report)")
        #expect(told.contains("there is nothing to go back to: it is left as it is, to be looked at"))
        #expect(try await cluster.client.find(.deployment, "web") != nil)
    }

    @Test("What was broken before is no place to go back to; the pods that still work are")
    func brokenBefore() async throws {
        let cluster = try await LiveCluster()
        #expect(
            try await cluster.apply(cluster.target([LiveCluster.deployment(Self.stays, Self.version("1"))])).report
                .outcome
                == .running
        )
        let kept = cluster.target([LiveCluster.deployment("exit 4", Self.version("2"))]) { $0.keepsFailed = true }
        #expect(try await cluster.apply(kept).report.outcome == .failed)
        #expect(try await version(cluster) == "2", "it is kept")

        let next = cluster.target([LiveCluster.deployment("exit 5", Self.version("3"))])
        let (report, told) = try await cluster.apply(next)

        #expect(report.outcome == .rolledBack, "\(report) \(told)")
        #expect(try await version(cluster) == "1")
    }

    @Test("Fields of others are a conflict that names both, and become ours where that is wanted")
    func conflicts() async throws {
        let cluster = try await LiveCluster()
        let first = cluster.target([LiveCluster.deployment(Self.stays)])
        #expect(try await cluster.apply(first).report.outcome == .running)
        // As kubectl edit does it.
        let target = "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=kubectl-edit"
        var message = ClusterLink.Message(method: .patch, target: target)
        message.body = Array(#"{"spec":{"replicas":2}}"#.utf8)
        message.contentType = "application/merge-patch+json"
        _ = try await cluster.client.ask(message, Operation("change", "web"))
        var more = LiveCluster.deployment(Self.stays)
        more["spec"]?["replicas"] = 3

        let error = try await #require(throws: KubernetesError.self) { try await cluster.target([more]).plan() }
        #expect(error.code == .conflict)
        #expect(error.message.contains("kubectl-edit owns .spec.replicas"), "\(error)")
        let plan = try await cluster.target([more]) { $0.takesOver = true }.plan()
        #expect(plan.action == .inPlace)

        // A manifest that does not say how many leaves that to them.
        var fewer = LiveCluster.deployment(Self.stays)
        fewer["spec"]?["replicas"] = nil
        #expect(try await cluster.target([fewer]).plan().action == .unchanged)
    }

    @Test("What is wrong is found before anything is changed")
    func findings() async throws {
        let cluster = try await LiveCluster()
        let needy: JSONValue = [
            "envFrom": [["secretRef": ["name": "absent"]]],
            "env": [["name": "T", "valueFrom": ["configMapKeyRef": ["name": "web", "key": "nope"]]]],
        ]
        let target = cluster.target([
            LiveCluster.settings("ConfigMap", ["A": "1"]), LiveCluster.deployment(Self.stays, needy),
        ])

        let bad = try await target.check().filter { $0.level == .bad }.map(\.message)

        #expect(
            bad == [
                "there is no secret/absent in the namespace default, which the variables of web needs",
                "configmap/web in the namespace default has no key \"nope\", which the variable T of web needs; it has A",
            ]
        )
    }

    @Test("A member that is not known is refused before anything is changed", .enabled(if: JSONSchema.azure != nil))
    func unknownMember() async throws {
        let cluster = try await LiveCluster()
        var odd = LiveCluster.deployment(Self.stays)
        odd["spec"]?["replcas"] = 1

        let error = try await #require(throws: KubernetesError.self) { try await cluster.target([odd]).plan() }

        #expect(error.code == .invalid)
        #expect(error.message.contains("replcas"), "\(error)")
    }

    @Test("A namespace that is made with the rest is planned, proven and made")
    func namespaces() async throws {
        let cluster = try await LiveCluster()
        let space: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "shop"]]
        var deployment = LiveCluster.deployment(Self.stays)
        deployment["metadata"]?["namespace"] = "shop"
        let target = cluster.target([space, deployment])

        #expect(try await target.check().allSatisfy { $0.level != .bad })
        #expect(try await target.plan().text.hasPrefix("create web: 2 new objects\n"))
        #expect(try await cluster.apply(target).report.outcome == .running)
        #expect(try await cluster.client.find(.deployment, "web", namespace: "shop") != nil)

        deployment["metadata"]?["namespace"] = "other"
        let lost = cluster.target([deployment])
        let finding = try await lost.check().first { $0.level == .bad }
        #expect(finding?.hint == "--create-namespace, or kubectl create namespace other")
    }

    @Test("What is left from before is named; a log is read, and a program runs, in the pod")
    func leftovers() async throws {
        let cluster = try await LiveCluster()
        let both = cluster.target([LiveCluster.settings("ConfigMap", ["A": "1"]), LiveCluster.deployment(Self.stays)])
        #expect(try await cluster.apply(both).report.outcome == .running)

        let one = try await cluster.target([LiveCluster.deployment(Self.stays)]).plan()
        #expect(one.notes == ["configmap/web is left from before: kubectl delete configmap/web --namespace default"])

        let pods = try await cluster.client.list(.pod, .init(labels: "app=web"))
        let pod = try #require(pods.first?["metadata"]?["name"]?.string)
        #expect(try await cluster.client.log(.init(pod)) == "version\n")
        var wish = ClusterClient.ExecWish(pod, ["sh", "-c", "read line; echo got $line; exit 9"])
        wish.hasInput = true
        let code = try await cluster.client.exec(
            wish,
            feed: { input in
                try await input.write(Array("hello\n".utf8))
                try await input.end()
            },
            { output in #expect(output == .output(Array("got hello\n".utf8))) }
        )
        #expect(code == 9)
    }
}
