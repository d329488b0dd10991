// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Kubernetes
internal import OCI

extension AKSTarget {
    /// What an object becomes, told from what there is alone: what we own and leave out goes, what the manifest names is set.
    ///
    /// The cluster's defaults, its admission and the arguments of others about fields are not in it.
    ///
    /// - Parameters:
    ///   - live: What there is.
    ///   - manifest: What is wanted.
    /// - Returns: What it becomes.
    static func predicted(_ live: JSONValue, _ manifest: JSONValue) -> JSONValue {
        let ours = ManagedFields(live).ours
        // An empty set would name all that is there.
        let own = ours.isEmpty ? nil : ours.part(of: live)
        return merged(live, own, manifest, "") ?? manifest
    }

    private static func merged(
        _ live: JSONValue?,
        _ own: JSONValue?,
        _ new: JSONValue?,
        _ field: String
    ) -> JSONValue? {
        switch (new, live) {
        case (nil, _): return without(own, live, field)
        case (.object(let wanted)?, _):
            let before = live?.object ?? [:]
            var result: [String: JSONValue] = [:]
            for name in Set(wanted.keys).union(before.keys) {
                result[name] = merged(before[name], own?[name], wanted[name], name)
            }
            return .object(result)
        case (.array(let wanted)?, .array(let before)?):
            guard let keys = keys(of: field, wanted + before) else { return same(live, new, field) }
            let mine = own?.array ?? []
            let find = { (list: [JSONValue], element: JSONValue) in list.first { isSame($0, element, keys) } }
            let kept = before.compactMap { element -> JSONValue? in
                guard var result = merged(element, find(mine, element), find(wanted, element), field) else {
                    return nil
                }
                // What tells elements apart is everybody's.
                if find(wanted, element) != nil { for key in keys { result[key] = element[key] } }
                return result
            }
            let added = wanted.filter { find(before, $0) == nil }
            return .array(kept + added)
        default: return same(live, new, field)
        }
    }

    /// What is left where we leave out what was ours; `nil` where nothing is.
    private static func without(_ own: JSONValue?, _ live: JSONValue?, _ field: String) -> JSONValue? {
        guard let own, let live else { return live }
        guard case .object(let mine) = own, case .object(let before) = live else { return nil }
        var result: [String: JSONValue] = [:]
        for (name, value) in before {
            result[name] = mine[name] == nil ? value : without(mine[name], value, name)
        }
        return result.isEmpty ? nil : .object(result)
    }

    /// The members that tell elements of a list apart; `nil` for a list that is set as a whole.
    ///
    /// Specification: `x-kubernetes-list-map-keys` of Kubernetes' interface.
    private static func keys(of field: String, _ elements: [JSONValue]) -> [String]? {
        switch field {
        case "containers", "initContainers", "env", "volumes", "imagePullSecrets": return ["name"]
        case "volumeMounts": return ["mountPath"]
        case "ports":
            let key = elements.contains { $0["containerPort"] != nil } ? "containerPort" : "port"
            return [key, "protocol"]
        default: return nil
        }
    }

    private static func isSame(_ one: JSONValue, _ other: JSONValue, _ keys: [String]) -> Bool {
        // A port that does not say is TCP.
        let value = { (element: JSONValue, key: String) in element[key] ?? (key == "protocol" ? "TCP" : .null) }
        return keys.allSatisfy { value(one, $0) == value(other, $0) }
    }

    /// A quantity that is written otherwise is the same: `1000m` is `1`.
    private static func same(_ live: JSONValue?, _ new: JSONValue?, _ field: String) -> JSONValue? {
        guard ["cpu", "memory", "storage", "ephemeral-storage"].contains(field), let before = live?.string,
            let after = new?.string, let one = Quantity.value(before), let other = Quantity.value(after), one == other
        else { return new }
        return live
    }
}
