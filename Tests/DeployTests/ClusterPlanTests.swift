// SPDX-License-Identifier: Apache-2.0
import Azure
import HTTP
import Kubernetes
import OCI
import TestSupport
import Testing

@testable import Deploy

/// Objects of a cluster.
enum Objects {
    static func deployment(_ image: String = "a", _ more: JSONValue = [:]) -> JSONValue {
        var container: JSONValue = ["name": "web", "image": .string(image)]
        for (name, value) in more.object ?? [:] { container[name] = value }
        return [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"],
            "spec": ["replicas": 2, "template": ["spec": ["containers": [container]]]],
        ]
    }

    static func settings(_ kind: String, _ data: JSONValue, _ name: String = "web") -> JSONValue {
        ["apiVersion": "v1", "kind": .string(kind), "metadata": ["name": .string(name)], "data": data]
    }

    static func item(_ kind: ResourceKind, _ manifest: JSONValue, over live: JSONValue?) -> ClusterPlan.Item {
        ClusterPlan.Item(
            kind: kind,
            name: manifest["metadata"]?["name"]?.string ?? "",
            namespace: "shop",
            manifest: manifest,
            live: live,
            wanted: manifest,
            changes: live.map { ObjectChange.list(from: $0, to: manifest) } ?? []
        )
    }
}

@Suite("Plans for a cluster")
struct ClusterPlanTests {
    @Test("What is new, changed and as it should be is said, each change on a line")
    func text() {
        let secret = Objects.settings("Secret", ["k": "aHVzaA=="])
        let plan = ClusterPlan(
            "web",
            [
                Objects.item(.secret, secret, over: Objects.settings("Secret", ["k": "b2xkaHVzaA=="])),
                Objects.item(.service, Objects.settings("Service", [:]), over: Objects.settings("Service", [:])),
                Objects.item(.deployment, Objects.deployment("b"), over: Objects.deployment("a")),
                Objects.item(.ingress, Objects.settings("Ingress", [:]), over: nil),
            ],
            notes: ["mind this"]
        )

        #expect(plan.action == .restart)
        #expect(
            plan.text == """
                change web: its pods are replaced, one after the other
                  ~ secret/web
                      ~ .data.k: (secret) -> (secret)
                  ~ deployment/web
                      ~ .spec.template.spec.containers[web].image: a -> b
                  + ingress/web
                  note: mind this

                """
        )
        #expect(
            plan.json["objects"]?.array?.map { $0["action"]?.string } == ["change", "unchanged", "change", "create"]
        )
        #expect(plan.json["action"] == "restart")
        #expect(!plan.json.canonical.contains("aHVzaA"))
    }

    @Test("What becomes of it all is the most that becomes of any")
    func action() {
        let same = Objects.item(.deployment, Objects.deployment(), over: Objects.deployment())
        var more = Objects.deployment()
        more["spec"]?["replicas"] = 5
        let scaled = Objects.item(.deployment, more, over: Objects.deployment())
        let new = Objects.item(.deployment, Objects.deployment(), over: nil)
        let service = Objects.item(.service, Objects.settings("Service", [:]), over: nil)

        #expect(ClusterPlan("web", [same], notes: []).action == .unchanged)
        #expect(ClusterPlan("web", [same], notes: []).text == "web is as it should be: nothing to do\n")
        #expect(ClusterPlan("web", [scaled], notes: []).action == .inPlace)
        #expect(ClusterPlan("web", [same, service], notes: []).action == .inPlace)
        #expect(ClusterPlan("web", [new, service], notes: []).action == .create)
        #expect(ClusterPlan("web", [new, service], notes: []).text.hasPrefix("create web: 2 new objects\n"))
        #expect(ClusterPlan("web", [new], notes: []).text.contains("  + deployment/web from a\n"))
    }

    @Test("Settings that pods read only when they start, and that change alone, are pointed at")
    func settings() {
        let pod: JSONValue = ["envFrom": [["configMapRef": ["name": "web"]]]]
        let reader = Objects.item(.deployment, Objects.deployment("a", pod), over: Objects.deployment("a", pod))
        let map = Objects.item(
            .configMap,
            Objects.settings("ConfigMap", ["A": "2"]),
            over: Objects.settings("ConfigMap", ["A": "1"])
        )
        let replaced = Objects.item(.deployment, Objects.deployment("b", pod), over: Objects.deployment("a", pod))

        #expect(
            ClusterPlan("web", [map, reader], notes: []).notes == [
                "configmap/web changes, and pods of deployment/web read it when they start: "
                    + "kubectl rollout restart deployment/web"
            ]
        )
        #expect(ClusterPlan("web", [map, replaced], notes: []).notes.isEmpty)
    }

    @Test("All that pods need is found, but what is optional")
    func references() {
        var manifest = Objects.deployment(
            "a",
            [
                "envFrom": [["secretRef": ["name": "s1"]], ["configMapRef": ["name": "c1", "optional": true]]],
                "env": [
                    ["name": "T", "valueFrom": ["secretKeyRef": ["name": "s2", "key": "k"]]],
                    ["name": "U", "valueFrom": ["configMapKeyRef": ["name": "c2", "key": "k", "optional": true]]],
                ],
            ]
        )
        manifest["spec"]?["template"]?["spec"]?["volumes"] = [
            ["name": "v1", "secret": ["secretName": "s3"]], ["name": "v2", "configMap": ["name": "c3"]],
            ["name": "v3", "persistentVolumeClaim": ["claimName": "p1"]], ["name": "v4", "emptyDir": [:]],
            ["name": "v5", "projected": ["sources": [["secret": ["name": "s4"]]]]],
        ]
        manifest["spec"]?["template"]?["spec"]?["imagePullSecrets"] = [["name": "s5"]]
        manifest["spec"]?["template"]?["spec"]?["serviceAccountName"] = "robot"

        let references = PodReferences(manifest)

        #expect(
            references.all.map { "\($0.kind)/\($0.name)" } == [
                "secret/s1", "secret/s2", "secret/s3", "configmap/c3", "persistentvolumeclaim/p1", "secret/s4",
                "secret/s5", "serviceaccount/robot",
            ]
        )
        #expect(references.variables.map(\.purpose) == ["the variables of web", "the variable T of web"])
        #expect(references.hasPullSecrets)
    }

    @Test("Going back sets all that was ours, before or now, and nothing of others")
    func restoring() {
        func fields(_ json: JSONValue) -> JSONValue {
            [["manager": "coracle", "operation": "Apply", "fieldsV1": json]]
        }
        var live = Objects.deployment("old", ["tty": true])
        live["metadata"]?["managedFields"] = fields(["f:spec": ["f:replicas": [:]]])
        live["metadata"]?["resourceVersion"] = "7"
        live["status"] = ["replicas": 2]
        let manifest = Objects.deployment("new", ["stdin": true])
        var result = manifest
        let container: JSONValue = ["k:{\"name\":\"web\"}": [".": [:], "f:name": [:], "f:image": [:], "f:stdin": [:]]]
        result["metadata"]?["managedFields"] = fields([
            "f:spec": ["f:template": ["f:spec": ["f:containers": container]]]
        ])
        let item = Objects.item(.deployment, manifest, over: live)

        let back = AKSTarget.restoring(live, .init(item: item, result: result))

        var expected = Objects.deployment("old")
        expected["metadata"]?["namespace"] = "shop"
        #expect(back == expected)
    }

    @Test(
        "Whether a deployment worked is whether all copies were of its version, and available",
        arguments: [
            (["observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2], true),
            (["observedGeneration": 1, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2], false),
            (["observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1], false),
            (["observedGeneration": 0, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2], false),
        ] as [(JSONValue, Bool)]
    )
    func works(status: JSONValue, works: Bool) {
        var deployment = Objects.deployment()
        deployment["status"] = status
        deployment["metadata"]?["generation"] = 1

        #expect(AKSTarget.works(deployment) == works)
    }

    private static func balancer(_ address: JSONValue?, _ ports: JSONValue) -> JSONValue {
        ["spec": ["ports": ports], "status": ["loadBalancer": address.map { ["ingress": [$0]] } ?? [:]]]
    }

    @Test(
        "A service answers at the address that the cloud gave it",
        arguments: [
            (balancer(["ip": "1.2.3.4"], [["port": 80]]), "http://1.2.3.4/"),
            (balancer(["ip": "1.2.3.4"], [["port": 443]]), "https://1.2.3.4/"),
            (
                balancer(["hostname": "x.example.com"], [["port": 9090], ["port": 8080, "name": "http"]]),
                "http://x.example.com:8080/"
            ),
            (balancer(["ip": "fd00::1"], [["port": 8443, "name": "https"]]), "https://[fd00::1]:8443/"),
            (balancer(nil, [["port": 80]]), nil),
        ] as [(JSONValue, String?)]
    )
    func services(service: JSONValue, url: String?) {
        #expect(AKSTarget.url(service: service) == url)
    }

    @Test("An ingress answers at its host, else at its address")
    func ingresses() {
        let rule: JSONValue = ["host": "shop.example.com", "http": ["paths": [["path": "/api"]]]]
        let status: JSONValue = ["status": ["loadBalancer": ["ingress": [["ip": "1.2.3.4"]]]]]

        #expect(AKSTarget.url(ingress: ["spec": ["rules": [rule]]], status: nil) == "http://shop.example.com/api")
        let tls: JSONValue = ["spec": ["rules": [rule], "tls": [["hosts": ["shop.example.com"]]]]]
        #expect(AKSTarget.url(ingress: tls, status: nil) == "https://shop.example.com/api")
        #expect(AKSTarget.url(ingress: ["spec": ["rules": [["http": [:]]]]], status: nil) == nil)
        #expect(AKSTarget.url(ingress: ["spec": ["rules": [["http": [:]]]]], status: status) == "http://1.2.3.4/")
    }

    private struct Somebody: AzureIdentity {
        let error: AzureError?
        var summary: String { "somebody" }

        func token(for resource: String) async throws -> AzureToken {
            if let error { throw error }
            return AzureToken("token of \(resource)", expires: 4_000_000_000)
        }
    }

    @Test("In place of kubelogin our own identity answers, for the cluster's server")
    func kubelogin() async throws {
        let answer = KubeloginAnswer(AzureTokens(Somebody(error: nil)))

        let named = try await answer.credential(ExecPlugin("/usr/bin/kubelogin", ["get-token", "--server-id", "abc"]))
        let joined = try await answer.credential(ExecPlugin("kubelogin", ["get-token", "--server-id=def"]))
        let plain = try await answer.credential(ExecPlugin("kubelogin", ["get-token"]))

        #expect(named?.token == "token of abc")
        #expect(named?.expires == 4_000_000_000)
        #expect(joined?.token == "token of def")
        #expect(plain?.token == "token of 6dae42f8-4368-4678-94ff-3960e28e3630")
        #expect(try await answer.credential(ExecPlugin("gke-gcloud-auth-plugin")) == nil)
    }

    @Test("Without an identity kubelogin is run; one that is refused is an error")
    func noIdentity() async throws {
        let none = KubeloginAnswer(AzureTokens(Somebody(error: AzureError(.unavailable, "nobody here"))))
        let refused = KubeloginAnswer(AzureTokens(Somebody(error: AzureError(.refused, "not you"))))
        let plugin = ExecPlugin("kubelogin", ["get-token"])

        #expect(try await none.credential(plugin) == nil)
        await #expect(throws: AzureError.self) { try await refused.credential(plugin) }
    }
}
