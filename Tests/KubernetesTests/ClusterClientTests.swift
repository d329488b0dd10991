// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Kubernetes

@Suite("A cluster's client", .inTurns)
struct ClusterClientTests {
    @Test("What is there is read, and what is not is nil")
    func find() async throws {
        let peer = try ClusterPeer { request, _ in
            request.path.hasSuffix("/web")
                ? .json(["kind": "Service", "metadata": ["name": "web"]])
                : .status(404, "NotFound", "services \"x\" not found")
        }
        let client = try peer.client()

        #expect(try await client.find(.service, "web")?["metadata"]?["name"]?.string == "web")
        #expect(try await client.find(.service, "x", namespace: "a/b") == nil)
        #expect(try await client.find(.node, "n1") == nil)
        #expect(
            peer.requests.map(\.target) == [
                "/api/v1/namespaces/shop/services/web", "/api/v1/namespaces/a%2Fb/services/x", "/api/v1/nodes/n1",
            ]
        )
        #expect(peer.requests.allSatisfy { $0.fields["authorization"] == "Bearer t0ken" })
    }

    @Test("Lists are read page by page, and each object says what it is")
    func pages() async throws {
        let peer = try ClusterPeer { request, _ in
            request.query["continue"] == nil
                ? .json(["items": [["metadata": ["name": "a"]]], "metadata": ["continue": "more+of/it"]])
                : .json(["items": [["metadata": ["name": "b"]]], "metadata": ["resourceVersion": "7"]])
        }
        let client = try peer.client()

        let found = try await client.list(.pod, .init(labels: "app in (a,b)", fields: "spec.nodeName=n"))

        #expect(found.map { $0["metadata"]?["name"]?.string } == ["a", "b"])
        #expect(found.allSatisfy { $0["kind"] == "Pod" && $0["apiVersion"] == "v1" })
        #expect(peer.requests.map { $0.query["continue"] } == [nil, "more+of/it"])
        #expect(peer.requests[1].query["labelSelector"] == "app in (a,b)")
        #expect(peer.requests[1].query["fieldSelector"] == "spec.nodeName=n")
    }

    @Test("Everywhere is no namespace")
    func everywhere() async throws {
        let peer = try ClusterPeer { _, _ in .json(["items": []]) }
        var selection = ClusterClient.Selection()
        selection.isEverywhere = true

        _ = try await peer.client().list(.deployment, selection)

        #expect(peer.requests.first?.path == "/apis/apps/v1/deployments")
    }

    @Test("A manifest is applied on the server, strictly and as coracle", arguments: [false, true])
    func apply(isDryRun: Bool) async throws {
        let peer = try ClusterPeer { request, _ in .json(request.json ?? .null) }
        let manifest: JSONValue = [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "namespace": "else"],
            "spec": ["replicas": 2],
        ]

        let back = try await peer.client().apply(manifest, .init(isDryRun: isDryRun, takesOver: isDryRun))

        let request = try #require(peer.requests.first)
        #expect(back == manifest)
        #expect(request.method == "PATCH")
        #expect(request.path == "/apis/apps/v1/namespaces/else/deployments/web")
        #expect(request.fields["content-type"] == "application/apply-patch+yaml")
        #expect(request.query["fieldManager"] == "coracle")
        #expect(request.query["fieldValidation"] == "Strict")
        #expect(request.query["force"] == "\(isDryRun)")
        #expect(request.query["dryRun"] == (isDryRun ? "All" : nil))
        #expect(request.json == manifest)
    }

    @Test("Who owns which field is said, and how to go on")
    func conflict() async throws {
        let peer = try ClusterPeer { _, _ in
            .status(
                409,
                "Conflict",
                "Apply failed with 3 conflicts",
                details: [
                    "causes": [
                        cause("conflict with \"kubectl\" with subresource \"scale\" using apps/v1", ".spec.replicas"),
                        cause("conflict with \"helm\" using apps/v1 at 2026-01-01T00:00:00Z", ".spec.template.spec.a"),
                        cause("conflict with \"helm\" using apps/v1", ".metadata.labels.b"),
                    ]
                ]
            )
        }
        let manifest: JSONValue = ["apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"]]

        let error = try await #require(throws: KubernetesError.self) { try await peer.client().apply(manifest) }

        #expect(error.code == .conflict)
        #expect(
            error.message
                == "apply deployment/web in the namespace shop: helm owns .spec.template.spec.a, .metadata.labels.b; "
                + "kubectl owns .spec.replicas"
        )
        #expect(error.hint?.hasPrefix("--force-conflicts") == true)
        #expect(error.causes.map(\.owner) == ["kubectl", "helm", "helm"])
    }

    private func cause(_ message: String, _ field: String) -> JSONValue {
        ["reason": "FieldManagerConflict", "message": .string(message), "field": .string(field)]
    }

    @Test(
        "A refusal is one sentence, and says what to type next",
        arguments: [
            (401, "Unauthorized", "Unauthorized", "does not accept the credentials of anna", "az login"),
            (
                403, "Forbidden", "deployments.apps \"web\" is forbidden: User \"anna\" cannot patch resource",
                "apply deployment/web in the namespace shop: deployments.apps \"web\" is forbidden: User \"anna\"",
                "kubectl auth can-i patch deployments.apps --namespace shop"
            ),
            (
                403, "Forbidden", "pods \"web\" is forbidden: violates PodSecurity \"restricted:latest\"",
                "violates PodSecurity",
                "kubectl get namespace shop --show-labels"
            ),
            (
                403, "Forbidden", "exceeded quota: q, requested: cpu=1", "exceeded quota",
                "kubectl describe resourcequota"
            ),
            (
                404, "NotFound", "namespaces \"shop\" not found", "namespaces \"shop\" not found",
                "kubectl create namespace shop"
            ),
            (
                400, "BadRequest", "strict decoding error: unknown field \"spec.replcas\"",
                "unknown field \"spec.replcas\"",
                "kubectl explain deployments.apps"
            ),
            (
                422, "Invalid", "Deployment.apps \"web\" is invalid: spec.selector: field is immutable",
                "field is immutable",
                "kubectl delete deployments.apps web --namespace shop"
            ),
            (
                500, "",
                "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.replcas: field not declared in schema",
                ".spec.replcas: field not declared in schema", "kubectl explain deployments.apps"
            ),
            (501, "NotImplemented", "no such thing", "no such thing", nil),
        ]
    )
    func refusals(status: Int, reason: String, message: String, expected: String, hint: String?) async throws {
        let peer = try ClusterPeer { _, _ in .status(status, reason, message) }
        let manifest: JSONValue = ["apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"]]

        let error = try await #require(throws: KubernetesError.self) { try await peer.client().apply(manifest) }

        #expect(error.message.contains(expected))
        #expect(error.status == status)
        #expect(peer.requests.count == 1, "the same would be refused again")
        if let hint { #expect(error.hint?.contains(hint) == true) } else { #expect(error.hint == nil) }
        #expect(!"\(error)".contains("t0ken"))
    }

    @Test("What a cluster repeats of a secret is in no message")
    func secrets() async throws {
        let peer = try ClusterPeer { _, _ in
            .status(
                422,
                "Invalid",
                "Secret \"web\" is invalid: data[k]: Invalid value: \"aHVzaGh1c2g=\": hushhush is too short; no-text",
                details: ["causes": [["field": "data[k]", "message": "Invalid value: \"hushhush\""]]]
            )
        }
        let manifest: JSONValue = [
            "apiVersion": "v1", "kind": "Secret", "metadata": ["name": "web"], "data": ["k": "aHVzaGh1c2g="],
            "stringData": ["t": "no-text"],
        ]

        let error = try await #require(throws: KubernetesError.self) { try await peer.client().apply(manifest) }

        #expect(error.message.contains("Secret \"web\" is invalid: data[k]: Invalid value:"))
        for text in [error.message] + error.causes.map(\.message) {
            #expect(!text.contains("hush") && !text.contains("aHVz") && !text.contains("no-text"), "\(text)")
        }
    }

    @Test("Who answers and is no cluster is told apart")
    func strangers() async throws {
        let page = try ClusterPeer { _, _ in .text("<html>", status: 200) }
        let gateway = try ClusterPeer { _, _ in .text("<html>", status: 403) }

        let odd = try await #require(throws: KubernetesError.self) { try await page.client().version() }
        let refused = try await #require(throws: KubernetesError.self) { try await gateway.client().version() }

        #expect(odd.message == "read the version of test: what 127.0.0.1:\(page.port) answered is no JSON")
        #expect(refused.message.contains("127.0.0.1:\(gateway.port) answered 403, and not as a cluster does"))
    }

    @Test("Nobody there is an error of the network, with what to look at")
    func nobody() async throws {
        let port = try UnusedPort.find()
        var access = ClusterAccess(server: try HTTPURL("http://127.0.0.1:\(port)/"))
        access.contextName = "gone"
        let link = ClusterLink(access, NetworkSettings(), [:], nil) { _ in }

        let error = try await #require(throws: KubernetesError.self) {
            try await link.send(.init(target: "/version"), policy: .never)
        }

        #expect(error.code == .network)
        #expect(error.message.hasPrefix("the cluster gone: 127.0.0.1 port \(port): connection refused"))
        #expect(error.hint?.contains("az aks show") == true)
    }

    @Test("What failed for a while is sent again, applies too")
    func again() async throws {
        let peer = try ClusterPeer { request, index in
            index == 0 ? .status(503, "ServiceUnavailable", "busy") : .json(request.json ?? .null)
        }
        let manifest: JSONValue = ["apiVersion": "v1", "kind": "Service", "metadata": ["name": "web"]]

        let back = try await peer.client().apply(manifest)

        #expect(back == manifest)
        #expect(peer.requests.count == 2)
    }

    @Test("Kinds that are not well-known are asked for, once")
    func kinds() async throws {
        let peer = try ClusterPeer { request, _ in
            guard request.path == "/apis/example.com/v1" else { return .json(request.json ?? [:]) }
            return .json([
                "resources": [
                    ["name": "gadgets", "kind": "Gadget", "namespaced": false],
                    ["name": "gadgets/status", "kind": "Gadget", "namespaced": false],
                ]
            ])
        }
        let client = try peer.client()
        let gadget: JSONValue = ["apiVersion": "example.com/v1", "kind": "Gadget", "metadata": ["name": "g"]]

        _ = try await client.apply(gadget)
        _ = try await client.apply(gadget)
        let error = try await #require(throws: KubernetesError.self) {
            try await client.apply(["apiVersion": "example.com/v1", "kind": "Widget", "metadata": ["name": "w"]])
        }

        #expect(peer.requests.map(\.path).filter { $0 == "/apis/example.com/v1" }.count == 2)
        #expect(peer.requests[1].path == "/apis/example.com/v1/gadgets/g")
        #expect(error.message == "the cluster test has no kind Widget of example.com/v1")
    }

    @Test("Deleting says what becomes of the pods, and whether there was anything")
    func delete() async throws {
        let peer = try ClusterPeer { request, index in
            index == 0 ? .json(["kind": "Status", "status": "Success"]) : .status(404, "NotFound", "gone")
        }
        let client = try peer.client()

        let first = try await client.delete(.deployment, "web", propagation: .foreground)
        let second = try await client.delete(.deployment, "web")

        #expect(first)
        #expect(!second)
        #expect(peer.requests.map(\.method) == ["DELETE", "DELETE"])
        #expect(peer.requests[0].json?["propagationPolicy"] == "Foreground")
        #expect(peer.requests[1].json?["propagationPolicy"] == "Background")
    }

    @Test("A token's file is read for every request; a name and password, and whose rights are wanted, are sent")
    func credentials() async throws {
        let peer = try ClusterPeer { _, _ in .json(["gitVersion": "v1.33.0"]) }
        let folder = try TemporaryFolder()
        let file = try folder.write("token", "one\n")
        let client = try peer.client(.tokenFile(file.path))
        _ = try await client.version()
        try folder.write("token", "two\n")
        _ = try await client.version()
        var access = try peer.access(.basic(user: "anna", password: "pw"))
        access.impersonation = [("Impersonate-User", "ben"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")]
        _ = try await ClusterClient(access).version()

        #expect(
            peer.requests.map { $0.fields["authorization"] } == ["Bearer one", "Bearer two", "Basic YW5uYTpwdw=="]
        )
        #expect(peer.requests[2].fields["impersonate-user"] == "ben")
        #expect(peer.requests[2].fields["impersonate-group"] == "a|b")

        try folder.write("token", "")
        let error = try await #require(throws: KubernetesError.self) { try await client.version() }
        #expect(error.message == "the token of test: \(file.path) holds none")
    }
}
