// SPDX-License-Identifier: Apache-2.0
internal import HTTP
public import OCI

/// A kind of objects, and where a cluster keeps them.
public struct ResourceKind: Hashable, Sendable, CustomStringConvertible {
    /// Group and version: `apps/v1`, or `v1` for the oldest kinds.
    public let apiVersion: String
    /// `Deployment`.
    public let kind: String
    /// As addresses have it: `deployments`.
    public let plural: String
    /// Whether objects of it are in a namespace.
    public let isNamespaced: Bool

    /// Names a kind.
    ///
    /// - Parameters:
    ///   - apiVersion: Group and version.
    ///   - kind: The kind.
    ///   - plural: As addresses have it.
    ///   - isNamespaced: Whether objects of it are in a namespace.
    public init(_ apiVersion: String, _ kind: String, plural: String, isNamespaced: Bool = true) {
        (self.apiVersion, self.kind, self.plural, self.isNamespaced) = (apiVersion, kind, plural, isNamespaced)
    }

    /// As commands have it: `deployment`.
    public var description: String { kind.lowercased() }

    /// The group: `apps`; empty for the oldest kinds.
    public var group: String { apiVersion.contains("/") ? String(apiVersion.prefix { $0 != "/" }) : "" }

    /// As `kubectl` has it where the name alone may mean several: `deployments.apps`, `services`.
    public var qualified: String { group.isEmpty ? plural : "\(plural).\(group)" }

    /// The path of an object, of all objects in a namespace, or of all there are.
    ///
    /// - Parameters:
    ///   - namespace: The namespace; `nil` for all, and of no effect on kinds that are in none.
    ///   - name: The object's name; `nil` for all.
    /// - Returns: `/apis/apps/v1/namespaces/default/deployments/web`.
    public func path(namespace: String?, name: String? = nil) -> String {
        var path = (apiVersion.contains("/") ? "/apis/" : "/api/") + apiVersion
        if isNamespaced, let namespace { path += "/namespaces/" + HTTPURL.encoded(namespace) }
        path += "/" + plural
        if let name { path += "/" + HTTPURL.encoded(name) }
        return path
    }

    /// The kind of an object that is one of the well-known; `nil` for others, which the cluster can be asked for.
    ///
    /// - Parameter object: A manifest, or what a cluster gave.
    /// - Returns: The kind.
    public static func known(_ object: JSONValue) -> ResourceKind? {
        guard let version = object["apiVersion"]?.string, let kind = object["kind"]?.string else { return nil }
        return wellKnown.first { $0.apiVersion == version && $0.kind == kind }
    }
}

extension ResourceKind {
    /// Runs copies of a pod, and replaces them without a gap.
    public static let deployment = ResourceKind("apps/v1", "Deployment", plural: "deployments")
    /// The copies of one version of a deployment.
    public static let replicaSet = ResourceKind("apps/v1", "ReplicaSet", plural: "replicasets")
    /// Containers that share an address.
    public static let pod = ResourceKind("v1", "Pod", plural: "pods")
    /// A name and address for pods.
    public static let service = ResourceKind("v1", "Service", plural: "services")
    /// Settings.
    public static let configMap = ResourceKind("v1", "ConfigMap", plural: "configmaps")
    /// Settings that not everybody may read.
    public static let secret = ResourceKind("v1", "Secret", plural: "secrets")
    /// What happened.
    public static let event = ResourceKind("v1", "Event", plural: "events")
    /// A folder of objects.
    public static let namespace = ResourceKind("v1", "Namespace", plural: "namespaces", isNamespaced: false)
    /// A machine.
    public static let node = ResourceKind("v1", "Node", plural: "nodes", isNamespaced: false)
    /// Who pods are.
    public static let serviceAccount = ResourceKind("v1", "ServiceAccount", plural: "serviceaccounts")
    /// A way in from outside, by host and path.
    public static let ingress = ResourceKind("networking.k8s.io/v1", "Ingress", plural: "ingresses")
    /// Changes how many copies there are by how much they have to do.
    public static let autoscaler = ResourceKind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        plural: "horizontalpodautoscalers"
    )
    /// How many copies must be left when machines are emptied.
    public static let disruptionBudget = ResourceKind(
        "policy/v1",
        "PodDisruptionBudget",
        plural: "poddisruptionbudgets"
    )
    /// A disk.
    public static let volumeClaim = ResourceKind("v1", "PersistentVolumeClaim", plural: "persistentvolumeclaims")

    static let wellKnown: [ResourceKind] = [
        deployment, replicaSet, pod, service, configMap, secret, event, namespace, node, serviceAccount, ingress,
        autoscaler, disruptionBudget, volumeClaim,
        ResourceKind("apps/v1", "StatefulSet", plural: "statefulsets"),
        ResourceKind("apps/v1", "DaemonSet", plural: "daemonsets"),
        ResourceKind("batch/v1", "Job", plural: "jobs"),
        ResourceKind("batch/v1", "CronJob", plural: "cronjobs"),
        ResourceKind("networking.k8s.io/v1", "NetworkPolicy", plural: "networkpolicies"),
    ]
}
