// SPDX-License-Identifier: Apache-2.0
internal import OCI

extension JSONValue {
    /// A value beneath this one, by names of members exactly as they are written.
    func at(_ path: String...) -> JSONValue? { at(path[...]) }

    /// A value beneath this one, by names of members exactly as they are written.
    func at(_ path: ArraySlice<String>) -> JSONValue? {
        path.reduce(Optional(self)) { value, name in value?[name] }
    }

    /// The text beneath this value; empty where there is none.
    func text(_ path: String...) -> String { at(path[...])?.string ?? "" }

    /// Sets a value beneath this one, making objects on the way; `nil` takes it away.
    mutating func set(_ path: String..., to value: JSONValue?) { set(path[...], value) }

    /// Sets a value beneath this one, making objects on the way; `nil` takes it away.
    mutating func set(_ path: ArraySlice<String>, _ value: JSONValue?) {
        guard let name = path.first else {
            self = value ?? .null
            return
        }
        guard path.count > 1 else {
            if value != nil || self[name] != nil { self[name] = value }
            return
        }
        if self[name] == nil, value == nil { return }
        var inner = self[name] ?? [:]
        inner.set(path.dropFirst(), value)
        self[name] = inner
    }

    /// Sets a member that is missing.
    mutating func fill(_ name: String, _ value: JSONValue) { if self[name] == nil { self[name] = value } }

    /// This value without members that are null, at any depth.
    var withoutNulls: JSONValue {
        switch self {
        case .object(let members): .object(members.filter { $0.value != .null }.mapValues(\.withoutNulls))
        case .array(let elements): .array(elements.map(\.withoutNulls))
        default: self
        }
    }
}

/// What is read often of any object.
extension JSONValue {
    var kubeName: String { text("metadata", "name") }
    var kubeNamespace: String { text("metadata", "namespace") }
    var kubeUID: String { text("metadata", "uid") }
    var kubeRevision: Int64 { Int64(text("metadata", "resourceVersion")) ?? 0 }
    var kubeLabels: [String: String] { at("metadata", "labels")?.strings ?? [:] }
    var isBeingDeleted: Bool { at("metadata", "deletionTimestamp") != nil }
    /// The number of the owner that controls this object; empty where it has none.
    var controllerUID: String {
        (at("metadata", "ownerReferences")?.array ?? []).first { $0["controller"]?.bool == true }?.text("uid") ?? ""
    }
}
