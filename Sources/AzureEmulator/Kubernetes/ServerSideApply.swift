// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Server-side apply: what somebody wants of an object, merged with what others want of it.
///
/// Specification: Kubernetes, "Server-Side Apply".
struct ServerSideApply {
    let type: KubeType
    let writer: ManagedFields.Writer
    let isForced: Bool

    /// The object after an apply, not yet defaulted, and its owners.
    ///
    /// - Parameters:
    ///   - patch: What is wanted.
    ///   - live: The object as it is; `nil` where there is none.
    /// - Returns: Both.
    /// - Throws: ``KubeFault`` where others own what is wanted otherwise.
    func apply(_ patch: JSONValue, to live: JSONValue?) throws(KubeFault) -> (JSONValue, ManagedFields) {
        let wanted = patch.withoutNulls
        var fields = ManagedFields(live)
        let tree = FieldTree(of: ManagedFields.owned(wanted))
        guard let live else {
            fields.set(writer, tree)
            return (wanted, fields)
        }
        try checkConflicts(tree, wanted, live, &fields)
        var merged = merge(live, wanted, [])
        let before = fields.entries.first { $0.isOf(writer) }?.fields ?? FieldTree()
        let others = fields.entries.filter { !$0.isOf(writer) }.reduce(FieldTree()) { $0.union($1.fields) }
        // The deepest first, so that what is left empty goes with its last member.
        for path in before.subtracting(tree).paths.sorted(by: { $0.count > $1.count }) {
            guard let lost = lost(path, others.union(tree)) else { continue }
            merged.remove(at: lost)
        }
        fields.set(writer, tree)
        return (merged, fields)
    }

    /// Objects of which controllers keep members that `managedFields` does not know.
    private static let shared = [["f:metadata"], ["f:metadata", "f:annotations"], ["f:metadata", "f:labels"]]

    /// The outermost place on the way to a field that nobody owns any more, nor anything beneath it; `nil` where
    /// somebody owns the field itself.
    ///
    /// What is filled in is nobody's: it goes with the object that it was filled into.
    private func lost(_ path: [String], _ owned: FieldTree) -> ArraySlice<String>? {
        var place = owned
        for (index, step) in path.enumerated() {
            if let inner = place.children[step], !inner.isEmpty {
                place = inner
                continue
            }
            let outermost = path[...index]
            if !Self.shared.contains(Array(outermost)) { return outermost }
            place = FieldTree()
        }
        return nil
    }

    private func checkConflicts(
        _ tree: FieldTree,
        _ wanted: JSONValue,
        _ live: JSONValue,
        _ fields: inout ManagedFields
    ) throws(KubeFault) {
        var conflicts: [(entry: ManagedFields.Entry, path: [String])] = []
        for path in tree.paths {
            let (old, new) = (live.value(at: path[...]), wanted.value(at: path[...]))
            // An element that is there is nobody's loss; a value that is the same is owned by both.
            guard path.last?.hasPrefix("f:") ?? false, old != new else { continue }
            for place in fields.entries.indices where !fields.entries[place].isOf(writer) {
                guard fields.entries[place].fields.contains(path[...]) else { continue }
                if isForced {
                    fields.entries[place].fields = fields.entries[place].fields.subtracting(FieldTree(paths: [path]))
                } else {
                    conflicts.append((fields.entries[place], path))
                }
            }
        }
        fields.entries.removeAll { $0.fields.isEmpty }
        guard !conflicts.isEmpty else { return }
        throw fault(conflicts)
    }

    private func fault(_ conflicts: [(entry: ManagedFields.Entry, path: [String])]) -> KubeFault {
        var managers: [(String, [String])] = []
        for (entry, path) in conflicts {
            let text = FieldTree.text(path)
            if let place = managers.firstIndex(where: { $0.0 == entry.described }) {
                managers[place].1.append(text)
            } else {
                managers.append((entry.described, [text]))
            }
        }
        let parts = managers.map { manager, paths in
            paths.count == 1
                ? "conflict with \(manager): \(paths[0])"
                : "conflicts with \(manager):\n" + paths.map { "- \($0)" }.joined(separator: "\n")
        }
        let causes = conflicts.map { conflict -> JSONValue in
            [
                "reason": "FieldManagerConflict", "message": .string("conflict with \(conflict.entry.described)"),
                "field": .string(FieldTree.text(conflict.path)),
            ]
        }
        let count = conflicts.count == 1 ? "1 conflict" : "\(conflicts.count) conflicts"
        return KubeFault(
            409,
            "Conflict",
            "Apply failed with \(count): \(parts.joined(separator: "\n"))",
            details: ["causes": .array(causes)]
        )
    }

    /// What is wanted laid over what there is.
    private func merge(_ live: JSONValue?, _ wanted: JSONValue, _ names: [String]) -> JSONValue {
        guard let live else { return wanted }
        switch MergeShape.of(wanted, at: names) {
        case .atomic: return wanted
        case .granular:
            guard var members = live.object, let own = wanted.object else { return wanted }
            for (name, member) in own { members[name] = merge(members[name], member, names + [name]) }
            return .object(members)
        case .set:
            let old = live.array ?? []
            return .array(old + (wanted.array ?? []).filter { !old.contains($0) })
        case .keyed(let keys):
            let old = live.array ?? []
            let key = { (element: JSONValue) in MergeShape.key(of: element, keys) }
            let isWhole = MergeShape.wholeElements.contains(names.last ?? "")
            var result = (wanted.array ?? [])
                .map { element in
                    let before = old.first { key($0) == key(element) }
                    return isWhole ? element : merge(before, element, names)
                }
            result += old.filter { element in !(wanted.array ?? []).contains { key($0) == key(element) } }
            return .array(result)
        }
    }
}
