// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes
internal import OCI

/// Stops a deployment, and starts it again with as many pods as it had.
struct ClusterScale {
    private static let annotation = "coracle/stopped-replicas"
    let client: ClusterClient

    init(_ client: ClusterClient) { self.client = client }

    /// Ends all pods; how many there were is kept with the deployment.
    func stop(_ live: JSONValue) async throws {
        let count = live["spec"]?["replicas"]?.int ?? 1
        guard count > 0 else { return }
        try await apply(live, replicas: 0, stopped: count)
    }

    /// Starts as many pods as there were.
    func start(_ live: JSONValue) async throws {
        let count = live["metadata"]?["annotations"]?[Self.annotation]?.string.flatMap { Int64($0) } ?? 1
        guard live["spec"]?["replicas"]?.int == 0 else { return }
        try await apply(live, replicas: max(1, count), stopped: nil)
    }

    func startIfStopped(_ workload: Workload) async throws {
        guard let live = try await client.find(.deployment, workload.name, namespace: workload.namespace),
            live["metadata"]?["annotations"]?[Self.annotation] != nil
        else { return }
        try await start(live)
    }

    /// What we applied is applied again with another number, so that the number stays ours, and the next version is no
    /// argument with ourselves.
    private func apply(_ live: JSONValue, replicas: Int64, stopped: Int64?) async throws {
        var json = ManagedFields(live).ours.part(of: live) ?? [:]
        if ManagedFields(live).ours.isEmpty { json = [:] }
        (json["apiVersion"], json["kind"]) = ("apps/v1", "Deployment")
        var metadata = json["metadata"] ?? [:]
        metadata["name"] = live["metadata"]?["name"]
        metadata["namespace"] = live["metadata"]?["namespace"]
        var annotations = metadata["annotations"]?.object ?? [:]
        annotations[Self.annotation] = stopped.map { .string("\($0)") }
        metadata["annotations"] = annotations.isEmpty ? Optional.none : JSONValue.object(annotations)
        json["metadata"] = metadata
        json["spec"] = json["spec"] ?? [:]
        json["spec"]?["replicas"] = .int(replicas)
        _ = try await client.apply(json, .init(takesOver: true))
    }
}
