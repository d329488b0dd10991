// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// How a value is merged with another one at its place: what `x-kubernetes-list-type`, `x-kubernetes-list-map-keys`
/// and `x-kubernetes-map-type` of Kubernetes's published OpenAPI document say.
///
/// Written down here by names of members, so that it is known without that document; a test compares the two.
enum MergeShape: Equatable {
    /// An object whose members are merged one by one; any plain value.
    case granular
    /// Replaced as a whole.
    case atomic
    /// A list of objects that are known by these members.
    case keyed([String])
    /// A list of values each of which is there once.
    case set

    /// Lists that are merged by names of members.
    private static let keys: [String: [String]] = [
        "conditions": ["type"], "containers": ["name"], "initContainers": ["name"], "ephemeralContainers": ["name"],
        "env": ["name"], "hostAliases": ["ip"], "imagePullSecrets": ["name"], "ownerReferences": ["uid"],
        "podIPs": ["ip"], "resourceClaims": ["name"], "schedulingGates": ["name"], "secrets": ["name"],
        "topologySpreadConstraints": ["topologyKey", "whenUnsatisfiable"], "volumeDevices": ["devicePath"],
        "volumeMounts": ["mountPath"], "volumes": ["name"], "claims": ["name"],
    ]

    /// Objects that are replaced as a whole.
    private static let whole: Set<String> = [
        "selector", "labelSelector", "namespaceSelector", "podSelector", "nodeSelector", "configMapKeyRef",
        "secretKeyRef", "fieldRef", "resourceFieldRef", "fileKeyRef", "dataSource", "secretRef", "claimRef",
        "involvedObject", "targetRef",
    ]

    /// Lists whose elements are replaced as a whole.
    static let wholeElements: Set<String> = ["imagePullSecrets", "ownerReferences"]

    /// The shape of a value.
    ///
    /// - Parameters:
    ///   - value: The value.
    ///   - path: The names of members on the way to it.
    static func of(_ value: JSONValue, at path: [String]) -> MergeShape {
        guard let name = path.last else { return .granular }
        let parent = path.dropLast().last ?? ""
        // Names of labels, annotations and files are anybody's.
        if ["labels", "annotations", "data", "stringData", "binaryData", "limits", "requests", "hard"].contains(parent) {
            return value.array == nil ? .granular : .atomic
        }
        if value.array != nil {
            if name == "finalizers" { return parent == "metadata" ? .set : .atomic }
            if name == "ports" {
                if ["containers", "initContainers", "ephemeralContainers"].contains(parent) {
                    return .keyed(["containerPort", "protocol"])
                }
                return parent == "spec" && path.count == 2 ? .keyed(["port", "protocol"]) : .atomic
            }
            if name == "imagePullSecrets", path.count == 1 { return .atomic }
            return keys[name].map { .keyed($0) } ?? .atomic
        }
        return value.object != nil && whole.contains(name) ? .atomic : .granular
    }

    /// The member by which strategic merge patches know elements; `nil` where they replace the list.
    static func patchKey(at path: [String], _ value: JSONValue) -> String? {
        if path.last == "imagePullSecrets", path.count == 1 { return nil }
        guard case .keyed(let keys) = of(value, at: path), path.last != "claims" else { return nil }
        return keys[0]
    }

    /// What names an element of a keyed list: an object of its keys; `protocol` is TCP where it is not said.
    static func key(of element: JSONValue, _ keys: [String]) -> JSONValue {
        .object(
            keys.reduce(into: [:]) { result, key in
                result[key] = element[key] ?? (key == "protocol" ? JSONValue?("TCP") : JSONValue?.none)
            }
        )
    }
}
