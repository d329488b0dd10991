// SPDX-License-Identifier: Apache-2.0
import Foundation
import OCI
import Synchronization
import TestSupport
import Testing

@testable import Kubernetes

/// A cluster with one deployment: its lists are what a test sets, and its watches tell what is set after.
private final class Scene: Sendable {
    private struct State {
        var objects: [String: [JSONValue]] = [:]
        var news: [String: [JSONValue]] = [:]
    }

    private let state = Mutex(State())
    private let log: String

    init(log: String = "") { self.log = log }

    /// Sets what lists give.
    func set(_ plural: String, _ objects: [JSONValue]) { state.withLock { $0.objects[plural] = objects } }

    /// Tells watches of a change.
    func tell(_ plural: String, _ object: JSONValue) {
        state.withLock { state in
            state.news[plural, default: []].append(object)
            state.objects[plural]?.removeAll { $0.uid == object.uid }
            state.objects[plural, default: []].append(object)
        }
    }

    func reply(_ request: ClusterPeer.Request) -> ClusterPeer.Reply {
        if request.path.hasSuffix("/log") { return .text(log) }
        let parts = request.path.split(separator: "/").map { String($0) }
        let plurals = ["deployments", "replicasets", "pods", "events"]
        guard let plural = parts.first(where: { plurals.contains($0) }) else { return .status(404, "NotFound", "none") }
        if parts.last != plural {
            return state.withLock { $0.objects[plural]?.first }.map { .json($0) } ?? .status(404, "NotFound", "none")
        }
        guard request.query["watch"] != nil else {
            return state.withLock { state in
                // A list is of the version after which news are told.
                let version = JSONValue.string("\(1000 + (state.news[plural]?.count ?? 0))")
                return .json([
                    "items": .array(state.objects[plural] ?? []), "metadata": ["resourceVersion": version],
                ])
            }
        }
        let start = (Int(request.query["resourceVersion"] ?? "") ?? 1000) - 1000
        return .pieces { [self] write in
            // A watch that ends soon, with what came meanwhile.
            for _ in 0..<20 {
                let news = state.withLock { Array(($0.news[plural] ?? []).dropFirst(start)) }
                if !news.isEmpty {
                    for (index, object) in news.enumerated() {
                        var object = object
                        object["metadata"]?["resourceVersion"] = .string("\(1000 + start + index + 1)")
                        write("{\"type\":\"MODIFIED\",\"object\":\(object.canonical)}\n")
                    }
                    return true
                }
                Thread.sleep(forTimeInterval: 0.01)
            }
            return true
        }
    }
}

@Suite("Rollouts", .inTurns)
struct RolloutTests {
    private let done: JSONValue = ["updatedReplicas": 2, "replicas": 2, "availableReplicas": 2]

    private func scene(_ deployment: JSONValue, pods: [JSONValue] = [], log: String = "") -> Scene {
        let scene = Scene(log: log)
        scene.set("deployments", [deployment])
        scene.set("replicasets", [Shop.set("1", uid: "old"), Shop.set("2", uid: "new")])
        scene.set("pods", pods)
        scene.set("events", [])
        return scene
    }

    private func watch(
        _ scene: Scene,
        _ pace: (inout Rollout.Pace) -> Void = { _ in },
        _ tell: @escaping @Sendable (Rollout.Event) -> Void = { _ in }
    ) async throws -> Rollout.Outcome {
        let peer = try ClusterPeer { request, _ in scene.reply(request) }
        var rollout = Rollout(try peer.client(), "web")
        rollout.pace.settling = .milliseconds(300)
        pace(&rollout.pace)
        return try await rollout.watch(tell)
    }

    @Test("A rollout is told step by step, and is done when all of it is")
    func success() async throws {
        let scene = scene(Shop.deployment(["updatedReplicas": 1, "replicas": 3]))
        let told = Mutex<[String]>([])

        let outcome = try await watch(scene, { _ in }) { event in
            told.withLock { $0.append(event.text) }
            if event.text == "1 of 2 pods are of the new version" {
                let running: JSONValue = [
                    "containerStatuses": [["name": "app", "ready": true, "state": ["running": [:]], "restartCount": 0]]
                ]
                scene.tell("pods", Shop.pod("web-new-1", of: "new", running))
                scene.tell("deployments", Shop.deployment(done))
            }
        }

        #expect(outcome == .done)
        #expect(told.withLock { $0.first } == "1 of 2 pods are of the new version")
        #expect(told.withLock { Set($0) }.count == told.withLock { $0.count }, "each thing is told once")
    }

    @Test("What is wrong ends it, with what was said of the pod and what it wrote last")
    func failure() async throws {
        let crash = Shop.waiting(
            "CrashLoopBackOff",
            "",
            ["restartCount": 2, "lastState": ["terminated": ["exitCode": 3]]]
        )
        let scene = scene(
            Shop.deployment(),
            pods: [Shop.pod("web-new-1", of: "new", crash)],
            log: "starting\nno database at db:5432\n\n"
        )
        scene.set("events", [Shop.event("BackOff", "restarting failed container", of: "uid-web-new-1")])

        let outcome = try await watch(scene)

        guard case .failed(let failure) = outcome else {
            Issue.record("it does not work")
            return
        }
        #expect(failure.reason == "CrashLoopBackOff")
        #expect(failure.cause == "app ended with exit code 3, 2 times by now: no database at db:5432")
        #expect(failure.pod == "web-new-1")
        #expect(failure.container == "app")
        #expect(failure.log == "starting\nno database at db:5432\n\n")
        #expect(failure.events == ["web-new-1: BackOff: restarting failed container"])
    }

    @Test("What may pass is waited for, and is no failure where it passed")
    func passes() async throws {
        let hiccup = Shop.pod("web-new-1", of: "new", Shop.waiting("ErrImagePull", "i/o timeout"))
        let scene = scene(Shop.deployment(), pods: [hiccup])

        let outcome = try await watch(scene, { $0.grace = .seconds(60) }) { event in
            if event.text == "web-new-1: app waits: ErrImagePull" { scene.tell("deployments", Shop.deployment(done)) }
        }

        #expect(outcome == .done)
    }

    @Test("What may pass and does not is a failure after its grace")
    func grace() async throws {
        let hiccup = Shop.pod("web-new-1", of: "new", Shop.waiting("ErrImagePull", "i/o timeout"))

        let outcome = try await watch(scene(Shop.deployment(), pods: [hiccup])) { $0.grace = .milliseconds(200) }

        guard case .failed(let failure) = outcome else {
            Issue.record("it does not work")
            return
        }
        #expect(failure.reason == "ErrImagePull")
    }

    @Test(
        "No room is a failure soon, and where the cluster adds nodes by itself only when none comes",
        arguments: [false, true]
    )
    func room(addsNodes: Bool) async throws {
        let status: JSONValue = [
            "conditions": [
                [
                    "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                    "message": "0/1: Insufficient cpu",
                ]
            ]
        ]
        let scene = scene(Shop.deployment(), pods: [Shop.pod("web-new-1", of: "new", status)])
        let peer = try ClusterPeer { request, _ in scene.reply(request) }
        var rollout = Rollout(try peer.client(), "web")
        rollout.addsNodes = addsNodes
        (rollout.pace.grace, rollout.pace.scaleUpGrace) = (.milliseconds(100), .seconds(60))
        (rollout.pace.settling, rollout.pace.patience) = (.zero, .seconds(120))

        let outcome = try await rollout.watch { event in
            // A node came.
            if event.text.hasSuffix("waiting for a new node") {
                scene.tell("pods", Shop.pod("web-new-1", of: "new", [:]))
                scene.tell("deployments", Shop.deployment(done))
            }
        }

        guard case .failed(let failure) = outcome else {
            #expect(addsNodes)
            return
        }
        #expect(!addsNodes)
        #expect(failure.reason == "Unschedulable")
    }

    @Test("A version without a readiness probe that falls over right after it was ready is not done")
    func settling() async throws {
        let running: JSONValue = [
            "containerStatuses": [["name": "app", "ready": true, "state": ["running": [:]], "restartCount": 0]]
        ]
        let deployment = Shop.deployment(done, probed: false)
        let scene = scene(deployment, pods: [Shop.pod("web-new-1", of: "new", running)])
        let crash = Shop.waiting(
            "CrashLoopBackOff",
            "",
            ["restartCount": 1, "lastState": ["terminated": ["exitCode": 1]]]
        )

        let outcome = try await watch(scene, { $0.settling = .seconds(3600) }) { event in
            guard event.text == "web-new-1: app runs and is ready" else { return }
            scene.tell("pods", Shop.pod("web-new-1", of: "new", crash))
            scene.tell("deployments", Shop.deployment(["updatedReplicas": 2, "replicas": 2], probed: false))
        }

        guard case .failed(let failure) = outcome else {
            Issue.record("it falls over")
            return
        }
        #expect(failure.reason == "CrashLoopBackOff")
    }

    @Test("A deployment that is paused, or is not there, is not watched")
    func refused() async throws {
        var paused = Shop.deployment()
        paused["spec"]?["paused"] = true
        let still = try await #require(throws: KubernetesError.self) { try await watch(scene(paused)) }
        let absent = try await #require(throws: KubernetesError.self) { try await watch(Scene()) }

        #expect(still.message == "the deployment web is paused: nothing new starts")
        #expect(still.hint == "kubectl rollout resume deployment/web --namespace shop")
        #expect(absent.message == "there is no deployment web in the namespace shop")
    }

    @Test("Patience ends")
    func patience() async throws {
        let outcome = try await watch(scene(Shop.deployment())) { $0.patience = .milliseconds(100) }

        guard case .failed(let failure) = outcome else {
            Issue.record("it is over")
            return
        }
        #expect(failure.reason == "Timeout")
    }

    @Test("A pod is told of whichever list comes first, that of pods or that of ReplicaSets")
    func order() {
        let waiting = Shop.pod("web-new-1", of: "new", Shop.waiting("ErrImagePull", "i/o timeout"))
        let lists: [(ResourceKind, [JSONValue])] = [
            (.pod, [waiting]), (.replicaSet, [Shop.set("1", uid: "old"), Shop.set("2", uid: "new")]),
        ]
        for order in [lists, lists.reversed()] {
            let told = Mutex<[String]>([])
            let board = RolloutBoard("web") { event in told.withLock { $0.append(event.text) } }
            board.take(.all([Shop.deployment()]), of: .deployment)
            for (kind, objects) in order { board.take(.all(objects), of: kind) }
            #expect(told.withLock { $0 } == ["web-new-1: app waits: ErrImagePull"])
        }
    }
}
