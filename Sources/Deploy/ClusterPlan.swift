// SPDX-License-Identifier: Apache-2.0
public import Kubernetes
public import OCI

/// What is going to be done in a cluster: what there is, against what the cluster says it would become.
public struct ClusterPlan: DeployPlan {
    /// One object.
    public struct Item: Sendable {
        /// Its kind.
        public let kind: ResourceKind
        /// Its name.
        public let name: String
        /// Where it is; `nil` where its kind is in no namespace.
        public let namespace: String?
        /// What is going to be sent; secrets are there.
        public let manifest: JSONValue
        /// What there is; `nil` where there is none.
        public let live: JSONValue?
        /// What the cluster says it becomes; the manifest itself where the cluster cannot say yet.
        public let wanted: JSONValue
        /// What becomes different; empty for a new one.
        public let changes: [ObjectChange]

        /// As commands have it: `deployment/web`.
        public var title: String { "\(kind)/\(name)" }

        /// Whether it becomes another, or comes to be.
        public var isChanged: Bool { live == nil || !changes.isEmpty }

        /// Whether pods of it are replaced.
        var replacesPods: Bool {
            kind == .deployment && live != nil && changes.contains { $0.field.hasPrefix(".spec.template") }
        }
    }

    /// What becomes of it all.
    public let action: DeployAction
    /// The deployment's name.
    public let name: String
    /// The objects, in the order in which they are applied.
    public let items: [Item]
    /// What should be known besides; one line each, no secrets.
    public let notes: [String]

    /// Plans.
    ///
    /// - Parameters:
    ///   - name: The deployment's name.
    ///   - items: The objects, in the order in which they are applied.
    ///   - notes: What should be known besides.
    init(_ name: String, _ items: [Item], notes: [String]) {
        (self.name, self.items) = (name, items)
        self.notes = notes + ClusterPlan.notes(on: items)
        if !items.contains(where: \.isChanged) {
            action = .unchanged
        } else if items.contains(where: { $0.kind == .deployment && $0.live == nil })
            || items.allSatisfy({ $0.live == nil })
        {
            action = .create
        } else {
            action = items.contains(where: \.replacesPods) ? .restart : .inPlace
        }
    }

    /// What is read by pods only when they start.
    private static func notes(on items: [Item]) -> [String] {
        let settings = items.filter { item in
            [.configMap, .secret].contains(item.kind) && item.live != nil
                && item.changes.contains { $0.field.hasPrefix(".data") }
        }
        return settings.compactMap { item in
            let readers = items.filter { reader in
                reader.kind == .deployment && reader.live != nil && !reader.replacesPods
                    && PodReferences(reader.manifest).variables
                        .contains { $0.kind == item.kind && $0.name == item.name }
            }
            guard let reader = readers.first else { return nil }
            return "\(item.title) changes, and pods of \(reader.title) read it when they start: "
                + "kubectl rollout restart \(reader.title)"
        }
    }

    /// For people: what is done, each change on a line; no secrets.
    public var text: String {
        var lines = [headline]
        for item in items where item.isChanged {
            if item.live == nil {
                lines.append("  + \(item.title)" + summary(item.manifest))
                continue
            }
            lines.append("  ~ \(item.title)")
            lines += item.changes.map { "      " + ClusterPlan.line($0) }
        }
        lines += notes.map { "  note: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private var headline: String {
        let changed = items.filter { $0.isChanged && $0.live != nil }.count
        let new = items.filter { $0.live == nil }.count
        switch action {
        case .create:
            return "create \(name): \(new) new object\(new == 1 ? "" : "s")"
                + (changed > 0 ? ", \(changed) changed" : "")
        case .unchanged: return "\(name) is as it should be: nothing to do"
        case .restart: return "change \(name): its pods are replaced, one after the other"
        default: return "change \(name): no pod is replaced"
        }
    }

    private func summary(_ manifest: JSONValue) -> String {
        let containers = manifest["spec"]?["template"]?["spec"]?["containers"]?.array ?? []
        let images = containers.compactMap { $0["image"]?.string }
        return images.isEmpty ? "" : " from " + images.joined(separator: ", ")
    }

    private static func line(_ change: ObjectChange) -> String {
        switch (change.before, change.after) {
        case (let before?, let after?): "~ \(change.field): \(before) -> \(after)"
        case (nil, let after): "+ \(change.field): \(after ?? "")"
        case (let before, nil): "- \(change.field): \(before ?? "")"
        }
    }

    /// The plan for programs; no secrets.
    public var json: JSONValue {
        var json: JSONValue = ["action": .string(action.rawValue), "name": .string(name)]
        if !notes.isEmpty { json["notes"] = JSONValue(notes) }
        json["objects"] = .array(
            items.map { item in
                var json: JSONValue = [
                    "kind": .string(item.kind.kind), "apiVersion": .string(item.kind.apiVersion),
                    "name": .string(item.name),
                    "action": .string(item.live == nil ? "create" : item.changes.isEmpty ? "unchanged" : "change"),
                    "manifest": ObjectChange.redacted(item.manifest),
                ]
                json["namespace"] = item.namespace.map { .string($0) }
                if !item.changes.isEmpty { json["changes"] = .array(item.changes.map { $0.json }) }
                return json
            }
        )
        return json
    }
}

extension ObjectChange {
    fileprivate var json: JSONValue {
        var json: JSONValue = ["field": .string(field)]
        json["before"] = before.map { .string($0) }
        json["after"] = after.map { .string($0) }
        return json
    }
}
