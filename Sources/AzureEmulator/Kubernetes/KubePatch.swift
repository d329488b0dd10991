// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// The three patches that say how an object changes, rather than what it should be.
enum KubePatch {
    /// A merge patch.
    ///
    /// Specification: RFC 7386.
    static func merge(_ target: JSONValue?, _ patch: JSONValue) -> JSONValue {
        guard let changes = patch.object else { return patch }
        var members = target?.object ?? [:]
        for (name, value) in changes { members[name] = value == .null ? JSONValue?.none : merge(members[name], value) }
        return .object(members)
    }

    /// A JSON patch.
    ///
    /// Specification: RFC 6902.
    static func json(_ target: JSONValue, _ patch: JSONValue) throws(KubeFault) -> JSONValue {
        guard let operations = patch.array else {
            throw .badRequest("error decoding patch: a JSON patch is a list of operations")
        }
        var result = target
        for operation in operations {
            let path = pointer(operation.text("path"))
            let value = operation["value"]
            switch operation.text("op") {
            case "add": try change(&result, path[...], .add(value ?? .null))
            case "replace": try change(&result, path[...], .replace(value ?? .null))
            case "remove": try change(&result, path[...], .remove)
            case "test":
                guard read(result, path[...]) == value else {
                    throw KubeFault(
                        422,
                        "Invalid",
                        "the server rejected our request due to an error in our request: testing value "
                            + "\(operation.text("path")) failed"
                    )
                }
            case "copy", "move":
                let source = pointer(operation.text("from"))
                guard let found = read(result, source[...]) else { throw missing(operation.text("from")) }
                if operation.text("op") == "move" { try change(&result, source[...], .remove) }
                try change(&result, path[...], .add(found))
            default: throw .badRequest("Unexpected kind: \(operation.text("op"))")
            }
        }
        return result
    }

    private enum Change {
        case add(JSONValue)
        case replace(JSONValue)
        case remove
    }

    private static func pointer(_ text: String) -> [String] {
        text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            .map { part in
                var result = ""
                var isEscape = false
                for letter in part {
                    if isEscape {
                        result.append(letter == "1" ? "/" : "~")
                        isEscape = false
                    } else if letter == "~" {
                        isEscape = true
                    } else {
                        result.append(letter)
                    }
                }
                return result
            }
    }

    private static func read(_ value: JSONValue, _ path: ArraySlice<String>) -> JSONValue? {
        guard let step = path.first else { return value }
        if let elements = value.array {
            guard let index = Int(step), elements.indices.contains(index) else { return nil }
            return read(elements[index], path.dropFirst())
        }
        return value[step].flatMap { read($0, path.dropFirst()) }
    }

    private static func missing(_ path: String) -> KubeFault {
        KubeFault(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request: missing path \(path)"
        )
    }

    private static func change(_ value: inout JSONValue, _ path: ArraySlice<String>, _ change: Change)
        throws(KubeFault)
    {
        guard let step = path.first else {
            switch change {
            case .add(let new), .replace(let new): value = new
            case .remove: value = .null
            }
            return
        }
        if var elements = value.array {
            let index = step == "-" ? elements.count : Int(step) ?? -1
            guard index >= 0, index <= elements.count else { throw missing(step) }
            if path.count > 1 {
                guard index < elements.count else { throw missing(step) }
                try self.change(&elements[index], path.dropFirst(), change)
            } else {
                switch change {
                case .add(let new): elements.insert(new, at: index)
                case .replace(let new):
                    guard index < elements.count else { throw missing(step) }
                    elements[index] = new
                case .remove:
                    guard index < elements.count else { throw missing(step) }
                    elements.remove(at: index)
                }
            }
            value = .array(elements)
            return
        }
        guard value.object != nil else { throw missing(step) }
        if path.count > 1 {
            guard var inner = value[step] else { throw missing(step) }
            try self.change(&inner, path.dropFirst(), change)
            value[step] = inner
            return
        }
        switch change {
        case .add(let new): value[step] = new
        case .replace(let new):
            guard value[step] != nil else { throw missing(step) }
            value[step] = new
        case .remove:
            guard value[step] != nil else { throw missing(step) }
            value[step] = nil
        }
    }

    /// A strategic merge patch: lists are merged by the members that name their elements, and directives say more.
    ///
    /// Specification: Kubernetes, "Strategic Merge Patch".
    static func strategic(_ target: JSONValue?, _ patch: JSONValue, _ names: [String] = []) -> JSONValue {
        guard let changes = patch.object else { return patch }
        if changes["$patch"] == "replace" { return .object(changes.filter { $0.key != "$patch" }) }
        if changes["$patch"] == "delete" { return [:] }
        var members = target?.object ?? [:]
        if let kept = changes["$retainKeys"]?.texts { members = members.filter { kept.contains($0.key) } }
        for (name, value) in changes {
            if name.hasPrefix("$deleteFromPrimitiveList/") {
                let field = String(name.dropFirst("$deleteFromPrimitiveList/".count))
                let gone = value.array ?? []
                members[field] = members[field].map { .array(($0.array ?? []).filter { !gone.contains($0) }) }
            }
            if name.hasPrefix("$") { continue }
            let path = names + [name]
            if value == .null {
                members[name] = nil
            } else if let elements = value.array {
                members[name] = list(members[name]?.array, elements, path, changes["$setElementOrder/\(name)"]?.array)
            } else {
                members[name] = strategic(members[name], value, path)
            }
        }
        // An order may be given for a list that does not change otherwise.
        for (name, order) in changes where name.hasPrefix("$setElementOrder/") {
            let field = String(name.dropFirst("$setElementOrder/".count))
            if changes[field] == nil, let old = members[field]?.array {
                members[field] = list(old, [], names + [field], order.array)
            }
        }
        return .object(members)
    }

    private static func list(
        _ old: [JSONValue]?,
        _ patch: [JSONValue],
        _ names: [String],
        _ order: [JSONValue]?
    ) -> JSONValue {
        let isPlain = names.last == "finalizers"
        guard let key = MergeShape.patchKey(at: names, .array(patch)) else {
            guard isPlain else { return .array(patch) }
            return .array((old ?? []) + patch.filter { !(old ?? []).contains($0) })
        }
        var result = old ?? []
        if patch.contains(where: { $0["$patch"] == "replace" }) { result = [] }
        for change in patch where change["$patch"] != "replace" {
            let place = result.firstIndex { $0[key] == change[key] }
            if change["$patch"] == "delete" {
                if let place { result.remove(at: place) }
            } else if let place {
                result[place] = strategic(result[place], change, names)
            } else {
                result.append(strategic(nil, change, names))
            }
        }
        guard let order else { return .array(result) }
        let places = { (element: JSONValue) in order.firstIndex { ($0[key] ?? $0) == element[key] } ?? Int.max }
        let sorted = result.enumerated().sorted { (places($0.element), $0.offset) < (places($1.element), $1.offset) }
        return .array(sorted.map(\.element))
    }
}
