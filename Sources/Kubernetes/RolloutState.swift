// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What is known of a rollout: the deployment, its replica sets, their pods, and what was said of all of these.
struct RolloutState {
    /// How it stands.
    enum Verdict: Hashable {
        /// Not all is as it should be yet, and nothing is wrong.
        case waiting(String)
        case done
        /// It does not work; where `isDefinite` is not, it may pass.
        case fault(PodFault)
    }

    let name: String
    private(set) var deployment: JSONValue?
    private(set) var sets: [String: JSONValue] = [:]
    private(set) var pods: [String: JSONValue] = [:]
    private(set) var events: [String: JSONValue] = [:]
    /// What pulling ended with, by pod and container.
    private var pulls: [String: [String: String]] = [:]
    private var isGone = false

    init(_ name: String) { self.name = name }

    mutating func take(_ event: ClusterClient.WatchEvent, of kind: ResourceKind) {
        switch kind {
        case .deployment: takeDeployment(event)
        case .replicaSet: RolloutState.put(event, into: &sets)
        case .pod:
            RolloutState.put(event, into: &pods)
            if case .changed(let pod) = event { rememberPull(pod) }
            if case .all(let all) = event { for pod in all { rememberPull(pod) } }
        default: takeEvent(event)
        }
    }

    private mutating func takeDeployment(_ event: ClusterClient.WatchEvent) {
        switch event {
        case .all(let all): (deployment, isGone) = (all.first, all.isEmpty)
        case .changed(let object): (deployment, isGone) = (object, false)
        case .deleted: (deployment, isGone) = (nil, true)
        }
    }

    private mutating func takeEvent(_ event: ClusterClient.WatchEvent) {
        guard case .changed(let object) = event,
            object["involvedObject"]?["name"]?.string?.hasPrefix(name) == true
        else { return }
        events[object.uid] = object
        // Those of a rollout are few; a namespace has any number.
        if events.count > 512, let oldest = sorted(Array(events.values)).first { events[oldest.uid] = nil }
    }

    private static func put(_ event: ClusterClient.WatchEvent, into objects: inout [String: JSONValue]) {
        switch event {
        case .all(let all): objects = Dictionary(all.map { ($0.uid, $0) }) { $1 }
        case .changed(let object): objects[object.uid] = object
        case .deleted(let object): objects[object.uid] = nil
        }
    }

    private mutating func rememberPull(_ pod: JSONValue) {
        for status in PodFault.containers(of: pod) {
            guard let waiting = status["state"]?["waiting"], waiting["reason"]?.string == "ErrImagePull",
                let message = waiting["message"]?.string, !message.isEmpty
            else { continue }
            pulls[pod.uid, default: [:]][status["name"]?.string ?? ""] = PodFault.line(message)
        }
    }

    // MARK: Judging

    /// The replica set of the version that is wanted; `nil` until the cluster has made it.
    var newest: JSONValue? {
        guard let deployment, isObserved else { return nil }
        let key = "deployment.kubernetes.io/revision"
        let revision = deployment["metadata"]?["annotations"]?[key]?.string
        return sets.values.first {
            $0.isOwned(by: deployment) && $0["metadata"]?["annotations"]?[key]?.string == revision
        }
    }

    /// Whether the cluster has seen what is wanted.
    private var isObserved: Bool {
        guard let deployment else { return false }
        return deployment["status"]?["observedGeneration"]?.int ?? 0 >= deployment["metadata"]?["generation"]?.int ?? 1
    }

    /// The pods of the version that is wanted, sorted by name, without those that are to end.
    var newPods: [JSONValue] {
        guard let newest else { return [] }
        return pods.values
            .filter { $0.isOwned(by: newest) && $0["metadata"]?["deletionTimestamp"] == nil }
            .sorted { ($0["metadata"]?["name"]?.string ?? "") < ($1["metadata"]?["name"]?.string ?? "") }
    }

    /// What was said of an object, oldest first.
    func events(of uid: String) -> [JSONValue] {
        sorted(events.values.filter { $0["involvedObject"]?["uid"]?.string == uid })
    }

    private func sorted(_ events: [JSONValue]) -> [JSONValue] {
        events.sorted { ($0.lastTime, $0.written) < ($1.lastTime, $1.written) }
    }

    func verdict() -> Verdict {
        guard let deployment else {
            let cause = "the deployment \(name) is not there any more"
            return isGone
                ? .fault(PodFault(reason: "NotFound", pod: "", container: nil, cause: cause))
                : .waiting("waiting for the deployment \(name)")
        }
        guard isObserved else { return .waiting("waiting until the cluster has seen the new version") }
        let progress = progress(deployment)
        if case .done = progress { return .done }
        if let fault = fault(of: deployment) { return .fault(fault) }
        return progress
    }

    /// As `kubectl rollout status` has it.
    private func progress(_ deployment: JSONValue) -> Verdict {
        let status = deployment["status"]
        let wanted = deployment["spec"]?["replicas"]?.int ?? 1
        let count = { (name: String) in status?[name]?.int ?? 0 }
        let (all, updated, available) = (count("replicas"), count("updatedReplicas"), count("availableReplicas"))
        if updated < wanted { return .waiting("\(updated) of \(wanted) pods are of the new version") }
        if all > updated {
            let old = all - updated
            return .waiting("\(old) old pod\(old == 1 ? "" : "s") still to end")
        }
        if available < updated { return .waiting("\(available) of \(updated) new pods are available") }
        return .done
    }

    private func fault(of deployment: JSONValue) -> PodFault? {
        var doubtful: PodFault?
        for pod in newPods {
            guard let fault = PodFault.find(in: pod, events: events(of: pod.uid), pulls: pulls[pod.uid] ?? [:]) else {
                continue
            }
            if fault.isDefinite { return fault }
            doubtful = doubtful ?? fault
        }
        return creation(deployment) ?? doubtful ?? deadline(deployment)
    }

    /// That pods cannot even be made.
    private func creation(_ deployment: JSONValue) -> PodFault? {
        guard let condition = deployment.condition("ReplicaFailure"), condition["status"]?.string == "True" else {
            return nil
        }
        let message = PodFault.line(condition["message"]?.string ?? "")
        // What old pods hold becomes free when they end, if there is a quota.
        let isQuota = message.contains("exceeded quota")
        if isQuota, !newPods.isEmpty || deployment["status"]?["replicas"]?.int ?? 0 > 0 { return nil }
        return PodFault(
            reason: condition["reason"]?.string ?? "FailedCreate",
            pod: "",
            container: nil,
            cause: "pods of \(name) cannot be made: \(message)",
            hint: message.contains("PodSecurity")
                ? "kubectl get namespace --show-labels says what the namespace asks of pods"
                : isQuota ? "kubectl describe resourcequota" : nil,
            isDefinite: !isQuota
        )
    }

    private func deadline(_ deployment: JSONValue) -> PodFault? {
        guard let condition = deployment.condition("Progressing"),
            condition["reason"]?.string == "ProgressDeadlineExceeded"
        else { return nil }
        let seconds = deployment["spec"]?["progressDeadlineSeconds"]?.int ?? 600
        var fault = PodFault(
            reason: "ProgressDeadlineExceeded",
            pod: "",
            container: nil,
            cause: "\(name) made no progress for \(seconds) s",
            hint: "kubectl describe deployment \(name)"
        )
        guard let pod = newPods.first(where: { $0.condition("Ready")?["status"]?.string != "True" }) else {
            return fault
        }
        let statuses = PodFault.containers(of: pod)
        let container = statuses.first { $0["ready"]?.bool != true }?["name"]?.string
        fault = PodFault(
            reason: fault.reason,
            pod: pod["metadata"]?["name"]?.string ?? "",
            container: container,
            cause: fault.cause,
            hint: fault.hint,
            hasLog: true
        )
        if let probe = events(of: pod.uid).last(where: { $0["reason"]?.string == "Unhealthy" }) {
            fault.cause +=
                ": \(container ?? "a container") is not ready: \(PodFault.line(probe["message"]?.string ?? ""))"
            fault.hint = "check the port and path of its readiness probe (--http-probe), and what it writes"
        } else if let container {
            fault.cause += ": \(container) is not ready"
        }
        return fault
    }

    /// How often containers of the new version were started again.
    var restarts: Int64 {
        newPods.flatMap { PodFault.containers(of: $0) }.reduce(0) { $0 + ($1["restartCount"]?.int ?? 0) }
    }

    /// Whether containers are ready as soon as they run, so that being ready says nothing yet.
    var isUnprobed: Bool {
        let containers = deployment?["spec"]?["template"]?["spec"]?["containers"]?.array ?? []
        return containers.contains { $0["readinessProbe"] == nil }
    }
}

extension JSONValue {
    /// An object's own id.
    var uid: String { self["metadata"]?["uid"]?.string ?? self["metadata"]?["name"]?.string ?? "" }

    /// Whether an object is another's.
    func isOwned(by owner: JSONValue) -> Bool {
        (self["metadata"]?["ownerReferences"]?.array ?? []).contains { $0["uid"]?.string == owner.uid }
    }

    /// A condition of an object's status.
    func condition(_ type: String) -> JSONValue? {
        self["status"]?["conditions"]?.array?.first { $0["type"]?.string == type }
    }

    /// When it was written last, among what was written in the same second.
    var written: Int { self["metadata"]?["resourceVersion"]?.string.flatMap { Int($0) } ?? 0 }

    /// When an event happened last.
    var lastTime: String {
        self["lastTimestamp"]?.string ?? self["eventTime"]?.string ?? self["metadata"]?["creationTimestamp"]?.string
            ?? ""
    }
}
