// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Registry
internal import Yams

/// What `kubectl` knows of clusters: where they are, who we are there, and which of both go together.
///
/// Several files are one: of two entries of a name the first counts, whole, as it is with `kubectl`.
///
/// Specification: `kubeconfig (v1)` of the reference; client-go's loading rules.
public struct Kubeconfig: Sendable {
    /// Where a cluster is.
    struct Cluster: Sendable {
        var server: String?
        var authority: Content?
        var isInsecure = false
        var serverName: String?
        var proxy: String?
        /// For plug-ins that want it: the extension `client.authentication.k8s.io/exec`.
        var pluginSettings: JSONValue?
    }

    /// Who somebody is.
    struct User: Sendable {
        var certificate: Content?
        var key: Content?
        var token: String?
        var tokenFile: String?
        var name: String?
        var password: String?
        var plugin: ExecPlugin?
        var provider: (name: String, settings: [String: String])?
        var impersonation: [(name: String, value: String)] = []
    }

    /// Which cluster and which user go together.
    struct Context: Sendable {
        var cluster: String
        var user: String
        var namespace: String?
    }

    /// Bytes in the file itself, or in another.
    enum Content: Sendable {
        case bytes([UInt8])
        case file(String)
    }

    /// The files it was read from, in their order; empty where there was none.
    public internal(set) var files: [String] = []
    /// The context that counts where none is named; `nil` where the files say nothing.
    public internal(set) var currentContext: String?
    var clusters: [String: Cluster] = [:]
    var users: [String: User] = [:]
    var contexts: [String: Context] = [:]

    /// The names of the contexts, sorted.
    public var contextNames: [String] { contexts.keys.sorted() }

    init() {}

    /// Reads one document.
    ///
    /// - Parameters:
    ///   - text: The document: YAML or JSON.
    ///   - file: Where it is from, for messages; paths in it are seen from its folder.
    /// - Throws: ``KubernetesError`` that says where it is wrong.
    public init(parsing text: String, file: String) throws(KubernetesError) {
        self = try KubeconfigReader(file: file).read(text)
    }

    /// Adds what another has and this has not.
    mutating func merge(_ other: Kubeconfig) {
        files += other.files
        currentContext = currentContext ?? other.currentContext
        clusters.merge(other.clusters) { own, _ in own }
        users.merge(other.users) { own, _ in own }
        contexts.merge(other.contexts) { own, _ in own }
    }
}

/// Reads a kubeconfig; values are in no message, since many are secrets.
struct KubeconfigReader {
    let file: String

    func read(_ document: String) throws(KubernetesError) -> Kubeconfig {
        let root: Node?
        do {
            root = try Yams.compose(yaml: document)
        } catch {
            throw fault(KubeconfigReader.place(error))
        }
        var config = Kubeconfig()
        config.files = [file]
        guard let root, !KubeconfigReader.isNull(root) else { return config }
        guard root.mapping != nil else { throw fault("it is no kubeconfig") }
        if let kind = text(root["kind"]), kind != "Config" { throw fault("it is a \(kind.prefix(40)), no Config") }
        config.currentContext = text(root["current-context"])
        for (name, node) in try entries(root["clusters"], "cluster") where config.clusters[name] == nil {
            config.clusters[name] = try cluster(node, name)
        }
        for (name, node) in try entries(root["users"], "user") where config.users[name] == nil {
            config.users[name] = try user(node, name)
        }
        for (name, node) in try entries(root["contexts"], "context") where config.contexts[name] == nil {
            config.contexts[name] = Kubeconfig.Context(
                cluster: text(node["cluster"]) ?? "",
                user: text(node["user"]) ?? "",
                namespace: text(node["namespace"])
            )
        }
        return config
    }

    private func fault(_ reason: String) -> KubernetesError {
        KubernetesError(
            .settings,
            "the kubeconfig \(file): \(reason)",
            hint: "kubectl config view --kubeconfig \(file)"
        )
    }

    /// Where YAML ends to be YAML; its text is left out.
    private static func place(_ error: any Error) -> String {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line), column \(mark.column) is no YAML: \(problem)"
        default: "it is no YAML"
        }
    }

    private static func isNull(_ node: Node) -> Bool {
        node.scalar.map { $0.style == .plain && ["", "~", "null", "Null", "NULL"].contains($0.string) } ?? false
    }

    /// A text that is not empty.
    private func text(_ node: Node?) -> String? {
        guard let node, let scalar = node.scalar, !scalar.string.isEmpty, !KubeconfigReader.isNull(node) else {
            return nil
        }
        return scalar.string
    }

    private func isTrue(_ node: Node?) -> Bool { node?.scalar?.string.lowercased() == "true" }

    /// `- name: N`, `what: {…}`.
    private func entries(_ list: Node?, _ what: String) throws(KubernetesError) -> [(String, Node)] {
        guard let list, !KubeconfigReader.isNull(list) else { return [] }
        guard let elements = list.sequence else { throw fault("\(what)s is no list") }
        var found: [(String, Node)] = []
        for element in elements {
            guard let name = element["name"]?.scalar?.string else { throw fault("a \(what) has no name") }
            found.append((name, element[what] ?? Node([(Node, Node)]())))
        }
        return found
    }

    /// The folder that paths in the file are seen from.
    private func path(_ name: String) -> String {
        guard !name.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return name }
        return String(file[...slash]) + name
    }

    private func content(_ node: Node, _ key: String, _ what: String) throws(KubernetesError) -> Kubeconfig.Content? {
        if let data = text(node["\(key)-data"]) {
            let blanks: Set<Character> = [" ", "\n", "\r", "\t"]
            guard let bytes = Base64.decode(data.filter { !blanks.contains($0) }) else {
                throw fault("\(what): \(key)-data is not base64")
            }
            return .bytes(bytes)
        }
        return text(node[key]).map { .file(path($0)) }
    }

    private func cluster(_ node: Node, _ name: String) throws(KubernetesError) -> Kubeconfig.Cluster {
        var cluster = Kubeconfig.Cluster()
        cluster.server = text(node["server"])
        cluster.authority = try content(node, "certificate-authority", "the cluster \(name)")
        cluster.isInsecure = isTrue(node["insecure-skip-tls-verify"])
        cluster.serverName = text(node["tls-server-name"])
        cluster.proxy = text(node["proxy-url"])
        for element in node["extensions"]?.sequence.map({ Array($0) }) ?? []
        where element["name"]?.scalar?.string == "client.authentication.k8s.io/exec" {
            cluster.pluginSettings = element["extension"].map { KubeconfigReader.json($0) }
        }
        return cluster
    }

    private func user(_ node: Node, _ name: String) throws(KubernetesError) -> Kubeconfig.User {
        var user = Kubeconfig.User()
        user.certificate = try content(node, "client-certificate", "the user \(name)")
        user.key = try content(node, "client-key", "the user \(name)")
        user.token = text(node["token"])
        user.tokenFile = text(node["tokenFile"]).map { path($0) }
        (user.name, user.password) = (text(node["username"]), text(node["password"]))
        user.plugin = try plugin(node["exec"], name)
        if let provider = node["auth-provider"], provider.mapping != nil {
            var settings: [String: String] = [:]
            for (key, value) in provider["config"]?.mapping.map({ Array($0) }) ?? [] {
                if let key = key.scalar?.string, let value = value.scalar?.string { settings[key] = value }
            }
            user.provider = (text(provider["name"]) ?? "", settings)
        }
        user.impersonation = impersonation(node)
        return user
    }

    private func plugin(_ node: Node?, _ name: String) throws(KubernetesError) -> ExecPlugin? {
        guard let node, node.mapping != nil else { return nil }
        guard let command = text(node["command"]) else { throw fault("the user \(name): exec has no command") }
        var plugin = ExecPlugin(command.contains("/") ? path(command) : command)
        plugin.arguments = node["args"]?.sequence.map { list in list.map { $0.scalar?.string ?? "" } } ?? []
        for element in node["env"]?.sequence.map({ Array($0) }) ?? [] {
            if let name = text(element["name"]) { plugin.environment[name] = element["value"]?.scalar?.string ?? "" }
        }
        plugin.apiVersion = text(node["apiVersion"]) ?? ""
        guard plugin.apiVersion.hasPrefix("client.authentication.k8s.io/v1") else {
            throw fault(
                "the user \(name): exec has the apiVersion \"\(plugin.apiVersion)\"; client.authentication.k8s.io/v1 and "
                    + "/v1beta1 are spoken"
            )
        }
        plugin.installHint = text(node["installHint"])
        plugin.interaction = text(node["interactiveMode"]) ?? "IfAvailable"
        plugin.wantsCluster = isTrue(node["provideClusterInfo"])
        return plugin
    }

    private func impersonation(_ node: Node) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        if let user = text(node["as"]) { fields.append(("Impersonate-User", user)) }
        if let uid = text(node["as-uid"]) { fields.append(("Impersonate-Uid", uid)) }
        for group in node["as-groups"]?.sequence.map({ Array($0) }) ?? [] {
            if let group = text(group) { fields.append(("Impersonate-Group", group)) }
        }
        for (key, values) in node["as-user-extra"]?.mapping.map({ Array($0) }) ?? [] {
            for value in values.sequence.map({ Array($0) }) ?? [] {
                guard let key = key.scalar?.string, let value = value.scalar?.string else { continue }
                fields.append(("Impersonate-Extra-" + key, value))
            }
        }
        return fields
    }

    private static func json(_ node: Node) -> JSONValue {
        if let mapping = node.mapping {
            return .object(Dictionary(mapping.map { ($0.scalar?.string ?? "", json($1)) }) { own, _ in own })
        }
        if let sequence = node.sequence { return .array(sequence.map { json($0) }) }
        if isNull(node) { return .null }
        if let flag = node.bool { return .bool(flag) }
        if let number = node.int { return .int(Int64(number)) }
        if let number = node.float { return JSONValue(number) }
        return .string(node.scalar?.string ?? "")
    }
}
