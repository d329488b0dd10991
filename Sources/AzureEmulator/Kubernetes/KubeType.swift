// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// A type of objects that the cluster keeps.
struct KubeType: Hashable, Sendable {
    /// Empty for the core group.
    let group: String
    let version: String
    let kind: String
    let plural: String
    var shortNames: [String] = []
    var isNamespaced = true
    /// `status`, `scale`, and what pods have.
    var subresources: [String] = []
    var categories: [String] = []

    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    var singular: String { kind.lowercased() }
    /// As errors name it: `deployments.apps`.
    var qualified: String { group.isEmpty ? plural : "\(plural).\(group)" }
    /// As errors of validation name it: `Deployment.apps`.
    var qualifiedKind: String { group.isEmpty ? kind : "\(kind).\(group)" }
    var hasStatus: Bool { subresources.contains("status") }
    /// As conversions and strict decoding name it: `apps/v1, Kind=Deployment`.
    var described: String { "\(apiVersion), Kind=\(kind)" }

    static func == (left: KubeType, right: KubeType) -> Bool {
        left.plural == right.plural && left.group == right.group
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(plural)
        hasher.combine(group)
    }

    static let namespaces = KubeType(
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
        shortNames: ["ns"],
        isNamespaced: false,
        subresources: ["finalize", "status"]
    )
    static let nodes = KubeType(
        group: "",
        version: "v1",
        kind: "Node",
        plural: "nodes",
        shortNames: ["no"],
        isNamespaced: false,
        subresources: ["status"]
    )
    static let pods = KubeType(
        group: "",
        version: "v1",
        kind: "Pod",
        plural: "pods",
        shortNames: ["po"],
        subresources: ["eviction", "exec", "log", "status"],
        categories: ["all"]
    )
    static let services = KubeType(
        group: "",
        version: "v1",
        kind: "Service",
        plural: "services",
        shortNames: ["svc"],
        subresources: ["status"],
        categories: ["all"]
    )
    static let endpoints = KubeType(
        group: "",
        version: "v1",
        kind: "Endpoints",
        plural: "endpoints",
        shortNames: ["ep"]
    )
    static let configMaps = KubeType(
        group: "",
        version: "v1",
        kind: "ConfigMap",
        plural: "configmaps",
        shortNames: ["cm"]
    )
    static let secrets = KubeType(group: "", version: "v1", kind: "Secret", plural: "secrets")
    static let serviceAccounts = KubeType(
        group: "",
        version: "v1",
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        shortNames: ["sa"]
    )
    static let claims = KubeType(
        group: "",
        version: "v1",
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        shortNames: ["pvc"],
        subresources: ["status"]
    )
    static let events = KubeType(group: "", version: "v1", kind: "Event", plural: "events", shortNames: ["ev"])
    static let deployments = KubeType(
        group: "apps",
        version: "v1",
        kind: "Deployment",
        plural: "deployments",
        shortNames: ["deploy"],
        subresources: ["scale", "status"],
        categories: ["all"]
    )
    static let replicaSets = KubeType(
        group: "apps",
        version: "v1",
        kind: "ReplicaSet",
        plural: "replicasets",
        shortNames: ["rs"],
        subresources: ["scale", "status"],
        categories: ["all"]
    )
    static let ingresses = KubeType(
        group: "networking.k8s.io",
        version: "v1",
        kind: "Ingress",
        plural: "ingresses",
        shortNames: ["ing"],
        subresources: ["status"]
    )
    static let networkPolicies = KubeType(
        group: "networking.k8s.io",
        version: "v1",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        shortNames: ["netpol"]
    )
    static let autoscalers = KubeType(
        group: "autoscaling",
        version: "v2",
        kind: "HorizontalPodAutoscaler",
        plural: "horizontalpodautoscalers",
        shortNames: ["hpa"],
        subresources: ["status"],
        categories: ["all"]
    )
    static let disruptionBudgets = KubeType(
        group: "policy",
        version: "v1",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        shortNames: ["pdb"],
        subresources: ["status"]
    )

    static let all = [
        configMaps, endpoints, events, namespaces, nodes, claims, pods, secrets, serviceAccounts, services, deployments,
        replicaSets, autoscalers, ingresses, networkPolicies, disruptionBudgets,
    ]

    /// The type of an object that a person wrote; `nil` where the cluster has none such.
    static func of(_ apiVersion: String, _ kind: String) -> KubeType? {
        all.first { $0.apiVersion == apiVersion && $0.kind == kind }
    }
}
