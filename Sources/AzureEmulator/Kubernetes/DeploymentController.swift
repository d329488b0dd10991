// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Moves a Deployment from its old ReplicaSets to the one of its template, as fast as its strategy allows.
struct DeploymentController {
    let cluster: KubernetesCluster
    let deployment: JSONValue

    private static let revision = "deployment.kubernetes.io/revision"
    private var namespace: String { deployment.kubeNamespace }
    private var wanted: Int64 { deployment.at("spec", "replicas")?.int ?? 1 }
    private var isPaused: Bool { deployment.at("spec", "paused")?.bool ?? false }

    static func owner(_ object: JSONValue) -> JSONValue {
        [
            "apiVersion": object["apiVersion"] ?? "", "kind": object["kind"] ?? "",
            "name": .string(object.kubeName), "uid": .string(object.kubeUID), "controller": true,
            "blockOwnerDeletion": true,
        ]
    }

    func run() {
        let sets = self.sets()
        let current = find(sets)
        guard let current else {
            if !isPaused { makeSet(sets) } else { writeStatus(sets, nil) }
            return
        }
        if !isPaused { numberRevision(current, sets) }
        let old = sets.filter { $0.kubeUID != current.kubeUID }
        if isPaused {
            scalePaused(sets)
        } else if deployment.text("spec", "strategy", "type") == "Recreate" {
            recreate(current, old)
        } else {
            roll(current, old)
        }
        let now = self.sets()
        if !isPaused { clean(now, current) }
        writeStatus(now, now.first { $0.kubeUID == current.kubeUID })
    }

    private func sets() -> [JSONValue] {
        cluster.store.withLock { store in
            store.list(.replicaSets, namespace).filter { $0.controllerUID == deployment.kubeUID }
        }
    }

    private func event(_ reason: String, _ message: String, isWarning: Bool = false) {
        cluster.event(deployment, reason, message, isWarning: isWarning, from: "deployment-controller")
    }

    // MARK: ReplicaSets

    /// The template without the label that keeps ReplicaSets apart.
    private static func plain(_ template: JSONValue?) -> JSONValue? {
        var template = template
        template?.set("metadata", "labels", "pod-template-hash", to: nil)
        return template
    }

    /// The ReplicaSet of the template; `nil` where there is none yet.
    private func find(_ sets: [JSONValue]) -> JSONValue? {
        let template = Self.plain(deployment.at("spec", "template"))
        return sets.first { Self.plain($0.at("spec", "template")) == template }
    }

    /// A few letters that stand for a template.
    private static func hash(_ text: String) -> String {
        var number: UInt32 = 2_166_136_261
        for byte in text.utf8 { number = (number ^ UInt32(byte)) &* 16_777_619 }
        let letters = Array("bcdfghjklmnpqrstvwxz2456789")
        return String("\(number)".utf8.map { letters[Int($0) % letters.count] })
    }

    private func makeSet(_ sets: [JSONValue]) {
        guard var template = deployment.at("spec", "template") else { return }
        var hash = Self.hash(template.canonical)
        // Another template may have the same letters.
        while sets.contains(where: { $0.kubeName == "\(deployment.kubeName)-\(hash)" }) { hash += "x" }
        template.set("metadata", "labels", "pod-template-hash", to: .string(hash))
        var selector = deployment.at("spec", "selector") ?? [:]
        selector.set("matchLabels", "pod-template-hash", to: .string(hash))
        var annotations = deployment.at("metadata", "annotations") ?? [:]
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = nil
        annotations[Self.revision] = .string("\(Self.latest(sets) + 1)")
        annotations["deployment.kubernetes.io/desired-replicas"] = .string("\(wanted)")
        var set: JSONValue = [
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": [
                "name": .string("\(deployment.kubeName)-\(hash)"),
                "labels": template.at("metadata", "labels") ?? [:], "annotations": annotations,
                "ownerReferences": [Self.owner(deployment)],
            ],
            "spec": ["replicas": 0, "selector": selector, "template": template],
        ]
        if let rest = deployment.at("spec", "minReadySeconds") { set.set("spec", "minReadySeconds", to: rest) }
        let request = WriteRequest(manager: "kube-controller-manager")
        _ = try? cluster.create(.replicaSets, namespace, set, request)
    }

    private static func number(_ set: JSONValue) -> Int64 {
        Int64(set.text("metadata", "annotations", revision)) ?? 0
    }

    private static func latest(_ sets: [JSONValue]) -> Int64 { sets.map(number).max() ?? 0 }

    /// Gives the current ReplicaSet the highest number: the next one where it is taken up again.
    private func numberRevision(_ current: JSONValue, _ sets: [JSONValue]) {
        let others = Self.latest(sets.filter { $0.kubeUID != current.kubeUID })
        let own = Self.number(current)
        let next = own > others ? own : others + 1
        let cause = deployment.at("metadata", "annotations", "kubernetes.io/change-cause")
        cluster.store.withLock { store in
            if var set = store.get(.replicaSets, ObjectKey(current)), next != own {
                set.set("metadata", "annotations", Self.revision, to: .string("\(next)"))
                if let cause { set.set("metadata", "annotations", "kubernetes.io/change-cause", to: cause) }
                store.put(.replicaSets, set)
            }
            guard var deployment = store.get(.deployments, ObjectKey(deployment)),
                deployment.text("metadata", "annotations", Self.revision) != "\(next)"
            else { return }
            let before = deployment
            deployment.set("metadata", "annotations", Self.revision, to: .string("\(next)"))
            var fields = ManagedFields(before)
            let writer = WriteRequest(manager: "kube-controller-manager", subresource: "status").writer(.deployments)
            fields.note(writer, from: before, to: deployment)
            deployment.set("metadata", "managedFields", to: fields.json)
            store.put(.deployments, deployment)
        }
    }

    private func scale(_ set: JSONValue, to count: Int64) {
        let before = set.at("spec", "replicas")?.int ?? 0
        guard before != count else { return }
        let isChanged = cluster.store.withLock { store -> Bool in
            guard var current = store.get(.replicaSets, ObjectKey(set)), current.kubeUID == set.kubeUID else {
                return false
            }
            current.set("spec", "replicas", to: .int(count))
            current.set("metadata", "generation", to: .int((current.at("metadata", "generation")?.int ?? 0) + 1))
            store.put(.replicaSets, current)
            return true
        }
        guard isChanged else { return }
        let word = count > before ? "up" : "down"
        event("ScalingReplicaSet", "Scaled \(word) replica set \(set.kubeName) from \(before) to \(count)")
        // Its pods are made or ended in the same pass.
        let changed = cluster.store.withLock { $0.get(.replicaSets, ObjectKey(set)) }
        if let changed { ReplicaSetController(cluster: cluster, set: changed).run() }
    }

    private func count(_ set: JSONValue, _ name: String) -> Int64 { set.at("status", name)?.int ?? 0 }
    private func size(_ set: JSONValue) -> Int64 { set.at("spec", "replicas")?.int ?? 0 }

    // MARK: Strategies

    private func scalePaused(_ sets: [JSONValue]) {
        let running = sets.filter { size($0) > 0 }
        if running.count == 1 { scale(running[0], to: wanted) }
    }

    private func recreate(_ current: JSONValue, _ old: [JSONValue]) {
        for set in old { scale(set, to: 0) }
        // Pods that are on their way out still have their name and their volumes.
        let uids = Set(old.map(\.kubeUID))
        let left = cluster.store.withLock { $0.list(.pods, namespace).contains { uids.contains($0.controllerUID) } }
        if !left { scale(current, to: wanted) }
    }

    private func roll(_ current: JSONValue, _ old: [JSONValue]) {
        let rolling = deployment.at("spec", "strategy", "rollingUpdate")
        let surge = Replicas.amount(rolling?["maxSurge"], of: wanted, isRoundedUp: true)
        var slack = Replicas.amount(rolling?["maxUnavailable"], of: wanted, isRoundedUp: false)
        if surge == 0, slack == 0 { slack = 1 }
        let total = old.map(size).reduce(0, +) + size(current)
        if size(current) > wanted {
            scale(current, to: wanted)
        } else if size(current) < wanted, old.allSatisfy({ size($0) == 0 }) || total < wanted + surge {
            let room = old.allSatisfy { size($0) == 0 } ? wanted : wanted + surge - total
            scale(current, to: min(wanted, size(current) + room))
        }
        shrink(old, slack)
    }

    /// Scales old ReplicaSets down as far as enough pods stay available.
    private func shrink(_ old: [JSONValue], _ slack: Int64) {
        guard old.contains(where: { size($0) > 0 }) else { return }
        let all = sets()
        let least = max(0, wanted - min(slack, wanted))
        let uids = Set(old.map(\.kubeUID))
        guard let current = all.first(where: { !uids.contains($0.kubeUID) }) else { return }
        let unavailable = size(current) - count(current, "availableReplicas")
        var room = all.map(size).reduce(0, +) - least - unavailable
        // First what is not available anyway, the oldest first.
        for set in all.filter({ uids.contains($0.kubeUID) }).sorted(by: { Self.number($0) < Self.number($1) }) {
            let broken = size(set) - count(set, "availableReplicas")
            let part = min(max(0, room), max(0, broken))
            if part > 0 {
                scale(set, to: size(set) - part)
                room -= part
            }
        }
        var rest = self.sets().map { count($0, "availableReplicas") }.reduce(0, +) - least
        for set in self.sets().filter({ uids.contains($0.kubeUID) }).sorted(by: { Self.number($0) < Self.number($1) })
        where rest > 0 && size(set) > 0 {
            let part = min(rest, size(set))
            scale(set, to: size(set) - part)
            rest -= part
        }
    }

    /// Removes ReplicaSets that are older than anybody wants to go back to.
    private func clean(_ sets: [JSONValue], _ current: JSONValue) {
        let limit = Int(deployment.at("spec", "revisionHistoryLimit")?.int ?? 10)
        let old = sets.filter { $0.kubeUID != current.kubeUID && size($0) == 0 && count($0, "replicas") == 0 }
            .sorted { Self.number($0) < Self.number($1) }
        for set in old.dropLast(min(limit, old.count)) {
            _ = try? cluster.delete(.replicaSets, namespace, set.kubeName, .init())
        }
    }

    // MARK: Status

    private func writeStatus(_ sets: [JSONValue], _ current: JSONValue?) {
        let total = sets.map { count($0, "replicas") }.reduce(0, +)
        let ready = sets.map { count($0, "readyReplicas") }.reduce(0, +)
        let available = sets.map { count($0, "availableReplicas") }.reduce(0, +)
        let updated = current.map { count($0, "replicas") } ?? 0
        cluster.store.withLock { store in
            guard var object = store.get(.deployments, ObjectKey(deployment)), object.kubeUID == deployment.kubeUID
            else { return }
            let before = object
            var status: JSONValue = ["observedGeneration": deployment.at("metadata", "generation") ?? 1]
            for (name, number) in [
                ("replicas", total), ("updatedReplicas", updated), ("readyReplicas", ready),
                ("availableReplicas", available), ("unavailableReplicas", max(0, max(total, wanted) - available)),
            ] where number > 0 {
                status[name] = .int(number)
            }
            let progress = DeploymentProgress(
                deployment: deployment,
                old: before["status"] ?? [:],
                new: status,
                set: current,
                wanted: wanted
            )
            status["conditions"] = progress.conditions()
            guard before["status"] != status else { return }
            object["status"] = status
            var fields = ManagedFields(before)
            let writer = WriteRequest(manager: "kube-controller-manager", subresource: "status").writer(.deployments)
            fields.note(writer, from: before, to: object)
            object.set("metadata", "managedFields", to: fields.json)
            store.put(.deployments, object)
        }
    }
}

/// How far a Deployment has come: its conditions.
struct DeploymentProgress {
    let deployment: JSONValue
    let old: JSONValue
    let new: JSONValue
    let set: JSONValue?
    let wanted: Int64

    private func number(_ status: JSONValue, _ name: String) -> Int64 { status[name]?.int ?? 0 }

    func conditions() -> JSONValue { .array([available(), progressing()].compactMap { $0 }) }

    private func condition(_ type: String, _ status: String, _ reason: String, _ message: String, isUpdated: Bool)
        -> JSONValue
    {
        let before = (old["conditions"]?.array ?? []).first { $0.text("type") == type }
        let now: JSONValue = .string(Moment.text())
        let isSame = before?.text("status") == status
        let isUnchanged = isSame && before?.text("reason") == reason && before?.text("message") == message
        return [
            "type": .string(type), "status": .string(status), "reason": .string(reason), "message": .string(message),
            "lastTransitionTime": isSame ? before?["lastTransitionTime"] ?? now : now,
            "lastUpdateTime": isUnchanged && !isUpdated ? before?["lastUpdateTime"] ?? now : now,
        ]
    }

    private func available() -> JSONValue {
        let rolling = deployment.at("spec", "strategy", "rollingUpdate")
        let surge = Replicas.amount(rolling?["maxSurge"], of: wanted, isRoundedUp: true)
        var slack = Replicas.amount(rolling?["maxUnavailable"], of: wanted, isRoundedUp: false)
        if surge == 0, slack == 0 { slack = 1 }
        if number(new, "availableReplicas") >= wanted - slack {
            return condition(
                "Available",
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
                isUpdated: false
            )
        }
        return condition(
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            isUpdated: false
        )
    }

    private func progressing() -> JSONValue? {
        let before = (old["conditions"]?.array ?? []).first { $0["type"] == "Progressing" }
        guard let set else { return before }
        if deployment.at("spec", "paused")?.bool ?? false {
            return condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", isUpdated: false)
        }
        let isComplete =
            number(new, "updatedReplicas") == wanted && number(new, "replicas") == wanted
            && number(new, "availableReplicas") >= wanted
        if isComplete {
            return condition(
                "Progressing",
                "True",
                "NewReplicaSetAvailable",
                "ReplicaSet \"\(set.kubeName)\" has successfully progressed.",
                isUpdated: false
            )
        }
        let isOther = before.map { !$0.text("message").contains("\"\(set.kubeName)\"") } ?? true
        let hasMoved = ["updatedReplicas", "readyReplicas", "availableReplicas"]
            .contains { number(new, $0) > number(old, $0) } || number(new, "replicas") < number(old, "replicas")
        if isOther || hasMoved || number(old, "observedGeneration") < number(new, "observedGeneration") {
            let reason = isOther ? "NewReplicaSetCreated" : "ReplicaSetUpdated"
            let text = isOther
                ? "Created new replica set \"\(set.kubeName)\"" : "ReplicaSet \"\(set.kubeName)\" is progressing."
            return condition("Progressing", "True", reason, text, isUpdated: true)
        }
        let deadline = deployment.at("spec", "progressDeadlineSeconds")?.int ?? 600
        let since = KubeTime.seconds(before?.text("lastUpdateTime") ?? "") ?? Moment.now
        if before?.text("reason") == "NewReplicaSetAvailable" {
            // Pods of a Deployment that was complete may go without its deadline beginning anew.
            return before
        }
        if Moment.now - since > deadline || before?.text("reason") == "ProgressDeadlineExceeded" {
            return condition(
                "Progressing",
                "False",
                "ProgressDeadlineExceeded",
                "ReplicaSet \"\(set.kubeName)\" has timed out progressing.",
                isUpdated: false
            )
        }
        return before
    }
}
