// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import OCI
internal import RegistryServer
internal import Sandbox
internal import Store
internal import Synchronization

/// A pod whose containers run on this machine, as a kubelet runs them.
///
/// Each container has a thread that pulls its image, starts it, waits for it, and starts it again where the restart
/// policy says so. A lock guards what others see.
final class PodRun: Sendable {
    struct State {
        var containers: [String: PodContainerState] = [:]
        var isEnding = false
        var hasVolumes = false
        var areInitContainersDone = false
        /// The condition types, and since when they are as they are.
        var conditions: [String: (isTrue: Bool, since: String)] = [:]
    }

    let cluster: KubernetesCluster
    /// The pod as it was when it was bound to its node.
    let pod: JSONValue
    let uid: String
    let key: ObjectKey
    let network: GroupNetwork
    /// Whether services are reached in a network of theirs; where not, they are listened for in the pod's.
    let reachesServices: Bool
    /// Where volumes are.
    let folder: String
    let started = Moment.text()
    let state = Mutex(State())
    /// Services that are listened for in the pod's network.
    let ownListeners = Mutex<Set<String>>([])
    private let threads = DispatchGroup()
    /// Held while the status is written, so that an older one never comes after a newer one.
    private let publishing = Mutex(())

    init(_ cluster: KubernetesCluster, _ pod: JSONValue) throws {
        (self.cluster, self.pod, uid, key) = (cluster, pod, pod.kubeUID, ObjectKey(pod))
        network = GroupNetwork(cluster.world)
        reachesServices = cluster.services.join(network)
        folder = "\(cluster.folder)/pods/\(uid)"
        try DiskFile.makeFolder(folder)
        state.withLock { state in
            for kind in ["initContainers", "containers"] {
                for container in pod.at("spec", kind)?.array ?? [] {
                    let reason =
                        pod.at("spec", "initContainers")?.array?.isEmpty ?? true
                        ? "ContainerCreating" : "PodInitializing"
                    state.containers[container.text("name")] = PodContainerState(phase: .waiting(reason, ""))
                }
            }
        }
    }

    var spec: JSONValue { pod["spec"] ?? [:] }
    var namespace: String { key.namespace }
    var isEnding: Bool { state.withLock { $0.isEnding } }

    /// Whether all of its containers are ready.
    var isReady: Bool {
        state.withLock { state in
            !state.isEnding
                && (spec["containers"]?.array ?? []).allSatisfy { state.containers[$0.text("name")]?.isReady ?? false }
        }
    }

    func process(_ container: String) -> SandboxedProcess? { state.withLock { $0.containers[container]?.process } }
    func user(_ container: String) -> ProcessSpec.User? { state.withLock { $0.containers[container]?.user } }

    /// What a container wrote; `nil` where it never ran.
    func output(_ container: String, previous: Bool) -> PodOutput? {
        state.withLock { state in
            previous ? state.containers[container]?.previousOutput : state.containers[container]?.output
        }
    }

    /// Changes what is known of a container, and tells the API server.
    func change(_ container: String, _ body: (inout PodContainerState) -> Void) {
        state.withLock { body(&$0.containers[container, default: PodContainerState(phase: .waiting("", ""))]) }
        publish()
    }

    func event(_ reason: String, _ message: String, isWarning: Bool = false) {
        cluster.event(pod, reason, message, isWarning: isWarning, from: "kubelet")
    }

    // MARK: Life

    /// The TCP ports that its containers say they listen on.
    var ports: [Int] {
        (spec["containers"]?.array ?? []).flatMap { $0["ports"]?.array ?? [] }
            .filter { $0.text("protocol") != "UDP" }.compactMap { $0["containerPort"]?.int.map { Int($0) } }
    }

    /// Begins to run the pod.
    func start() {
        for text in network.open(ports, alsoAtLoopback: false) {
            cluster.world.options.note("pod \(key.name): \(text)")
        }
        publish()
        threads.enter()
        Thread.start { [self] in
            live()
            threads.leave()
        }
    }

    private func live() {
        while !isEnding {
            do {
                try PodVolumes(run: self).prepare()
                break
            } catch {
                event("FailedMount", "\(error)", isWarning: true)
                sleep(for: 2)
            }
        }
        state.withLock { $0.hasVolumes = true }
        for container in spec["initContainers"]?.array ?? [] {
            guard runToEnd(container) else { return publish() }
        }
        state.withLock { $0.areInitContainersDone = true }
        for container in spec["containers"]?.array ?? [] {
            threads.enter()
            Thread.start { [self] in
                PodContainer(run: self, container: container).keep()
                threads.leave()
            }
        }
    }

    /// Runs an init container until it succeeds; `false` where it never will.
    private func runToEnd(_ container: JSONValue) -> Bool {
        PodContainer(run: self, container: container, isInit: true).keep()
        let phase = state.withLock { $0.containers[container.text("name")]?.phase }
        if case .terminated(let ended)? = phase, ended.code == 0 { return true }
        return false
    }

    /// Waits, unless the pod ends; whether it goes on.
    @discardableResult
    func sleep(for seconds: Double) -> Bool {
        let end = Moment.precise + seconds
        while Moment.precise < end {
            if isEnding { return false }
            usleep(50_000)
        }
        return !isEnding
    }

    /// Ends all containers; blocks until they have ended, and removes what they left.
    func end(grace: Double) {
        let processes = state.withLock { state in
            state.isEnding = true
            return state.containers.compactMap { name, container in container.process.map { (name, $0) } }
        }
        for (name, process) in processes {
            event("Killing", "Stopping container \(name)")
            process.terminate(grace: grace)
        }
        threads.wait()
        network.close()
        DiskFile.remove(folder)
    }

    // MARK: What the API server is told

    /// Writes the pod's status.
    func publish() {
        publishing.withLock { _ in writeStatus() }
        cluster.poke()
    }

    private func writeStatus() {
        let status = state.withLock { PodStatus(run: self).json(&$0) }
        cluster.store.withLock { store in
            guard var pod = store.get(.pods, key), pod.kubeUID == uid else { return }
            var next = status
            next["qosClass"] = pod.at("status", "qosClass")
            let scheduled = (pod.at("status", "conditions")?.array ?? []).filter { $0["type"] == "PodScheduled" }
            next["conditions"] = .array((next["conditions"]?.array ?? []) + scheduled)
            guard pod["status"] != next else { return }
            pod["status"] = next
            store.put(.pods, pod)
        }
    }
}

/// What became of a container of a pod so far.
struct PodContainerState: Sendable {
    struct Ended: Sendable {
        let code: Int32
        let reason: String
        var message = ""
        let since: Double
        let until: Double
    }

    enum Phase: Sendable {
        case waiting(String, String)
        case running(since: Double)
        case terminated(Ended)
    }

    var phase: Phase
    /// How it ended before.
    var last: Ended?
    var restarts = 0
    /// Whether its startup probe said so, or it has none.
    var isStarted = false
    var isReady = false
    var imageID = ""
    var output: PodOutput?
    var previousOutput: PodOutput?
    var process: SandboxedProcess?
    var user: ProcessSpec.User?

    /// Goes on to another phase.
    mutating func enter(_ next: Phase) {
        if case .terminated(let ended) = phase { last = ended }
        phase = next
        if case .running = next { return }
        (isReady, isStarted) = (false, false)
    }

    /// Whether it ran, or failed to.
    var wasTried: Bool {
        if case .waiting = phase { return last != nil }
        return true
    }
}
