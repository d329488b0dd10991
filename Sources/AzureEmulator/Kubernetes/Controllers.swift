// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// The controllers of a cluster: one pass over everything makes what there is more like what is wanted.
struct Controllers {
    let cluster: KubernetesCluster

    func run() {
        collectGarbage()
        clearNamespaces()
        bindClaims()
        for deployment in list(.deployments) where !deployment.isBeingDeleted {
            DeploymentController(cluster: cluster, deployment: deployment).run()
        }
        for set in list(.replicaSets) where !set.isBeingDeleted {
            ReplicaSetController(cluster: cluster, set: set).run()
        }
        PodController(cluster: cluster).run()
        runServices()
        countDisruptions()
    }

    private func list(_ type: KubeType) -> [JSONValue] { cluster.store.withLock { $0.list(type) } }

    // MARK: What has no owner any more

    private func collectGarbage() {
        cluster.store.withLock { store in
            let all = store.everything()
            let living = Set(all.map(\.object.kubeUID))
            for (type, object) in all {
                let owners = object.at("metadata", "ownerReferences")?.array ?? []
                guard !owners.isEmpty, !owners.contains(where: { living.contains($0.text("uid")) }),
                    !object.isBeingDeleted
                else { continue }
                _ = KubernetesCluster.delete(&store, type, object, .init())
            }
            // Owners that wait for what they own.
            for (type, object) in all where object.isBeingDeleted {
                let finalizers = object.at("metadata", "finalizers")?.texts ?? []
                guard finalizers.contains("foregroundDeletion") else { continue }
                let owned = store.everything()
                    .filter { entry in
                        (entry.object.at("metadata", "ownerReferences")?.array ?? [])
                            .contains { $0.text("uid") == object.kubeUID }
                    }
                for entry in owned where !entry.object.isBeingDeleted {
                    var deletion = KubernetesCluster.Deletion()
                    // What owns others in turn waits for them, too.
                    if entry.type == .replicaSets { deletion.propagation = "Foreground" }
                    _ = KubernetesCluster.delete(&store, entry.type, entry.object, deletion)
                }
                guard owned.isEmpty, var freed = store.get(type, ObjectKey(object)) else { continue }
                let rest = finalizers.filter { $0 != "foregroundDeletion" }
                freed.set("metadata", "finalizers", to: rest.isEmpty ? JSONValue?.none : JSONValue(rest))
                if rest.isEmpty { store.remove(type, ObjectKey(object)) } else { store.put(type, freed) }
            }
        }
    }

    private func clearNamespaces() {
        cluster.store.withLock { store in
            for namespace in store.list(.namespaces) where namespace.isBeingDeleted {
                let name = namespace.kubeName
                let content = store.everything().filter { $0.type.isNamespaced && $0.object.kubeNamespace == name }
                for (type, object) in content where !object.isBeingDeleted {
                    _ = KubernetesCluster.delete(&store, type, object, .init())
                }
                if content.isEmpty { store.remove(.namespaces, ObjectKey("", name)) }
            }
            for namespace in store.list(.namespaces) where !namespace.isBeingDeleted {
                let key = ObjectKey(namespace.kubeName, "default")
                guard store.get(.serviceAccounts, key) == nil else { continue }
                store.put(
                    .serviceAccounts,
                    [
                        "apiVersion": "v1", "kind": "ServiceAccount",
                        "metadata": [
                            "name": "default", "namespace": .string(key.namespace),
                            "uid": .string(Identifier.random()), "creationTimestamp": .string(Moment.text()),
                        ],
                    ]
                )
            }
        }
    }

    private func bindClaims() {
        cluster.store.withLock { store in
            for claim in store.list(.claims) where claim.text("status", "phase") != "Bound" {
                var bound = claim
                bound.set("spec", "volumeName", to: .string("pvc-\(claim.kubeUID)"))
                bound["status"] = [
                    "phase": "Bound", "accessModes": claim.at("spec", "accessModes") ?? [],
                    "capacity": ["storage": claim.at("spec", "resources", "requests", "storage") ?? "1Gi"],
                ]
                store.put(.claims, bound)
            }
        }
    }

    private func countDisruptions() {
        cluster.store.withLock { store in
            for budget in store.list(.disruptionBudgets) {
                let filter = ObjectFilter(selector: budget.at("spec", "selector"))
                let pods = store.list(.pods, budget.kubeNamespace).filter(filter.matches)
                let healthy = Int64(pods.filter(PodController.isReady).count)
                let count = Int64(pods.count)
                var wanted = Replicas.amount(budget.at("spec", "minAvailable"), of: count, isRoundedUp: true)
                if let most = budget.at("spec", "maxUnavailable") {
                    wanted = count - Replicas.amount(most, of: count, isRoundedUp: true)
                }
                var changed = budget
                changed["status"] = [
                    "currentHealthy": .int(healthy), "desiredHealthy": .int(max(0, wanted)),
                    "disruptionsAllowed": .int(max(0, healthy - wanted)), "expectedPods": .int(count),
                    "observedGeneration": budget.at("metadata", "generation") ?? 1,
                ]
                if changed != budget { store.put(.disruptionBudgets, changed) }
            }
        }
    }

    // MARK: Services

    private func runServices() {
        let services = list(.services).filter { !$0.isBeingDeleted }
        let living = Set(services.map(\.kubeUID))
        let gone = cluster.listeners.withLock { all in
            let gone = all.filter { !living.contains($0.key) }
            for key in gone.keys { all[key] = nil }
            return Array(gone.values)
        }
        for listener in gone { listener.close() }
        let runs = cluster.runs.withLock { Array($0.values) }
        for service in services {
            let listener = cluster.listeners.withLock { all in
                if let found = all[service.kubeUID] { return found }
                let made = ServiceListener(cluster, service)
                all[service.kubeUID] = made
                return made
            }
            listener.update(service)
            for run in runs { listener.listen(in: run) }
            writeEndpoints(service)
        }
    }

    private func writeEndpoints(_ service: JSONValue) {
        let subsets = ServiceEndpoints.subsets(of: service, cluster)
        let isPublic = service.text("spec", "type") == "LoadBalancer"
        cluster.store.withLock { store in
            if var current = store.get(.services, ObjectKey(service)),
                isPublic || current.at("status", "loadBalancer", "ingress") != nil
            {
                // The address of a load balancer is the service's own: both are of this machine.
                var status: JSONValue = ["loadBalancer": [:]]
                if isPublic {
                    status = ["loadBalancer": ["ingress": [["ip": current.at("spec", "clusterIP") ?? ""]]]]
                }
                if current["status"] != status {
                    current["status"] = status
                    store.put(.services, current)
                }
            }
            guard service.at("spec", "selector") != nil else { return }
            var endpoints =
                store.get(.endpoints, ObjectKey(service))
                ?? [
                    "apiVersion": "v1", "kind": "Endpoints",
                    "metadata": [
                        "name": .string(service.kubeName), "namespace": .string(service.kubeNamespace),
                        "uid": .string(Identifier.random()), "creationTimestamp": .string(Moment.text()),
                        "ownerReferences": [
                            [
                                "apiVersion": "v1", "kind": "Service", "name": .string(service.kubeName),
                                "uid": .string(service.kubeUID),
                            ]
                        ],
                    ],
                ]
            guard endpoints["subsets"] != subsets else { return }
            endpoints["subsets"] = subsets
            store.put(.endpoints, endpoints)
        }
    }
}

/// Numbers of pods.
enum Replicas {
    /// A number, or a part of all: `25%`.
    static func amount(_ value: JSONValue?, of total: Int64, isRoundedUp: Bool) -> Int64 {
        if let number = value?.int { return number }
        guard let text = value?.string, text.hasSuffix("%"), let part = Int64(text.dropLast()) else { return 0 }
        return isRoundedUp ? (total * part + 99) / 100 : total * part / 100
    }
}
