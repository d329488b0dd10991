// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What runs on a cluster under one name: containers that are kept running, how they are reached, what they are given.
///
/// It is a value that knows nothing of a cluster. ``manifests()`` turns it into objects of Kubernetes' interface, in the
/// order in which they can be applied; ``ManifestWriter`` writes these as a person would. What is `nil` or empty is left
/// out, so that the cluster's own default holds, and nobody else's value is taken away from them.
public struct Workload: Sendable {
    /// What it is called, and most of its objects: a DNS label of at most 63 bytes (RFC 1123).
    public var name: String
    /// Where it lives; `nil` for whatever the context of whoever applies it says.
    public var namespace: String?
    /// Whether the namespace is made where it is not there.
    public var makesNamespace = false
    /// What it is part of, for `app.kubernetes.io/part-of`; `nil` for nothing.
    public var partOf: String?
    /// What people call this version, for `app.kubernetes.io/version`; `nil` where nobody said.
    public var version: String?
    /// Further labels of all its objects; none of them selects pods.
    public var labels: [String: String] = [:]
    /// Further annotations of the Deployment.
    public var annotations: [String: String] = [:]
    /// Further annotations of its pods.
    public var podAnnotations: [String: String] = [:]
    /// How many pods there are; `nil` leaves it to the cluster (1) or to ``autoscaling``.
    public var replicas: Int?
    /// How one version follows the other.
    public var strategy = Strategy.rolling
    /// How many seconds a rollout may make no progress; `nil` for the cluster's 600.
    public var progressDeadline: Int?
    /// What runs in each pod; at least one, the main one first.
    public var containers: [Container] = []
    /// What runs before, one after the other.
    public var initContainers: [Container] = []
    /// What containers can mount.
    public var volumes: [Volume] = []
    /// ConfigMaps that are made along.
    public var configMaps: [ConfigFiles] = []
    /// Secrets that are made along.
    public var secrets: [SecretFiles] = []
    /// PersistentVolumeClaims that are made along.
    public var claims: [Claim] = []
    /// Secrets that images are pulled with, by name.
    public var pullSecrets: [String] = []
    /// What holds for the pod as a whole.
    public var pod = Pod()
    /// The name that others in the cluster, or outside, reach it by; `nil` for none.
    public var service: Service?
    /// Further names for the same pods.
    public var furtherServices: [FurtherService] = []
    /// The host names that the world reaches it by; `nil` for none.
    public var ingress: Ingress?
    /// How many pods there are depends on their load; `nil` for a fixed number.
    public var autoscaling: Autoscaling?
    /// How many pods may be away at once while nodes are drained; `nil` for no promise.
    public var mayBeAway: Int?
    /// Remarks for people who read the manifests, by what they are about.
    public var remarks: [Remark: String] = [:]

    /// A workload without containers.
    ///
    /// - Parameter name: What it is called.
    public init(_ name: String) { self.name = name }

    /// How one version follows the other.
    public enum Strategy: Hashable, Sendable {
        /// A new pod answers before an old one goes.
        case rolling
        /// A new pod answers before an old one goes, with these numbers or shares (`1`, `25%`).
        case rollingWithin(surge: String, unavailable: String)
        /// All old pods go before a new one comes: what holds a volume alone needs it.
        case recreate
    }

    /// What a remark is about.
    public enum Remark: Hashable, Sendable {
        /// The image of the container of this name.
        case image(container: String)
        /// The security context of the container of this name.
        case security(container: String)
        /// The probes of the container of this name.
        case probes(container: String)
        /// The resources of the container of this name.
        case resources(container: String)
        /// The pod's security context.
        case podSecurity
        /// The nodes that pods run on.
        case nodes
        /// The number of pods.
        case replicas
        /// How one version follows the other.
        case strategy
        /// What images are pulled with.
        case pullSecrets
        /// The Service.
        case service
        /// The Ingress.
        case ingress
    }

    /// The objects of this workload, in the order in which they can be applied one after the other: the namespace, what
    /// containers are given, the Service, the Deployment, and what is about it.
    ///
    /// - Returns: At least a Deployment; each object is named once.
    /// - Throws: ``WorkloadError`` with everything that a cluster would refuse.
    public func manifests() throws(WorkloadError) -> [ObjectManifest] {
        let faults = faults
        if !faults.isEmpty { throw WorkloadError(name, faults) }
        return made
    }
}

/// A workload that no cluster would take.
public struct WorkloadError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, each in one line without a full stop; at least one.
    public let faults: [String]
    /// All of it in one line, with the workload's name.
    public let description: String

    /// An error.
    ///
    /// - Parameters:
    ///   - name: What the workload is called.
    ///   - faults: What is wrong with it.
    public init(_ name: String, _ faults: [String]) {
        self.faults = faults
        description = "the workload \(name): " + faults.joined(separator: "; ")
    }
}
