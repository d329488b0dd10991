// SPDX-License-Identifier: Apache-2.0
public import OCI

/// A set of fields of an object, as `metadata.managedFields` says which belong to whom.
///
/// Specification: structured-merge-diff, `FieldsV1`: `f:NAME` a member, `k:{…}` an element by its keys, `v:…` an element
/// by its value, `i:N` one by its place, `.` the thing itself.
public struct FieldSet: Hashable, Sendable {
    private var children: [String: FieldSet] = [:]

    /// No field.
    public init() {}

    /// Reads a set.
    ///
    /// - Parameter fields: As `fieldsV1` has it.
    public init(_ fields: JSONValue) {
        for (key, value) in fields.object ?? [:] where key != "." { children[key] = FieldSet(value) }
    }

    /// Whether it names no field, which means all that is there.
    public var isEmpty: Bool { children.isEmpty }

    /// The fields of both.
    ///
    /// - Parameter other: Further fields.
    /// - Returns: The union.
    public func union(_ other: FieldSet) -> FieldSet {
        var result = self
        for (key, theirs) in other.children {
            // A leaf is a value as a whole, and takes in what is within.
            if let own = children[key] {
                result.children[key] = own.isEmpty || theirs.isEmpty ? FieldSet() : own.union(theirs)
            } else {
                result.children[key] = theirs
            }
        }
        return result
    }

    /// Whether a member of members is in it.
    ///
    /// - Parameter path: The members' names, from the outside in.
    /// - Returns: Whether it is.
    public func contains(_ path: [String]) -> Bool {
        guard let first = path.first else { return true }
        guard let child = children["f:" + first] else { return false }
        return child.isEmpty || child.contains(Array(path.dropFirst()))
    }

    /// What a value has of these fields.
    ///
    /// - Parameter value: The value.
    /// - Returns: The same with nothing else in it; `nil` where it has none of them.
    public func part(of value: JSONValue) -> JSONValue? {
        guard !children.isEmpty else { return value }
        switch value {
        case .object(let members):
            var result: [String: JSONValue] = [:]
            for (name, member) in members {
                if let child = children["f:" + name], let part = child.part(of: member) { result[name] = part }
            }
            return .object(result)
        case .array(let elements):
            let parts = elements.enumerated().compactMap { part(of: $1, at: $0) }
            return parts.isEmpty ? nil : .array(parts)
        default: return value
        }
    }

    private func part(of element: JSONValue, at index: Int) -> JSONValue? {
        for (key, child) in children {
            guard let colon = key.firstIndex(of: ":") else { continue }
            let text = String(key[key.index(after: colon)...])
            switch key[..<colon] {
            case "k":
                guard let keys = (try? JSONValue(parsing: Array(text.utf8)))?.object,
                    keys.allSatisfy({ FieldSet.isSame(element[$0.key], $0.value, key: $0.key) })
                else { continue }
                guard var part = child.part(of: element) else { return nil }
                for name in keys.keys { part[name] = element[name] }
                return part
            case "v": if (try? JSONValue(parsing: Array(text.utf8))) == element { return element }
            case "i": if Int(text) == index { return child.part(of: element) }
            default: continue
            }
        }
        return nil
    }

    /// A key that is left out has its default, which ports have.
    private static func isSame(_ value: JSONValue?, _ key: JSONValue, key name: String) -> Bool {
        value == key || (value == nil && name == "protocol" && key == "TCP")
    }
}

/// Which fields of an object belong to whom.
public struct ManagedFields: Sendable {
    private let entries: [(manager: String, isApplied: Bool, subresource: String, fields: FieldSet)]

    /// Reads them.
    ///
    /// - Parameter object: What a cluster gave.
    public init(_ object: JSONValue) {
        entries = (object["metadata"]?["managedFields"]?.array ?? [])
            .map { entry in
                var fields = FieldSet(entry["fieldsV1"] ?? [:])
                // What secrets are told as text is kept with the rest of their data.
                if let texts = entry["fieldsV1"]?["f:stringData"] {
                    fields = fields.union(FieldSet(["f:data": texts]))
                }
                return (
                    entry["manager"]?.string ?? "", entry["operation"]?.string == "Apply",
                    entry["subresource"]?.string ?? "", fields
                )
            }
    }

    /// What we applied; empty where we never did.
    public var ours: FieldSet {
        entries.first { $0.manager == ClusterClient.manager && $0.isApplied && $0.subresource.isEmpty }?.fields
            ?? FieldSet()
    }

    /// Whether a field is of somebody else.
    ///
    /// - Parameter path: The members' names, from the outside in.
    /// - Returns: Whether it is; it may be ours as well.
    public func areOthers(_ path: [String]) -> Bool {
        entries.contains { entry in
            let isOurs = entry.manager == ClusterClient.manager && entry.isApplied && entry.subresource.isEmpty
            return !isOurs && entry.fields.contains(path)
        }
    }
}
