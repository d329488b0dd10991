// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("The emulated Kubernetes API", .serialized, .waiting)
struct KubernetesAPITests {
    private let deployments = "/apis/apps/v1/namespaces/default/deployments"
    private let web = Manifest.deployment("web", "sleep 100")

    @Test("Nobody is let in without a certificate or a token of the cluster's")
    func authentication() async throws {
        let cluster = try await Clustering()

        let stranger = try cluster.ask("GET", "/api/v1/pods", token: "wrong")
        #expect(stranger.status == 401)
        #expect(stranger.json["reason"].string == "Unauthorized")
        #expect(try cluster.ask("GET", "/api/v1/pods").status == 200)
        #expect(try cluster.ask("GET", "/version", token: "wrong").json["gitVersion"].string == "v1.36.0")
        #expect(!cluster.azure.log.contains("Bearer"))
    }

    @Test("An apply makes an object with defaults and an owner; a dry run makes none")
    func applies() async throws {
        let cluster = try await Clustering()

        let dry = try cluster.apply("\(deployments)/web", web, query: "&dryRun=All&fieldValidation=Strict")
        #expect(dry.status == 201, "\(dry.text)")
        #expect(dry.json["spec"]["strategy"]["rollingUpdate"]["maxSurge"].string == "25%")
        #expect(try cluster.ask("GET", "\(deployments)/web").status == 404)

        #expect(try cluster.apply("\(deployments)/web", web).status == 201)
        let again = try cluster.apply("\(deployments)/web", web)
        #expect(again.status == 200)
        #expect(again.json["metadata"]["generation"].int == 1, "nothing changed")
        let owners = again.json["metadata"]["managedFields"].array.map { $0["manager"].string }
        #expect(owners.contains("coracle"))
    }

    @Test("A probe that is applied no more is gone, with the members that were filled in")
    func dropsProbe() async throws {
        let cluster = try await Clustering()
        let probe = "\"livenessProbe\": {\"httpGet\": {\"port\": 80}, \"periodSeconds\": 5},"
        let with = try cluster.apply("\(deployments)/web", Manifest.deployment("web", "true", container: probe))
        try #require(with.status == 201, "\(with.text)")
        func container(_ json: JSON) -> JSON? { json["spec"]["template"]["spec"]["containers"].array.first }
        #expect(container(with.json)?["livenessProbe"]["failureThreshold"].int == 3)

        let without = try cluster.apply("\(deployments)/web", Manifest.deployment("web", "true"))

        #expect(without.status == 200, "\(without.text)")
        #expect(!without.text.contains("livenessProbe"), "\(without.text)")
    }

    @Test("What another manager owns is a conflict with its field, unless it is forced")
    func conflicts() async throws {
        let cluster = try await Clustering()
        _ = try cluster.apply("\(deployments)/web", web)
        let more = web.replacingOccurrences(of: "\"replicas\": 1", with: "\"replicas\": 3")

        let scaled = try cluster.ask(
            "PATCH",
            "\(deployments)/web?fieldManager=somebody",
            "{\"spec\": {\"replicas\": 2}}",
            type: "application/merge-patch+json"
        )
        let refused = try cluster.apply("\(deployments)/web", more)
        let forced = try cluster.apply("\(deployments)/web", more, query: "&force=true")

        #expect(scaled.json["spec"]["replicas"].int == 2)
        #expect(refused.status == 409)
        #expect(
            refused.json["message"].string?.hasPrefix("Apply failed with 1 conflict: conflict with \"somebody\"")
                == true
        )
        #expect(refused.json["details"]["causes"].array.first?["field"].string == ".spec.replicas")
        #expect(forced.json["spec"]["replicas"].int == 3)
    }

    @Test(
        "Members that are not known are refused, dropped with a warning, or dropped",
        .enabled(if: Specifications.folder != nil)
    )
    func unknownFields() async throws {
        let cluster = try await Clustering()
        let wrong = web.replacingOccurrences(of: "\"replicas\"", with: "\"replicos\"")

        let applied = try cluster.apply("\(deployments)/web", wrong)
        #expect(applied.json["message"].string?.hasSuffix(".spec.replicos: field not declared in schema") == true)
        let strict = try cluster.ask("POST", "\(deployments)?fieldValidation=Strict", wrong)
        #expect(strict.status == 400)
        #expect(strict.json["message"].string == "strict decoding error: unknown field \"spec.replicos\"")
        let warned = try cluster.ask("POST", "\(deployments)?dryRun=All", wrong, more: ["-i"])
        #expect(warned.text.contains("299 - \"unknown field \\\"spec.replicos\\\"\""))
        #expect(warned.text.contains("\"replicas\":1"))
        let typed = web.replacingOccurrences(of: "\"replicas\": 1", with: "\"replicas\": \"one\"")
        #expect(try cluster.ask("POST", deployments, typed).status == 400)
    }

    @Test("A watch tells what happens, and ends when it should")
    func watches() async throws {
        let cluster = try await Clustering()
        let made = try cluster.apply(
            "/api/v1/namespaces/default/configmaps/a",
            """
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
            """
        )
        let revision = try #require(made.json["metadata"]["resourceVersion"].string)
        _ = try cluster.apply(
            "/api/v1/namespaces/default/configmaps/a",
            """
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "2"}}
            """
        )
        _ = try cluster.ask("DELETE", "/api/v1/namespaces/default/configmaps/a")

        let seen = try cluster.ask(
            "GET",
            "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1&resourceVersion=\(revision)"
        )

        let events = try seen.text.split(separator: "\n").map { try JSON(parsing: String($0)) }
        #expect(events.map { $0["type"].string } == ["MODIFIED", "DELETED"], "\(seen.text)")
        #expect(events.first?["object"]["data"]["x"].string == "2")
        let path = "/_emulator/clusters/web/history"
        #expect(try await Wire.ask("DELETE", path, port: cluster.azure.port).status == 204)
        let old = try cluster.ask("GET", "/api/v1/configmaps?watch=1&resourceVersion=\(revision)")
        let event = try JSON(parsing: old.text)
        #expect(event["type"].string == "ERROR")
        #expect(event["object"]["code"].int == 410)
    }

    @Test("A fault that was planned happens to requests of the API, too")
    func faults() async throws {
        let cluster = try await Clustering()

        try await cluster.azure.plan(
            "{\"fault\": \"status\", \"status\": 503, \"code\": \"ServiceUnavailable\", \"path\": \"/deployments\"}"
        )

        #expect(try cluster.ask("GET", deployments).json["reason"].string == "ServiceUnavailable")
        #expect(try cluster.ask("GET", deployments).status == 200)
    }

    @Test("Owners take along what they own, a namespace all that is in it")
    func deletion() async throws {
        let cluster = try await Clustering()
        _ = try cluster.ask(
            "POST",
            "/api/v1/namespaces",
            """
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "two"}}
            """
        )
        let place = "/apis/apps/v1/namespaces/two"
        #expect(try cluster.apply("\(place)/deployments/web", web).status == 201)
        _ = try await cluster.object("\(place)/replicasets") { !$0["items"].array.isEmpty }

        _ = try cluster.ask("DELETE", "/api/v1/namespaces/two")

        let gone = try await cluster.object("/api/v1/namespaces/two") { $0["code"].int == 404 }
        #expect(gone["message"].string == "namespaces \"two\" not found")
        #expect(try cluster.ask("GET", "\(place)/replicasets").json["items"].array.isEmpty)
        let refused = try cluster.apply("\(place)/deployments/web", web)
        #expect(refused.json["message"].string == "namespaces \"two\" not found")
    }

    // MARK: Azure

    private let clusters = "Microsoft.ContainerService/managedClusters"

    @Test("The resource manager hands out what opens the cluster")
    func credentials() async throws {
        let cluster = try await Clustering()

        let shown = try await cluster.azure.arm("GET", "\(clusters)/web", version: "2024-02-01")
        let reply = try await cluster.azure.arm(
            "POST",
            "\(clusters)/web/listClusterUserCredential",
            version: "2024-02-01"
        )

        let profile = try JSON(parsing: shown.text)["properties"]["identityProfile"]["kubeletidentity"]
        #expect(profile["objectId"].string?.isEmpty == false)
        let entry = try #require(try JSON(parsing: reply.text)["kubeconfigs"].array.first)
        #expect(entry["name"].string == "clusterUser")
        let bytes = try #require(Data(base64Encoded: entry["value"].string ?? ""))
        #expect(
            String(decoding: bytes, as: UTF8.self) == (try String(contentsOfFile: cluster.kubeconfig, encoding: .utf8))
        )
        let missing = try await cluster.azure.arm("GET", "\(clusters)/nope", version: "2024-02-01")
        #expect(missing.status == 404)
    }

    @Test("A cluster of Entra's names kubelogin, and takes tokens for its server")
    func entra() async throws {
        let cluster = try await Clustering(cluster: "web,entra")

        let reply = try await cluster.azure.arm(
            "POST",
            "\(clusters)/web/listClusterUserCredential",
            version: "2024-02-01"
        )
        let value = try JSON(parsing: reply.text)["kubeconfigs"].array.first?["value"].string ?? ""
        let text = String(decoding: Data(base64Encoded: value) ?? Data(), as: UTF8.self)
        #expect(text.contains("command: kubelogin"))
        #expect(!text.contains("client-key-data"))

        let token = try await cluster.azure.token(for: "6dae42f8-4368-4678-94ff-3960e28e3630")
        #expect(try cluster.ask("GET", "/api/v1/pods", token: token).status == 200)
        let other = try await cluster.azure.token()
        #expect(try cluster.ask("GET", "/api/v1/pods", token: other).status == 401)
    }
}
