// SPDX-License-Identifier: Apache-2.0
import Deploy
import Foundation
import Kubernetes
import OCI
import TestSupport
import Testing

@testable import CoracleKit

@Suite("Flags of a deployment on a cluster")
struct ClusterWishTests {
    private func workload(_ environment: [String: String] = [:], _ change: (inout DeployOptions) -> Void) throws
        -> Workload
    {
        var options = DeployOptions()
        options.name = "web"
        change(&options)
        return try ClusterWish(options, environment).workload()
    }

    private func message(_ change: (inout DeployOptions) -> Void) throws -> String {
        try #require(throws: ExitReason.self) { try workload([:], change) }.message
    }

    @Test("What is wrong is named with its flag")
    func faults() throws {
        #expect(try message { $0.name = nil } == "the deployment has no name")
        #expect(try message { $0.ports = ["80:"] } == "--port \"80:\" is not [SERVICE:]PORT[/udp]")
        #expect(try message { $0.cpu = "much" } == "--cpu \"much\" is no quantity")
        #expect(try message { $0.replicas = "-1" } == "--replicas \"-1\" is not a whole number from 0 to 10000")
        #expect(
            try message { ($0.replicas, $0.maximumReplicas) = ("2", "3") }
                == "--replicas and --max-replicas are given both"
        )
        #expect(try message { $0.minimumReplicas = "2" } == "--min-replicas is given, and no --max-replicas")
        #expect(try message { $0.makesNamespace = "true" } == "--create-namespace is given, and no --namespace")
        #expect(try message { $0.runAs = "app" } == "--run-as \"app\" is not USER[:GROUP] as numbers")
        #expect(try message { $0.strategy = "slow" } == "--strategy \"slow\" is neither rolling nor recreate")
        #expect(
            try message { $0.strategy = "rolling,surge=0,unavailable=0" }
                == "--strategy: with surge=0 and unavailable=0 nothing can move"
        )
        #expect(try message { $0.httpProbe = "8080" } == "--http-probe \"8080\" is not /PATH:PORT")
        #expect(
            try message { $0.environmentSources = ["a"] } == "--env-from \"a\" is neither config/NAME nor secret/NAME"
        )
        #expect(
            try message { ($0.reach, $0.ingress) = ("none", ["a.example.com"]) }
                == "--ingress needs a Service, and --ip none leaves it out"
        )
        #expect(try message { $0.ingress = ["https://a.example.com"] }.contains("is not HOST[/PATH]"))
        #expect(
            try message { ($0.reach, $0.dnsLabel) = ("private", "a") } == "--dns-label needs an address in the world"
        )
        #expect(
            try message { $0.volumes = ["type=gitRepo,name=a,target=/a,repository=b"] }
                == "--volume a: Kubernetes has no volumes of git repositories any more"
        )
        #expect(try message { $0.volumes = ["data:/data"] } == "web mounts data, and no --volume is called so")
        #expect(
            try message { ($0.volumes, $0.replicas) = (["type=claim,name=data,target=/data,size=1Gi"], "2") }
                == "the claim web-data is for one node at a time, and there may be several pods"
        )
    }

    @Test(
        "What the other target has is refused, not dropped",
        arguments: [
            ("aks", "--sku"), ("aks", "--restart-policy"), ("aks", "--container-rm"), ("aks", "--zone"),
            ("aci", "--replicas"),
            ("aci", "--ingress"),
        ]
    )
    func foreign(target: String, flag: String) throws {
        var options = DeployOptions()
        switch flag {
        case "--sku": options.sku = "Standard"
        case "--restart-policy": options.restartPolicy = "Never"
        case "--container-rm": options.removedContainers = ["a"]
        case "--zone": options.zones = ["1"]
        case "--replicas": options.replicas = "2"
        default: options.ingress = ["a.example.com"]
        }

        let error = try #require(throws: ExitReason.self) { try options.refuseForeign(to: target) }

        #expect(error.message.hasPrefix("\(flag) is of "))
        #expect(error.hint?.isEmpty == false)
    }

    @Test(
        "Sizes are what people mean by them",
        arguments: [
            ("0.5", "500m"), ("2", "2"), ("250m", "250m"), ("1.25", "1250m"),
        ]
    )
    func processors(text: String, quantity: String) throws {
        #expect(try workload { $0.cpu = text }.containers[0].resources.cpu == quantity)
    }

    @Test(
        "Memory without a unit is gigabytes, as on Container Instances",
        arguments: [
            ("1.5", "1536Mi"), ("2", "2Gi"), ("512Mi", "512Mi"), ("0.25", "256Mi"), ("1G", "1G"),
        ]
    )
    func memory(text: String, quantity: String) throws {
        let resources = try workload { $0.memory = text }.containers[0].resources
        #expect(resources.memory == quantity)
        #expect(resources.memoryLimit == quantity, "what is kept for it is also all that it gets")
    }

    @Test("Variables go where they belong: plain ones into the pod, files into a ConfigMap, secrets into a Secret")
    func variables() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("a.env", "A=1\nB=two words\n")

        let made = try workload(["SECRET": "s3cret"]) { options in
            options.environment = ["PLAIN=x"]
            options.environmentFiles = [file.path]
            options.secureEnvironment = ["SECRET"]
            options.environmentSources = ["secret/others,prefix=O_"]
        }

        #expect(made.configMaps == [.init("web-env", files: ["A": Array("1".utf8), "B": Array("two words".utf8)])])
        #expect(made.secrets == [.init("web-env", files: ["SECRET": Array("s3cret".utf8)])])
        let container = made.containers[0]
        #expect(
            container.environment == [
                .init("PLAIN", .plain("x")), .init("SECRET", .secret(name: "web-env", key: "SECRET")),
            ]
        )
        #expect(
            container.environmentSources == [.init(.config, "web-env"), .init(.secret, "others", prefix: "O_")]
        )
    }

    @Test("A claim that one node has at a time makes the old pod go first, and says so")
    func claim() throws {
        let made = try workload { $0.volumes = ["type=claim,name=data,target=/data,size=1Gi"] }

        #expect(made.claims == [.init("web-data", size: "1Gi")])
        #expect(made.remarks[.strategy]?.contains("one node has the claim") == true)
        guard case .recreate = made.strategy else {
            Issue.record("the strategy is \(made.strategy)")
            return
        }
    }
}

@Suite("Images on a cluster")
struct ImageDefaultsTests {
    static func facts(_ change: (inout ImageConfig) -> Void = { _ in }) throws -> ImageFacts {
        var config = ImageConfig(platform: Platform(os: "linux", architecture: "arm64"))
        change(&config)
        let digest = String(repeating: "0", count: 64)
        let reference = try ImageReference("r.azurecr.io/web@sha256:\(digest)")
        return ImageFacts(reference, mediaType: .manifest, layers: [], config: config)
    }

    private func filled(
        _ facts: ImageFacts,
        _ rights: ImageRights?,
        readOnly: Bool? = nil,
        _ change: (inout Workload) -> Void = { _ in }
    ) throws -> Workload {
        var workload = Workload("web")
        workload.containers = [.init("web", image: "")]
        change(&workload)
        var defaults = ImageDefaults(
            facts: facts,
            rights: rights,
            reference: try ImageReference("r.azurecr.io/web:1.4")
        )
        defaults.readOnlyRoot = readOnly
        defaults.fill(&workload, container: 0)
        return workload
    }

    @Test("An image that runs as a user is not root, and has no capability")
    func user() throws {
        let made = try filled(Self.facts { $0.user = "1000:2000" }, ImageRights(user: 1000, group: 2000))

        #expect((made.pod.user, made.pod.group) == (1000, 2000))
        #expect(made.pod.refusesRoot)
        #expect(made.containers[0].security.adds == [])
        #expect(made.remarks[.podSecurity] == "USER 1000:2000 of the image")
        #expect(made.pod.nodes == ["kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"])
        #expect(made.version == "1.4")
        #expect(made.remarks[.image(container: "web")] == "1.4, by the digest that it had")
    }

    @Test("An image that runs as root keeps what servers need to give that up, and nothing more")
    func root() throws {
        let made = try filled(Self.facts(), ImageRights(user: 0))

        #expect(!made.pod.refusesRoot)
        #expect(
            made.containers[0].security.adds == [
                "CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE", "SETGID", "SETUID",
            ]
        )
        #expect(made.remarks[.security(container: "web")]?.contains("runs as root") == true)
    }

    @Test("A user who opens a low port may, as with Docker")
    func lowPort() throws {
        let made = try filled(Self.facts { $0.exposedPorts = ["80/tcp"] }, ImageRights(user: 1000))

        #expect(made.pod.sysctls == ["net.ipv4.ip_unprivileged_port_start": "0"])
        #expect(made.containers[0].ports == [.init(80)])
    }

    @Test("A root file system is read only where that takes nothing away, or where it was asked for")
    func readOnly() throws {
        let facts = try Self.facts { $0.volumes = ["/data"] }
        let can = ImageRights(user: 1000, canBeReadOnly: true, scratch: ["/tmp"])

        let made = try filled(facts, can)
        #expect(made.containers[0].security.hasReadOnlyRoot)
        #expect(made.containers[0].mounts == [.init("data", at: "/data"), .init("tmp", at: "/tmp")])
        let cannot = ImageRights(user: 1000, canBeReadOnly: false)
        #expect(try !filled(facts, cannot).containers[0].security.hasReadOnlyRoot)
        #expect(try !filled(facts, ImageRights(user: 1000)).containers[0].security.hasReadOnlyRoot)
        #expect(try filled(facts, cannot, readOnly: true).containers[0].security.hasReadOnlyRoot)
        #expect(try !filled(facts, can, readOnly: false).containers[0].security.hasReadOnlyRoot)
        let other = try filled(facts, can) { $0.pod.user = 2000 }
        #expect(!other.containers[0].security.hasReadOnlyRoot, "what another user may write is not known")
    }

    @Test("HEALTHCHECK is asked more often for readiness, and waits for its start period")
    func healthcheck() throws {
        let check = ImageConfig.Healthcheck(
            test: ["CMD", "check"],
            interval: 20_000_000_000,
            timeout: 2_500_000_000,
            startPeriod: 30_000_000_000
        )
        let container = try filled(Self.facts { $0.healthcheck = check }, ImageRights(user: 1000)).containers[0]

        #expect(container.liveness?.check == .command(["check"]))
        #expect((container.liveness?.period, container.liveness?.timeout, container.liveness?.failures) == (20, 3, 3))
        #expect(container.readiness?.period == 5)
        #expect((container.startup?.period, container.startup?.failures) == (5, 9), "30 s, then three times more")
    }

    /// What the samples' last stages say.
    static func samples() throws -> [(name: String, config: ImageConfig)] {
        let folder = ConformanceData.projectRoot.appending(path: "samples")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        return names.compactMap { name in
            let file = folder.appending(path: "\(name)/Dockerfile")
            guard let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
            var config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"))
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                switch words.first {
                case "FROM": config = ImageConfig(platform: config.platform)
                case "USER": config.user = words[1]
                case "EXPOSE": config.exposedPorts = Set(words.dropFirst())
                case "HEALTHCHECK":
                    config.healthcheck = .init(test: ["CMD", "true"], interval: 10_000_000_000)
                default: continue
                }
            }
            return (name, config)
        }
    }

    /// Each has what one flag or several make different.
    static let flags: [(name: String, change: @Sendable (inout DeployOptions) -> Void)] = [
        ("none", { _ in }),
        ("several", { ($0.replicas, $0.namespace, $0.makesNamespace) = ("3", "shop", "true") }),
        ("by load", { ($0.minimumReplicas, $0.maximumReplicas, $0.targetMemory) = ("2", "5", "80") }),
        ("public", { ($0.ports, $0.reach, $0.dnsLabel) = (["80:8080", "53/udp"], "public", "my-web") }),
        ("private", { ($0.ports, $0.reach, $0.serviceName) = (["8080"], "private", "other") }),
        ("none reach it", { $0.reach = "none" }),
        (
            "ingress",
            { options in
                options.ports = ["8080"]
                options.ingress = ["a.example.com", "b.example.com/x", "*"]
                (options.ingressClass, options.ingressCertificate) = ("nginx", "cert")
                options.annotations = ["ingress:a=b", "service:c=d", "pod:e=f", "g=h"]
            }
        ),
        ("probes", { ($0.httpProbe, $0.startup) = ("/healthz:8080", "tcp:8080,period=1,failures=60") }),
        ("other probes", { ($0.liveness, $0.readiness) = ("grpc:9000/health", "exec:test -e \"/tmp/a b\"") }),
        (
            "variables",
            { options in
                (options.environment, options.secureEnvironment) = (["A=$(B)", "C="], ["S=env:SECRET"])
                options.environmentSources = ["config/a", "secret/b,prefix=B_"]
            }
        ),
        (
            "volumes",
            { options in
                options.volumes = [
                    "type=emptyDir,name=scratch,target=/scratch,medium=memory,limit=64Mi", "scratch:/again:ro",
                    "type=secret,name=certs,target=/certs,tls.key=env:SECRET",
                    "type=secret,name=old,target=/old,secret=x",
                    "type=configMap,name=conf,target=/conf,a.conf=env:SECRET", "type=claim,name=d,target=/d,size=1Gi",
                    "type=claim,name=e,target=/e,claim=there,readonly",
                    "type=azureFile,name=share,target=/share,share=s,account=a,key=env:SECRET",
                ]
            }
        ),
        (
            "tight",
            { options in
                (options.runAs, options.readOnlyRoot, options.capabilities) = ("1000:1000", "yes", ["CAP_NET_RAW"])
                (options.serviceAccount, options.nodes) = ("runner", ["agentpool=web"])
                (options.tolerations, options.grace, options.drain) = (["a=b:NoSchedule"], "60", "5")
            }
        ),
        (
            "sizes",
            { options in
                (options.cpu, options.memory, options.cpuLimit, options.memoryLimit) = ("0.5", "512Mi", "1", "1")
                (options.strategy, options.progressDeadline) = ("rolling,surge=25%,unavailable=25%", "60")
                (options.partOf, options.labels, options.disruptions) = ("store", ["team=a"], "1")
                options.command = "sh -c 'echo $HOME $(date)'"
            }
        ),
        ("a second container", { $0.containers = ["name=side,image=r.io/side:1,port=9000,cpu=0.1,secure-env=S=x"] }),
    ]

    private static let rights: [ImageRights?] = [
        nil, ImageRights(user: 0),
        ImageRights(user: 65532, group: 65532, canBeReadOnly: true, scratch: ["/tmp", "/var/tmp"]),
    ]

    /// All manifests of all samples with all flags.
    static func all() throws -> [(name: String, manifests: [ObjectManifest])] {
        var all: [(name: String, manifests: [ObjectManifest])] = []
        for (sample, config) in try samples() {
            for (flag, change) in flags {
                for rights in rights {
                    var options = DeployOptions()
                    options.name = "web"
                    change(&options)
                    var workload = try ClusterWish(options, ["SECRET": "s3cret"]).workload()
                    let facts = try Self.facts { $0 = config }
                    for index in workload.containers.indices {
                        let reference = try ImageReference("r.azurecr.io/web:1.4")
                        ImageDefaults(facts: facts, rights: rights, reference: reference)
                            .fill(&workload, container: index)
                    }
                    // A sample without a port cannot be reached.
                    if workload.servicePorts.isEmpty { (workload.service, workload.ingress) = (nil, nil) }
                    all.append(("\(sample), \(flag)", try workload.manifests()))
                }
            }
        }
        return all
    }

    /// All manifests of all samples with any two of the flags, where these go together.
    static func pairs() throws -> [(name: String, manifests: [ObjectManifest])] {
        var all: [(name: String, manifests: [ObjectManifest])] = []
        for (sample, config) in try samples() {
            let facts = try Self.facts { $0 = config }
            for (first, one) in flags.enumerated() {
                for other in flags[(first + 1)...] {
                    var options = DeployOptions()
                    options.name = "web"
                    one.change(&options)
                    other.change(&options)
                    // What does not go together is said to whoever types it.
                    guard var workload = try? ClusterWish(options, ["SECRET": "s3cret"]).workload() else { continue }
                    for index in workload.containers.indices {
                        let reference = try ImageReference("r.azurecr.io/web:1.4")
                        ImageDefaults(facts: facts, rights: rights[2], reference: reference)
                            .fill(&workload, container: index)
                    }
                    if workload.servicePorts.isEmpty { (workload.service, workload.ingress) = (nil, nil) }
                    workload.configMaps.append(.init("web-env", files: ["A": Array("1".utf8), "B": [0xFF]]))
                    workload.containers[0].environmentSources.append(.init(.config, "web-env"))
                    workload.pullSecrets.append("web-pull")
                    workload.secrets.append(.init(pulling: "web-pull", from: "r.io", user: "u", password: "p"))
                    all.append(("\(sample), \(one.name) and \(other.name)", try workload.manifests()))
                }
            }
        }
        return all
    }

    @Test("Manifests of every sample with every flag, and any two, match the published schema")
    func schema() throws {
        let pairs = try Self.pairs()
        #expect(pairs.count > 500)
        let all = try Self.all() + pairs
        #expect(all.count > 200)
        // Equal manifests are looked at once.
        var seen: Set<JSONValue> = []
        for (name, manifests) in all {
            let new = manifests.filter { seen.insert($0.json).inserted }
            let faults = try ManifestSchema.faults(of: new)
            #expect(faults == [], "\(name)")
        }
    }

    @Test("Another checker finds nothing wrong either", .enabled(if: ManifestSchema.checker != nil))
    func otherChecker() throws {
        let checker = try #require(ManifestSchema.checker)
        let folder = try TemporaryFolder()
        var seen: Set<JSONValue> = []
        var files: [String] = []
        for (_, manifests) in try Self.all() {
            for manifest in manifests where seen.insert(manifest.json).inserted {
                let text = ManifestWriter().document(manifest)
                files.append(try folder.write("\(files.count).yaml", text).path)
            }
        }

        let answer = try Program.run(["-k", "1.36.0", "--strict", "--quiet"] + files, of: checker)

        #expect(answer.status == 0, "\(answer.output)\(answer.errors)")
    }
}

/// The published schema of manifests, and a checker that knows another.
enum ManifestSchema {
    private static let file: URL? = {
        let file = ConformanceData.projectRoot.deletingLastPathComponent()
            .appending(path: "shared/specs/kubernetes/manifests-v1.36.schema.json")
        if FileManager.default.fileExists(atPath: file.path) { return file }
        print("SCHEMAS SKIPPED: ../shared/specs/kubernetes is absent, so that no manifest is compared with it")
        return nil
    }()

    private static let groups = [
        "v1": "core.v1", "apps/v1": "apps.v1", "networking.k8s.io/v1": "networking.v1",
        "autoscaling/v2": "autoscaling.v2", "policy/v1": "policy.v1",
    ]

    static func faults(of manifests: [ObjectManifest]) throws -> [String] {
        guard let file, !manifests.isEmpty else { return [] }
        let schema = try JSONSchema(file)
        return try manifests.flatMap { manifest in
            let group = groups[manifest.apiVersion] ?? manifest.apiVersion
            let pointer = "/$defs/io.k8s.api.\(group).\(manifest.kind)"
            return try schema.faults(of: manifest.json.canonical, at: pointer).map { "\(manifest): \($0)" }
        }
    }

    /// kubernetes-validate of PyPI.
    static let checker: URL? = {
        let named = ProcessInfo.processInfo.environment["CORACLE_KUBERNETES_VALIDATE"].map { URL(filePath: $0) }
        let found = named ?? Program.named("kubernetes-validate")
        if found == nil {
            print("OTHER CHECKER OF MANIFESTS SKIPPED: no kubernetes-validate (pip install kubernetes-validate)")
        }
        return found
    }()
}
