// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTP
internal import OCI
internal import Registry
internal import Synchronization

/// The way to a cluster: connections, and what shows who we are, asked for anew when it ends or is refused.
///
/// The lock protects what a plug-in gave last, and the connections that were made with its certificate.
final class ClusterLink: Sendable {
    private struct State {
        var credential: ExecCredential?
        var session: HTTPSession?
    }

    let access: ClusterAccess
    private let base: NetworkSettings
    private let environment: [String: String]
    private let answer: PluginAnswer?
    private let note: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let turnstile = ConcurrencyLimit(1)

    init(
        _ access: ClusterAccess,
        _ base: NetworkSettings,
        _ environment: [String: String],
        _ answer: PluginAnswer?,
        _ note: @escaping @Sendable (String) -> Void
    ) {
        (self.access, self.base, self.environment) = (access, base, environment)
        (self.answer, self.note) = (answer, note)
    }

    /// What is sent: a method, where, and what.
    struct Message: Sendable {
        var method = HTTPRequest.Method.get
        /// Path and query.
        var target: String
        var body: [UInt8]?
        var contentType = "application/json"
        var accept = "application/json"
        /// Whether what was done once may be done again: all that we send says what should be, not what to change.
        var repetition = HTTPRequest.Repetition.allowed
    }

    /// Sends a request, once more with new credentials where those that there were are refused.
    func send(_ message: Message, policy: RetryPolicy? = nil) async throws -> HTTPResponse {
        let first = try await attempt(message, policy, refused: nil)
        guard first.response.status == 401, case .plugin = access.credentials else { return first.response }
        await first.response.discard()
        return try await attempt(message, policy, refused: first.credential).response
    }

    private func attempt(
        _ message: Message,
        _ policy: RetryPolicy?,
        refused: ExecCredential?
    ) async throws -> (response: HTTPResponse, credential: ExecCredential?) {
        let credential = try await credential(refused: refused)
        var request = HTTPRequest(message.method, try access.server.under(message.target))
        request.headers = try headers(credential)
        request.headers["Accept"] = message.accept
        if let body = message.body {
            request.body = HTTPBody(body)
            request.headers["Content-Type"] = message.contentType
        }
        request.repetition = message.repetition
        let session = session(credential)
        return (try await deliver(request, session, policy ?? RetryPolicy()), credential)
    }

    /// Sends a request, again where that may help: a cluster that answers 500 would do so again, as it does to manifests
    /// that it cannot read.
    private func deliver(
        _ request: HTTPRequest,
        _ session: HTTPSession,
        _ policy: RetryPolicy
    ) async throws -> HTTPResponse {
        var attempt = 1
        while true {
            do {
                let response = try await session.send(request, policy: .never)
                guard response.status != 500, RetryPolicy.isTransient(response.status),
                    let delay = policy.delay(after: attempt, asked: RetryPolicy.retryAfter(response.headers))
                else { return response }
                await response.discard()
                note("\(access.server.authority) answered \(response.status); attempt \(attempt + 1) follows")
                try await Task.sleep(for: delay)
            } catch let error as ServerError {
                guard error.isTransient, let delay = policy.delay(after: attempt) else { throw network(error) }
                note("\(error.message); attempt \(attempt + 1) follows")
                try await Task.sleep(for: delay)
            }
            attempt += 1
        }
    }

    /// What is needed for a websocket: how the cluster is reached, and the fields that show who we are.
    func websocket(_ target: String) async throws -> (address: String, NetworkSettings, HTTPFields) {
        let credential = try await credential(refused: nil)
        let url = try access.server.under(target)
        let settings = access.network(base, certificate: credential?.certificate ?? access.certificate)
        return (
            (url.isSecure ? "wss" : "ws") + url.text.dropFirst(url.isSecure ? 5 : 4), settings, try headers(credential)
        )
    }

    /// The longest that nothing may come.
    var idleTimeout: Duration { base.idleTimeout }

    private func session(_ credential: ExecCredential?) -> HTTPSession {
        state.withLock { state in
            if let session = state.session { return session }
            let settings = access.network(base, certificate: credential?.certificate ?? access.certificate)
            let session = HTTPSession(NetworkTransport(settings), width: 16)
            state.session = session
            return session
        }
    }

    private func headers(_ credential: ExecCredential?) throws(KubernetesError) -> HTTPFields {
        var fields: HTTPFields = [:]
        switch access.credentials {
        case .none: break
        case .token(let token): fields["Authorization"] = "Bearer \(token)"
        case .tokenFile(let path):
            guard let bytes = try SmallFile.read(path, what: "the token") else {
                throw KubernetesError(.credentials, "the token of \(access.summary): there is no file \(path)")
            }
            let token = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
            guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw KubernetesError(.credentials, "the token of \(access.summary): \(path) holds none")
            }
            fields["Authorization"] = "Bearer \(token)"
        case .basic(let user, let password):
            fields["Authorization"] = "Basic \(Base64.encode(Array("\(user):\(password)".utf8)))"
        case .plugin: if let token = credential?.token { fields["Authorization"] = "Bearer \(token)" }
        }
        for (name, value) in access.impersonation { fields.append(name, value) }
        return fields
    }

    private func credential(refused: ExecCredential?) async throws -> ExecCredential? {
        guard case .plugin(let plugin) = access.credentials else { return nil }
        if let found = known(refused) { return found }
        do {
            return try await turnstile.run {
                if let found = known(refused) { return found }
                let made = try await ask(plugin)
                state.withLock { state in
                    // Another certificate wants other connections.
                    if state.credential?.certificate != made.certificate { state.session = nil }
                    state.credential = made
                }
                return made
            }
        }
    }

    private func known(_ refused: ExecCredential?) -> ExecCredential? {
        state.withLock { $0.credential }
            .flatMap { $0 != refused && ($0.expires.map { $0 - 60 > Int64(time(nil)) } ?? true) ? $0 : nil }
    }

    private func ask(_ plugin: ExecPlugin) async throws -> ExecCredential {
        if let answer, let credential = try await answer(plugin) { return credential }
        let run = PluginRun(plugin: plugin, access: access, environment: environment, note: note)
        return try await run.credential()
    }

    /// What kept us from the cluster, with what a kubeconfig has for it.
    private func network(_ error: ServerError) -> KubernetesError {
        if let fault = setting(error) { return fault }
        var hint = error.hint
        if [.certificate, .handshake, .clientCertificate].contains(error.code) {
            hint =
                "az aks get-credentials --overwrite-existing, or kubectl config view --minify: server, "
                + "certificate-authority-data, tls-server-name"
        } else if error.code == .unknownHost, access.server.host.contains(".privatelink.") {
            hint = "the cluster is private: its name is known within its network only, or try az aks command invoke"
        } else if error.code == .unknownHost || error.code == .unreachable || error.code == .timedOut {
            hint =
                "az aks show --query powerState.code says whether the cluster runs; kubectl config current-context, "
                + "whether it is the one"
        }
        return KubernetesError(.network, "the cluster \(access.summary): \(error.message)", hint: hint)
    }
}

extension ClusterLink {
    /// What is wrong with what the kubeconfig says; `nil` where it is not that.
    private func setting(_ error: ServerError) -> KubernetesError? {
        let file = access.source.isEmpty ? "" : access.source + ": "
        let hint =
            "az aks get-credentials --overwrite-existing, or kubectl config view --raw --minify shows what is there"
        if error.code == .badClientCertificate {
            let isGiven = access.certificate == nil
            let user = access.userName.isEmpty ? "who we are" : "the user \(access.userName)"
            return KubernetesError(
                .credentials,
                "\(file)\(user) has a client certificate\(isGiven ? " of its plug-in" : "") that cannot be used: "
                    + error.message,
                hint: hint
            )
        }
        guard error.code == .badSettings, access.authority != nil, error.message.hasPrefix("the authority of") else {
            return error.code == .badSettings ? KubernetesError(.settings, error.message, hint: error.hint) : nil
        }
        return KubernetesError(
            .settings,
            "\(file)the certificate-authority of the cluster \(access.clusterName) cannot be read (PEM)",
            hint: hint
        )
    }
}

extension HTTPURL {
    /// An address below this one's path: clusters may be behind `https://HOST/k8s/clusters/NAME`.
    func under(_ target: String) throws(ServerError) -> HTTPURL {
        var base = path
        while base.hasSuffix("/") { base.removeLast() }
        return try resolving(base + target)
    }
}
