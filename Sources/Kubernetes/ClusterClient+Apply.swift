// SPDX-License-Identifier: Apache-2.0
internal import HTTP
public import OCI
internal import Registry

extension ClusterClient {
    /// How something is applied.
    public struct ApplyOptions: Hashable, Sendable {
        /// Whether the cluster only says what would become of it.
        public var isDryRun = false
        /// Whether fields of others become ours.
        public var takesOver = false

        /// As a manifest is applied that nobody argues with.
        public init() {}

        /// Applies.
        ///
        /// - Parameters:
        ///   - isDryRun: Whether the cluster only says what would become of it.
        ///   - takesOver: Whether fields of others become ours.
        public init(isDryRun: Bool = false, takesOver: Bool = false) {
            (self.isDryRun, self.takesOver) = (isDryRun, takesOver)
        }
    }

    /// Has an object be as a manifest says: what the manifest names is set, what we set before and it does not name any
    /// more is removed, and all else is left to others.
    ///
    /// Fields that the cluster does not know are an error. The manifest's `metadata.namespace` counts, else the client's
    /// own.
    ///
    /// - Parameters:
    ///   - manifest: The object; with `apiVersion`, `kind` and `metadata.name`, and only what is wanted of it.
    ///   - options: How.
    /// - Returns: The object as it is then.
    /// - Throws: ``KubernetesError``, of code `.conflict` with each field and its owner where others own what would be
    ///   changed; `CancellationError`.
    public func apply(_ manifest: JSONValue, _ options: ApplyOptions = ApplyOptions()) async throws -> JSONValue {
        let kind = try await kind(of: manifest)
        guard let name = manifest["metadata"]?["name"]?.string, !name.isEmpty else {
            throw KubernetesError(.invalid, "a \(kind) has no metadata.name")
        }
        let place = kind.isNamespaced ? manifest["metadata"]?["namespace"]?.string ?? namespace : nil
        var target = kind.path(namespace: place, name: name)
        target += "?fieldManager=\(ClusterClient.manager)&fieldValidation=Strict&force=\(options.takesOver)"
        if options.isDryRun { target += "&dryRun=All" }
        var message = ClusterLink.Message(method: .patch, target: target, body: Array(manifest.canonical.utf8))
        // JSON is YAML.
        message.contentType = "application/apply-patch+yaml"
        do {
            return try await ask(message, Operation("apply", kind, name, place))
        } catch let error as KubernetesError where kind == .secret {
            throw error.hiding(ClusterClient.secrets(in: manifest))
        }
    }

    /// The values of a secret, as they are sent and as they are meant.
    private static func secrets(in manifest: JSONValue) -> [String] {
        let encoded = (manifest["data"]?.strings ?? [:]).values
        let decoded = encoded.compactMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        return encoded + decoded + (manifest["stringData"]?.strings ?? [:]).values
    }

    /// Changes fields of an object: those that are named are set, `null` removes one.
    ///
    /// - Parameters:
    ///   - kind: Its kind.
    ///   - name: Its name.
    ///   - namespace: Where it is; `nil` for the client's own namespace.
    ///   - change: A merge patch (RFC 7396), which sets lists whole.
    /// - Returns: The object as it is then.
    /// - Throws: ``KubernetesError``; `CancellationError`.
    public func merge(
        _ kind: ResourceKind,
        _ name: String,
        namespace: String? = nil,
        _ change: JSONValue
    ) async throws -> JSONValue {
        let place = kind.isNamespaced ? namespace ?? self.namespace : nil
        let target = kind.path(namespace: place, name: name) + "?fieldManager=\(ClusterClient.manager)"
        var message = ClusterLink.Message(method: .patch, target: target, body: Array(change.canonical.utf8))
        message.contentType = "application/merge-patch+json"
        return try await ask(message, Operation("change", kind, name, place))
    }

    /// What becomes of an object's own objects when it is deleted: a deployment's pods, for one.
    public enum Propagation: String, Sendable {
        /// They are deleted first, and it is there until they are gone.
        case foreground = "Foreground"
        /// It is gone at once, and they are deleted after.
        case background = "Background"
        /// They stay.
        case orphan = "Orphan"
    }

    /// Deletes an object.
    ///
    /// - Parameters:
    ///   - kind: Its kind.
    ///   - name: Its name.
    ///   - namespace: Where it is; `nil` for the client's own namespace.
    ///   - propagation: What becomes of its own objects.
    /// - Returns: Whether there was one.
    /// - Throws: ``KubernetesError``; `CancellationError`.
    @discardableResult
    public func delete(
        _ kind: ResourceKind,
        _ name: String,
        namespace: String? = nil,
        propagation: Propagation = .background
    ) async throws -> Bool {
        let place = kind.isNamespaced ? namespace ?? self.namespace : nil
        let body: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": .string(propagation.rawValue),
        ]
        let target = kind.path(namespace: place, name: name)
        let message = ClusterLink.Message(method: .delete, target: target, body: Array(body.canonical.utf8))
        do {
            _ = try await ask(message, Operation("delete", kind, name, place))
            return true
        } catch let error as KubernetesError where error.code == .notFound {
            return false
        }
    }

    /// Whether we may do something.
    ///
    /// - Parameters:
    ///   - verb: `patch`, `create`, `delete`, `get`.
    ///   - kind: To what.
    ///   - namespace: Where; `nil` for the client's own namespace.
    /// - Returns: Whether; `nil` where the cluster does not say.
    /// - Throws: ``KubernetesError``; `CancellationError`.
    public func mayDo(_ verb: String, _ kind: ResourceKind, namespace: String? = nil) async throws -> Bool? {
        var attributes: JSONValue = [
            "verb": .string(verb), "group": .string(kind.group), "resource": .string(kind.plural),
        ]
        if kind.isNamespaced { attributes["namespace"] = .string(namespace ?? self.namespace) }
        let body: JSONValue = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": ["resourceAttributes": attributes],
        ]
        let target = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        let message = ClusterLink.Message(method: .post, target: target, body: Array(body.canonical.utf8))
        do {
            return try await ask(message, Operation("ask for the right to \(verb)", kind.qualified))["status"]?[
                "allowed"
            ]?
            .bool
        } catch let error as KubernetesError where [.notFound, .denied, .invalid].contains(error.code) {
            return nil
        }
    }
}
