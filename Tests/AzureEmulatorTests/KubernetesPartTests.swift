// SPDX-License-Identifier: Apache-2.0
import OCI
import Synchronization
import TestSupport
import Testing

@testable import AzureEmulator

@Suite("Parts of the emulated Kubernetes API")
struct KubernetesPartTests {
    private func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    private func apply(
        _ patch: JSONValue,
        to live: JSONValue?,
        as manager: String,
        force: Bool = false
    ) throws -> JSONValue {
        let writer = ManagedFields.Writer(manager: manager, operation: "Apply", apiVersion: "apps/v1")
        let merge = ServerSideApply(type: .deployments, writer: writer, isForced: force)
        var (object, fields) = try merge.apply(patch, to: live)
        object.set("metadata", "managedFields", to: fields.json)
        fields = ManagedFields(object)
        return object
    }

    // MARK: Server-side apply

    private let first: JSONValue = [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "labels": ["a": "1", "b": "2"]],
        "spec": [
            "replicas": 2,
            "template": [
                "spec": [
                    "containers": [
                        ["name": "web", "image": "app:1", "ports": [["containerPort": 80]], "args": ["x", "y"]]
                    ]
                ]
            ],
        ],
    ]

    @Test("Fields are owned as deep as they are merged")
    func fields() throws {
        let tree = FieldTree(of: ManagedFields.owned(first))

        let expected = try json(
            #"""
            {"f:metadata":{"f:labels":{"f:a":{},"f:b":{}}},"f:spec":{"f:replicas":{},"f:template":{"f:spec":
            {"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:args":{},"f:image":{},"f:name":{},"f:ports":
            {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}
            """#
        )
        #expect(tree.fields == expected)
        #expect(FieldTree(fields: expected) == tree)
    }

    @Test("What is left out of the next apply is taken away, and what others own stays")
    func removes() throws {
        var live = try apply(first, to: nil, as: "one")
        live = try apply(["metadata": ["labels": ["a": "1", "c": "3"]]], to: live, as: "two")
        var less = first
        less.set("metadata", "labels", to: [:])
        less.set("spec", "replicas", to: nil)

        live = try apply(less, to: live, as: "one")

        #expect(live.at("metadata", "labels") == ["a": "1", "c": "3"], "two owns a as well")
        #expect(live.at("spec", "replicas") == nil)
        #expect(live.at("spec", "template", "spec", "containers")?.array?.count == 1)
    }

    @Test("An object that nobody owns anything of is taken away with what was filled in")
    func removesDefaults() throws {
        let probe: JSONValue = ["httpGet": ["port": 8080], "periodSeconds": 5]
        var wanted: JSONValue = [
            "metadata": ["labels": ["a": "1"]],
            "spec": [
                "selector": ["matchLabels": ["a": "1"]], "strategy": ["rollingUpdate": ["maxSurge": 2]],
                "template": ["spec": ["containers": [["name": "web", "image": "app:1", "livenessProbe": probe]]]],
            ],
        ]
        var live = try apply(wanted, to: nil, as: "one")
        KubeDefaults.complete(&live, .deployments, nil, GroupAddresses())
        live.set("metadata", "labels", "controller", to: "x")
        live = try apply(
            ["spec": ["strategy": ["rollingUpdate": ["maxUnavailable": 1]]]],
            to: live,
            as: "two",
            force: true
        )
        let full = live.at("spec", "template", "spec", "containers")?.array?.first?["livenessProbe"]
        #expect(full?["failureThreshold"] == 3, "filled in")
        wanted["metadata"] = [:]
        wanted.set("spec", "strategy", to: nil)
        let bare: JSONValue = [["name": "web", "image": "app:1"]]
        wanted.set("spec", "template", "spec", "containers", to: bare)

        live = try apply(wanted, to: live, as: "one")

        let container = live.at("spec", "template", "spec", "containers")?.array?.first
        #expect(container?["livenessProbe"] == nil)
        #expect(container?["image"] == "app:1")
        #expect(container?["imagePullPolicy"] == "IfNotPresent", "the container is still wanted")
        #expect(live.at("spec", "strategy", "rollingUpdate", "maxUnavailable") == 1, "two owns it")
        #expect(live.at("spec", "strategy", "rollingUpdate", "maxSurge") == nil)
        #expect(live.at("spec", "strategy", "type") == "RollingUpdate", "two's strategy has it")
        #expect(live.at("metadata", "labels") == ["controller": "x"], "a controller's")
    }

    @Test("A conflict names the field and who owns it, and force takes it over")
    func conflicts() throws {
        let live = try apply(first, to: nil, as: "one")
        let other: JSONValue = [
            "spec": ["template": ["spec": ["containers": [["name": "web", "image": "app:2"]]]]]
        ]

        let fault = try #require(throws: KubeFault.self) { try apply(other, to: live, as: "two") }

        let field = ".spec.template.spec.containers[name=\"web\"].image"
        #expect(fault.code == 409)
        #expect(fault.message == "Apply failed with 1 conflict: conflict with \"one\": \(field)")
        #expect(fault.details?["causes"]?.array?.first?["field"] == .string(field))
        let forced = try apply(other, to: live, as: "two", force: true)
        #expect(forced.at("spec", "template", "spec", "containers")?.array?.first?["image"] == "app:2")
        let owners = ManagedFields(forced)
        #expect(owners.entries.first { $0.manager == "one" }?.fields.fields.canonical.contains("f:image") == false)
        // The same value is nobody's conflict.
        _ = try apply(["spec": ["replicas": 2]], to: live, as: "two")
    }

    @Test("Lists and objects are merged as the published document says")
    func shapes() throws {
        guard let folder = Specifications.folder, let document = try KubeSchemas(folder).document else {
            print("SKIPPED: how lists are merged, by Kubernetes's OpenAPI document: there is none")
            return
        }
        var checked = 0
        for kind in ["PodSpec", "Container", "ServiceSpec", "DeploymentSpec", "DeploymentStatus", "ObjectMeta"] {
            let definitions = document["definitions"]?.object ?? [:]
            let definition = try #require(definitions.first { $0.key.hasSuffix(".v1.\(kind)") })
            let place = [
                "PodSpec": ["spec", "template", "spec"], "Container": ["spec", "template", "spec", "containers"],
                "ServiceSpec": ["spec"], "DeploymentSpec": ["spec"], "DeploymentStatus": ["status"],
                "ObjectMeta": ["metadata"],
            ][kind]
            for (name, member) in definition.value["properties"]?.object ?? [:]
            where member["type"] == "array" && !["managedFields"].contains(name) {
                let keys = member["x-kubernetes-list-map-keys"]?.texts
                let expected: MergeShape =
                    switch member["x-kubernetes-list-type"]?.string {
                    case "map": .keyed(keys ?? [])
                    case "set": .set
                    default: .atomic
                    }
                let found = MergeShape.of([], at: (place ?? []) + [name])
                #expect(found == expected, "\(kind).\(name)")
                checked += 1
            }
        }
        #expect(checked > 25)
    }

    // MARK: Patches

    @Test("A strategic merge patch knows elements by name, deletes, reorders")
    func strategic() throws {
        let target = try json(
            #"{"spec":{"containers":[{"name":"a","image":"1","args":["x"]},{"name":"b","image":"2"}],"replicas":1}}"#
        )
        let patch = try json(
            #"""
            {"spec":{"replicas":null,"$setElementOrder/containers":[{"name":"c"},{"name":"a"}],"containers":
            [{"name":"a","image":"9"},{"name":"b","$patch":"delete"},{"name":"c","image":"3"}]}}
            """#
        )

        let expected = try json(
            #"{"spec":{"containers":[{"name":"c","image":"3"},{"name":"a","image":"9","args":["x"]}]}}"#
        )
        #expect(KubePatch.strategic(target, patch) == expected)
        #expect(
            KubePatch.merge(target, ["spec": ["containers": ["x"], "replicas": nil]])["spec"] == ["containers": ["x"]]
        )
    }

    @Test("A JSON patch adds, replaces, removes, tests; what is not there is named")
    func jsonPatch() throws {
        let target: JSONValue = ["a": [1, 2], "b/c": "x"]

        let patch = try json(
            #"[{"op":"add","path":"/a/1","value":9},{"op":"replace","path":"/b~1c","value":"y"},{"op":"test","path":"/a/0","value":1},{"op":"remove","path":"/a/2"}]"#
        )
        #expect(try KubePatch.json(target, patch) == ["a": [1, 9], "b/c": "y"])
        let missing = try json(#"[{"op":"remove","path":"/nope"}]"#)
        let fault = try #require(throws: KubeFault.self) { try KubePatch.json(target, missing) }
        #expect(fault.message.hasSuffix("missing path nope"))
    }

    // MARK: Selectors, amounts, rules

    @Test(
        "Selectors of labels and fields",
        arguments: [
            ("app=web", "", true), ("app==web,tier!=x", "", true), ("app!=web", "", false),
            ("app in (api, web),!gone", "", true), ("app notin (web)", "", false), ("app", "metadata.name=one", true),
            ("", "metadata.name!=one", false), ("", "status.phase=Running,metadata.name=one", true),
        ]
    )
    func selectors(labels: String, fields: String, expected: Bool) throws {
        let object: JSONValue = [
            "metadata": ["name": "one", "labels": ["app": "web"]], "status": ["phase": "Running"],
        ]

        #expect(try ObjectFilter(labels: labels, fields: fields).matches(object) == expected)
    }

    @Test(
        "Amounts are read with their suffixes",
        arguments: [("500m", 0.5), ("1.5", 1.5), ("128Mi", 134_217_728), ("2k", 2000), ("1e3", 1000)]
            as [(String, Double)]
    )
    func quantities(text: String, value: Double) {
        #expect(KubeQuantity.value(.string(text)) == value)
        #expect(KubeQuantity.value("lots") == nil)
    }

    @Test(
        "What the API server refuses is refused in its words",
        arguments: [
            (#"["metadata","name"]"#, #""Web_1""#, #"metadata.name: Invalid value: "Web_1": a lowercase RFC 1123"#),
            (#"["spec","selector","matchLabels","app"]"#, #""api""#, "`selector` does not match template `labels`"),
            (#"["spec","template","spec","containers"]"#, "[]", "spec.template.spec.containers: Required value"),
            (
                #"["spec","template","spec","restartPolicy"]"#, #""Never""#,
                #"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#
            ),
            (
                #"["spec","template","spec","containers"]"#,
                #"[{"name":"a","image":"x","volumeMounts":[{"name":"v","mountPath":"/v"}]}]"#,
                #"spec.template.spec.containers[0].volumeMounts[0].name: Not found: "v""#
            ),
            (
                #"["spec","template","spec","containers"]"#,
                #"[{"name":"a","image":"x","resources":{"requests":{"cpu":"2"},"limits":{"cpu":"1"}}}]"#,
                "requests[cpu]: Invalid value: \"2\": must be less than or equal to cpu limit of 1"
            ),
        ]
    )
    func rules(path: String, value: String, expected: String) throws {
        var object = try json(
            #"""
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"selector":{"matchLabels":
            {"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"a","image":"x"}]}}}}
            """#
        )
        object.set(try #require(try json(path).texts)[...], try json(value))
        KubeDefaults.complete(&object, .deployments, nil, GroupAddresses())

        let fault = try #require(throws: KubeFault.self) {
            try KubeRules(type: .deployments, store: ObjectStore()).check(object, nil)
        }

        #expect(fault.code == 422)
        #expect(fault.message.contains(expected), "\(fault.message)")
    }

    // MARK: Watching

    @Test("A watch is told what changed after its revision, and that a revision is too old")
    func watches() throws {
        var store = ObjectStore()
        let seen = Mutex<[String]>([])
        func object(_ name: String, _ label: String) -> JSONValue {
            ["metadata": ["name": .string(name), "namespace": "n", "labels": ["app": .string(label)]]]
        }
        let watcher = ObjectWatcher(
            type: .pods,
            namespace: "n",
            filter: try ObjectFilter(labels: "app=web", fields: nil)
        ) { kind, object, _ in seen.withLock { $0.append("\(kind) \(object.kubeName)") } }
        store.put(.pods, object("early", "web"))
        let past = store.revision
        store.put(.pods, object("late", "web"))

        let found = store.watch(watcher, after: past)
        let number = try #require(found)
        store.put(.pods, object("other", "api"))
        // What no longer matches is gone for this watcher.
        store.put(.pods, object("early", "api"))
        store.remove(.pods, ObjectKey("n", "late"))
        store.unwatch(number)
        store.put(.pods, object("unseen", "web"))

        #expect(seen.withLock { $0 } == ["ADDED late", "DELETED early", "DELETED late"])
        store.forget(1)
        let tooOld = store.watch(watcher, after: past)
        #expect(tooOld == nil)
    }

    @Test("Emulators at once give addresses of their own")
    func addresses() {
        let emulators = (0..<40).map { _ in GroupAddresses() }

        let taken = emulators.flatMap { emulator in (0..<300).map { _ in emulator.take() } }

        #expect(Set(taken).count == taken.count)
        #expect(taken.allSatisfy { $0.hasPrefix("127.77.") && !$0.hasSuffix(".0") && !$0.hasSuffix(".255") })
    }
}
