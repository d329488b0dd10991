// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@testable import Kubernetes

/// Objects of a rollout, as clusters have them.
enum Shop {
    static func deployment(
        _ status: JSONValue = [:],
        generation: Int64 = 2,
        replicas: Int64 = 2,
        probed: Bool = true
    ) -> JSONValue {
        var container: JSONValue = ["name": "app", "image": "acr.azurecr.io/web@sha256:1"]
        if probed { container["readinessProbe"] = ["httpGet": ["port": 80]] }
        var status = status
        if status["observedGeneration"] == nil { status["observedGeneration"] = 2 }
        return [
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": [
                "name": "web", "uid": "d", "generation": .int(generation), "resourceVersion": "5",
                "annotations": ["deployment.kubernetes.io/revision": "2"],
            ],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": "web"]],
                "template": ["spec": ["containers": [container]]],
            ],
            "status": status,
        ]
    }

    static func set(_ revision: String, uid: String) -> JSONValue {
        [
            "kind": "ReplicaSet",
            "metadata": [
                "name": .string("web-\(uid)"), "uid": .string(uid), "ownerReferences": [["uid": "d"]],
                "annotations": ["deployment.kubernetes.io/revision": .string(revision)],
            ],
        ]
    }

    static func pod(_ name: String, of set: String, _ status: JSONValue, deleted: Bool = false) -> JSONValue {
        var pod: JSONValue = [
            "kind": "Pod",
            "metadata": [
                "name": .string(name), "uid": .string("uid-\(name)"), "ownerReferences": [["uid": .string(set)]],
            ],
            "status": status,
        ]
        if deleted { pod["metadata"]?["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return pod
    }

    /// A pod's status with one container that waits.
    static func waiting(_ reason: String, _ message: String = "", _ more: JSONValue = [:]) -> JSONValue {
        var container: JSONValue = [
            "name": "app", "image": "acr.azurecr.io/web@sha256:1", "ready": false,
            "state": ["waiting": ["reason": .string(reason), "message": .string(message)]],
        ]
        for (name, value) in more.object ?? [:] { container[name] = value }
        return ["containerStatuses": [container]]
    }

    static func event(_ reason: String, _ message: String, of uid: String, _ name: String = "web-new-1") -> JSONValue {
        [
            "kind": "Event", "type": "Warning", "reason": .string(reason), "message": .string(message),
            "metadata": ["uid": .string("e-\(reason)-\(message)"), "name": "e"],
            "involvedObject": ["uid": .string(uid), "name": .string(name)],
            "lastTimestamp": "2026-01-01T00:00:01Z",
        ]
    }

    static func state(
        _ deployment: JSONValue,
        pods: [JSONValue] = [],
        events: [JSONValue] = []
    ) -> RolloutState {
        var state = RolloutState("web")
        state.take(.all([deployment]), of: .deployment)
        state.take(.all([set("1", uid: "old"), set("2", uid: "new")]), of: .replicaSet)
        state.take(.all(pods), of: .pod)
        for event in events { state.take(.changed(event), of: .event) }
        return state
    }
}

@Suite("How a rollout stands")
struct RolloutStateTests {
    @Test(
        "Done is what it is to kubectl",
        arguments: [
            (Shop.deployment(["updatedReplicas": 1, "replicas": 3]), "1 of 2 pods are of the new version"),
            (Shop.deployment(["updatedReplicas": 2, "replicas": 3]), "1 old pod still to end"),
            (Shop.deployment(["updatedReplicas": 2, "replicas": 4]), "2 old pods still to end"),
            (
                Shop.deployment(["updatedReplicas": 2, "replicas": 2, "availableReplicas": 1]),
                "1 of 2 new pods are available"
            ),
            (
                Shop.deployment(["updatedReplicas": 2, "replicas": 2, "availableReplicas": 2, "observedGeneration": 1]),
                "waiting until the cluster has seen the new version"
            ),
            (Shop.deployment(["updatedReplicas": 2, "replicas": 2, "availableReplicas": 2]), nil),
            (Shop.deployment(replicas: 0), nil),
        ]
    )
    func progress(deployment: JSONValue, line: String?) {
        #expect(Shop.state(deployment).verdict() == (line.map { .waiting($0) } ?? .done))
    }

    private func judged(_ status: JSONValue, _ events: [JSONValue] = []) -> PodFault? {
        let pod = Shop.pod("web-new-1", of: "new", status)
        let state = Shop.state(Shop.deployment(), pods: [pod], events: events)
        if case .fault(let fault) = state.verdict() { return fault }
        return nil
    }

    @Test(
        "What will not pass by itself is a fault at once, with cause and what to do",
        arguments: [
            (
                Shop.waiting("ImagePullBackOff", "Back-off pulling image"),
                [Shop.event("Failed", "Failed to pull image \"x\": 401 Unauthorized", of: "uid-web-new-1")],
                "the image acr.azurecr.io/web@sha256:1 of app cannot be pulled: Failed to pull image \"x\": 401 Unauthorized",
                "--attach-acr acr"
            ),
            (
                Shop.waiting("ErrImagePull", "rpc error: manifest unknown"), [],
                "the image acr.azurecr.io/web@sha256:1 of app cannot be pulled: rpc error: manifest unknown",
                "coracle inspect --remote acr.azurecr.io/web@sha256:1"
            ),
            (
                Shop.waiting("ErrImagePull", "no match for platform in manifest"), [],
                "the image acr.azurecr.io/web@sha256:1 of app cannot be pulled: no match for platform in manifest",
                "coracle build --platform"
            ),
            (
                Shop.waiting("CreateContainerConfigError", "secret \"db\" not found"), [],
                "app cannot be made: secret \"db\" not found", "create it first"
            ),
            (
                Shop.waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"), [],
                "app cannot be made: container has runAsNonRoot and image will run as root", "USER 1000"
            ),
            (
                Shop.waiting("RunContainerError", "exec: \"srv\": executable file not found in $PATH"), [],
                "app cannot be started: exec: \"srv\": executable file not found in $PATH", "ENTRYPOINT"
            ),
            (
                Shop.waiting(
                    "CrashLoopBackOff",
                    "",
                    ["restartCount": 3, "lastState": ["terminated": ["exitCode": 1]]]
                ), [],
                "app ended with exit code 1, 3 times by now", nil
            ),
            (
                Shop.waiting(
                    "CrashLoopBackOff",
                    "",
                    ["restartCount": 1, "lastState": ["terminated": ["exitCode": 0]]]
                ), [],
                "app ended with exit code 0; the containers of a deployment must not end", "Job"
            ),
            (
                Shop.waiting(
                    "CrashLoopBackOff",
                    "",
                    ["restartCount": 1, "lastState": ["terminated": ["exitCode": 137, "reason": "OOMKilled"]]]
                ), [], "app used more memory than it may", "--memory"
            ),
            (
                Shop.waiting("CrashLoopBackOff", "", ["lastState": ["terminated": ["exitCode": 137]]]),
                [Shop.event("Unhealthy", "Liveness probe failed: HTTP 500", of: "uid-web-new-1")],
                "app fails its liveness probe: Liveness probe failed: HTTP 500", "initialDelaySeconds"
            ),
            (
                Shop.waiting("InvalidImageName", "bad"), [],
                "the image acr.azurecr.io/web@sha256:1 of app cannot be used: bad", nil
            ),
        ] as [(JSONValue, [JSONValue], String, String?)]
    )
    func definite(status: JSONValue, events: [JSONValue], cause: String, hint: String?) throws {
        let fault = try #require(judged(status, events))

        #expect(fault.cause == cause)
        #expect(fault.isDefinite)
        #expect(fault.pod == "web-new-1")
        if let hint { #expect(fault.hint?.contains(hint) == true) } else { #expect(fault.hint == nil) }
    }

    private static func unschedulable(_ message: String) -> JSONValue {
        [
            "conditions": [
                ["type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": .string(message)]
            ]
        ]
    }

    @Test("No room is a fault that may pass; with a node on its way it is none, and with none to come it is for good")
    func room() throws {
        let full = Self.unschedulable("0/3 nodes are available: 3 Insufficient cpu.")
        let uid = "uid-web-new-1"

        let open = try #require(judged(full))
        #expect(!open.isDefinite)
        #expect(open.reason == "Unschedulable")
        #expect(open.cause == "no node takes the pod web-new-1: 0/3 nodes are available: 3 Insufficient cpu.")
        #expect(open.hint?.contains("--cpu") == true)
        #expect(judged(full, [Shop.event("TriggeredScaleUp", "pod triggered scale-up", of: uid)]) == nil)
        #expect(judged(full, [Shop.event("NotTriggerScaleUp", "max node group size", of: uid)])?.isDefinite == true)
        #expect(judged(Self.unschedulable("pod has unbound immediate PersistentVolumeClaims")) == nil)
    }

    @Test("A network that hiccups, and a volume that is not there, may pass")
    func doubtful() {
        #expect(judged(Shop.waiting("ErrImagePull", "dial tcp: i/o timeout"))?.isDefinite == false)
        let mount = Shop.event("FailedMount", "MountVolume.SetUp failed: secret \"tls\" not found", of: "uid-web-new-1")
        let waiting = Shop.waiting("ContainerCreating")
        #expect(judged(waiting) == nil)
        #expect(judged(waiting, [mount])?.isDefinite == false)
        #expect(judged(waiting, [mount])?.cause.contains("secret \"tls\" not found") == true)
    }

    @Test("Why a pull failed is remembered when the pod only says that it waits")
    func remembered() throws {
        var state = Shop.state(Shop.deployment())
        let first = Shop.pod("web-new-1", of: "new", Shop.waiting("ErrImagePull", "403 Forbidden"))
        let second = Shop.pod("web-new-1", of: "new", Shop.waiting("ImagePullBackOff", "Back-off"))

        state.take(.changed(first), of: .pod)
        state.take(.changed(second), of: .pod)

        guard case .fault(let fault) = state.verdict() else {
            Issue.record("a pull that is refused is a fault")
            return
        }
        #expect(fault.reason == "ImagePullBackOff")
        #expect(fault.cause.hasSuffix("cannot be pulled: 403 Forbidden"))
    }

    @Test("Pods of the old version, and those that end, are nobody's fault")
    func others() {
        let broken = Shop.waiting("CrashLoopBackOff")
        let pods = [Shop.pod("web-old-1", of: "old", broken), Shop.pod("web-new-1", of: "new", broken, deleted: true)]

        #expect(Shop.state(Shop.deployment(), pods: pods).verdict() == .waiting("0 of 2 pods are of the new version"))
    }

    @Test("Pods that cannot be made are the deployment's fault; a quota only while nothing is there to end")
    func creation() throws {
        func verdict(_ message: String, replicas: Int64 = 0) -> RolloutState.Verdict {
            let condition: JSONValue = [
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": .string(message),
            ]
            return Shop.state(Shop.deployment(["conditions": [condition], "replicas": .int(replicas)])).verdict()
        }
        guard case .fault(let policy) = verdict("pods \"x\" is forbidden: violates PodSecurity \"restricted\""),
            case .fault(let quota) = verdict("exceeded quota: q")
        else {
            Issue.record("both are faults")
            return
        }
        #expect(policy.isDefinite)
        #expect(policy.cause.hasPrefix("pods of web cannot be made: pods \"x\" is forbidden: violates PodSecurity"))
        #expect(!quota.isDefinite)
        #expect(verdict("exceeded quota: q", replicas: 2) == .waiting("0 of 2 pods are of the new version"))
    }

    @Test("A deadline that is over says which container is not ready, and why")
    func deadline() throws {
        let condition: JSONValue = ["type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"]
        var deployment = Shop.deployment(["conditions": [condition], "updatedReplicas": 2, "replicas": 2])
        deployment["spec"]?["progressDeadlineSeconds"] = 60
        let status: JSONValue = ["containerStatuses": [["name": "app", "ready": false, "state": ["running": [:]]]]]
        let probe = Shop.event("Unhealthy", "Readiness probe failed: HTTP 503", of: "uid-web-new-1")
        let state = Shop.state(deployment, pods: [Shop.pod("web-new-1", of: "new", status)], events: [probe])

        guard case .fault(let fault) = state.verdict() else {
            Issue.record("it is a fault")
            return
        }
        #expect(fault.cause == "web made no progress for 60 s: app is not ready: Readiness probe failed: HTTP 503")
        #expect(fault.container == "app")
        #expect(fault.hasLog)
    }

    @Test("A deployment that is deleted meanwhile is a fault; events are bounded")
    func bounds() {
        var state = Shop.state(Shop.deployment())
        for number in 0..<2000 { state.take(.changed(Shop.event("X", "\(number)", of: "u")), of: .event) }
        state.take(.changed(Shop.event("X", "other", of: "u", "stranger")), of: .event)
        #expect(state.events.count == 512)

        state.take(.deleted(Shop.deployment()), of: .deployment)
        guard case .fault(let fault) = state.verdict() else {
            Issue.record("it is a fault")
            return
        }
        #expect(fault.cause == "the deployment web is not there any more")
    }
}
