// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Kubernetes
internal import OCI

extension AKSTarget {
    /// What kubelets do again after ever longer pauses, up to five minutes.
    private static let pauses: Set<String> = [
        "ImagePullBackOff", "ErrImagePull", "CrashLoopBackOff", "CreateContainerConfigError",
    ]

    /// Deletes pods that wait since before, of deployments that get no new ones.
    ///
    /// What kept them may be mended by now, and their next try may be minutes away. Gives the titles of those deployments,
    /// which have to show again that they work.
    func retry(_ items: [ClusterPlan.Item], _ tell: @Sendable (DeployEvent) -> Void) async -> Set<String> {
        var renewed: Set<String> = []
        for item in items where item.kind == .deployment && !item.replacesPods {
            guard let live = item.live else { continue }
            let labels = (live["spec"]?["selector"]?["matchLabels"]?.strings ?? [:])
                .sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
            guard !labels.isEmpty else { continue }
            // Who may not look, or not delete, waits as long as it takes.
            let pods = (try? await client.list(.pod, .init(namespace: item.namespace, labels: labels))) ?? []
            for pod in pods where pod["metadata"]?["deletionTimestamp"] == nil {
                guard let name = pod["metadata"]?["name"]?.string, let reason = AKSTarget.pause(of: pod) else {
                    continue
                }
                guard (try? await client.delete(.pod, name, namespace: item.namespace)) == true else { continue }
                renewed.insert(item.title)
                tell(.init(.step, "deleted pod/\(name), which waits since before (\(reason)), for a new one"))
            }
        }
        return renewed
    }

    /// Why a pod waits before it tries again; `nil` where it does not.
    private static func pause(of pod: JSONValue) -> String? {
        let states = ["initContainerStatuses", "containerStatuses"].flatMap { pod["status"]?[$0]?.array ?? [] }
        return states.compactMap { $0["state"]?["waiting"]?["reason"]?.string }.first { pauses.contains($0) }
    }
}
