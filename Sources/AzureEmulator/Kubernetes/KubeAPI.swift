// SPDX-License-Identifier: Apache-2.0
internal import NIOHTTP1
internal import OCI
internal import Synchronization

/// The API server of a cluster: what a path names, and what is done to it.
///
/// Specification: Kubernetes API concepts.
struct KubeAPI: Sendable {
    let cluster: KubernetesCluster

    /// What a path names.
    struct Place {
        let type: KubeType
        /// Empty for types without one, and for all of them.
        let namespace: String
        /// `nil` for a collection.
        var name: String?
        var subresource = ""
    }

    /// Answers a request.
    func respond(_ call: KubeCall) -> KubeReply {
        do throws(KubeFault) {
            if let fault = plannedFault(call) { throw fault }
            return try dispatch(call)
        } catch {
            return KubeReply(error)
        }
    }

    private func plannedFault(_ call: KubeCall) -> KubeFault? {
        cluster.world.faults.take(call.method, call.target) { effect in
            switch effect {
            case .status(let status, let code, let message, _): KubeFault(status, code, message)
            case .throttled:
                KubeFault(429, "TooManyRequests", "the server has received too many requests", details: [:])
            default: nil
            }
        }
    }

    private func dispatch(_ call: KubeCall) throws(KubeFault) -> KubeReply {
        switch call.segments {
        case ["healthz"], ["livez"], ["readyz"]: return .bytes(200, type: "text/plain", Array("ok".utf8))
        case ["openapi", "v2"]:
            let kind = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
            if call.accepts.contains("protobuf") {
                return .bytes(200, type: kind, cluster.schemas.protocolBuffers)
            }
            return .json(200, cluster.schemas.shown)
        case ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"]:
            // Whoever is known may do everything.
            var review = try call.json()
            review["status"] = ["allowed": true]
            return .json(201, review)
        default: break
        }
        if let body = KubeDiscovery.answer(call.segments) { return .json(200, body) }
        guard let place = place(call.segments) else { throw .unknownPath }
        return try perform(call, place)
    }

    private func place(_ segments: [String]) -> Place? {
        var rest = segments[...]
        let (group, version): (String, String)
        switch rest.first {
        case "api":
            guard segments.count > 2 else { return nil }
            (group, version) = ("", segments[1])
            rest = rest.dropFirst(2)
        case "apis":
            guard segments.count > 3 else { return nil }
            (group, version) = (segments[1], segments[2])
            rest = rest.dropFirst(3)
        default: return nil
        }
        var namespace = ""
        let parts = Array(rest)
        if parts[0] == "namespaces", parts.count > 2, !["status", "finalize"].contains(parts[2]) {
            namespace = parts[1]
            rest = rest.dropFirst(2)
        }
        let own = Array(rest)
        guard own.count <= 3,
            let type = KubeType.all.first(where: {
                $0.plural == own[0] && $0.group == group && $0.version == version
            })
        else { return nil }
        var place = Place(type: type, namespace: namespace)
        if own.count > 1 { place.name = own[1] }
        if own.count > 2 {
            guard type.subresources.contains(own[2]) else { return nil }
            place.subresource = own[2]
        }
        // One object of a type that has namespaces is in one of them.
        if type.isNamespaced, place.name != nil, namespace.isEmpty { return nil }
        if !type.isNamespaced, !namespace.isEmpty { return nil }
        return place
    }

    private func perform(_ call: KubeCall, _ place: Place) throws(KubeFault) -> KubeReply {
        guard let name = place.name else {
            switch call.method {
            case "GET": return try call.flag("watch") ? watch(call, place) : list(call, place)
            case "POST": return try create(call, place)
            case "DELETE": return try deleteAll(call, place)
            default: throw .wrongMethod(place.type)
            }
        }
        switch place.subresource {
        case "log": return try PodLogs(cluster: cluster).answer(call, place.namespace, name)
        case "exec":
            _ = try cluster.get(.pods, place.namespace, name)
            throw .badRequest("Upgrade request required")
        case "eviction": return try evict(call, place, name)
        case "scale": return try scale(call, place, name)
        default: break
        }
        switch call.method {
        case "GET":
            if call.flag("watch") { return try watch(call, place) }
            return shown(try cluster.get(place.type, place.namespace, name), call, place.type)
        case "PUT": return try update(call, place, name)
        case "PATCH": return try patch(call, place, name)
        case "DELETE": return try delete(call, place, name)
        default: throw .wrongMethod(place.type)
        }
    }

    /// An object as the client wants to see it.
    private func shown(_ object: JSONValue, _ call: KubeCall, _ type: KubeType, status: Int = 200, _ warnings: [String] = [])
        -> KubeReply
    {
        guard call.accepts.contains("as=Table"), call.method == "GET" else {
            return .json(status, object, warnings: warnings)
        }
        let include = call.query("includeObject")
        return .json(status, KubeTables.table([object], type, revision: object.kubeRevision, include: include))
    }

    // MARK: Reading

    private func filter(_ call: KubeCall, _ place: Place) throws(KubeFault) -> ObjectFilter {
        var fields = call.query("fieldSelector")
        if let name = place.name { fields = "metadata.name=\(name)" }
        return try ObjectFilter(labels: call.query("labelSelector"), fields: fields)
    }

    private func list(_ call: KubeCall, _ place: Place) throws(KubeFault) -> KubeReply {
        let filter = try filter(call, place)
        let namespace = place.namespace.isEmpty ? nil : place.namespace
        let (all, revision) = cluster.store.withLock { ($0.list(place.type, namespace), $0.revision) }
        let objects = all.filter(filter.matches)
        if call.accepts.contains("as=Table") {
            let include = call.query("includeObject")
            return .json(200, KubeTables.table(objects, place.type, revision: revision, include: include))
        }
        return .json(200, Self.list(objects, place.type, revision))
    }

    private static func list(_ objects: [JSONValue], _ type: KubeType, _ revision: Int64) -> JSONValue {
        // Elements of lists don't say what they are, as the list does.
        let items = objects.map { object in
            var item = object
            item["kind"] = nil
            item["apiVersion"] = nil
            return item
        }
        return [
            "kind": .string("\(type.kind)List"), "apiVersion": .string(type.apiVersion),
            "metadata": ["resourceVersion": .string("\(revision)")], "items": .array(items),
        ]
    }

    private func watch(_ call: KubeCall, _ place: Place) throws(KubeFault) -> KubeReply {
        let filter = try filter(call, place)
        let watch = KubeWatch(
            cluster: cluster,
            type: place.type,
            namespace: place.namespace.isEmpty ? nil : place.namespace,
            filter: filter,
            revision: call.query("resourceVersion").flatMap { Int64($0) } ?? 0,
            wantsBookmarks: call.flag("allowWatchBookmarks"),
            wantsInitial: call.flag("sendInitialEvents"),
            seconds: call.query("timeoutSeconds").flatMap { Double($0) },
            asTable: call.accepts.contains("as=Table") ? call.query("includeObject") ?? "Metadata" : nil
        )
        return .stream(type: "application/json") { watch.run($0) }
    }

    // MARK: Writing

    /// How a request writes.
    private func request(_ call: KubeCall, _ place: Place) throws(KubeFault) -> WriteRequest {
        var request = WriteRequest(manager: call.manager, subresource: place.subresource)
        for value in call.all("dryRun") where !value.isEmpty {
            guard value == "All" else {
                throw KubeFault(
                    400,
                    "BadRequest",
                    "invalid dryRun: Unsupported value: \"\(value)\": supported values: \"All\""
                )
            }
            request.isDryRun = true
        }
        request.isForced = call.flag("force")
        request.validation = call.query("fieldValidation") ?? "Warn"
        guard ["", "Strict", "Warn", "Ignore"].contains(request.validation) else {
            throw .badRequest(
                "fieldValidation: Unsupported value: \"\(request.validation)\": supported values: \"Ignore\", \"Strict\", "
                    + "\"Warn\""
            )
        }
        return request
    }

    /// An object that somebody sent, its form checked.
    private func object(_ given: JSONValue, _ place: Place, _ request: WriteRequest) throws(KubeFault) -> (
        JSONValue, warnings: [String]
    ) {
        let type = place.type
        guard given.object != nil else { throw .badRequest("the body is no object") }
        let (version, kind) = (given.text("apiVersion"), given.text("kind"))
        guard version == type.apiVersion, kind == type.kind else {
            throw .badRequest(
                "\(kind.isEmpty ? "an object without kind" : kind) in version \"\(version)\" cannot be handled as a "
                    + "\(type.kind): no kind \"\(kind)\" is registered for version \"\(version)\" at this path"
            )
        }
        let namespace = given.kubeNamespace
        if type.isNamespaced, !namespace.isEmpty, namespace != place.namespace {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        }
        return try FormCheck(schemas: cluster.schemas, type: type).check(given, request.validation)
    }

    private func create(_ call: KubeCall, _ place: Place) throws(KubeFault) -> KubeReply {
        let request = try request(call, place)
        guard !place.type.isNamespaced || !place.namespace.isEmpty else { throw .wrongMethod(place.type) }
        let (object, warnings) = try object(try call.json(), place, request)
        let made = try cluster.create(place.type, place.namespace, object, request)
        return shown(made, call, place.type, status: 201, warnings)
    }

    private func update(_ call: KubeCall, _ place: Place, _ name: String) throws(KubeFault) -> KubeReply {
        let request = try request(call, place)
        let (object, warnings) = try object(try call.json(), place, request)
        let made = try cluster.change(place.type, place.namespace, name, request) { _ throws(KubeFault) in object }
        return shown(made, call, place.type, warnings)
    }

    private func patch(_ call: KubeCall, _ place: Place, _ name: String) throws(KubeFault) -> KubeReply {
        let request = try request(call, place)
        let body = try call.json()
        let kind = (call.headers.first(name: "Content-Type") ?? "").prefix { $0 != ";" }
        if kind == "application/apply-patch+yaml" || kind == "application/apply-patch+cbor" {
            return try apply(call, place, name, body, request)
        }
        let check = FormCheck(schemas: cluster.schemas, type: place.type)
        var warnings: [String] = []
        let made = try cluster.change(place.type, place.namespace, name, request) { old throws(KubeFault) in
            let changed: JSONValue
            switch kind {
            case "application/json-patch+json": changed = try KubePatch.json(old, body)
            case "application/merge-patch+json": changed = KubePatch.merge(old, body)
            case "application/strategic-merge-patch+json": changed = KubePatch.strategic(old, body)
            default:
                throw KubeFault(
                    415,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: "
                        + "application/json-patch+json, application/merge-patch+json, "
                        + "application/strategic-merge-patch+json, application/apply-patch+yaml"
                )
            }
            let (checked, found) = try check.check(changed, request.validation)
            warnings = found
            return checked
        }
        return shown(made, call, place.type, warnings)
    }

    private func apply(
        _ call: KubeCall,
        _ place: Place,
        _ name: String,
        _ body: JSONValue,
        _ request: WriteRequest
    ) throws(KubeFault) -> KubeReply {
        guard let manager = call.query("fieldManager"), !manager.isEmpty else {
            throw KubeFault(
                422,
                "Invalid",
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
            )
        }
        guard body.at("metadata", "managedFields") == nil else {
            throw .badRequest("metadata.managedFields must be nil")
        }
        guard body.kubeName.isEmpty || body.kubeName == name else {
            throw .badRequest(
                "the name of the object (\(body.kubeName)) does not match the name on the URL (\(name))"
            )
        }
        var strict = request
        strict.validation = "Apply"
        let (object, warnings) = try object(body, place, strict)
        let (made, isNew) = try cluster.apply(place.type, place.namespace, name, object, request)
        return shown(made, call, place.type, status: isNew ? 201 : 200, warnings)
    }

    private func delete(_ call: KubeCall, _ place: Place, _ name: String) throws(KubeFault) -> KubeReply {
        let body = call.body.isEmpty ? JSONValue?.none : try call.json()
        let deletion = KubernetesCluster.Deletion(body, query: call.query)
        let (object, isGone) = try cluster.delete(place.type, place.namespace, name, deletion)
        guard isGone, place.type != .pods else { return .json(200, object) }
        var details: JSONValue = [
            "name": .string(name), "kind": .string(place.type.plural), "uid": .string(object.kubeUID),
        ]
        if !place.type.group.isEmpty { details["group"] = .string(place.type.group) }
        return .json(
            200,
            ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details]
        )
    }

    private func deleteAll(_ call: KubeCall, _ place: Place) throws(KubeFault) -> KubeReply {
        let filter = try filter(call, place)
        let body = call.body.isEmpty ? JSONValue?.none : try call.json()
        let deletion = KubernetesCluster.Deletion(body, query: call.query)
        let namespace = place.namespace.isEmpty ? nil : place.namespace
        let all = cluster.store.withLock { $0.list(place.type, namespace) }.filter(filter.matches)
        for object in all {
            _ = try cluster.delete(place.type, object.kubeNamespace, object.kubeName, deletion)
        }
        return .json(200, Self.list(all, place.type, cluster.store.withLock { $0.revision }))
    }

    // MARK: Other parts of objects

    private func evict(_ call: KubeCall, _ place: Place, _ name: String) throws(KubeFault) -> KubeReply {
        guard call.method == "POST" else { throw .wrongMethod(place.type) }
        let body = try call.json()
        let deletion = KubernetesCluster.Deletion(body["deleteOptions"], query: call.query)
        _ = try cluster.delete(.pods, place.namespace, name, deletion)
        return .json(201, ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success"])
    }

    private func scale(_ call: KubeCall, _ place: Place, _ name: String) throws(KubeFault) -> KubeReply {
        let old = try cluster.get(place.type, place.namespace, name)
        guard call.method != "GET" else { return .json(200, Self.scale(old)) }
        var request = try request(call, place)
        request.subresource = "scale"
        let body = try call.json()
        let wanted: JSONValue
        switch call.method {
        case "PUT": wanted = body
        case "PATCH":
            let kind = (call.headers.first(name: "Content-Type") ?? "").prefix { $0 != ";" }
            wanted =
                try kind == "application/json-patch+json"
                ? KubePatch.json(Self.scale(old), body) : KubePatch.merge(Self.scale(old), body)
        default: throw .wrongMethod(place.type)
        }
        guard let count = wanted.at("spec", "replicas")?.int, count >= 0 else {
            throw .invalid(
                place.type,
                name,
                [.invalid("spec.replicas", wanted.at("spec", "replicas") ?? .null, "must be a number of at least 0")]
            )
        }
        let made = try cluster.change(place.type, place.namespace, name, request) { old throws(KubeFault) in
            var new = old
            new.set("spec", "replicas", to: .int(count))
            return new
        }
        return .json(200, Self.scale(made))
    }

    private static func scale(_ object: JSONValue) -> JSONValue {
        let labels = object.at("spec", "selector", "matchLabels")?.strings ?? [:]
        let selector = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
        var metadata: JSONValue = [:]
        for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            metadata[name] = object.at("metadata", name)
        }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": ["replicas": object.at("spec", "replicas") ?? 0],
            "status": ["replicas": object.at("status", "replicas") ?? 0, "selector": .string(selector)],
        ]
    }
}
