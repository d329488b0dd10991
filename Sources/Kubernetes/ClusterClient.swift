// SPDX-License-Identifier: Apache-2.0
public import HTTP
public import OCI
internal import Synchronization

/// Speaks with a cluster: reads, applies, deletes and watches objects, reads what pods write, and runs programs in them.
///
/// One client is for all requests of a run; any number of tasks may use it at once. Requests that fail for a while are
/// sent again. Objects travel as JSON, and are never changed on the way.
///
/// Specification: Kubernetes API concepts; server-side apply.
public struct ClusterClient: Sendable {
    /// Who owns the fields that we apply.
    public static let manager = "coracle"

    /// Where the cluster is, and who we are there.
    public var access: ClusterAccess { link.access }
    /// Where objects are that do not say it themselves.
    public var namespace: String { link.access.namespace }
    let link: ClusterLink
    let kinds = KnownKinds()

    /// Makes a client; nothing is sent before the first request.
    ///
    /// - Parameters:
    ///   - access: Where the cluster is, and who we are there.
    ///   - network: How servers are reached; whom to trust is said by `access` where that says it.
    ///   - environment: The environment of the process, for plug-ins.
    ///   - answer: Answers in place of a plug-in where it can.
    ///   - note: Is told what plug-ins say, and what is tried again; from any thread.
    public init(
        _ access: ClusterAccess,
        network: NetworkSettings = NetworkSettings(),
        environment: [String: String] = [:],
        answer: PluginAnswer? = nil,
        note: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        link = ClusterLink(access, network, environment, answer, note)
    }

    // MARK: Reading

    /// The cluster's version.
    ///
    /// - Returns: As `v1.33.2`.
    /// - Throws: ``KubernetesError``; `CancellationError`.
    public func version() async throws -> String {
        let operation = Operation("read the version of", access.summary)
        let json = try await ask(ClusterLink.Message(target: "/version"), operation)
        return json["gitVersion"]?.string ?? "an unknown version"
    }

    /// Reads an object.
    ///
    /// - Parameters:
    ///   - kind: Its kind.
    ///   - name: Its name.
    ///   - namespace: Where it is; `nil` for the client's own namespace.
    /// - Returns: The object; `nil` where there is none.
    /// - Throws: ``KubernetesError``; `CancellationError`.
    public func find(_ kind: ResourceKind, _ name: String, namespace: String? = nil) async throws -> JSONValue? {
        let place = kind.isNamespaced ? namespace ?? self.namespace : nil
        let operation = Operation("read", kind, name, place)
        do {
            return try await ask(ClusterLink.Message(target: kind.path(namespace: place, name: name)), operation)
        } catch let error as KubernetesError where error.code == .notFound {
            return nil
        }
    }

    /// Which objects are meant, among all of a kind.
    public struct Selection: Hashable, Sendable {
        /// Where they are; `nil` for the client's own namespace.
        public var namespace: String?
        /// Whether they are wherever they are.
        public var isEverywhere = false
        /// `app.kubernetes.io/name=web,tier!=db`; `nil` for whatever labels they have.
        public var labels: String?
        /// `metadata.name=web`; `nil` for whatever they are.
        public var fields: String?

        /// Objects.
        ///
        /// - Parameters:
        ///   - namespace: Where they are; `nil` for the client's own namespace.
        ///   - labels: `app.kubernetes.io/name=web,tier!=db`.
        ///   - fields: `metadata.name=web`.
        public init(namespace: String? = nil, labels: String? = nil, fields: String? = nil) {
            (self.namespace, self.labels, self.fields) = (namespace, labels, fields)
        }
    }

    /// Lists objects, page by page.
    ///
    /// - Parameters:
    ///   - kind: Their kind.
    ///   - selection: Which of them.
    /// - Returns: The objects, each with its kind and apiVersion, which lists of Kubernetes leave out.
    /// - Throws: ``KubernetesError``; `CancellationError`.
    public func list(_ kind: ResourceKind, _ selection: Selection = Selection()) async throws -> [JSONValue] {
        try await snapshot(kind, selection).items
    }

    /// Lists objects, all or the first, and says what version of the cluster they are of.
    func snapshot(
        _ kind: ResourceKind,
        _ selection: Selection,
        isHead: Bool = false
    ) async throws -> (items: [JSONValue], version: String) {
        var items: [JSONValue] = []
        var more: String?
        let operation = Operation("list", kind.qualified, place(kind, selection))
        for _ in 0..<1000 {
            let query = self.query(selection, [("limit", isHead ? "1" : "500"), ("continue", more)])
            let path = kind.path(namespace: place(kind, selection))
            let page = try await ask(ClusterLink.Message(target: path + query), operation)
            for var item in page["items"]?.array ?? [] {
                (item["apiVersion"], item["kind"]) = (.string(kind.apiVersion), .string(kind.kind))
                items.append(item)
            }
            more = page["metadata"]?["continue"]?.string
            guard !isHead, more?.isEmpty == false else {
                return (items, page["metadata"]?["resourceVersion"]?.string ?? "")
            }
        }
        throw KubernetesError(.server, "list \(kind.qualified): there is no end to it")
    }

    func place(_ kind: ResourceKind, _ selection: Selection) -> String? {
        kind.isNamespaced && !selection.isEverywhere ? selection.namespace ?? namespace : nil
    }

    func query(_ selection: Selection, _ more: [(String, String?)]) -> String {
        let all = [("labelSelector", selection.labels), ("fieldSelector", selection.fields)] + more
        let words = all.compactMap { name, value in
            value.flatMap { $0.isEmpty ? nil : "\(name)=\(HTTPURL.encoded($0))" }
        }
        return words.isEmpty ? "" : "?" + words.joined(separator: "&")
    }

    /// The kind of an object, which the cluster is asked for where it is none of the well-known.
    ///
    /// - Parameter object: A manifest.
    /// - Returns: The kind.
    /// - Throws: ``KubernetesError`` where the cluster knows no such kind; `CancellationError`.
    public func kind(of object: JSONValue) async throws -> ResourceKind {
        if let known = ResourceKind.known(object) { return known }
        let version = object["apiVersion"]?.string ?? ""
        let name = object["kind"]?.string ?? ""
        guard !version.isEmpty, !name.isEmpty else {
            throw KubernetesError(.invalid, "an object has no apiVersion or no kind")
        }
        if let kind = kinds.find(version, name) { return kind }
        let fault = KubernetesError(
            .notFound,
            "the cluster \(access.summary) has no kind \(name) of \(version)",
            hint: "kubectl api-resources says which it has"
        )
        let path = (version.contains("/") ? "/apis/" : "/api/") + version
        do {
            let answer = try await ask(.init(target: path), Operation("read the kinds of", version))
            kinds.add(version, answer)
        } catch let error as KubernetesError where error.code == .notFound {
            throw fault
        }
        guard let kind = kinds.find(version, name) else { throw fault }
        return kind
    }

    // MARK: Sending

    /// Sends a request, and reads an answer of JSON.
    func ask(_ message: ClusterLink.Message, _ operation: Operation) async throws -> JSONValue {
        let response = try await link.send(message)
        let bytes = try await answer(response)
        guard response.isSuccess else { throw StatusText(access).error(operation, response.status, bytes) }
        guard let json = try? JSONValue(parsing: bytes) else {
            throw KubernetesError(
                .server,
                "\(operation.text): what \(access.server.authority) answered is no JSON",
                hint: "check the server of the kubeconfig: kubectl config view --minify",
                status: response.status
            )
        }
        return json
    }

    private func answer(_ response: HTTPResponse) async throws -> [UInt8] {
        do {
            return try await response.bytes(limit: 64 << 20)
        } catch let error as ServerError {
            throw KubernetesError(.network, "the cluster \(access.summary): \(error.message)", hint: error.hint)
        }
    }
}

/// What is being done, to what: the beginning of every message.
struct Operation: Sendable {
    let verb: String
    let kind: ResourceKind?
    let name: String
    let namespace: String?

    init(_ verb: String, _ kind: ResourceKind, _ name: String, _ namespace: String?) {
        (self.verb, self.kind, self.name, self.namespace) = (verb, kind, name, namespace)
    }

    init(_ verb: String, _ name: String, _ namespace: String? = nil) {
        (self.verb, kind, self.name, self.namespace) = (verb, nil, name, namespace)
    }

    /// `apply deployment/web in the namespace shop`.
    var text: String {
        let what = kind.map { "\($0)/\(name)" } ?? name
        return "\(verb) \(what)" + (namespace.map { " in the namespace \($0)" } ?? "")
    }
}

/// Kinds that the cluster was asked for; the lock protects them.
final class KnownKinds: Sendable {
    private let kinds = Mutex<[ResourceKind]>([])

    func find(_ version: String, _ kind: String) -> ResourceKind? {
        kinds.withLock { $0.first { $0.apiVersion == version && $0.kind == kind } }
    }

    /// Takes an `APIResourceList`.
    func add(_ version: String, _ list: JSONValue) {
        let found = (list["resources"]?.array ?? [])
            .compactMap { resource -> ResourceKind? in
                guard let kind = resource["kind"]?.string, let plural = resource["name"]?.string, !plural.contains("/")
                else { return nil }
                let isNamespaced = resource["namespaced"]?.bool ?? true
                return ResourceKind(version, kind, plural: plural, isNamespaced: isNamespaced)
            }
        kinds.withLock { $0 += found }
    }
}
