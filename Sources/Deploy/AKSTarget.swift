// SPDX-License-Identifier: Apache-2.0
public import Azure
internal import HTTP
public import Kubernetes
public import OCI

/// A Kubernetes cluster, as Azure Kubernetes Service or anybody else runs it: deployments and what belongs to them.
public struct AKSTarget: Target {
    /// How long things may take.
    public struct Pace: Sendable {
        /// How a rollout is watched.
        public var rollout = Rollout.Pace()
        /// How long an address is waited for that the cluster has to get from the cloud.
        public var addressPatience: Duration = .seconds(180)
        /// How long between two looks where nothing can be watched.
        public var interval: Duration = .seconds(2)

        /// As clusters are.
        public init() {}
    }

    let client: ClusterClient
    /// The name of the deployment that this is about.
    public let name: String
    let manifests: [JSONValue]
    let images: [ImageFacts]
    let cluster: AKSCluster?
    /// Speaks with the resource manager about the cluster; `nil` to ask it nothing.
    public var arm: ARMClient?
    /// Whether fields that others own become ours.
    public var takesOver = false
    /// Whether a version that does not work is left as it is, to be looked at.
    public var keepsFailed = false
    /// Whether plans are made of what can be read alone, and the cluster is not asked what would become of it.
    public var predicts = false
    /// How long things may take.
    public var pace = Pace()

    /// Something to deploy.
    ///
    /// - Parameters:
    ///   - client: Speaks with the cluster; objects without a namespace go to its own.
    ///   - name: The name of the deployment that this is about.
    ///   - manifests: What should be, in the order in which it is applied: namespace, secrets and settings, services,
    ///     deployments, what is about these.
    ///   - images: What is known of the images.
    ///   - cluster: The cluster as the resource manager knows it, for what only that knows; `nil` for any other.
    public init(
        _ client: ClusterClient,
        name: String,
        manifests: [JSONValue],
        images: [ImageFacts] = [],
        cluster: AKSCluster? = nil
    ) {
        (self.client, self.name, self.manifests) = (client, name, manifests)
        (self.images, self.cluster) = (images, cluster)
    }

    /// Where an object of a kind goes.
    func place(_ manifest: JSONValue, _ kind: ResourceKind) -> String? {
        kind.isNamespaced ? manifest["metadata"]?["namespace"]?.string ?? client.namespace : nil
    }

    /// The manifest of the deployment that this is about, else of the first.
    static func main(_ manifests: [JSONValue], _ name: String) -> JSONValue? {
        let deployments = manifests.filter { $0["kind"]?.string == "Deployment" }
        return deployments.first { $0["metadata"]?["name"]?.string == name } ?? deployments.first
    }

    /// The image of a deployment's container of its own name, else of the first.
    static func image(_ deployment: JSONValue?) -> String? {
        let containers = deployment?["spec"]?["template"]?["spec"]?["containers"]?.array ?? []
        let name = deployment?["metadata"]?["name"]?.string
        return (containers.first { $0["name"]?.string == name } ?? containers.first)?["image"]?.string
    }
}

extension AKSTarget {
    /// Says what would be done: what there is, against what the cluster says it would become.
    ///
    /// - Returns: The plan.
    /// - Throws: `KubernetesError` where the cluster refuses, with each field and its owner where others own what would be
    ///   changed; ``DeployError`` where there is no deployment among the manifests.
    public func plan() async throws -> ClusterPlan {
        guard AKSTarget.main(manifests, name) != nil else {
            throw DeployError("there is no deployment among the manifests of \(name)")
        }
        var (items, missing): ([ClusterPlan.Item], Set<String>) = ([], [])
        for manifest in manifests {
            let kind = try await client.kind(of: manifest)
            let item = try await plan(manifest, kind, missing)
            if kind == .namespace, item.live == nil { missing.insert(item.name) }
            items.append(item)
        }
        return ClusterPlan(name, items, notes: try await leftovers(items))
    }

    private func plan(
        _ manifest: JSONValue,
        _ kind: ResourceKind,
        _ missing: Set<String>
    ) async throws -> ClusterPlan.Item {
        let name = manifest["metadata"]?["name"]?.string ?? ""
        let place = place(manifest, kind)
        if let place, missing.contains(place) {
            if !predicts { try await proof(manifest) }
            return .init(
                kind: kind,
                name: name,
                namespace: place,
                manifest: manifest,
                live: nil,
                wanted: manifest,
                changes: []
            )
        }
        let live = try await client.find(kind, name, namespace: place)
        var manifest = manifest
        if kind == .deployment, let live { manifest = try await keepingCount(manifest, live, place) }
        let wanted: JSONValue
        if predicts {
            wanted = live.map { AKSTarget.predicted($0, manifest) } ?? manifest
        } else {
            wanted = try await client.apply(manifest, .init(isDryRun: true, takesOver: takesOver))
        }
        return .init(
            kind: kind,
            name: name,
            namespace: place,
            manifest: manifest,
            live: live,
            wanted: wanted,
            changes: live.map { ObjectChange.list(from: $0, to: wanted) } ?? []
        )
    }

    /// What goes into a namespace that is not there yet is shown to the cluster as if for another, for what is wrong with
    /// its form; all other answers say nothing.
    private func proof(_ manifest: JSONValue) async throws {
        var copy = manifest
        copy["metadata"]?["namespace"] = "default"
        do {
            _ = try await client.apply(copy, .init(isDryRun: true, takesOver: true))
        } catch let error as KubernetesError
            where error.code == .credentials || (error.code == .invalid && error.status != 422)
        {
            throw error
        } catch is KubernetesError {}
    }

    /// How many copies there are stays as an autoscaler or somebody else has it, where the manifest does not say.
    ///
    /// A field that only we own and leave out is removed, and a deployment without it has one copy.
    private func keepingCount(_ manifest: JSONValue, _ live: JSONValue, _ place: String?) async throws -> JSONValue {
        let isScaled = try await isScaled(manifest, place)
        guard isScaled || manifest["spec"]?["replicas"] == nil else { return manifest }
        var manifest = manifest
        let path = ["spec", "replicas"]
        let fields = ManagedFields(live)
        let isOursAlone = fields.ours.contains(path) && !fields.areOthers(path)
        manifest["spec"]?["replicas"] = isOursAlone ? live["spec"]?["replicas"] : nil
        return manifest
    }

    /// Whether an autoscaler counts the copies: one of ours, or one that is there.
    private func isScaled(_ manifest: JSONValue, _ place: String?) async throws -> Bool {
        let name = manifest["metadata"]?["name"]?.string
        let scales = { (scaler: JSONValue) in
            scaler["spec"]?["scaleTargetRef"]?["kind"]?.string == "Deployment"
                && scaler["spec"]?["scaleTargetRef"]?["name"]?.string == name
        }
        if manifests.contains(where: { $0["kind"]?.string == "HorizontalPodAutoscaler" && scales($0) }) { return true }
        do {
            return try await client.list(.autoscaler, .init(namespace: place)).contains(where: scales)
        } catch let error as KubernetesError where error.code == .denied || error.code == .notFound {
            return false
        }
    }

    /// What an earlier version of this deployment had, and this one has not: it stays, and is named.
    private func leftovers(_ items: [ClusterPlan.Item]) async throws -> [String] {
        let labels = AKSTarget.main(manifests, name)?["metadata"]?["labels"]
        guard let instance = labels?["app.kubernetes.io/instance"]?.string,
            labels?["app.kubernetes.io/managed-by"]?.string == ClusterClient.manager
        else { return [] }
        var notes: [String] = []
        let place = items.first { $0.kind == .deployment }?.namespace
        if items.contains(where: { $0.kind == .namespace && $0.name == place && $0.live == nil }) { return [] }
        let selection = ClusterClient.Selection(
            namespace: place,
            labels: "app.kubernetes.io/instance=\(instance),app.kubernetes.io/managed-by=\(ClusterClient.manager)"
        )
        let kinds: [ResourceKind] = [
            .deployment, .service, .ingress, .autoscaler, .disruptionBudget, .configMap, .secret,
        ]
        // What is not applied and read all the same is no rest.
        let read = items.flatMap { PodReferences($0.manifest).all }
        for kind in kinds {
            // Who may not look is told nothing.
            let found = (try? await client.list(kind, selection)) ?? []
            for object in found {
                let name = object["metadata"]?["name"]?.string ?? ""
                guard !items.contains(where: { $0.kind == kind && $0.name == name }),
                    !read.contains(where: { $0.kind == kind && $0.name == name })
                else { continue }
                notes.append(
                    "\(kind)/\(name) is left from before: kubectl delete \(kind)/\(name) --namespace \(place ?? "default")"
                )
            }
        }
        return notes
    }
}
