// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// A new version of a deployment on its way: watched until all of it works, or it is plain that it does not.
///
/// Done means what it means to `kubectl rollout status`. What `kubectl` waits out is an error as soon as it can be seen:
/// an image that cannot be pulled, a program that ends again and again, a pod that has no place.
public struct Rollout: Sendable {
    /// How long things may take.
    public struct Pace: Sendable {
        /// How long something that may pass by itself is looked at before it is a failure: less than 5 s.
        public var grace: Duration = .seconds(3)
        /// How long a pod that no node takes waits for a new node, where the cluster adds some by itself.
        public var scaleUpGrace: Duration = .seconds(90)
        /// How long the new version must run without a restart where it has no readiness probe.
        public var settling: Duration = .seconds(3)
        /// The longest that a rollout is watched; the deployment's own `progressDeadlineSeconds` is usually shorter.
        public var patience: Duration = .seconds(1800)

        /// As clusters are.
        public init() {}
    }

    /// Something that happened.
    public struct Event: Hashable, Sendable {
        /// What kind of thing it is.
        public enum Kind: String, Sendable {
            /// How far the whole is.
            case progress
            /// What happened to a pod.
            case pod
            /// Something is wrong, or may be.
            case warning
        }

        /// What kind of thing it is.
        public let kind: Kind
        /// One line, no secrets.
        public let text: String
    }

    /// Why a rollout does not work.
    public struct Failure: Hashable, Sendable {
        /// Kubernetes' own word: `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, `ProgressDeadlineExceeded`.
        public let reason: String
        /// In one sentence.
        public let cause: String
        /// What to type or to change; `nil` where nothing is known.
        public let hint: String?
        /// The pod that shows it; `nil` where none does.
        public let pod: String?
        /// The container that shows it; `nil` where none does.
        public let container: String?
        /// What the container wrote last; may be empty.
        public var log = ""
        /// What the cluster said of the pods, one line each, oldest first; may be empty.
        public var events: [String] = []
    }

    /// How it ended.
    public enum Outcome: Hashable, Sendable {
        /// All copies are of the new version, and work.
        case done
        /// It does not work.
        case failed(Failure)
    }

    let client: ClusterClient
    let name: String
    let namespace: String?
    /// How long things may take.
    public var pace = Pace()
    /// Whether the cluster adds nodes by itself where pods have no room.
    public var addsNodes = false

    /// The rollout of a deployment.
    ///
    /// - Parameters:
    ///   - client: Speaks with the cluster.
    ///   - name: The deployment's name.
    ///   - namespace: Where it is; `nil` for the client's own namespace.
    public init(_ client: ClusterClient, _ name: String, namespace: String? = nil) {
        (self.client, self.name, self.namespace) = (client, name, namespace)
    }

    /// Watches until it works or does not.
    ///
    /// Where containers have no readiness probe, the new version must have run for a while without a restart, since being
    /// ready says nothing of them.
    ///
    /// - Parameter tell: Is told what happens, each thing once, from any thread.
    /// - Returns: How it ended.
    /// - Throws: ``KubernetesError`` where the cluster cannot be asked, there is no such deployment, or it is paused;
    ///   `CancellationError`.
    public func watch(_ tell: @escaping @Sendable (Event) -> Void) async throws -> Outcome {
        guard let deployment = try await client.find(.deployment, name, namespace: namespace) else {
            throw KubernetesError(
                .notFound,
                "there is no deployment \(name) in the namespace \(namespace ?? client.namespace)",
                hint: "kubectl get deployments --all-namespaces"
            )
        }
        if deployment["spec"]?["paused"]?.bool == true {
            let place = " --namespace \(namespace ?? client.namespace)"
            throw KubernetesError(
                .invalid,
                "the deployment \(name) is paused: nothing new starts",
                hint: "kubectl rollout resume deployment/\(name)\(place)"
            )
        }
        let board = RolloutBoard(name, tell)
        let labels = Rollout.selector(deployment)
        // Newest 1: that something changed is all that is said, and judging looks at all there is.
        let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let fault = try await withThrowingTaskGroup(of: Ending?.self) { group in
            let own = ClusterClient.Selection(namespace: namespace, fields: "metadata.name=\(name)")
            let its = ClusterClient.Selection(namespace: namespace, labels: labels)
            for (kind, selection) in [(ResourceKind.deployment, own), (.replicaSet, its), (.pod, its)] {
                group.addTask {
                    try await client.watch(kind, selection) { event in
                        board.take(event, of: kind)
                        change.yield()
                        return true
                    }
                    return nil
                }
            }
            group.addTask {
                await watchEvents(board, change)
                return nil
            }
            group.addTask {
                // What may pass has a time; the clock is a change, too.
                while true {
                    try await Task.sleep(for: .milliseconds(200))
                    change.yield()
                }
            }
            group.addTask { try await judge(board, changes) }
            defer { group.cancelAll() }
            while let ending = try await group.next() { if let ending { return ending.fault } }
            throw CancellationError()
        }
        guard let fault else { return .done }
        return .failed(await explain(fault, board))
    }

    private struct Ending: Sendable {
        let fault: PodFault?
    }

    /// Looks at every change, and says how it ended.
    private func judge(_ board: RolloutBoard, _ changes: AsyncStream<Void>) async throws -> Ending {
        let clock = ContinuousClock()
        let end = clock.now + pace.patience
        var doubtful: (key: String, since: ContinuousClock.Instant)?
        var settled: (restarts: Int64, since: ContinuousClock.Instant)?
        for await _ in changes {
            switch board.verdict() {
            case .done:
                let restarts = board.restarts
                if settled?.restarts != restarts { settled = (restarts, clock.now) }
                if !board.isUnprobed { return Ending(fault: nil) }
                if let settled, clock.now - settled.since >= pace.settling { return Ending(fault: nil) }
            case .waiting(let line):
                (doubtful, settled) = (nil, nil)
                board.say(.init(kind: .progress, text: line))
            case .fault(let fault):
                settled = nil
                let key = "\(fault.reason) \(fault.pod) \(fault.container ?? "")"
                if doubtful?.key != key { doubtful = (key, clock.now) }
                if fault.isDefinite { return Ending(fault: fault) }
                let waits = fault.reason == "Unschedulable" && addsNodes
                if waits { board.say(.init(kind: .progress, text: fault.cause + "; waiting for a new node")) }
                let grace = waits ? pace.scaleUpGrace : pace.grace
                if let doubtful, clock.now - doubtful.since >= grace { return Ending(fault: fault) }
            }
            if clock.now >= end { return Ending(fault: late()) }
        }
        throw CancellationError()
    }

    private func late() -> PodFault {
        PodFault(
            reason: "Timeout",
            pod: "",
            container: nil,
            cause: "\(name) was not done in \(pace.patience.components.seconds) s",
            hint: "kubectl rollout status deployment/\(name)"
        )
    }

    /// What is said from now on; those who may not read it do without.
    private func watchEvents(_ board: RolloutBoard, _ change: AsyncStream<Void>.Continuation) async {
        try? await client.watchNew(.event, ClusterClient.Selection(namespace: namespace)) { event in
            board.take(event, of: .event)
            change.yield()
            return true
        }
    }

    private static func selector(_ deployment: JSONValue) -> String {
        let selector = deployment["spec"]?["selector"]
        var parts = (selector?["matchLabels"]?.strings ?? [:]).sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }
        for rule in selector?["matchExpressions"]?.array ?? [] {
            guard let key = rule["key"]?.string else { continue }
            let values = (rule["values"]?.texts ?? []).joined(separator: ",")
            switch rule["operator"]?.string {
            case "In": parts.append("\(key) in (\(values))")
            case "NotIn": parts.append("\(key) notin (\(values))")
            case "Exists": parts.append(key)
            case "DoesNotExist": parts.append("!\(key)")
            default: continue
            }
        }
        return parts.joined(separator: ",")
    }

    /// Adds what the container wrote last, and what was said of the pods.
    private func explain(_ fault: PodFault, _ board: RolloutBoard) async -> Failure {
        var failure = Failure(
            reason: fault.reason,
            cause: fault.cause,
            hint: fault.hint,
            pod: fault.pod.isEmpty ? nil : fault.pod,
            container: fault.container
        )
        let place = namespace ?? client.namespace
        let pods = board.newPods.filter { fault.pod.isEmpty || $0["metadata"]?["name"]?.string == fault.pod }
        for pod in pods.prefix(3) {
            let said = ClusterClient.Selection(namespace: place, fields: "involvedObject.uid=\(pod.uid)")
            // What cannot be had is left out: the cause is known.
            let events = (try? await client.list(.event, said)) ?? board.events(of: pod.uid)
            failure.events += events.sorted { $0.lastTime < $1.lastTime }.suffix(20).map { RolloutBoard.line($0) }
        }
        guard fault.hasLog, let container = fault.container else { return failure }
        var wish = ClusterClient.LogWish(fault.pod, container: container)
        (wish.namespace, wish.tail) = (place, 50)
        failure.log = (try? await client.log(wish)) ?? ""
        if failure.log.isEmpty {
            wish.isPrevious = true
            failure.log = (try? await client.log(wish)) ?? ""
        }
        return failure.withLastWords()
    }
}

extension Rollout.Failure {
    /// The same; where it is said only that the program ended, its last line says why.
    fileprivate func withLastWords() -> Rollout.Failure {
        guard reason == "CrashLoopBackOff", cause.contains("exit code"),
            let last = log.split(whereSeparator: \.isNewline).last(where: { !$0.allSatisfy(\.isWhitespace) })
        else { return self }
        let isForeign = last.contains("exec format error")
        let hint = isForeign ? "coracle build --platform linux/ARCH, as the nodes have it" : hint
        var failure = Rollout.Failure(
            reason: reason,
            cause: "\(cause): \(PodFault.line(String(last.prefix(200))))",
            hint: hint,
            pod: pod,
            container: container
        )
        (failure.log, failure.events) = (log, events)
        return failure
    }
}
