// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

extension RegistryClient {
    /// Where the registry of a name in references is.
    ///
    /// - Parameter registry: As references have it.
    /// - Returns: The host; Docker Hub's registry has another than its name.
    static func host(_ registry: String) -> String {
        registry == "docker.io" || registry == "index.docker.io" ? "registry-1.docker.io" : registry
    }

    /// Whether plain HTTP may be spoken with a server: this machine, or one that was named.
    func mayBePlain(_ url: HTTPURL) -> Bool {
        url.isLoopback || settings.insecureHosts.contains { url.isNamed($0) }
    }

    /// Finds out, once, where a registry is and what it wants to be shown.
    func endpoint(_ operation: Operation) async throws -> RegistryState.Endpoint {
        try await state.endpoint(operation.registry) {
            do {
                return try await find(operation)
            } catch let error as ServerError {
                throw operation.error(error)
            }
        }
    }

    /// How long TLS is tried where plain HTTP is allowed: a server that knows none may wait for more for ever.
    private static let patienceForTLS: Duration = .seconds(3)

    /// Tries TLS first, so that nothing goes in the clear where it need not; then, where that is allowed, plain HTTP.
    private func find(_ operation: Operation) async throws -> RegistryState.Endpoint {
        let host = RegistryClient.host(operation.registry)
        let secure = try HTTPURL(isSecure: true, authority: host, target: "/v2/")
        let plain = try HTTPURL(isSecure: false, authority: host, target: "/v2/")
        guard mayBePlain(plain) else { return try await probe(operation, secure) }
        let failure: ServerError?
        do {
            if let found = try await hastily({ try await self.probe(operation, secure) }) { return found }
            failure = nil
        } catch let error as ServerError {
            // Nobody listens on a port that was written, whatever is spoken.
            let isHopeless = error.code == .unreachable && secure.port == plain.port
            let mayBeNoTLS: [ServerError.Code] = [.handshake, .unreachable, .cut, .malformed, .timedOut]
            guard !isHopeless, mayBeNoTLS.contains(error.code) else { throw error }
            failure = error
        }
        do {
            return try await probe(operation, plain)
        } catch is ServerError where failure == nil {
            // It was slow, and is no server of plain HTTP: all the patience there is.
            return try await probe(operation, secure)
        } catch let error as RegistryError where error.status == 400 {
            // So a server that wants TLS answers who speaks plain HTTP to it.
            if let failure { throw failure }
            return try await probe(operation, secure)
        }
    }

    /// Does something for a few seconds at most; `nil` where it took longer.
    private func hastily<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value? {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(for: RegistryClient.patienceForTLS)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    /// A request that says what sends it, where the registry wants to know: Azure asks tools for that.
    private func introduced(_ request: HTTPRequest) -> HTTPRequest {
        guard [".azurecr.io", ".azurecr.us", ".azurecr.cn"].contains(where: { request.url.host.hasSuffix($0) }) else {
            return request
        }
        var request = request
        request.headers["X-Meta-Source-Client"] = "azure/coracle"
        return request
    }

    private func probe(_ operation: Operation, _ url: HTTPURL) async throws -> RegistryState.Endpoint {
        // First contact: a mistyped name should be told soon.
        var policy = settings.retries
        policy.attempts = min(policy.attempts, 3)
        let response = try await session.send(introduced(HTTPRequest(.get, url)), policy: policy)
        warn(operation.registry, response)
        switch response.status {
        case 200..<300:
            await response.discard()
            return RegistryState.Endpoint(base: url, challenges: [])
        case 401:
            await response.discard()
            let challenges = Challenge.parse(response.headers.values(of: "WWW-Authenticate"))
            return RegistryState.Endpoint(base: url, challenges: challenges)
        case 404 where response.headers["Docker-Distribution-Api-Version"] == nil:
            await response.discard()
            throw RegistryError(
                .invalid,
                "\(operation.what): \(url.authority) is no registry: it has no \(Redaction.url(url))",
                hint: "check the name before the first slash of the reference",
                status: 404
            )
        default: throw await operation.error(response, secrets: state.secrets)
        }
    }

    /// Sends a request with what the registry wants to be shown.
    ///
    /// A 401 has the token renewed and the request sent once more. Where credentials are not accepted for a pull, it is
    /// tried without: old ones should not keep anybody from what is public.
    ///
    /// - Parameters:
    ///   - operation: What the request is for.
    ///   - policy: How often and how long apart; `nil` for the usual.
    ///   - make: Makes the request, given the registry's address.
    /// - Returns: The answer, whatever its status but 401.
    /// - Throws: ``RegistryError``.
    func send(
        _ operation: Operation,
        policy: RetryPolicy? = nil,
        _ make: (HTTPURL) throws -> HTTPRequest
    ) async throws -> HTTPResponse {
        do {
            return try await sendShowing(operation, policy ?? settings.retries, make)
        } catch let error as ServerError {
            throw operation.error(error)
        } catch let error as ContentError {
            throw operation.invalid(error.message)
        }
    }

    private func sendShowing(
        _ operation: Operation,
        _ policy: RetryPolicy,
        _ make: (HTTPURL) throws -> HTTPRequest
    ) async throws -> HTTPResponse {
        let endpoint = try await endpoint(operation)
        let request = introduced(try make(endpoint.base))
        let isOurs = request.url.authority == endpoint.base.authority && request.url.isSecure == endpoint.base.isSecure
        guard isOurs else { return try await session.send(request, policy: policy) }
        let isAnonymous = await isRefused(operation)
        var (challenges, refused): ([Challenge], String?) = (endpoint.challenges, nil)
        while true {
            let token: Token?
            do {
                token = try await self.token(
                    operation,
                    endpoint,
                    challenges,
                    refused: refused,
                    isAnonymous: isAnonymous
                )
            } catch let error as RegistryError where error.kind == .auth && error.status != nil && !isAnonymous {
                // The token server does not take the credentials.
                let found = try await withoutCredentials(operation, endpoint, challenges, request, policy)
                guard let found else { throw error }
                return found
            }
            var attempt = request
            attempt.headers["Authorization"] = token?.header
            let response = try await session.send(attempt, policy: policy)
            warn(operation.registry, response)
            guard response.status == 401, response.url.authority == endpoint.base.authority else { return response }
            let asked = Challenge.parse(response.headers.values(of: "WWW-Authenticate"))
            guard refused == nil, token == nil || token?.header != nil else {
                let failure = await refusal(operation, response, token)
                guard !isAnonymous, let token, token.credentials != .anonymous,
                    let found = try await withoutCredentials(operation, endpoint, asked, request, policy)
                else { throw failure }
                return found
            }
            await response.discard()
            if !asked.isEmpty { challenges = asked }
            refused = token?.header ?? ""
        }
    }

    /// Whether a pull goes without credentials, as those for it were not accepted.
    private func isRefused(_ operation: Operation) async -> Bool {
        guard operation.access == .pull else { return false }
        return await state.isRefused(operation.holder, at: operation.registry) { try? await identify(operation) }
    }

    /// A pull without credentials, as those we have are not accepted; `nil` where that is not enough either.
    private func withoutCredentials(
        _ operation: Operation,
        _ endpoint: RegistryState.Endpoint,
        _ challenges: [Challenge],
        _ request: HTTPRequest,
        _ policy: RetryPolicy
    ) async throws -> HTTPResponse? {
        guard operation.access == .pull else { return nil }
        do {
            let token = try await token(operation, endpoint, challenges, isAnonymous: true)
            var attempt = request
            attempt.headers["Authorization"] = token?.header
            let response = try await session.send(attempt, policy: policy)
            guard response.status != 401 else {
                await response.discard()
                return nil
            }
            state.refuse(try? await identify(operation), for: operation.holder, at: operation.registry)
            return response
        } catch {
            // What went wrong first is what people should hear of.
            try Task.checkCancellation()
            return nil
        }
    }

    /// What a 401 means: nobody known, or somebody with too few rights.
    private func refusal(_ operation: Operation, _ response: HTTPResponse, _ token: Token?) async -> RegistryError {
        let answer = RegistryAnswer((try? await response.bytes(limit: 64 << 10)) ?? [], secrets: state.secrets)
        let credentials = token?.credentials ?? .anonymous
        let id = response.headers["x-ms-correlation-request-id"]
            .map {
                " (x-ms-correlation-request-id \(Redaction.text($0)))"
            }
        let granted = operation.repository.flatMap { token?.grants($0.name) }
        // A token is given with 200 even where rights are lacking; only what it grants is less.
        let missing = operation.access.actions.filter { action in
            granted.map { !$0.contains(action) && !$0.contains("*") } ?? true
        }
        let access = MissingAccess(
            registry: operation.registry,
            repository: operation.repository?.name,
            actions: missing,
            credentials: credentials
        )
        let advice = await self.credentials.advice(on: access)
        func error(_ kind: RegistryError.Kind, _ reason: String) -> RegistryError {
            RegistryError(
                kind,
                "\(operation.what): \(reason)" + (answer.text.map { ": \($0)" } ?? "") + (id ?? "")
                    + (advice?.reason.map { "; \($0)" } ?? ""),
                hint: advice?.hint ?? operation.hint(kind, 401, answer.text ?? ""),
                status: 401,
                codes: answer.codes
            )
        }
        if credentials == .anonymous, let known = state.refusedCredentials(operation.holder) {
            return error(.auth, "\(operation.registry) does not accept \(known)")
        }
        guard credentials != .anonymous else {
            return error(.auth, "\(operation.registry) wants to know who asks, and there are no credentials for it")
        }
        if let repository = operation.repository, let granted, !missing.isEmpty {
            let has = granted.isEmpty ? "no rights there" : "\(granted.joined(separator: " and ")) only"
            let lacks = "\(missing.joined(separator: " and ")) on \(repository.name)"
            var whose = "the token of \(credentials)"
            if case .identityToken = credentials { whose = "the token" }
            return error(.denied, "denied: \(whose) has \(has), and lacks \(lacks)")
        }
        return error(.auth, "\(operation.registry) does not accept \(credentials)")
    }

    /// Tells what a registry has to say, each text once.
    ///
    /// Specification: OCI distribution-spec 1.1, "Warnings".
    func warn(_ registry: String, _ response: HTTPResponse) {
        for value in response.headers.values(of: "Warning") {
            guard value.hasPrefix("299 "), let first = value.firstIndex(of: "\""), let last = value.lastIndex(of: "\""),
                first < last
            else { continue }
            let quoted = value[value.index(after: first)..<last]
            let text = Redaction.text(String(quoted.prefix(500)).filter { $0 != "\\" }, secrets: state.secrets)
            if state.isNewWarning(registry + "\n" + text) { onEvent(.warning(registry: registry, text: text)) }
        }
    }

    /// Does something with the mirrors of a registry, the first that has what is wanted, and at last with itself.
    func pulling<Value>(
        _ repository: Repository,
        _ work: (Repository) async throws -> Value?
    ) async throws -> Value? {
        for mirror in mirrors(of: repository) {
            do {
                if let found = try await work(mirror) { return found }
            } catch let error as RegistryError {
                pass(mirror, because: error)
            }
        }
        return try await work(repository)
    }

    /// The mirrors of a repository that have not failed yet, in order.
    func mirrors(of repository: Repository) -> [Repository] {
        (settings.mirrors[repository.registry] ?? [])
            .compactMap { mirror in
                let parts = mirror.split(separator: "/", maxSplits: 1)
                guard let host = parts.first.map({ String($0) }), !state.isMirrorFailed(host) else { return nil }
                let prefix = parts.count > 1 ? "\(parts[1])/" : ""
                return Repository(unchecked: host, prefix + repository.name)
            }
    }

    /// Says that a mirror is passed over; one that cannot be reached is not asked again in this run.
    func pass(_ mirror: Repository, because error: RegistryError) {
        if [.network, .server, .throttled].contains(error.kind) { state.failMirror(mirror.registry) }
        onEvent(.mirrorFailed(mirror: mirror.registry, reason: error.message))
    }
}
