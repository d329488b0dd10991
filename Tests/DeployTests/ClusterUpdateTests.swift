// SPDX-License-Identifier: Apache-2.0
import Foundation
import Kubernetes
import OCI
import TestSupport
import Testing

@testable import CoracleKit
@testable import Deploy

@Suite("What stays and what goes on a cluster")
struct ClusterUpdateTests {
    // MARK: Variables

    @Test(
        "What is read of a live deployment is what was typed",
        arguments: ["plain", "$", "$$", "$(HOME)", "$$(HOME)", "a$b$$c$(d)", "cost: 5$", "$$$(x", "$$$"]
    )
    func meant(text: String) throws {
        var workload = Workload("web")
        workload.containers = [.init("web", image: "a")]
        workload.containers[0].environment = [.init("A", .plain(text))]
        let deployment = try #require(try workload.manifests().first { $0.kind == "Deployment" }).json

        let container = try #require(deployment["spec"]?["template"]?["spec"]?["containers"]?.array?.first)
        let sent = try #require(container["env"]?.array?.first?["value"]?.string)

        #expect(KeptVariables.meant(sent) == text, "\(sent)")
    }

    @Test("Variables are added to those that coracle.yaml has, take their place, or take them away")
    func remembered() {
        var (old, new) = (DeployOptions(), DeployOptions())
        (old.environment, old.secureEnvironment) = (["A=1", "B=2", "C=3"], ["KEY", "OTHER=env:X"])
        old.environmentSources = ["secret/all,prefix=P_", "config/some"]
        (new.environment, new.removedVariables) = (["B=4", "KEY=plain"], ["C", "secret/all"])

        let both = new.over(old)

        #expect(both.environment == ["A=1", "B=4", "KEY=plain"])
        #expect(both.secureEnvironment == ["OTHER=env:X"], "what is plain now is no secret any more")
        #expect(both.environmentSources == ["config/some"])
    }

    // MARK: Plans that only read

    private static let own: JSONValue = [
        "f:spec": [
            "f:replicas": [:],
            "f:template": [
                "f:spec": [
                    "f:containers": [
                        #"k:{"name":"web"}"#: [
                            ".": [:], "f:name": [:], "f:image": [:], "f:resources": ["f:requests": ["f:cpu": [:]]],
                            "f:env": [
                                #"k:{"name":"A"}"#: [".": [:], "f:name": [:], "f:value": [:]],
                                #"k:{"name":"B"}"#: [".": [:], "f:name": [:], "f:value": [:]],
                            ],
                            "f:ports": [
                                #"k:{"containerPort":80,"protocol":"TCP"}"#: [".": [:], "f:containerPort": [:]]
                            ],
                        ]
                    ]
                ]
            ],
        ]
    ]

    @Test("What we own and leave out goes, what others have stays, and defaults are no change")
    func predicted() {
        let more: JSONValue = [
            "resources": ["requests": ["cpu": "1"]], "imagePullPolicy": "IfNotPresent",
            "env": [["name": "A", "value": "1"], ["name": "B", "value": "2"], ["name": "C", "value": "theirs"]],
            "ports": [["containerPort": 80, "protocol": "TCP"]],
        ]
        var live = Objects.deployment("a", more)
        live["metadata"]?["managedFields"] = [
            ["manager": "coracle", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": Self.own]
        ]
        let wanted = Objects.deployment(
            "b",
            [
                "resources": ["requests": ["cpu": "1000m"]], "env": [["name": "A", "value": "1"]],
                "ports": [["containerPort": 80]],
            ]
        )

        let changes = ObjectChange.list(from: live, to: AKSTarget.predicted(live, wanted))

        let place = ".spec.template.spec.containers[web]"
        #expect(changes.map(\.field) == [place + ".env[B]", place + ".image"], "\(changes)")
        #expect(changes.first?.after == nil)
        #expect(changes.last?.before == "a" && changes.last?.after == "b")
    }

    @Test("Of an object that we never applied nothing goes")
    func foreign() {
        let live = Objects.settings("ConfigMap", ["a": "1", "b": "2"])

        let wanted = AKSTarget.predicted(live, Objects.settings("ConfigMap", ["a": "3"]))

        #expect(wanted["data"] == ["a": "3", "b": "2"])
    }

    // MARK: Services side by side

    private static let shop = """
        name: shop
        services:
          web: {image: w, depends_on: [api, cache]}
          api: {image: a, depends_on: [db], secrets: [key]}
          db: {image: d}
          cache: {image: c}
          mail: {image: m, secrets: [key]}
        secrets: {key: {file: key.txt}}
        """

    private func schedule() throws -> (schedule: ComposeSchedule, names: [String]) {
        let made = try ComposeCase(Self.shop, ["key.txt": "k"]).workloads()
        return (ComposeSchedule(made.workloads, made.services), made.workloads.map(\.name))
    }

    @Test("A service waits for those that it depends on, and for who brings what it mounts")
    func waits() throws {
        let (schedule, names) = try schedule()

        let waits = Dictionary(
            names.enumerated().map { ($1, Set(schedule.waits[$0].map { names[$0] })) }
        ) { first, _ in first }

        #expect(waits["web"] == ["api", "cache"])
        #expect(waits["db"] == [] && waits["cache"] == [])
        let bringers = try #require(waits["mail"]).union(try #require(waits["api"]))
        #expect(bringers == ["db", "api"] || bringers == ["db", "mail"], "one of both brings the secret: \(waits)")
    }

    /// What was begun and has not ended.
    private actor Watch {
        private(set) var begun: [String] = []
        private(set) var ended: [String] = []
        private(set) var most = 0

        func begin(_ name: String) {
            begun.append(name)
            most = max(most, begun.count - ended.count)
        }

        func end(_ name: String) { ended.append(name) }

        /// Waits until several are on their way at once.
        func together(_ count: Int) async {
            while begun.count - ended.count < count, begun.count < count { await Task.yield() }
        }
    }

    @Test("Those that wait for nothing are on their way at once, and order is kept")
    func together() async throws {
        let (schedule, names) = try schedule()
        let watch = Watch()

        let left = await schedule.run { index in
            await watch.begin(names[index])
            // It would never end where they came one after the other.
            if ["db", "cache"].contains(names[index]) { await watch.together(2) }
            await watch.end(names[index])
            return true
        }

        let ended = await watch.ended
        #expect(left.isEmpty && ended.count == 5)
        #expect(await watch.most >= 2)
        let place = { (name: String) in ended.firstIndex(of: name) ?? -1 }
        #expect(place("db") < place("api") && place("api") < place("web") && place("cache") < place("web"))
    }

    @Test("One that does not work leaves out those that need it, and no others")
    func left() async throws {
        let (schedule, names) = try schedule()
        let watch = Watch()

        let left = await schedule.run { index in
            await watch.begin(names[index])
            return names[index] != "cache"
        }

        #expect(Set(left.map { "\(names[$0.key]) for \(names[$0.value])" }) == ["web for cache"])
        #expect(Set(await watch.begun) == ["db", "api", "cache", "mail"])
    }

    // MARK: Manifests without secrets

    @Test("Manifests need the names of secrets, and nothing that is secret")
    func names() throws {
        var options = DeployOptions()
        options.name = "web"
        options.secureEnvironment = ["A", "B=env:NOWHERE", "C=file:/no/where", "D=value"]
        options.volumes = [
            "type=secret,name=tls,target=/tls,tls.key=file:/no/where",
            "type=azureFile,name=share,target=/s,share=s,account=a,key=env:NOWHERE",
        ]
        options.containers = ["name=side,image=i,secure-env=E"]
        var wish = try ClusterWish(options, [:])
        wish.readsSecrets = false

        let made = try wish.workload()

        let members = Dictionary(made.secrets.map { ($0.name, $0.files.keys.sorted()) }) { $1 }
        #expect(members["web-env"] == ["A", "B", "C", "D"])
        #expect(members["web-side-env"] == ["E"])
        #expect(members["web-tls"] == ["tls.key"])
        #expect(made.secrets.first { $0.name == "web-env" }?.files.values.allSatisfy(\.isEmpty) == true)
        wish.readsSecrets = true
        let error = try #require(throws: ExitReason.self) { try wish.workload() }
        #expect(error.message.contains("the environment has no variable A"))
    }

    @Test("A secret of a compose file need not be there for manifests")
    func composeNames() throws {
        let files = ComposeCase(
            """
            services: {web: {image: w, secrets: [key, file]}}
            secrets: {key: {environment: NOWHERE}, file: {file: nowhere.txt}}
            """
        )

        let made = try ComposeWorkloads(files.project(), secrets: .names) { files.read($0) }

        #expect(made.workloads[0].secrets.count == 2)
        #expect(files.errors(for: .aks).count == 2, "to a cluster they are needed")
    }
}

@Suite("Folders of manifests")
struct ManifestFolderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func manifests(_ change: (inout Workload) -> Void = { _ in }) throws -> ManifestFolder {
        var workload = Workload("web")
        workload.containers = [.init("web", image: "a")]
        change(&workload)
        return ManifestFolder(try workload.manifests(), namespace: nil)
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
    }

    @Test("What an earlier one wrote and this one has not is gone; what others wrote is not touched")
    func old() throws {
        let first = try manifests { workload in
            workload.containers[0].ports = [.init(80)]
            workload.service = .init(.cluster)
            workload.ingress = .init([.init(host: "a.example.com", path: "/")])
        }
        #expect(try first.write(to: folder.url.path).removed == [])
        try folder.write("notes.yaml", "kind: Ingress\n")
        // A copy of somebody's is theirs, though its first line is ours.
        let copy = try String(contentsOf: folder.url.appending(path: "ingress.yaml"), encoding: .utf8)
        try folder.write("ingress-of-before.yaml", copy)

        let second = try manifests().write(to: folder.url.path)

        #expect(second.removed == ["ingress.yaml", "service.yaml"])
        #expect(second.files.sorted() == ["deployment.yaml", "kustomization.yaml"])
        #expect(
            try names() == ["deployment.yaml", "ingress-of-before.yaml", "kustomization.yaml", "notes.yaml"]
        )
        let list = try String(contentsOf: folder.url.appending(path: "kustomization.yaml"), encoding: .utf8)
        #expect(list.contains("deployment.yaml") && !list.contains("ingress"), "\(list)")
    }

    @Test("What git ignores stays ignored as long as it is there")
    func ignored() throws {
        let secret = { (workload: inout Workload) in
            workload.secrets = [.init("web-env", files: ["KEY": []])]
            workload.containers[0].environment = [.init("KEY", .secret(name: "web-env", key: "KEY"))]
        }
        _ = try manifests(secret).write(to: folder.url.path)
        try folder.write("web-env.env", "KEY=hush\n")

        _ = try manifests().write(to: folder.url.path)
        let kept = try String(contentsOf: folder.url.appending(path: ".gitignore"), encoding: .utf8)
        #expect(kept.contains("\n/web-env.env\n"), "a secret does not become something to commit: \(kept)")

        try FileManager.default.removeItem(at: folder.url.appending(path: "web-env.env"))
        #expect(try manifests().write(to: folder.url.path).removed == [".gitignore"])
        #expect(try names() == ["deployment.yaml", "kustomization.yaml"])
    }
}
