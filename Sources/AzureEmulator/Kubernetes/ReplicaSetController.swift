// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Makes as many pods as a ReplicaSet wants, and says how many there are.
struct ReplicaSetController {
    let cluster: KubernetesCluster
    let set: JSONValue

    func run() {
        var pods = cluster.store.withLock { store in
            store.list(.pods, set.kubeNamespace).filter { $0.controllerUID == set.kubeUID }
        }
        pods = pods.filter { !$0.isBeingDeleted && !["Succeeded", "Failed"].contains($0.text("status", "phase")) }
        let wanted = Int(set.at("spec", "replicas")?.int ?? 1)
        if pods.count < wanted { for _ in pods.count..<wanted { if let made = make() { pods.append(made) } } }
        if pods.count > wanted {
            // Those go first that nobody misses: not ready, then the youngest.
            let sorted = pods.sorted { left, right in
                let (a, b) = (PodController.isReady(left), PodController.isReady(right))
                return a == b ? left.kubeRevision > right.kubeRevision : !a
            }
            for pod in sorted.prefix(pods.count - wanted) { remove(pod) }
            pods = Array(sorted.dropFirst(pods.count - wanted))
        }
        writeStatus(pods)
    }

    private func make() -> JSONValue? {
        var pod: JSONValue = ["apiVersion": "v1", "kind": "Pod"]
        var metadata = set.at("spec", "template", "metadata") ?? [:]
        metadata["name"] = .string("\(set.kubeName)-\(KubernetesCluster.suffix())")
        metadata["generateName"] = .string("\(set.kubeName)-")
        metadata["ownerReferences"] = [DeploymentController.owner(set)]
        pod["metadata"] = metadata
        pod["spec"] = set.at("spec", "template", "spec")
        do {
            let request = WriteRequest(manager: "kube-controller-manager")
            let made = try cluster.create(.pods, set.kubeNamespace, pod, request)
            event("SuccessfulCreate", "Created pod: \(made.kubeName)")
            return made
        } catch {
            event("FailedCreate", "Error creating: \(error.message)", isWarning: true)
            return nil
        }
    }

    private func remove(_ pod: JSONValue) {
        _ = try? cluster.delete(.pods, pod.kubeNamespace, pod.kubeName, .init())
        event("SuccessfulDelete", "Deleted pod: \(pod.kubeName)")
    }

    private func event(_ reason: String, _ message: String, isWarning: Bool = false) {
        cluster.event(set, reason, message, isWarning: isWarning, from: "replicaset-controller")
    }

    private func writeStatus(_ pods: [JSONValue]) {
        let ready = pods.filter(PodController.isReady)
        let rest = Double(set.at("spec", "minReadySeconds")?.int ?? 0)
        let available = ready.filter { Self.isAvailable($0, after: rest) }
        cluster.store.withLock { store in
            guard var current = store.get(.replicaSets, ObjectKey(set)), current.kubeUID == set.kubeUID else { return }
            var status: JSONValue = [
                "replicas": .int(Int64(pods.count)), "fullyLabeledReplicas": .int(Int64(pods.count)),
                "observedGeneration": current.at("metadata", "generation") ?? 1,
            ]
            if !ready.isEmpty { status["readyReplicas"] = .int(Int64(ready.count)) }
            if !available.isEmpty { status["availableReplicas"] = .int(Int64(available.count)) }
            guard current["status"] != status else { return }
            current["status"] = status
            store.put(.replicaSets, current)
        }
    }

    /// Whether a pod has been ready for so long.
    static func isAvailable(_ pod: JSONValue, after seconds: Double) -> Bool {
        guard seconds > 0 else { return true }
        let since = (pod.at("status", "conditions")?.array ?? []).first { $0["type"] == "Ready" }?
            .text("lastTransitionTime")
        return Moment.precise - Double(KubeTime.seconds(since ?? "") ?? 0) >= seconds
    }
}
