// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Pods that run", .serialized, .waiting, .enabled(if: ShellImage.canRun, "no busybox, or not root"))
struct KubernetesPodTests {
    private let space = "/api/v1/namespaces/default"
    private let apps = "/apis/apps/v1/namespaces/default"

    private func make(_ cluster: Clustering, _ name: String, _ body: String) throws {
        let reply = try cluster.apply("\(apps)/deployments/\(name)", body, query: "&fieldValidation=Strict")
        #expect((200...201).contains(reply.status), "\(reply.text)")
    }

    /// The state of the first container of the first pod, once something is true of it.
    private func state(_ cluster: Clustering, _ app: String, when isRight: (JSON) -> Bool) async throws -> JSON {
        let path = "\(space)/pods?labelSelector=app%3D\(app)"
        func first(_ list: JSON) -> JSON {
            list["items"].array.first?["status"]["containerStatuses"].array.first?["state"] ?? list["nothing"]
        }
        return first(try await cluster.object(path) { isRight(first($0)) })
    }

    @Test("A Deployment's pods run, and a service leads to them, from outside and from another pod")
    func serves() async throws {
        let cluster = try await Clustering(ShellImage.flags)
        _ = try cluster.apply("\(space)/services/web", Manifest.service("web"))
        try make(cluster, "web", Manifest.server("web", "first", replicas: 2))

        let done = try await cluster.object("\(apps)/deployments/web") { $0["status"]["availableReplicas"].int == 2 }
        #expect(done["metadata"]["annotations"]["deployment.kubernetes.io/revision"].string == "1")
        let service = try cluster.ask("GET", "\(space)/services/web").json
        let address = try #require(service["spec"]["clusterIP"].string)
        let page = try Program.run(["--silent", "http://\(address)/"], of: URL(filePath: "/usr/bin/curl"))
        #expect(page.output == "first\n")

        try make(cluster, "client", Manifest.deployment("client", "wget -qO- http://web.default.svc/; sleep 100"))
        _ = try await state(cluster, "client") { $0["running"]["startedAt"].string != nil }
        let pods = try cluster.ask("GET", "\(space)/pods?labelSelector=app%3Dclient").json
        let name = try #require(pods["items"].array.first?["metadata"]["name"].string)
        var words = ""
        for _ in 0..<100 where words.isEmpty {
            words = try cluster.ask("GET", "\(space)/pods/\(name)/log").text
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(words == "first\n")
    }

    @Test(
        "A service has the very port that pods listen on at all addresses; they reach it, and so do others with that port"
    )
    func samePort() async throws {
        let cluster = try await Clustering(ShellImage.flags)
        let service = Manifest.service("web").replacingOccurrences(of: "\"port\": 80,", with: "\"port\": 8080,")
        let made = try cluster.apply("\(space)/services/web", service)
        try #require(made.status == 201, "\(made.text)")
        let ask = "until wget -qO- http://web:8080/ 2>/dev/null; do sleep 0.2; done; sleep 100"
        let page = "mkdir /www && echo first > /www/index.html && httpd -p 0.0.0.0:8080 -h /www && \(ask)"
        let ports = """
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
            """
        try make(cluster, "web", Manifest.deployment("web", page, container: ports))
        try make(cluster, "client", Manifest.deployment("client", "httpd -p 0.0.0.0:8080 -h /tmp && \(ask)"))

        for app in ["web", "client"] {
            _ = try await state(cluster, app) { $0["running"]["startedAt"].string != nil }
            let pods = try cluster.ask("GET", "\(space)/pods?labelSelector=app%3D\(app)").json
            let name = try #require(pods["items"].array.first?["metadata"]["name"].string)
            var words = ""
            for _ in 0..<100 where words.isEmpty {
                words = try cluster.ask("GET", "\(space)/pods/\(name)/log").text
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(words == "first\n", "\(app)")
        }
        let address = try #require(made.json["spec"]["clusterIP"].string)
        let outside = try Program.run(["--silent", "http://\(address):8080/"], of: URL(filePath: "/usr/bin/curl"))
        #expect(outside.output == "first\n")
    }

    @Test("A rolling update keeps enough pods, and goes back to the ReplicaSet before")
    func rolls() async throws {
        let cluster = try await Clustering(ShellImage.flags)
        let strategy = "\"strategy\": {\"rollingUpdate\": {\"maxSurge\": 1, \"maxUnavailable\": 0}},"
        try make(cluster, "web", Manifest.server("web", "first", replicas: 2, spec: strategy))
        _ = try await cluster.object("\(apps)/deployments/web") { $0["status"]["availableReplicas"].int == 2 }

        let bad = Manifest.server("web", "second", replicas: 2, spec: strategy)
            .replacingOccurrences(of: ShellImage.name, with: "example.org/nope:1")
        try make(cluster, "web", bad)
        let stuck = try await cluster.object("\(space)/pods") { list in
            list["items"].array
                .contains { pod in
                    pod["status"]["containerStatuses"].array.first?["state"]["waiting"]["reason"].string
                        == "ImagePullBackOff"
                }
        }
        #expect(stuck["items"].array.count == 3)
        let held = try cluster.ask("GET", "\(apps)/deployments/web").json["status"]
        #expect(held["availableReplicas"].int == 2)
        #expect(held["updatedReplicas"].int == 1)

        try make(cluster, "web", Manifest.server("web", "first", replicas: 2, spec: strategy))
        let back = try await cluster.object("\(apps)/deployments/web") {
            $0["status"]["updatedReplicas"].int == 2 && $0["status"]["replicas"].int == 2
        }
        #expect(back["metadata"]["annotations"]["deployment.kubernetes.io/revision"].string == "3")
        #expect(try cluster.ask("GET", "\(apps)/replicasets").json["items"].array.count == 2)
    }

    @Test("What ends again and again is CrashLoopBackOff; its words are kept, also those of the run before")
    func crashes() async throws {
        let cluster = try await Clustering(ShellImage.flags)
        let spec = "\"progressDeadlineSeconds\": 2,"
        try make(cluster, "web", Manifest.deployment("web", "echo boom; exit 7", spec: spec))

        let waiting = try await state(cluster, "web") { $0["waiting"]["reason"].string == "CrashLoopBackOff" }

        #expect(waiting["waiting"]["message"].string?.hasPrefix("back-off 10s restarting failed container=web") == true)
        let pod = try #require(try cluster.ask("GET", "\(space)/pods").json["items"].array.first)
        let status = try #require(pod["status"]["containerStatuses"].array.first)
        #expect(status["lastState"]["terminated"]["exitCode"].int == 7)
        #expect(status["restartCount"].int == 1)
        let name = pod["metadata"]["name"].string ?? ""
        #expect(try cluster.ask("GET", "\(space)/pods/\(name)/log").text == "boom\n")
        #expect(try cluster.ask("GET", "\(space)/pods/\(name)/log?previous=true&tailLines=1").text == "boom\n")
        let late = try await cluster.object("\(apps)/deployments/web") { deployment in
            deployment["status"]["conditions"].array.contains { $0["reason"].string == "ProgressDeadlineExceeded" }
        }
        #expect(late["status"]["unavailableReplicas"].int == 1)
    }

    @Test(
        "What cannot be started says why",
        arguments: [
            (
                "\"env\": [{\"name\": \"A\", \"valueFrom\": {\"secretKeyRef\": {\"name\": \"nope\", \"key\": \"a\"}}}],",
                "",
                "CreateContainerConfigError", "secret \"nope\" not found"
            ),
            (
                "\"envFrom\": [{\"configMapRef\": {\"name\": \"nope\"}}],", "", "CreateContainerConfigError",
                "configmap \"nope\" not found"
            ),
            (
                "", "\"securityContext\": {\"runAsNonRoot\": true},", "CreateContainerConfigError",
                "image will run as root"
            ),
        ]
    )
    func obstacles(container: String, pod: String, reason: String, message: String) async throws {
        let cluster = try await Clustering(ShellImage.flags)
        try make(cluster, "web", Manifest.deployment("web", "sleep 100", container: container, pod: pod))

        let found = try await state(cluster, "web") { $0["waiting"]["reason"].string == reason }

        #expect(found["waiting"]["message"].string?.contains(message) == true, "\(found)")
    }

    @Test("A pod that fits no node stays pending, and says so")
    func unschedulable() async throws {
        let cluster = try await Clustering(ShellImage.flags)
        let container = "\"resources\": {\"requests\": {\"cpu\": \"100\"}},"
        try make(cluster, "web", Manifest.deployment("web", "sleep 100", container: container))

        let pods = try await cluster.object("\(space)/pods") { list in
            list["items"].array.first?["status"]["conditions"].array.contains { $0["reason"].string == "Unschedulable" }
                ?? false
        }

        let condition = pods["items"].array.first?["status"]["conditions"].array.first
        #expect(condition?["message"].string?.hasPrefix("0/1 nodes are available: 1 Insufficient cpu.") == true)
    }

    @Test("Variables, files and users are as the pod says, and nothing else can be written")
    func sees() async throws {
        let cluster = try await Clustering(ShellImage.flags)
        _ = try cluster.apply(
            "\(space)/configmaps/c",
            """
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "one"}}
            """
        )
        _ = try cluster.apply(
            "\(space)/secrets/s",
            """
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hidden"}}
            """
        )
        let container = """
            "securityContext": {"runAsUser": 1000, "runAsNonRoot": true, "readOnlyRootFilesystem": true},
            "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
            {"name": "B", "value": "$(X_a)-$(P)"}], "envFrom": [{"prefix": "X_", "configMapRef": {"name": "c"}}],
            "volumeMounts": [{"name": "c", "mountPath": "/c"}, {"name": "t", "mountPath": "/t"}],
            """
        let volumes = """
            "volumes": [{"name": "c", "configMap": {"name": "c", "items": [{"key": "a", "path": "sub/a"}]}},
            {"name": "t", "emptyDir": {}}],
            """
        let script = "id -u; echo $B; cat /c/sub/a; echo; touch /t/x && echo written; touch /x 2>&1; sleep 5"
        try make(cluster, "web", Manifest.deployment("web", script, container: container, pod: volumes))
        _ = try await state(cluster, "web") { $0["running"]["startedAt"].string != nil }
        let name = try #require(
            try cluster.ask("GET", "\(space)/pods").json["items"].array.first?["metadata"]["name"].string
        )

        let expected = "1000\none-hidden\none\nwritten\ntouch: /x: Read-only file system"
        // It ends with the container.
        let log = try cluster.ask("GET", "\(space)/pods/\(name)/log?follow=true", more: ["--max-time", "60"]).text
        #expect(log.hasPrefix(expected), "\(log)")
        #expect(!cluster.azure.log.contains("hidden"))
    }

    /// Pushes the image of tests to a registry; gives its name, and the password of the registry's admin user.
    private func push(_ cluster: Clustering) async throws -> (image: String, registry: String, password: String) {
        let registry = try await cluster.azure.registry("mine")
        let reply = try await cluster.azure.arm(
            "POST",
            "Microsoft.ContainerRegistry/registries/mine/listCredentials",
            version: "2023-07-01"
        )
        let password = try #require(try JSON(parsing: reply.text)["passwords"].array.first?["value"].string)
        let image = "\(registry)/shell:1"
        let pushed = try Program.run(
            [
                "copy", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", "mine:\(password)",
                "oci:\(try ShellImage.layout())", "docker://\(image)",
            ],
            of: try #require(Program.named("skopeo"))
        )
        #expect(pushed.status == 0, "\(pushed.errors)")
        return (image, registry, password)
    }

    @Test("Images of a registry of this Azure need a secret")
    func pullSecrets() async throws {
        let cluster = try await Clustering(["--registry", "mine"])
        let (image, registry, password) = try await push(cluster)
        try make(cluster, "web", Manifest.deployment("web", "sleep 100", image: image))
        let denied = try await state(cluster, "web") { $0["waiting"]["reason"].string == "ImagePullBackOff" }
        #expect(denied["waiting"]["message"].string?.contains("401 Unauthorized") == true, "\(denied)")

        let config = "{\"auths\": {\"\(registry)\": {\"username\": \"mine\", \"password\": \"\(password)\"}}}"
        _ = try cluster.apply(
            "\(space)/secrets/pull",
            """
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": "\(Data(config.utf8).base64EncodedString())"}}
            """
        )
        let secrets = "\"imagePullSecrets\": [{\"name\": \"pull\"}],"
        try make(cluster, "web", Manifest.deployment("web", "sleep 100", image: image, pod: secrets))
        let done = try await cluster.object("\(apps)/deployments/web") { $0["status"]["readyReplicas"].int == 1 }
        #expect(done["status"]["updatedReplicas"].int == 1)
    }

    @Test("AcrPull of the kubelet's identity takes the place of a secret; a registry's trouble passes")
    func kubeletIdentity() async throws {
        let cluster = try await Clustering(["--registry", "mine"])
        let (image, _, _) = try await push(cluster)
        let shown = try await cluster.azure.arm(
            "GET",
            "Microsoft.ContainerService/managedClusters/web",
            version: "2024-02-01"
        )
        let identity = try JSON(parsing: shown.text)["properties"]["identityProfile"]["kubeletidentity"]
        let role = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
        let assigned = try await cluster.azure.arm(
            "PUT",
            "Microsoft.ContainerRegistry/registries/mine/providers/Microsoft.Authorization/roleAssignments/"
                + "99999999-9999-4999-8999-999999999999",
            """
            {"properties": {"principalId": "\(identity["objectId"].string ?? "")", "principalType": "ServicePrincipal",
            "roleDefinitionId": "/subscriptions/\(Emulating.subscription)/providers/Microsoft.Authorization/roleDefinitions/\(role)"}}
            """,
            version: "2022-04-01"
        )
        #expect(assigned.status == 201, "\(assigned.text)")
        try await cluster.azure.plan("{\"fault\": \"registryTrouble\", \"method\": \"PULL\", \"path\": \"shell:1\"}")

        try make(cluster, "web", Manifest.deployment("web", "sleep 100", image: image))

        let waiting = try await state(cluster, "web") { $0["waiting"]["reason"].string == "ImagePullBackOff" }
        #expect(waiting["waiting"]["message"].string?.contains("503 Service Unavailable") == true, "\(waiting)")
        let done = try await cluster.object("\(apps)/deployments/web") { $0["status"]["readyReplicas"].int == 1 }
        #expect(done["status"]["availableReplicas"].int == 1)
    }
}
