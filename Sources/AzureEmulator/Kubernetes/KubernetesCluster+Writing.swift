// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// How somebody writes.
struct WriteRequest: Sendable {
    var manager: String
    var isDryRun = false
    var isForced = false
    /// `Strict`, `Warn` or `Ignore`.
    var validation = "Warn"
    /// `status` or `scale`; empty for the object itself.
    var subresource = ""

    init(manager: String, subresource: String = "") { (self.manager, self.subresource) = (manager, subresource) }

    func writer(_ type: KubeType, _ operation: String = "Update") -> ManagedFields.Writer {
        .init(manager: manager, operation: operation, subresource: subresource, apiVersion: type.apiVersion)
    }
}

/// Making, changing and deleting objects.
extension KubernetesCluster {
    func get(_ type: KubeType, _ namespace: String, _ name: String) throws(KubeFault) -> JSONValue {
        let found = store.withLock { $0.get(type, ObjectKey(namespace, name)) }
        guard let found else { throw KubeFault.notFound(type, name) }
        return found
    }

    /// Makes an object.
    func create(_ type: KubeType, _ namespace: String, _ object: JSONValue, _ request: WriteRequest) throws(KubeFault)
        -> JSONValue
    {
        var new = object
        if new.kubeName.isEmpty, let base = new.at("metadata", "generateName")?.string, !base.isEmpty {
            new.set("metadata", "name", to: .string(base + Self.suffix()))
        }
        let (writer, named) = (request.writer(type), new)
        let result = locked { store throws(KubeFault) in
            let key = ObjectKey(namespace, named.kubeName)
            if !named.kubeName.isEmpty, store.get(type, key) != nil { throw .alreadyExists(type, named.kubeName) }
            var made = named
            if type.hasStatus, !["Node", "Namespace"].contains(type.kind) { made["status"] = nil }
            return try self.finish(&store, type, namespace, nil, made, request, writer, nil)
        }
        return try result.get()
    }

    /// Changes an object that is there.
    func change(
        _ type: KubeType,
        _ namespace: String,
        _ name: String,
        _ request: WriteRequest,
        _ body: (JSONValue) throws(KubeFault) -> JSONValue
    ) throws(KubeFault) -> JSONValue {
        let writer = request.writer(type)
        return try locked { store throws(KubeFault) in
            guard let old = store.get(type, ObjectKey(namespace, name)) else { throw .notFound(type, name) }
            let new = try body(old)
            let wanted = new.text("metadata", "resourceVersion")
            if !wanted.isEmpty, wanted != old.text("metadata", "resourceVersion") { throw .changed(type, name) }
            if new.kubeName != name {
                throw .badRequest(
                    "the name of the object (\(new.kubeName)) does not match the name on the URL (\(name))"
                )
            }
            return try self.finish(&store, type, namespace, old, new, request, writer, nil)
        }
        .get()
    }

    /// Applies what somebody wants of an object; whether it is new.
    func apply(
        _ type: KubeType,
        _ namespace: String,
        _ name: String,
        _ patch: JSONValue,
        _ request: WriteRequest
    ) throws(KubeFault) -> (JSONValue, isNew: Bool) {
        let writer = request.writer(type, "Apply")
        return try locked { store throws(KubeFault) in
            let old = store.get(type, ObjectKey(namespace, name))
            if let uid = patch.at("metadata", "uid")?.string, old?.kubeUID != uid { throw .changed(type, name) }
            if let wanted = patch.at("metadata", "resourceVersion")?.string, let old,
                wanted != old.text("metadata", "resourceVersion")
            {
                throw .changed(type, name)
            }
            var wanted = patch
            wanted.set("metadata", "resourceVersion", to: nil)
            wanted.set("metadata", "name", to: .string(name))
            if type.hasStatus, request.subresource != "status" { wanted["status"] = nil }
            let merge = ServerSideApply(type: type, writer: writer, isForced: request.isForced)
            let (merged, fields) = try merge.apply(wanted, to: old)
            return (try self.finish(&store, type, namespace, old, merged, request, writer, fields), old == nil)
        }
        .get()
    }

    /// Does something with the store, and lets the controllers look at what came of it.
    private func locked<Value: Sendable>(
        _ body: (inout ObjectStore) throws(KubeFault) -> Value
    ) -> Result<Value, KubeFault> {
        let result = store.withLock { store -> Result<Value, KubeFault> in
            do throws(KubeFault) {
                return .success(try body(&store))
            } catch {
                return .failure(error)
            }
        }
        poke()
        return result
    }

    /// Completes an object, checks it, and keeps it.
    private func finish(
        _ store: inout ObjectStore,
        _ type: KubeType,
        _ namespace: String,
        _ old: JSONValue?,
        _ given: JSONValue,
        _ request: WriteRequest,
        _ writer: ManagedFields.Writer,
        _ applied: ManagedFields?
    ) throws(KubeFault) -> JSONValue {
        var new = given
        if let old, request.subresource == "status" {
            new = old
            new["status"] = given["status"]
        } else if let old, type.hasStatus {
            new["status"] = old["status"]
        }
        new["apiVersion"] = .string(type.apiVersion)
        new["kind"] = .string(type.kind)
        for name in ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            new.set("metadata", name, to: old?.at("metadata", name))
        }
        new.set("metadata", "managedFields", to: old?.at("metadata", "managedFields"))
        new.set("metadata", "resourceVersion", to: old?.at("metadata", "resourceVersion"))
        if type.isNamespaced { new.set("metadata", "namespace", to: .string(namespace)) }
        for name in ["labels", "annotations"] where new.at("metadata", name)?.object?.isEmpty ?? false {
            new.set("metadata", name, to: nil)
        }
        KubeDefaults.complete(&new, type, old, world.addresses)
        try KubeRules(type: type, store: store).check(new, old)
        if old == nil {
            try checkNamespace(store, type, namespace, new.kubeName)
            new.set("metadata", "uid", to: .string(Identifier.random()))
            new.set("metadata", "creationTimestamp", to: .string(Moment.text()))
        }
        if type.hasStatus, type != .namespaces, new["spec"] != nil {
            let before = old?.at("metadata", "generation")?.int ?? 0
            if old?["spec"] != new["spec"] { new.set("metadata", "generation", to: .int(before + 1)) } else {
                new.set("metadata", "generation", to: .int(before))
            }
        }
        var fields = applied ?? ManagedFields(old)
        if applied == nil { fields.note(writer, from: old, to: new) }
        new.set("metadata", "managedFields", to: fields.json)
        if let old, old == new { return old }
        if request.isDryRun {
            return new
        }
        if new.isBeingDeleted, (new.at("metadata", "finalizers")?.array ?? []).isEmpty, type != .pods,
            type != .namespaces
        {
            store.remove(type, ObjectKey(new))
            return new
        }
        return store.put(type, new)
    }

    private func checkNamespace(_ store: ObjectStore, _ type: KubeType, _ namespace: String, _ name: String)
        throws(KubeFault)
    {
        guard type.isNamespaced else { return }
        guard let found = store.get(.namespaces, ObjectKey("", namespace)) else {
            throw .notFound(.namespaces, namespace)
        }
        guard !found.isBeingDeleted else {
            throw .forbidden(
                type,
                name,
                "unable to create new content in namespace \(namespace) because it is being terminated"
            )
        }
    }

    /// Five letters that keep names apart, of those that Kubernetes uses.
    static func suffix() -> String {
        let letters = Array("bcdfghjklmnpqrstvwxz2456789")
        return String((0..<5).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }

    // MARK: Deleting

    /// How somebody deletes.
    struct Deletion: Sendable {
        var propagation = "Background"
        /// `nil` for what the object says.
        var grace: Int64?
        var uid: String?
        var revision: String?
        var isDryRun = false

        /// Reads the body and the query of a request.
        init(_ body: JSONValue?, query: (String) -> String?) {
            propagation =
                query("propagationPolicy") ?? body?["propagationPolicy"]?.string
                ?? (body?["orphanDependents"]?.bool == true ? "Orphan" : "Background")
            grace = query("gracePeriodSeconds").flatMap { Int64($0) } ?? body?["gracePeriodSeconds"]?.int
            uid = body?.at("preconditions", "uid")?.string
            revision = body?.at("preconditions", "resourceVersion")?.string
            isDryRun = query("dryRun") == "All" || (body?["dryRun"]?.texts?.contains("All") ?? false)
        }

        init() {}
    }

    /// Deletes an object; gives it as it is while it goes, or `nil` where it is gone.
    func delete(_ type: KubeType, _ namespace: String, _ name: String, _ deletion: Deletion) throws(KubeFault)
        -> (object: JSONValue, isGone: Bool)
    {
        try locked { store throws(KubeFault) in
            let key = ObjectKey(namespace, name)
            guard let old = store.get(type, key) else { throw .notFound(type, name) }
            if let uid = deletion.uid, uid != old.kubeUID {
                throw KubeFault(
                    409,
                    "Conflict",
                    "Operation cannot be fulfilled on \(type.qualified) \"\(name)\": Precondition failed: UID in "
                        + "precondition: \(uid), UID in object meta: \(old.kubeUID)"
                )
            }
            if let revision = deletion.revision, revision != old.text("metadata", "resourceVersion") {
                throw .changed(type, name)
            }
            if type == .namespaces, ["default", "kube-system", "kube-public"].contains(name) {
                throw .forbidden(type, name, "this namespace may not be deleted")
            }
            if deletion.isDryRun { return (old, true) }
            return Self.delete(&store, type, old, deletion)
        }
        .get()
    }

    /// Marks an object as going, or takes it away.
    static func delete(_ store: inout ObjectStore, _ type: KubeType, _ old: JSONValue, _ deletion: Deletion)
        -> (object: JSONValue, isGone: Bool)
    {
        var going = old
        var finalizers = old.at("metadata", "finalizers")?.texts ?? []
        if deletion.propagation == "Foreground", !finalizers.contains("foregroundDeletion") {
            finalizers.append("foregroundDeletion")
        }
        if deletion.propagation == "Orphan" { orphan(&store, old.kubeUID) }
        var grace = deletion.grace ?? 0
        if type == .pods {
            grace = deletion.grace ?? old.at("spec", "terminationGracePeriodSeconds")?.int ?? 30
            // What was never started ends at once.
            if old.text("spec", "nodeName").isEmpty || ["Succeeded", "Failed"].contains(old.text("status", "phase")) {
                grace = 0
            }
        }
        guard !finalizers.isEmpty || type == .namespaces || grace > 0 else {
            store.remove(type, ObjectKey(old))
            return (old, true)
        }
        if old.isBeingDeleted, type != .pods { return (old, false) }
        going.set("metadata", "deletionTimestamp", to: .string(Moment.text(Moment.precise + Double(grace))))
        going.set("metadata", "deletionGracePeriodSeconds", to: .int(grace))
        if !finalizers.isEmpty { going.set("metadata", "finalizers", to: JSONValue(finalizers)) }
        if type == .namespaces { going.set("status", "phase", to: "Terminating") }
        return (store.put(type, going), false)
    }

    /// Takes an owner's name out of what it owns.
    private static func orphan(_ store: inout ObjectStore, _ uid: String) {
        for (type, object) in store.everything() {
            let owners = object.at("metadata", "ownerReferences")?.array ?? []
            let rest = owners.filter { $0.text("uid") != uid }
            guard rest.count != owners.count else { continue }
            var changed = object
            changed.set("metadata", "ownerReferences", to: rest.isEmpty ? JSONValue?.none : .array(rest))
            store.put(type, changed)
        }
    }
}
