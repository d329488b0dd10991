// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kubernetes
import OCI
import TestSupport
import Testing

@Suite("Workloads")
struct WorkloadTests {
    private func workload(_ change: (inout Workload) -> Void = { _ in }) -> Workload {
        var workload = Workload("web")
        workload.containers = [.init("web", image: "r.azurecr.io/web@sha256:0")]
        change(&workload)
        return workload
    }

    private func faults(_ change: (inout Workload) -> Void) throws -> [String] {
        let error = try #require(throws: WorkloadError.self) { try workload(change).manifests() }
        #expect(error.description.hasPrefix("the workload "))
        return error.faults
    }

    @Test("The smallest workload is one Deployment, hardened, and named as recommended")
    func smallest() throws {
        let manifests = try workload().manifests()

        #expect(manifests.map(\.description) == ["deployment/web"])
        let pod = manifests[0].json["spec"]?["template"]
        #expect(pod?["metadata"]?["labels"]?["app.kubernetes.io/name"] == "web")
        #expect(pod?["spec"]?["securityContext"]?["seccompProfile"]?["type"] == "RuntimeDefault")
        #expect(pod?["spec"]?["containers"]?.array?[0]["securityContext"]?["capabilities"]?["drop"] == ["ALL"])
        #expect(pod?["spec"]?["automountServiceAccountToken"] == false)
        #expect(manifests[0].json["spec"]?["replicas"] == nil, "what nobody said is left to the cluster")
    }

    /// Everything that a workload can have.
    static var full: Workload {
        var workload = Workload("web")
        (workload.namespace, workload.makesNamespace, workload.partOf, workload.version) = (
            "shop", true, "store", "1.4"
        )
        (workload.labels, workload.annotations, workload.podAnnotations) = (["team": "a"], ["a/b": "c"], ["d/e": "f"])
        (workload.progressDeadline, workload.mayBeAway) = (120, 1)
        workload.strategy = .rollingWithin(surge: "25%", unavailable: "1")
        var main = Workload.Container("web", image: "r.azurecr.io/web@sha256:0")
        (main.command, main.arguments, main.workingDirectory) = (["serve"], ["--all"], "/srv")
        main.ports = [.init(8080), .init(53, "UDP", servicePort: 5353), .init(9000, servicePort: 0)]
        main.environment = [
            .init("A", .plain("1 $(B)")), .init("S", .secret(name: "web-env", key: "S")),
            .init("C", .config(name: "web-settings", key: "C")), .init("N", .field("metadata.name")),
        ]
        main.environmentSources = [.init(.config, "web-settings"), .init(.secret, "other", prefix: "O_")]
        (main.resources.cpu, main.resources.memory) = ("250m", "128Mi")
        (main.resources.cpuLimit, main.resources.memoryLimit) = ("1", "256Mi")
        main.resources.further = ["nvidia.com/gpu": "1"]
        main.startup = .init(.connection(port: "http"))
        main.liveness = .init(.http(path: "/healthz", port: "8080", isSecure: true))
        main.readiness = .init(.grpc(port: 9000, service: "health"))
        main.liveness?.delay = 1
        main.liveness?.period = 2
        main.liveness?.timeout = 3
        main.liveness?.failures = 4
        (main.security.user, main.security.group, main.security.refusesRoot) = (1000, 1000, true)
        (main.security.hasReadOnlyRoot, main.security.adds) = (true, ["NET_BIND_SERVICE"])
        (main.drain, main.hasTerminal, main.hasInput) = (5, true, true)
        main.mounts = [
            .init("tmp", at: "/tmp"), .init("settings", at: "/etc/app", part: "app", isReadOnly: true),
            .init("certs", at: "/certs"), .init("data", at: "/data"), .init("share", at: "/share"),
            .init("vault", at: "/vault"),
        ]
        var side = Workload.Container("proxy", image: "proxy@sha256:0")
        side.readiness = .init(.command(["true"]))
        side.security.isPrivileged = true
        (side.resources.cpu, side.resources.memory) = ("10m", "16Mi")
        workload.containers = [main, side]
        workload.initContainers = [.init("first", image: "first@sha256:0")]
        workload.volumes = [
            .init("tmp", .empty(isInMemory: true, limit: "64Mi")),
            .init("settings", .config(name: "web-settings", items: ["C": "c.txt"], mode: 0o400)),
            .init("certs", .secret(name: "web-env", items: [:], mode: nil)),
            .init("data", .claim(name: "web-data", isReadOnly: true)),
            .init("share", .azureFile(share: "s", secret: "web-env", isReadOnly: true)),
            .init("vault", .driver(name: "secrets-store.csi.k8s.io", isReadOnly: true, attributes: ["a": "b"])),
        ]
        workload.configMaps = [.init("web-settings", files: ["C": Array("c".utf8), "binary": [0xFF, 0]])]
        workload.secrets = [
            .init("web-env", files: ["S": [1]]), .init(pulling: "web-pull", from: "r.io", user: "u", password: "p"),
        ]
        workload.claims = [.init("web-data", size: "10Gi", storageClass: "managed-csi", access: "ReadWriteMany")]
        workload.pullSecrets = ["web-pull"]
        (workload.pod.user, workload.pod.group, workload.pod.volumeGroup) = (1000, 1000, 1000)
        (workload.pod.refusesRoot, workload.pod.sysctls) = (true, ["net.ipv4.ip_unprivileged_port_start": "0"])
        (workload.pod.nodes, workload.pod.tolerations) = (
            ["kubernetes.io/os": "linux"], ["a=b:NoSchedule", "c:NoExecute", "d"]
        )
        (workload.pod.account, workload.pod.grace, workload.pod.hostname) = ("runner", 60, "web")
        (workload.pod.hosts, workload.pod.nameservers) = (["db": "10.0.0.1", "cache": "10.0.0.1"], ["10.0.0.10"])
        (workload.pod.searchDomains, workload.pod.resolverOptions) = (["example.com"], ["ndots:2", "edns0"])
        workload.pod.sharesProcesses = true
        workload.service = .init(.public)
        workload.service?.dnsLabel = "my-web"
        workload.service?.annotations = ["x/y": "z"]
        workload.ingress = .init([
            .init(host: "a.example.com"), .init(host: "a.example.com", path: "/b"), .init(host: nil),
        ])
        workload.ingress?.className = "nginx"
        workload.ingress?.certificate = "a-tls"
        workload.autoscaling = .init(2, 5, cpu: 70, memory: 80)
        return workload
    }

    @Test("Everything at once matches the published schema, and comes in the order in which it can be applied")
    func everything() throws {
        let manifests = try Self.full.manifests()

        #expect(
            manifests.map(\.kind) == [
                "Namespace", "Secret", "Secret", "ConfigMap", "PersistentVolumeClaim", "Service", "Deployment",
                "Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget",
            ]
        )
        let faults = try KubernetesSchema.faults(of: manifests)
        #expect(faults == [])
        let spec = manifests[6].json["spec"]
        #expect(spec?["replicas"] == nil, "the autoscaler sets it")
        let pod = spec?["template"]?["spec"]
        #expect(pod?["containers"]?.array?[0]["env"]?.array?[0]["value"] == "1 $$(B)", "the kubelet expands nothing")
        #expect(pod?["hostAliases"] == [["ip": "10.0.0.1", "hostnames": ["cache", "db"]]])
        #expect(manifests[5].json["spec"]?["ports"]?.array?.count == 2, "a port of 0 is none of the Service's")
        #expect(manifests[5].json["spec"]?["ports"]?.array?[1]["port"] == 5353)
        #expect(manifests[7].json["spec"]?["rules"]?.array?.count == 2)
        #expect(manifests[7].json["spec"]?["tls"]?.array?[0]["hosts"] == ["a.example.com"])
    }

    @Test(
        "Dollars stay what people wrote",
        arguments: [
            ("a", "a"), ("$", "$"), ("$A", "$A"), ("$(A)", "$$(A)"), ("$$", "$$$$"), ("$$(A)", "$$$$(A)"),
            ("a$$b", "a$$$$b"),
            ("$(", "$$("), ("100$", "100$"),
        ]
    )
    func dollars(text: String, written: String) throws {
        let made = try workload { $0.containers[0].arguments = [text] }.manifests()

        let container = made[0].json["spec"]?["template"]?["spec"]?["containers"]?.array?[0]
        #expect(container?["args"] == [.string(written)])
    }

    @Test("What a cluster would refuse is said before, all of it")
    func refused() throws {
        #expect(
            try faults { workload in
                workload = Workload("1web")
                workload.namespace = "Shop"
            } == [
                "\"1web\" is no name: 1 to 63 lowercase letters, digits and \"-\", which begin with a letter",
                "\"Shop\" is no namespace: 1 to 63 lowercase letters, digits and \"-\", which begin with a letter",
                "there is no container",
            ]
        )
        #expect(
            try faults { $0.containers[0].mounts = [.init("data", at: "data")] } == [
                "web mounts data, and no volume is called so", "web mounts data at \"data\", which is no path from /",
            ]
        )
        #expect(
            try faults { $0.pod.tolerations = ["not a key", "a:Sometimes"] } == [
                "\"not a key\" is no toleration: key=value:NoSchedule, key:NoExecute",
                "\"a:Sometimes\" is no toleration: key=value:NoSchedule, key:NoExecute",
            ]
        )
        #expect(
            try faults { $0.service = .init() } == ["a Service needs a port, and no container has one"]
        )
        #expect(
            try faults { workload in
                workload.autoscaling = .init(3, 2)
                workload.replicas = 2
            } == [
                "the number of pods is fixed (2), and depends on their load too",
                "autoscaling goes from 3 to 2 pods, which is downwards",
                "autoscaling looks at processors, and none are kept for web",
            ]
        )
        #expect(
            try faults { workload in
                (workload.containers[0].resources.memory, workload.containers[0].resources.memoryLimit) = (
                    "1Gi", "512Mi"
                )
                workload.containers[0].resources.cpu = "much"
            } == ["the cpu of web, \"much\", is no quantity", "web asks for 1Gi of memory, and may use 512Mi only"]
        )
        #expect(
            try faults { $0.labels = ["a": "no spaces"] }[0].hasPrefix("the label a cannot be \"no spaces\"")
        )
        #expect(
            try faults { workload in
                workload.containers[0].ports = [.init(80), .init(81, name: "http")]
            } == ["web has two ports called http"]
        )
    }

    @Test(
        "Quantities are read as Kubernetes reads them",
        arguments: [
            ("1", 1.0), ("250m", 0.25), ("1.5", 1.5), ("64Mi", 67_108_864), ("1G", 1e9), ("1e3", 1000), ("2k", 2000),
        ]
    )
    func quantities(text: String, value: Double) {
        #expect(Quantity.value(text) == value)
    }

    @Test(
        "What is no quantity is none",
        arguments: ["", "m", "1 Gi", "-1", "1.2.3", "Mi", "1mb", "inf", "nan", "0x10"]
    )
    func noQuantities(text: String) {
        #expect(Quantity.value(text) == nil)
    }
}

/// The published schema of manifests.
enum KubernetesSchema {
    private static let file: URL? = {
        let file = ConformanceData.projectRoot.deletingLastPathComponent()
            .appending(path: "shared/specs/kubernetes/manifests-v1.36.schema.json")
        if FileManager.default.fileExists(atPath: file.path) { return file }
        print("SCHEMAS SKIPPED: ../shared/specs/kubernetes is absent, so that no manifest is compared with it")
        return nil
    }()

    private static let groups = [
        "v1": "core.v1", "apps/v1": "apps.v1", "networking.k8s.io/v1": "networking.v1",
        "autoscaling/v2": "autoscaling.v2",
        "policy/v1": "policy.v1",
    ]

    /// What is wrong with manifests; empty where nothing is, or there is no schema.
    static func faults(of manifests: [ObjectManifest]) throws -> [String] {
        guard let file else { return [] }
        let schema = try JSONSchema(file)
        return try manifests.flatMap { manifest in
            let group = groups[manifest.apiVersion] ?? manifest.apiVersion
            let pointer = "/$defs/io.k8s.api.\(group).\(manifest.kind)"
            return try schema.faults(of: manifest.json.canonical, at: pointer).map { "\(manifest): \($0)" }
        }
    }
}
