// SPDX-License-Identifier: Apache-2.0
public import HTTP
internal import OCI

/// Where a cluster is, and who we are there: what a context of a kubeconfig says, its files read.
public struct ClusterAccess: Sendable {
    /// What requests are shown to be from us with, besides a certificate.
    public enum Credentials: Sendable {
        /// Nothing.
        case none
        /// A bearer token.
        case token(String)
        /// A file of a bearer token, which others write anew: it is read again for every request.
        case tokenFile(String)
        /// A name and password.
        case basic(user: String, password: String)
        /// What a program gives.
        case plugin(ExecPlugin)
    }

    /// The cluster's API.
    public var server: HTTPURL
    /// Where objects are that do not say it themselves.
    public var namespace: String
    /// The context's name; empty where there is none.
    public var contextName = ""
    /// The cluster's name; empty where there is none.
    public var clusterName = ""
    /// The user's name in the kubeconfig; empty where there is none.
    public var userName = ""
    /// The files of the kubeconfig, for messages; empty where there is none.
    public var source = ""
    /// What requests are shown to be from us with.
    public var credentials = Credentials.none
    /// Our certificate and its key; `nil` where there is none.
    public var certificate: ExecCredential.Certificate?
    /// The only authorities to trust, PEM; `nil` for those of the system.
    public var authority: [UInt8]?
    /// Whether the cluster's certificate is not verified.
    public var isInsecure = false
    /// The name that the cluster's certificate is for; `nil` for its host.
    public var serverName: String?
    /// The proxy: `http://[USER:PASSWORD@]HOST:PORT`; `nil` for that of the environment.
    public var proxy: String?
    /// Fields that say whose rights are wanted instead of our own.
    public var impersonation: [(name: String, value: String)] = []
    var pluginSettings: JSONValue?

    /// A place.
    ///
    /// - Parameters:
    ///   - server: The cluster's API.
    ///   - namespace: Where objects are that do not say it themselves.
    public init(server: HTTPURL, namespace: String = "default") {
        (self.server, self.namespace) = (server, namespace)
    }

    /// For people: the context's name, else that of the host.
    public var summary: String { contextName.isEmpty ? server.authority : contextName }

    /// The account of the pod that this process runs in; `nil` outside of a cluster.
    ///
    /// - Parameter environment: The environment of the process.
    /// - Returns: What a client needs.
    /// - Throws: ``KubernetesError`` where the pod's files cannot be read.
    public static func ofPod(environment: [String: String]) throws(KubernetesError) -> ClusterAccess? {
        let folder = environment["CORACLE_SERVICE_ACCOUNT"] ?? "/var/run/secrets/kubernetes.io/serviceaccount"
        guard let host = environment["KUBERNETES_SERVICE_HOST"], let port = environment["KUBERNETES_SERVICE_PORT"],
            !host.isEmpty, try SmallFile.read(folder + "/token", what: "the token") != nil
        else { return nil }
        let name = host.contains(":") ? "[\(host)]" : host
        guard let server = try? HTTPURL("https://\(name):\(port)/") else { return nil }
        let namespace = try SmallFile.read(folder + "/namespace", what: "the namespace") ?? []
        let text = String(decoding: namespace, as: UTF8.self).filter { !$0.isWhitespace }
        var access = ClusterAccess(server: server, namespace: text.isEmpty ? "default" : text)
        access.credentials = .tokenFile(folder + "/token")
        access.authority = try SmallFile.read(folder + "/ca.crt", what: "the authority")
        access.userName = "the service account of this pod"
        return access
    }

    /// How the cluster is reached.
    func network(_ base: NetworkSettings, certificate: ExecCredential.Certificate?) -> NetworkSettings {
        var settings = base
        let host = server.authority.contains(":") ? server.authority : "\(server.authority):\(server.port)"
        if let certificate {
            settings.clientCertificates[host] = .init(certificate: certificate.certificate, key: certificate.key)
        }
        settings.onlyAuthorities = authority
        if isInsecure { settings.insecureHosts.insert(host) }
        if let serverName { settings.serverNames[server.host] = serverName }
        if let proxy {
            (settings.proxy.secure, settings.proxy.plain, settings.proxy.exceptions) = (proxy, proxy, [])
        }
        return settings
    }
}
