// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kubernetes
import OCI
import TestSupport
import Testing

@testable import Deploy

@Suite("Compose projects on clusters")
struct ComposeWorkloadTests {
    /// All objects of a project, its images known.
    private func manifests(_ files: ComposeCase) throws -> [ObjectManifest] {
        var made = try files.workloads()
        for service in made.services { try made.take(ComposeCase.facts(entrypoint: ["e"]), for: service) }
        return try made.workloads.flatMap { try $0.manifests() }
    }

    private func object(_ list: [ObjectManifest], _ name: String) throws -> JSONValue {
        try #require(list.first { $0.description == name }, "\(list)").json
    }

    private static let shop = """
        name: shop
        services:
          web:
            image: web
            ports: ["80:8080", "127.0.0.1:9000:9000"]
            expose: [9090]
            environment: {MODE: prod, DB_PASSWORD: hunter2}
            healthcheck: {test: [CMD, check], interval: 10s, start_period: 20s}
            configs: [{source: c, target: /etc/web/web.conf, mode: 0440}]
            secrets: [key]
            depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}
            networks: {back: {aliases: [site]}}
            user: "1000:1000"
            working_dir: /srv
            read_only: true
            tmpfs: /run:size=1m
            stop_grace_period: 1m
            extra_hosts: ["other=10.0.0.1"]
            labels: {com.example.team: shop}
            deploy:
              replicas: 2
              update_config: {order: start-first, parallelism: 2}
              resources: {limits: {cpus: "0.5", memory: 64M}, reservations: {cpus: "0.25"}}
            x-aks: {environment: {MODE: aks}}
          db: {image: db, volumes: ["data:/data"], expose: [5432], networks: [back], shm_size: 128m}
          migrate: {image: web, command: [migrate], environment: {A: "1"}}
        configs: {c: {content: "hello"}}
        secrets: {key: {environment: KEY}}
        networks: {back: }
        volumes: {data: {x-aks: {size: 5Gi}}}
        """

    private var shop: ComposeCase {
        var files = ComposeCase(Self.shop)
        files.environment = ["KEY": "s3cret"]
        return files
    }

    @Test("A Deployment and a Service for each service, and what they are given")
    func objects() throws {
        let names = try manifests(shop).map(\.description)

        #expect(
            names == [
                "persistentvolumeclaim/shop-data", "service/db", "deployment/db", "secret/web-env", "secret/shop-key",
                "configmap/shop-c", "service/web", "service/site", "service/web-public", "deployment/web",
                "poddisruptionbudget/web",
            ]
        )
    }

    @Test("Pods are what the file says")
    func pods() throws {
        let list = try manifests(shop)
        let web = try object(list, "deployment/web")
        let pod = try #require(web["spec"]?["template"]?["spec"])
        let container = try #require(pod["containers"]?.array?.first)

        #expect(web["spec"]?["replicas"] == 2)
        #expect(web["spec"]?["strategy"]?["rollingUpdate"] == ["maxSurge": 2, "maxUnavailable": 0])
        #expect(web["metadata"]?["labels"]?["app.kubernetes.io/part-of"] == "shop")
        #expect(web["spec"]?["template"]?["metadata"]?["annotations"]?["com.example.team"] == "shop")
        #expect(container["workingDir"] == "/srv")
        #expect(container["resources"] == ["limits": ["cpu": "500m", "memory": "64Mi"], "requests": ["cpu": "250m"]])
        #expect(
            container["env"] == [
                [
                    "name": "DB_PASSWORD",
                    "valueFrom": ["secretKeyRef": ["name": "web-env", "key": "DB_PASSWORD"]],
                ], ["name": "MODE", "value": "aks"],
            ]
        )
        #expect(container["securityContext"]?["runAsUser"] == 1000)
        #expect(container["securityContext"]?["readOnlyRootFilesystem"] == true)
        #expect(container["readinessProbe"]?["periodSeconds"] == 5)
        #expect(container["livenessProbe"]?["exec"]?["command"] == ["check"])
        #expect(container["startupProbe"]?["failureThreshold"] == 7)
        #expect(pod["terminationGracePeriodSeconds"] == 60)
        #expect(pod["hostAliases"] == [["ip": "10.0.0.1", "hostnames": ["other"]]])
        let mounts = (container["volumeMounts"]?.array ?? [])
            .map { "\($0["mountPath"]?.string ?? "") \($0["subPath"]?.string ?? "-")" }
        #expect(mounts == ["/run -", "/etc/web/web.conf c", "/run/secrets/key key"])
        #expect(pod["initContainers"]?.array?.map { $0["name"] } == ["migrate"])
        #expect(pod["initContainers"]?.array?.first?["args"] == ["migrate"])
    }

    @Test("Others in the cluster ask for the program's ports, the world for the published ones")
    func services() throws {
        let list = try manifests(shop)
        let ports = { (name: String) throws -> [Int64] in
            (try object(list, "service/" + name)["spec"]?["ports"]?.array ?? []).compactMap { $0["port"]?.int }
        }

        #expect(try ports("web") == [8080, 9000, 9090])
        #expect(try ports("site") == [8080, 9000, 9090])
        #expect(try ports("web-public") == [80])
        #expect(try ports("db") == [5432])
        #expect(try object(list, "service/web")["spec"]?["type"] == "ClusterIP")
        #expect(try object(list, "service/web-public")["spec"]?["type"] == "LoadBalancer")
        let plain = try manifests(ComposeCase("services:\n  a: {image: x, ports: [\"80:80\"]}\n"))
        #expect(plain.map(\.description) == ["service/a", "deployment/a"])
        #expect(plain[0].json["spec"]?["type"] == "LoadBalancer")
    }

    @Test("A database on a disk is not there twice while it changes")
    func disks() throws {
        let list = try manifests(shop)

        #expect(try object(list, "deployment/db")["spec"]?["strategy"]?["type"] == "Recreate")
        #expect(
            try object(list, "persistentvolumeclaim/shop-data")["spec"]?["resources"]?["requests"]?["storage"] == "5Gi"
        )
    }

    @Test("Every object matches Kubernetes' own schema")
    func schema() throws {
        let file = ConformanceData.projectRoot.deletingLastPathComponent()
            .appending(path: "shared/specs/kubernetes/manifests-v1.36.schema.json")
        guard FileManager.default.fileExists(atPath: file.path) else {
            print("COMPOSE MANIFESTS NOT VALIDATED: shared/specs/kubernetes is absent")
            return
        }
        let schema = try JSONSchema(file)
        let groups = [
            "Deployment": "apps.v1", "PodDisruptionBudget": "policy.v1", "Ingress": "networking.v1",
            "HorizontalPodAutoscaler": "autoscaling.v2",
        ]
        let more = """
            services:
              a:
                image: x
                ports: ["80:8080/udp", "81:81"]
                x-aks: {ingress: [example.org/a, other.org], ingress-class: nginx, replicas: {min: 1, max: 3, cpu: 50}}
                mem_reservation: 1000
                deploy: {resources: {reservations: {cpus: 0.1}}}
            """
        let sample = ConformanceData.projectRoot.appending(path: "samples/compose/compose.yaml")
        let samples = try manifests(ComposeCase(String(contentsOf: sample, encoding: .utf8)))
        #expect(samples.contains { $0.kind == "Deployment" })
        for manifest in try manifests(shop) + manifests(ComposeCase(more)) + samples {
            let pointer = "/$defs/io.k8s.api.\(groups[manifest.kind] ?? "core.v1").\(manifest.kind)"
            let faults = try schema.faults(of: manifest.json.canonical, at: pointer)
            #expect(faults == [], "\(manifest)")
        }
    }

    @Test(
        "What a cluster cannot do is refused with its line",
        arguments: [
            ("user: nobody", "4:11: error: services.a.user: clusters know no names of users, and \"nobody\" is one"),
            (
                "restart: \"no\"",
                "4:14: error: services.a.restart: a Deployment starts its containers again whenever they end"
            ),
            ("volumes: [\"./x:/y\"]", "4:15: error: services.a.volumes[0]: a cluster does not see x of this machine"),
            (
                "network_mode: host",
                "4:19: error: services.a.network_mode: pods have a network of their own, not \"host\""
            ),
            (
                "platform: windows/amd64",
                "4:15: error: services.a.platform: nodes are linux/amd64 or linux/arm64, not windows/amd64"
            ),
            (
                "security_opt: [\"seccomp:unconfined\"]",
                "4:20: error: services.a.security_opt[0]: \"seccomp:unconfined\" is nothing that is set for a pod"
            ),
            (
                "extra_hosts: [\"me=host-gateway\"]",
                "4:18: error: services.a.extra_hosts: me would be this machine, which a cluster does not reach"
            ),
            (
                "x-aks: {reach: world}",
                "4:20: error: services.a.x-aks.reach \"world\" is none of cluster, private, public"
            ),
            (
                "scale: 2\n    volumes: [\"v:/v\"]\nvolumes: {v: {x-aks: {size: 1Gi}}}",
                "6:11: error: volumes.v: several pods want it, and a disk is on one node at a time"
            ),
        ]
    )
    func refused(text: String, expected: String) {
        let errors = ComposeCase("services:\n  a:\n    image: x\n    \(text)\n").errors(for: .aks)
        #expect(errors == ["compose.yaml:" + expected])
    }

    @Test("No secret is in what is said")
    func secrets() throws {
        let made = try shop.workloads()
        var dumped = ""
        dump(made.workloads, to: &dumped)

        #expect(!shop.said(for: .aks).joined().contains("s3cret"))
        #expect(!dumped.contains("s3cret"))
    }
}
