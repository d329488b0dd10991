// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Who owns which fields of an object: `metadata.managedFields`.
struct ManagedFields: Sendable {
    /// One entry.
    struct Entry: Sendable {
        let manager: String
        /// `Apply` or `Update`.
        let operation: String
        let subresource: String
        let apiVersion: String
        var time: String
        var fields: FieldTree

        func isOf(_ writer: Writer) -> Bool {
            manager == writer.manager && operation == writer.operation && subresource == writer.subresource
        }

        /// As errors name it.
        var described: String {
            var text = "\"\(manager)\""
            if !subresource.isEmpty { text += " with subresource \"\(subresource)\"" }
            return operation == "Update" ? text + " using \(apiVersion) at \(time)" : text
        }

        var json: JSONValue {
            var members: [String: JSONValue] = [
                "manager": .string(manager), "operation": .string(operation), "apiVersion": .string(apiVersion),
                "time": .string(time), "fieldsType": "FieldsV1", "fieldsV1": fields.fields,
            ]
            if !subresource.isEmpty { members["subresource"] = .string(subresource) }
            return .object(members)
        }
    }

    /// Who writes.
    struct Writer: Sendable {
        var manager: String
        var operation = "Update"
        var subresource = ""
        var apiVersion: String
    }

    var entries: [Entry] = []

    init(_ object: JSONValue?) {
        for entry in object?.at("metadata", "managedFields")?.array ?? [] where entry["fieldsV1"] != nil {
            entries.append(
                Entry(
                    manager: entry.text("manager"),
                    operation: entry.text("operation"),
                    subresource: entry.text("subresource"),
                    apiVersion: entry.text("apiVersion"),
                    time: entry.text("time"),
                    fields: FieldTree(fields: entry["fieldsV1"] ?? [:])
                )
            )
        }
    }

    var json: JSONValue? { entries.isEmpty ? JSONValue?.none : .array(entries.map(\.json)) }

    // MARK: Changes

    /// What is nobody's field.
    private static let ownerless: Set<String> = [
        "name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "selfLink",
        "deletionTimestamp", "deletionGracePeriodSeconds",
    ]

    /// An object without what is nobody's.
    static func owned(_ object: JSONValue) -> JSONValue {
        var members = object.object ?? [:]
        members["apiVersion"] = nil
        members["kind"] = nil
        let meta = (members["metadata"]?.object ?? [:]).filter { !ownerless.contains($0.key) }
        members["metadata"] = meta.isEmpty ? JSONValue?.none : .object(meta)
        return .object(members)
    }

    /// Takes note that somebody changed an object: what changed is theirs alone.
    mutating func note(_ writer: Writer, from old: JSONValue?, to new: JSONValue) {
        let (before, after) = (old.map(Self.owned) ?? [:], Self.owned(new))
        var changed = FieldTree()
        Self.compare(before, after, [], [], &changed)
        let all = FieldTree(of: after).union(Self.containers(of: after, [], []))
        for place in entries.indices {
            let isOwn = entries[place].isOf(writer)
            var fields = entries[place].fields.kept(in: all)
            if !isOwn { fields = fields.subtracting(changed) }
            entries[place].fields = fields
        }
        if !changed.isEmpty {
            if let own = entries.firstIndex(where: { $0.isOf(writer) }) {
                entries[own].fields = entries[own].fields.union(changed)
                entries[own].time = Moment.text()
            } else {
                entries.append(Self.entry(writer, changed))
            }
        }
        entries.removeAll { $0.fields.isEmpty }
    }

    /// Sets what somebody applies.
    mutating func set(_ writer: Writer, _ fields: FieldTree) {
        guard let own = entries.firstIndex(where: { $0.isOf(writer) }) else {
            entries.append(Self.entry(writer, fields))
            return
        }
        if entries[own].fields == fields { return }
        entries[own].fields = fields
        entries[own].time = Moment.text()
    }

    private static func entry(_ writer: Writer, _ fields: FieldTree) -> Entry {
        Entry(
            manager: writer.manager,
            operation: writer.operation,
            subresource: writer.subresource,
            apiVersion: writer.apiVersion,
            time: Moment.text(),
            fields: fields
        )
    }

    /// The objects on the way to fields, which are members of a set where somebody made them.
    private static func containers(of value: JSONValue, _ path: [String], _ names: [String]) -> FieldTree {
        var tree = FieldTree(isMember: !path.isEmpty)
        switch MergeShape.of(value, at: names) {
        case .granular:
            for (name, member) in value.object ?? [:] {
                tree.children["f:\(name)"] = containers(of: member, path + ["f"], names + [name])
            }
        case .keyed(let keys):
            for element in value.array ?? [] {
                tree.children["k:\(MergeShape.key(of: element, keys).canonical)"] = containers(
                    of: element,
                    path + ["k"],
                    names
                )
            }
        case .atomic, .set: break
        }
        return tree
    }

    /// Adds the fields that differ: as deep as objects are merged.
    private static func compare(
        _ old: JSONValue?,
        _ new: JSONValue,
        _ names: [String],
        _ steps: [String],
        _ changed: inout FieldTree
    ) {
        if let old, old == new { return }
        guard let old, MergeShape.of(old, at: names) == MergeShape.of(new, at: names) else {
            var tree = FieldTree(of: new, at: names)
            if new.object != nil || new.array != nil { tree.isMember = !names.isEmpty }
            for path in tree.paths { changed.insert((steps + path)[...]) }
            return
        }
        switch MergeShape.of(new, at: names) {
        case .granular where new.object != nil && old.object != nil:
            for (name, member) in new.object ?? [:] {
                compare(old[name], member, names + [name], steps + ["f:\(name)"], &changed)
            }
        case .keyed(let keys):
            for element in new.array ?? [] {
                let key = MergeShape.key(of: element, keys)
                let before = (old.array ?? []).first { MergeShape.key(of: $0, keys) == key }
                let step = "k:\(key.canonical)"
                if MergeShape.wholeElements.contains(names.last ?? ""), before != element {
                    changed.insert((steps + [step])[...])
                } else {
                    compare(before, element, names, steps + [step], &changed)
                }
            }
        case .set:
            for element in new.array ?? [] where !(old.array ?? []).contains(element) {
                changed.insert((steps + ["v:\(element.canonical)"])[...])
            }
        default: changed.insert(steps[...])
        }
    }
}
