// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What the API server says it has.
enum KubeDiscovery {
    /// Answers paths above resources; `nil` where the path is none of them.
    static func answer(_ segments: [String]) -> JSONValue? {
        switch segments {
        case ["version"]:
            return [
                "major": "1", "minor": "36", "gitVersion": .string(KubernetesCluster.version),
                "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
                "buildDate": "2026-04-22T00:00:00Z", "goVersion": "go1.26", "compiler": "gc",
                "platform": "linux/amd64",
            ]
        case ["api"]:
            return [
                "kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [["clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"]],
            ]
        case ["apis"]:
            return ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groups.map(group))]
        case ["api", "v1"]: return list("", "v1")
        default:
            guard segments.count >= 2, segments[0] == "apis", let found = groups.first(where: { $0 == segments[1] })
            else { return nil }
            if segments.count == 2 {
                var body = group(found)
                body["kind"] = "APIGroup"
                body["apiVersion"] = "v1"
                return body
            }
            guard segments.count == 3, segments[2] == version(found) else { return nil }
            return list(found, segments[2])
        }
    }

    private static var groups: [String] {
        var names: [String] = []
        for type in KubeType.all where !type.group.isEmpty && !names.contains(type.group) { names.append(type.group) }
        return names + ["authorization.k8s.io"]
    }

    private static func version(_ group: String) -> String {
        KubeType.all.first { $0.group == group }?.version ?? "v1"
    }

    private static func group(_ name: String) -> JSONValue {
        let version: JSONValue = [
            "groupVersion": .string("\(name)/\(version(name))"), "version": .string(version(name)),
        ]
        return ["name": .string(name), "versions": [version], "preferredVersion": version]
    }

    private static func list(_ group: String, _ version: String) -> JSONValue {
        var resources: [JSONValue] = []
        for type in KubeType.all where type.group == group {
            var entry: JSONValue = [
                "name": .string(type.plural), "singularName": .string(type.singular),
                "namespaced": .bool(type.isNamespaced), "kind": .string(type.kind),
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            ]
            if !type.shortNames.isEmpty { entry["shortNames"] = JSONValue(type.shortNames) }
            if !type.categories.isEmpty { entry["categories"] = JSONValue(type.categories) }
            resources.append(entry)
            for part in type.subresources { resources.append(subresource(type, part)) }
        }
        if group == "authorization.k8s.io" {
            resources.append([
                "name": "selfsubjectaccessreviews", "singularName": "selfsubjectaccessreview", "namespaced": false,
                "kind": "SelfSubjectAccessReview", "verbs": ["create"],
            ])
        }
        return [
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"), "resources": .array(resources),
        ]
    }

    private static func subresource(_ type: KubeType, _ part: String) -> JSONValue {
        var entry: JSONValue = [
            "name": .string("\(type.plural)/\(part)"), "singularName": "", "namespaced": .bool(type.isNamespaced),
            "kind": .string(type.kind), "verbs": ["get", "patch", "update"],
        ]
        switch part {
        case "scale": (entry["kind"], entry["group"], entry["version"]) = ("Scale", "autoscaling", "v1")
        case "eviction":
            (entry["kind"], entry["group"], entry["version"], entry["verbs"]) = (
                "Eviction", "policy", "v1", ["create"]
            )
        case "exec": (entry["kind"], entry["verbs"]) = ("PodExecOptions", ["create", "get"])
        case "log": entry["verbs"] = ["get"]
        default: break
        }
        return entry
    }
}
