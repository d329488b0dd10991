// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// A set of fields of an object, as `managedFields` have it in `fieldsV1`.
///
/// Steps are written as there: `f:NAME` for members, `k:{…}` for elements by their keys, `v:…` for elements by value.
///
/// Specification: Kubernetes, "Server-Side Apply"; the format is described in structured-merge-diff's `fieldpath`.
struct FieldTree: Equatable, Sendable {
    /// Whether the field itself is in the set, besides what is beneath.
    var isMember = false
    var children: [String: FieldTree] = [:]

    static let leaf = FieldTree(isMember: true)

    var isEmpty: Bool { !isMember && children.isEmpty }

    // MARK: As it is written

    init(isMember: Bool = false) { self.isMember = isMember }

    /// Reads `fieldsV1`.
    init(fields: JSONValue) {
        let members = fields.object ?? [:]
        isMember = members.isEmpty || members["."] != nil
        for (step, inner) in members where step != "." { children[step] = FieldTree(fields: inner) }
    }

    /// `fieldsV1`.
    var fields: JSONValue {
        var members = children.mapValues(\.fields)
        if isMember, !children.isEmpty { members["."] = [:] }
        return .object(members)
    }

    // MARK: Of objects

    /// All fields that a value sets.
    init(of value: JSONValue, at path: [String] = []) {
        switch MergeShape.of(value, at: path) {
        case .atomic: isMember = true
        case .set:
            for element in value.array ?? [] { children["v:\(element.canonical)"] = .leaf }
            if children.isEmpty { isMember = true }
        case .keyed(let keys):
            for element in value.array ?? [] {
                var inner = FieldTree()
                if !MergeShape.wholeElements.contains(path.last ?? "") { inner = FieldTree(of: element, at: path) }
                inner.isMember = true
                children["k:\(MergeShape.key(of: element, keys).canonical)"] = inner
            }
            if children.isEmpty { isMember = true }
        case .granular:
            guard let members = value.object else {
                isMember = true
                return
            }
            for (name, member) in members { children["f:\(name)"] = FieldTree(of: member, at: path + [name]) }
            if members.isEmpty { isMember = !path.isEmpty }
        }
    }

    /// Elements of a keyed list are merged like objects of the list's own name.
    init(ofElement element: JSONValue, in path: [String]) {
        for (name, member) in element.object ?? [:] { children["f:\(name)"] = FieldTree(of: member, at: path + [name]) }
        isMember = true
    }

    // MARK: Sets

    func union(_ other: FieldTree) -> FieldTree {
        var result = self
        result.isMember = isMember || other.isMember
        for (step, inner) in other.children { result.children[step] = result.children[step]?.union(inner) ?? inner }
        return result
    }

    func subtracting(_ other: FieldTree) -> FieldTree {
        var result = FieldTree(isMember: isMember && !other.isMember)
        for (step, inner) in children {
            let rest = other.children[step].map { inner.subtracting($0) } ?? inner
            if !rest.isEmpty { result.children[step] = rest }
        }
        return result
    }

    func intersection(_ other: FieldTree) -> FieldTree {
        var result = FieldTree(isMember: isMember && other.isMember)
        for (step, inner) in children {
            guard let both = other.children[step].map({ inner.intersection($0) }), !both.isEmpty else { continue }
            result.children[step] = both
        }
        return result
    }

    /// What of this set is still there in another one that has more: elements that went take what is beneath along.
    func kept(in other: FieldTree) -> FieldTree { intersection(other) }

    /// Every field of the set, its steps in order.
    var paths: [[String]] {
        var result: [[String]] = isMember ? [[]] : []
        for (step, inner) in children.sorted(by: { $0.key < $1.key }) { result += inner.paths.map { [step] + $0 } }
        return result
    }

    func contains(_ path: ArraySlice<String>) -> Bool {
        guard let step = path.first else { return isMember }
        return children[step]?.contains(path.dropFirst()) ?? false
    }

    /// A set of these fields.
    init(paths: [[String]]) {
        for path in paths { insert(path[...]) }
    }

    mutating func insert(_ path: ArraySlice<String>) {
        guard let step = path.first else {
            isMember = true
            return
        }
        children[step, default: FieldTree()].insert(path.dropFirst())
    }

    /// A path as people read it: `.spec.template.spec.containers[name="web"].image`.
    static func text(_ path: [String]) -> String {
        path.map { step in
            let rest = step.dropFirst(2)
            switch step.prefix(2) {
            case "k:":
                let key = (try? JSONValue(parsing: Array(rest.utf8)))?.object ?? [:]
                let parts = key.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.canonical)" }
                return "[\(parts.joined(separator: ","))]"
            case "v:": return "[=\(rest)]"
            default: return ".\(rest)"
            }
        }
        .joined()
    }
}

/// Values of objects by steps of ``FieldTree``.
extension JSONValue {
    /// The element of a list that a step names.
    private func place(_ step: String) -> Int? {
        guard let elements = array else { return nil }
        let text = Array(step.dropFirst(2).utf8)
        guard let wanted = try? JSONValue(parsing: text) else { return nil }
        if step.hasPrefix("v:") { return elements.firstIndex(of: wanted) }
        let keys = (wanted.object ?? [:]).keys.sorted()
        return elements.firstIndex { MergeShape.key(of: $0, keys) == wanted }
    }

    /// The value at a path; `nil` where there is none.
    func value(at path: ArraySlice<String>) -> JSONValue? {
        guard let step = path.first else { return self }
        if step.hasPrefix("f:") { return self[String(step.dropFirst(2))]?.value(at: path.dropFirst()) }
        return place(step).flatMap { array?[$0].value(at: path.dropFirst()) }
    }

    /// Takes away what is at a path, and what is empty after that.
    mutating func remove(at path: ArraySlice<String>) {
        guard let step = path.first else { return }
        if step.hasPrefix("f:") {
            let name = String(step.dropFirst(2))
            guard var inner = self[name] else { return }
            if path.count == 1 {
                self[name] = nil
                return
            }
            inner.remove(at: path.dropFirst())
            let isEmpty = inner.object?.isEmpty ?? inner.array?.isEmpty ?? false
            self[name] = isEmpty ? JSONValue?.none : inner
            return
        }
        guard let place = place(step), var elements = array else { return }
        if path.count == 1 {
            elements.remove(at: place)
        } else {
            elements[place].remove(at: path.dropFirst())
        }
        self = .array(elements)
    }
}
