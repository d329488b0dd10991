// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Binds pods to the node, starts them, and ends those that should go.
struct PodController {
    let cluster: KubernetesCluster

    static func isReady(_ pod: JSONValue) -> Bool {
        !pod.isBeingDeleted
            && (pod.at("status", "conditions")?.array ?? []).contains { $0["type"] == "Ready" && $0["status"] == "True" }
    }

    func run() {
        let pods = cluster.store.withLock { $0.list(.pods) }
        for pod in pods {
            if pod.isBeingDeleted {
                end(pod)
            } else if pod.text("spec", "nodeName").isEmpty {
                schedule(pod, among: pods)
            } else {
                start(pod)
            }
        }
        endLost(Set(pods.map(\.kubeUID)))
    }

    // MARK: Scheduling

    private func schedule(_ pod: JSONValue, among pods: [JSONValue]) {
        let obstacle = obstacle(pod, pods)
        let current = (pod.at("status", "conditions")?.array ?? []).first { $0["type"] == "PodScheduled" }
        if let obstacle {
            let text = "0/1 nodes are available: \(obstacle). preemption: 0/1 nodes are available: 1 Preemption is not "
                + "helpful for scheduling."
            guard current?.text("message") != text else { return }
            write(pod) { pod in
                pod.set("status", "phase", to: "Pending")
                pod.set("status", "conditions", to: [condition("False", "Unschedulable", text)])
            }
            cluster.event(pod, "FailedScheduling", text, isWarning: true, from: "default-scheduler")
            return
        }
        write(pod) { pod in
            pod.set("spec", "nodeName", to: .string(KubernetesCluster.nodeName))
            pod.set("status", "conditions", to: [condition("True", "", "")])
        }
        let place = "\(pod.kubeNamespace)/\(pod.kubeName) to \(KubernetesCluster.nodeName)"
        cluster.event(pod, "Scheduled", "Successfully assigned \(place)", from: "default-scheduler")
    }

    private func condition(_ status: String, _ reason: String, _ message: String) -> JSONValue {
        var json: JSONValue = [
            "type": "PodScheduled", "status": .string(status), "lastTransitionTime": .string(Moment.text()),
            "lastProbeTime": .null,
        ]
        if !reason.isEmpty {
            json["reason"] = .string(reason)
            json["message"] = .string(message)
        }
        return json
    }

    private func write(_ pod: JSONValue, _ body: (inout JSONValue) -> Void) {
        cluster.store.withLock { store in
            guard var current = store.get(.pods, ObjectKey(pod)), current.kubeUID == pod.kubeUID else { return }
            body(&current)
            store.put(.pods, current)
        }
    }

    /// Why the one node does not take a pod; `nil` where it does.
    private func obstacle(_ pod: JSONValue, _ pods: [JSONValue]) -> String? {
        guard let node = cluster.store.withLock({ $0.list(.nodes).first }) else { return "no nodes" }
        let labels = node.kubeLabels
        for (name, value) in pod.at("spec", "nodeSelector")?.strings ?? [:] where labels[name] != value {
            return "1 node(s) didn't match Pod's node affinity/selector"
        }
        let path = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"]
        if let terms = pod.at(path[...])?["nodeSelectorTerms"]?.array {
            let isMatch = terms.contains { term in
                ObjectFilter(selector: ["matchExpressions": term["matchExpressions"] ?? []]).matches(labels: labels)
            }
            if !isMatch { return "1 node(s) didn't match Pod's node affinity/selector" }
        }
        let others = pods.filter { other in
            !other.text("spec", "nodeName").isEmpty
                && !["Succeeded", "Failed"].contains(other.text("status", "phase"))
        }
        for resource in ["cpu", "memory"] {
            let used = others.map { Self.requests($0, resource) }.reduce(0, +)
            let most = KubeQuantity.value(node.at("status", "allocatable", resource)) ?? 0
            let wanted = Self.requests(pod, resource)
            if wanted > 0, used + wanted > most + 1e-9 { return "1 Insufficient \(resource)" }
        }
        return nil
    }

    private static func requests(_ pod: JSONValue, _ resource: String) -> Double {
        (pod.at("spec", "containers")?.array ?? [])
            .map { KubeQuantity.value($0.at("resources", "requests", resource)) ?? 0 }.reduce(0, +)
    }

    // MARK: Running

    private func start(_ pod: JSONValue) {
        guard !["Succeeded", "Failed"].contains(pod.text("status", "phase")),
            cluster.runs.withLock({ $0[pod.kubeUID] == nil })
        else { return }
        do {
            let run = try PodRun(cluster, pod)
            cluster.runs.withLock { $0[run.uid] = run }
            run.start()
        } catch {
            cluster.event(pod, "FailedCreatePodSandBox", "\(error)", isWarning: true, from: "kubelet")
        }
    }

    private func end(_ pod: JSONValue) {
        let run = cluster.runs.withLock { $0[pod.kubeUID] }
        guard let run else {
            cluster.store.withLock { store in
                guard let current = store.get(.pods, ObjectKey(pod)), current.kubeUID == pod.kubeUID,
                    (current.at("metadata", "finalizers")?.array ?? []).isEmpty
                else { return }
                store.remove(.pods, ObjectKey(pod))
            }
            return
        }
        guard !run.isEnding else { return }
        end(run, grace: Double(pod.at("metadata", "deletionGracePeriodSeconds")?.int ?? 30))
    }

    private func end(_ run: PodRun, grace: Double) {
        run.state.withLock { $0.isEnding = true }
        let cluster = cluster
        Thread.start {
            run.end(grace: grace)
            _ = cluster.runs.withLock { $0.removeValue(forKey: run.uid) }
            cluster.store.withLock { $0.isDirty = true }
            cluster.poke()
        }
    }

    /// Ends what runs for pods that are gone.
    private func endLost(_ living: Set<String>) {
        for run in cluster.runs.withLock({ Array($0.values) }) where !living.contains(run.uid) && !run.isEnding {
            end(run, grace: 0)
        }
    }
}
