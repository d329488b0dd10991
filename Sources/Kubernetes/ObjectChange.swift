// SPDX-License-Identifier: Apache-2.0
public import OCI

/// One field that becomes another.
public struct ObjectChange: Hashable, Sendable {
    /// Where: `.spec.template.spec.containers[web].image`.
    public let field: String
    /// What it is; `nil` where it is not there, and for secrets a word that says there is one.
    public let before: String?
    /// What it becomes; `nil` where it goes.
    public let after: String?

    /// What becomes different when an object becomes another.
    ///
    /// What only the cluster writes is left out: status, versions, who owns what. Values of secrets are not shown, nor those
    /// of variables that are called like one.
    ///
    /// - Parameters:
    ///   - old: What there is.
    ///   - new: What it becomes.
    /// - Returns: Each change, sorted by field.
    public static func list(from old: JSONValue, to new: JSONValue) -> [ObjectChange] {
        let isSecret = new["kind"]?.string == "Secret"
        var changes: [ObjectChange] = []
        compare(clean(old), clean(new), "", isSecret, &changes)
        return changes.sorted { $0.field < $1.field }
    }

    /// An object without what only the cluster writes.
    ///
    /// - Parameter object: What a cluster gave.
    /// - Returns: The rest.
    public static func clean(_ object: JSONValue) -> JSONValue {
        var object = object
        object["status"] = nil
        for name in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"] {
            object["metadata"]?[name] = nil
        }
        for name in ["deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"] {
            object["metadata"]?["annotations"]?[name] = nil
        }
        if object["metadata"]?["annotations"]?.object?.isEmpty == true { object["metadata"]?["annotations"] = nil }
        return object
    }

    /// An object whose secrets are words that say so.
    ///
    /// - Parameter object: A manifest, or what a cluster gave.
    /// - Returns: The same otherwise.
    public static func redacted(_ object: JSONValue) -> JSONValue {
        guard object["kind"]?.string == "Secret" else { return object }
        var object = object
        for field in ["data", "stringData"] {
            if let members = object[field]?.object { object[field] = .object(members.mapValues { _ in "(secret)" }) }
        }
        return object
    }

    private static func compare(
        _ old: JSONValue?,
        _ new: JSONValue?,
        _ path: String,
        _ isSecret: Bool,
        _ changes: inout [ObjectChange]
    ) {
        guard old != new else { return }
        switch (old, new) {
        case (.object(let one)?, .object(let other)?):
            for name in Set(one.keys).union(other.keys) {
                let next = path + "." + quoted(name)
                if isSecret, path == ".data" || path == ".stringData" {
                    change(one[name], other[name], next, true, &changes)
                } else {
                    compare(one[name], other[name], next, isSecret, &changes)
                }
            }
        case (.array(let one)?, .array(let other)?): compare(one, other, path, isSecret, &changes)
        default: change(old, new, path, isSecret && (path == ".data" || path == ".stringData"), &changes)
        }
    }

    /// Elements are compared with those of the same name.
    private static func compare(
        _ one: [JSONValue],
        _ other: [JSONValue],
        _ path: String,
        _ isSecret: Bool,
        _ changes: inout [ObjectChange]
    ) {
        guard let key = key(one, other) else { return change(.array(one), .array(other), path, false, &changes) }
        let names = { (list: [JSONValue]) in Dictionary(list.map { (label($0[key]), $0) }) { first, _ in first } }
        let (before, after, count) = (names(one), names(other), changes.count)
        for name in Set(before.keys).union(after.keys) {
            let next = "\(path)[\(name)]"
            if looksSecret(name), path.hasSuffix(".env") {
                change(before[name], after[name], next, true, &changes)
            } else {
                compare(before[name], after[name], next, isSecret, &changes)
            }
        }
        // The same elements in another order.
        if changes.count == count { change(.array(one), .array(other), path, path.hasSuffix(".env"), &changes) }
    }

    private static func change(
        _ old: JSONValue?,
        _ new: JSONValue?,
        _ path: String,
        _ isHidden: Bool,
        _ changes: inout [ObjectChange]
    ) {
        guard old != new else { return }
        let text = { (value: JSONValue?) in value.map { isHidden ? "(secret)" : shown($0) } }
        changes.append(ObjectChange(field: path, before: text(old), after: text(new)))
    }

    /// What tells elements of a list apart: the first of these that all have, each another.
    private static func key(_ one: [JSONValue], _ other: [JSONValue]) -> String? {
        ["name", "containerPort", "port", "mountPath", "type", "key", "host", "path"]
            .first { key in
                [one, other]
                    .allSatisfy { list in
                        let labels = list.map { label($0[key]) }
                        return !labels.contains("") && Set(labels).count == list.count
                    }
            }
    }

    private static func label(_ value: JSONValue?) -> String { value?.string ?? value?.int.map { "\($0)" } ?? "" }

    private static func quoted(_ name: String) -> String {
        name.contains(".") || name.contains("/") ? "\"\(name)\"" : name
    }

    private static func shown(_ value: JSONValue) -> String {
        let text = value.string ?? value.canonical
        let line = text.split(whereSeparator: \.isNewline).joined(separator: "⏎")
        return line.count > 200 ? line.prefix(200) + "…" : line.isEmpty ? "\"\"" : line
    }

    private static func looksSecret(_ name: String) -> Bool {
        let words = name.uppercased()
        return ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE_KEY", "CONNECTION_STRING"]
            .contains { words.contains($0) }
    }
}
