// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// What a container of a pod wrote.
struct PodLogs: Sendable {
    let cluster: KubernetesCluster

    /// The container that is meant.
    static func container(of pod: JSONValue, _ wanted: String?) throws(KubeFault) -> String {
        let names = ["initContainers", "containers"]
            .flatMap { (pod.at("spec", $0)?.array ?? []).map { $0.text("name") } }
        let main = (pod.at("spec", "containers")?.array ?? []).map { $0.text("name") }
        if let wanted, !wanted.isEmpty {
            guard names.contains(wanted) else {
                throw .badRequest("container \(wanted) is not valid for pod \(pod.kubeName)")
            }
            return wanted
        }
        guard names.count == 1 || main.count == 1, let first = main.first else {
            throw .badRequest(
                "a container name must be specified for pod \(pod.kubeName), choose one of: "
                    + "[\(main.joined(separator: " "))]"
            )
        }
        return first
    }

    func answer(_ call: KubeCall, _ namespace: String, _ name: String) throws(KubeFault) -> KubeReply {
        guard call.method == "GET" else { throw .wrongMethod(.pods) }
        let pod = try cluster.get(.pods, namespace, name)
        let container = try Self.container(of: pod, call.query("container"))
        let wantsPrevious = call.flag("previous")
        guard let run = cluster.runs.withLock({ $0[pod.kubeUID] }),
            let output = run.output(container, previous: wantsPrevious)
        else {
            if wantsPrevious {
                throw .badRequest("previous terminated container \"\(container)\" in pod \"\(name)\" not found")
            }
            let status = (pod.at("status", "containerStatuses")?.array ?? [])
                .first { $0.text("name") == container }
            let why = status?.at("state", "waiting", "reason")?.string ?? "ContainerCreating"
            let text = ["ErrImagePull", "ImagePullBackOff"].contains(why)
                ? "trying and failing to pull image" : why == "CreateContainerConfigError" ? why : "ContainerCreating"
            throw .badRequest("container \"\(container)\" in pod \"\(name)\" is waiting to start: \(text)")
        }
        let tail = call.query("tailLines").flatMap { Int($0) }
        let ago = call.query("sinceSeconds").flatMap { Double($0) }.map { Moment.precise - $0 }
        let since = ago ?? call.query("sinceTime").flatMap { KubeTime.seconds($0) }.map { Double($0) }
        let withTimes = call.flag("timestamps")
        guard call.flag("follow") else {
            var bytes = output.lines(tail: tail, since: since, withTimes: withTimes)
            if let limit = call.query("limitBytes").flatMap({ Int($0) }) { bytes = Array(bytes.prefix(limit)) }
            return .bytes(200, type: "text/plain", bytes)
        }
        return .stream(type: "text/plain") { stream in
            let number = output.follow(tail: tail, since: since, withTimes: withTimes) { bytes in
                if let bytes { stream.send(bytes) } else { stream.end() }
            }
            stream.atEnd { output.unfollow(number) }
        }
    }
}
