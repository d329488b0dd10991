// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

/// Makes one sentence of a `Status`, and says what to type next.
struct StatusText {
    private let access: ClusterAccess

    init(_ access: ClusterAccess) { self.access = access }

    func error(_ operation: Operation, _ status: Int, _ body: [UInt8]) -> KubernetesError {
        let json = try? JSONValue(parsing: body)
        return error(operation, status, json?["kind"]?.string == "Status" ? json : nil, body)
    }

    func error(_ operation: Operation, status json: JSONValue) -> KubernetesError {
        error(operation, Int(json["code"]?.int ?? 0), json, [])
    }

    private func error(_ operation: Operation, _ status: Int, _ json: JSONValue?, _ body: [UInt8]) -> KubernetesError {
        let reason = json?["reason"]?.string ?? ""
        let causes = (json?["details"]?["causes"]?.array ?? []).prefix(64).map(StatusText.cause)
        var words = StatusText.clean(json?["message"]?.string ?? "")
        if words.isEmpty, json == nil {
            // A proxy or load balancer stands between us and the cluster.
            words = "\(access.server.authority) answered \(status), and not as a cluster does"
        }
        if words.isEmpty { words = "the cluster answered \(status)" }
        // Server-side apply says of a field that it does not know that it failed itself.
        let isUnread = status == 500 && words.contains("failed to create typed patch object")
        let code = isUnread ? .invalid : StatusText.code(status, reason)
        var message = "\(operation.text): \(words)"
        if code == .conflict, let text = StatusText.conflicts(causes) { message = "\(operation.text): \(text)" }
        if code == .credentials {
            let who = access.userName.isEmpty ? "" : " of \(access.userName)"
            message = "the cluster \(access.summary) does not accept the credentials\(who)"
        }
        return KubernetesError(
            code,
            message,
            hint: hint(operation, code, reason, words, causes),
            status: status,
            reason: reason,
            causes: causes
        )
    }

    private static func code(_ status: Int, _ reason: String) -> KubernetesError.Code {
        switch status {
        case 401: .credentials
        case 403: .denied
        case 404: .notFound
        case 409: .conflict
        case 410: .expired
        case 400, 405, 406, 413, 415, 422: .invalid
        default: reason == "Expired" ? .expired : .server
        }
    }

    /// One line without secrets.
    private static func clean(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).joined(separator: "; ")
        return Redaction.text(String(line.prefix(1200)))
    }

    private static func cause(_ json: JSONValue) -> KubernetesError.Cause {
        let reason = json["reason"]?.string ?? ""
        let message = clean(json["message"]?.string ?? "")
        var owner: String?
        if reason == "FieldManagerConflict" {
            // conflict with "kubectl-client-side-apply" using apps/v1
            let parts = message.split(separator: "\"", omittingEmptySubsequences: false)
            owner = parts.count > 1 ? String(parts[1]) : nil
        }
        return .init(reason: reason, field: json["field"]?.string ?? "", message: message, owner: owner)
    }

    /// Which fields belong to whom.
    private static func conflicts(_ causes: [KubernetesError.Cause]) -> String? {
        let fields = causes.filter { $0.owner != nil }
        guard !fields.isEmpty else { return nil }
        let owners = Set(fields.compactMap(\.owner)).sorted()
        let parts = owners.map { owner in
            let own = fields.filter { $0.owner == owner }.map { $0.field.isEmpty ? "a field" : $0.field }
            return "\(owner) owns \(own.joined(separator: ", "))"
        }
        return parts.joined(separator: "; ")
    }

    private func hint(
        _ operation: Operation,
        _ code: KubernetesError.Code,
        _ reason: String,
        _ words: String,
        _ causes: [KubernetesError.Cause]
    ) -> String? {
        let place = operation.namespace.map { " --namespace \($0)" } ?? ""
        let kind = operation.kind?.qualified ?? "pods"
        switch code {
        case .credentials: return "kubectl auth whoami; az login, or az aks get-credentials --overwrite-existing"
        case .denied where words.contains("PodSecurity") || words.contains("admission webhook"):
            return
                "kubectl get namespace \(operation.namespace ?? "") --show-labels says what the namespace asks of pods"
        case .denied where words.contains("exceeded quota"): return "kubectl describe resourcequota\(place)"
        case .denied where words.contains("being terminated"):
            return "the namespace is being deleted: wait until it is gone, or use another with --namespace"
        case .denied:
            let verb = operation.verb == "apply" ? "patch" : operation.verb == "read" ? "get" : operation.verb
            return "kubectl auth can-i \(verb) \(kind)\(place); a cluster role such as edit gives it: "
                + "kubectl create rolebinding coracle --clusterrole edit --user NAME\(place)"
        case .notFound where words.contains("namespaces \""):
            return "kubectl create namespace \(operation.namespace ?? "NAME")"
        case .notFound where words.contains("could not find the requested resource"):
            return "kubectl api-resources says which kinds the cluster has"
        case .conflict where causes.contains { $0.owner != nil }:
            return
                "--force-conflicts makes these fields ours; leaving them out of the manifest leaves them to their owner"
        case .invalid where words.contains("field is immutable"):
            return "this cannot change while it is there: kubectl delete \(kind) \(operation.name)\(place), then again"
        case .invalid where words.contains("unknown field") || words.contains("not declared in schema"):
            return "kubectl explain \(kind) --recursive says which there are"
        case .server where words.contains("webhook"):
            return "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"
        default: return nil
        }
    }
}
