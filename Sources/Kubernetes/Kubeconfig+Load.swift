// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTP

extension Kubeconfig {
    /// Reads the files that `kubectl` would read: the one that is named, else those of `KUBECONFIG`, else
    /// `~/.kube/config`.
    ///
    /// - Parameters:
    ///   - file: The one file that is to be read, and must be there; `nil` for what the environment says.
    ///   - environment: The environment of the process.
    /// - Returns: What they hold together; nothing where there are none.
    /// - Throws: ``KubernetesError`` where one cannot be read, or is malformed.
    public static func load(
        _ file: String? = nil,
        environment: [String: String]
    ) throws(KubernetesError) -> Kubeconfig {
        if let file {
            guard let config = try read(file) else {
                throw KubernetesError(.settings, "there is no kubeconfig \(file)", hint: "ls -l \(file)")
            }
            return config
        }
        var files = (environment["KUBECONFIG"] ?? "").split(separator: ":").map { String($0) }
        if files.isEmpty, let home = environment["HOME"], !home.isEmpty { files = ["\(home)/.kube/config"] }
        var (config, seen): (Kubeconfig, Set<String>) = (Kubeconfig(), [])
        for file in files where seen.insert(file).inserted {
            if let next = try read(file) { config.merge(next) }
        }
        return config
    }

    private static func read(_ file: String) throws(KubernetesError) -> Kubeconfig? {
        guard let bytes = try SmallFile.read(file, what: "the kubeconfig") else { return nil }
        return try Kubeconfig(parsing: String(decoding: bytes, as: UTF8.self), file: file)
    }

    /// Where a context leads, and who we are there; the files that it names are read now, but for those of tokens.
    ///
    /// - Parameters:
    ///   - context: The context; `nil` for the current one.
    ///   - namespace: The namespace; `nil` for the context's own.
    /// - Returns: What a client needs.
    /// - Throws: ``KubernetesError`` where there is no such context, or something in it cannot be used.
    public func access(context: String? = nil, namespace: String? = nil) throws(KubernetesError) -> ClusterAccess {
        let (name, context) = try self.context(context)
        guard let cluster = clusters[context.cluster] else {
            throw fault("the context \(name) is of the cluster \"\(context.cluster)\", which is not there", name)
        }
        guard let user = context.user.isEmpty ? User() : users[context.user] else {
            throw fault("the context \(name) is of the user \"\(context.user)\", who is not there", name)
        }
        guard let address = cluster.server else { throw fault("the cluster \(context.cluster) has no server", name) }
        let server: HTTPURL
        do {
            server = try HTTPURL(address.contains("://") ? address : "http://" + address)
        } catch {
            throw fault("the server of the cluster \(context.cluster): \(error.message)", name)
        }
        var access = ClusterAccess(server: server, namespace: namespace ?? context.namespace ?? "default")
        (access.contextName, access.clusterName, access.userName) = (name, context.cluster, context.user)
        access.source = files.joined(separator: ", ")
        if let content = cluster.authority {
            access.authority = try bytes(content, "the certificate-authority of the cluster \(context.cluster)")
        }
        (access.isInsecure, access.serverName) = (cluster.isInsecure, cluster.serverName)
        if let proxy = cluster.proxy, !proxy.lowercased().hasPrefix("http://") {
            throw fault(
                "the proxy-url of the cluster \(context.cluster) does not begin with http://, and no other is spoken",
                name
            )
        }
        (access.proxy, access.pluginSettings) = (cluster.proxy, cluster.pluginSettings)
        if access.isInsecure, access.authority != nil {
            throw fault(
                "the cluster \(context.cluster) has a certificate-authority, and insecure-skip-tls-verify: one of both",
                name
            )
        }
        try add(user, named: context.user, to: &access)
        return access
    }

    /// The context of a name, or the current one.
    private func context(_ name: String?) throws(KubernetesError) -> (String, Context) {
        guard let chosen = name ?? currentContext else {
            let known = contextNames.joined(separator: ", ")
            throw KubernetesError(
                .settings,
                files.isEmpty
                    ? "there is no kubeconfig"
                    : "\(files.joined(separator: ", ")): there is no current context"
                        + (known.isEmpty ? "" : "; there are \(known)"),
                hint: files.isEmpty || known.isEmpty
                    ? "az aks get-credentials --resource-group GROUP --name CLUSTER, or --cluster CLUSTER"
                    : "--kube-context NAME, or kubectl config use-context NAME"
            )
        }
        guard let context = contexts[chosen] else {
            let known = contextNames.isEmpty ? "there are none" : "there are \(contextNames.joined(separator: ", "))"
            let place = files.isEmpty ? "there is no kubeconfig" : files.joined(separator: ", ")
            throw KubernetesError(
                .settings,
                "\(place): there is no context \"\(chosen)\"; \(known)",
                hint: "kubectl config get-contexts"
            )
        }
        return (chosen, context)
    }

    private func fault(_ message: String, _ context: String) -> KubernetesError {
        KubernetesError(
            .settings,
            "\(files.joined(separator: ", ")): \(message)",
            hint: "kubectl config view --minify --context \(context)"
        )
    }

    private func bytes(_ content: Content, _ what: String) throws(KubernetesError) -> [UInt8] {
        switch content {
        case .bytes(let bytes): return bytes
        case .file(let path):
            guard let bytes = try SmallFile.read(path, what: what) else {
                throw KubernetesError(.settings, "\(what): there is no file \(path)", hint: "ls -l \(path)")
            }
            return bytes
        }
    }

    private func add(_ user: User, named name: String, to access: inout ClusterAccess) throws(KubernetesError) {
        let what = "the user \(name)"
        if let certificate = user.certificate, let key = user.key {
            access.certificate = ExecCredential.Certificate(
                certificate: try bytes(certificate, "the client-certificate of \(what)"),
                key: try bytes(key, "the client-key of \(what)")
            )
        } else if user.certificate != nil || user.key != nil {
            throw fault("\(what) has a client-certificate or a client-key, and needs both", access.contextName)
        }
        access.impersonation = user.impersonation
        let isBasic = user.name != nil || user.password != nil
        if isBasic, user.token != nil || user.tokenFile != nil {
            throw fault("\(what) has a token, and a name and password: one of both", access.contextName)
        }
        if let plugin = user.plugin {
            guard user.provider == nil else {
                throw fault("\(what) has exec and auth-provider: one of both", access.contextName)
            }
            access.credentials = .plugin(plugin)
        } else if let file = user.tokenFile {
            access.credentials = .tokenFile(file)
        } else if let token = user.token {
            access.credentials = .token(token)
        } else if isBasic {
            access.credentials = .basic(user: user.name ?? "", password: user.password ?? "")
        } else if let provider = user.provider {
            access.credentials = .plugin(try plugin(provider, what, access.contextName))
        }
    }

    /// What took the place of a provider that was part of `kubectl` until 1.25.
    private func plugin(
        _ provider: (name: String, settings: [String: String]),
        _ what: String,
        _ context: String
    ) throws(KubernetesError) -> ExecPlugin {
        guard provider.name == "azure" else {
            throw KubernetesError(
                .settings,
                "\(files.joined(separator: ", ")): \(what) has the auth-provider \"\(provider.name)\", which kubectl dropped too",
                hint: "have the kubeconfig made anew, with exec"
            )
        }
        var arguments = ["get-token"]
        let flags = [
            ("--environment", "environment"), ("--server-id", "apiserver-id"), ("--client-id", "client-id"),
            ("--tenant-id", "tenant-id"),
        ]
        for (flag, name) in flags { if let value = provider.settings[name] { arguments += [flag, value] } }
        return ExecPlugin("kubelogin", arguments)
    }
}

/// Files of settings and keys.
enum SmallFile {
    /// Reads a file; `nil` where there is none.
    static func read(_ path: String, what: String) throws(KubernetesError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            guard errno != ENOENT, errno != ENOTDIR else { return nil }
            throw fault(path, what, String(cString: strerror(errno)).lowercased())
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw fault(path, what, String(cString: strerror(errno)).lowercased()) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= 8 << 20 else { throw fault(path, what, "it is longer than 8 MiB") }
        }
    }

    private static func fault(_ path: String, _ what: String, _ reason: String) -> KubernetesError {
        KubernetesError(.settings, "reading \(what) \(path): \(reason)", hint: "ls -l \(path)")
    }
}
