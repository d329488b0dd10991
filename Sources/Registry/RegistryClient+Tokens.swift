// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

extension RegistryClient {
    /// What to show for an operation: a token for its scopes, a name and password, or nothing.
    ///
    /// `refused` is what the registry did not accept just now; `isAnonymous` leaves out credentials that are not accepted.
    func token(
        _ operation: Operation,
        _ endpoint: RegistryState.Endpoint,
        _ challenges: [Challenge],
        refused: String? = nil,
        isAnonymous: Bool = false
    ) async throws -> Token? {
        // Bearer first: a password that is shown to the token server only is shown less often.
        let challenge = challenges.first { $0.scheme == "bearer" } ?? challenges.first { $0.scheme == "basic" }
        guard let challenge else {
            guard let other = challenges.first else { return nil }
            throw operation.invalid("the registry asks for \"\(other.scheme)\", and only Bearer and Basic are spoken")
        }
        let asked = Scope.parse(challenge.parameters["scope"] ?? "")
        let scopes = challenge.scheme == "basic" ? [] : Scope.union(operation.scopes, asked)
        let service = challenge.parameters["service"] ?? ""
        // Credentials may be of one repository only, and so are the tokens that they are given.
        let key = [operation.holder, challenge.scheme, service, isAnonymous ? "anonymous" : ""]
            .joined(separator: "\n")
        return try await tokens.token(key, scopes: scopes, refused: refused) {
            let credentials = isAnonymous ? .anonymous : try await identify(operation)
            state.remember(secrets: credentials.secrets)
            return try await fetch(operation, endpoint, challenge, scopes, credentials)
        }
    }

    /// Who we are for an operation.
    func identify(_ operation: Operation) async throws -> Credentials {
        try await credentials.credentials(for: operation.registry, repository: operation.repository?.name)
    }

    func fetch(
        _ operation: Operation,
        _ endpoint: RegistryState.Endpoint,
        _ challenge: Challenge,
        _ scopes: [Scope],
        _ credentials: Credentials
    ) async throws -> Token {
        if case .registryToken(let token) = credentials {
            let header = "Bearer \(try checked(token, operation))"
            return Token(header: header, scopes: scopes, credentials: credentials, goodFor: .seconds(60))
        }
        guard challenge.scheme == "bearer" else {
            switch credentials {
            case .basic(let user, let password):
                let header = RegistryClient.basic(user, password)
                return Token(header: header, scopes: scopes, credentials: credentials, goodFor: .seconds(60))
            case .identityToken(let token):
                // ACR takes its refresh token as the password of a user that is all zeros.
                let header = RegistryClient.basic("00000000-0000-0000-0000-000000000000", token)
                return Token(header: header, scopes: scopes, credentials: credentials, goodFor: .seconds(60))
            default: return Token(header: nil, scopes: scopes, credentials: credentials, goodFor: .seconds(60))
            }
        }
        let realm = try realm(challenge, endpoint, operation)
        let service = challenge.parameters["service"]
        let (_, token) = try await askForToken(operation, realm, service, scopes, credentials)
        return token
    }

    /// The token server's address; passwords go there, so it must be as safe as the registry's own.
    func realm(
        _ challenge: Challenge,
        _ endpoint: RegistryState.Endpoint,
        _ operation: Operation
    ) throws -> HTTPURL {
        guard let text = challenge.parameters["realm"], let realm = try? endpoint.base.resolving(text) else {
            throw operation.invalid("the registry does not say where its token server is")
        }
        guard realm.isSecure || mayBePlain(realm) || (!endpoint.base.isSecure && realm.host == endpoint.base.host)
        else {
            throw RegistryError(
                .invalid,
                "\(operation.what): the registry's token server \(realm) would be asked over plain HTTP",
                hint: "--insecure \(realm.authority)"
            )
        }
        return realm
    }

    /// Asks a token server; the answer is returned too, as a login looks for more in it.
    func askForToken(
        _ operation: Operation,
        _ realm: HTTPURL,
        _ service: String?,
        _ scopes: [Scope],
        _ credentials: Credentials,
        isLogin: Bool = false
    ) async throws -> (answer: [UInt8], token: Token) {
        var parameters: [(String, String)] = []
        if let service { parameters.append(("service", service)) }
        parameters += scopes.map { ("scope", $0.description) }
        var response: HTTPResponse
        switch credentials {
        case .identityToken(let token):
            response = try await post(
                operation,
                realm,
                parameters,
                scopes,
                [
                    ("grant_type", "refresh_token"), ("refresh_token", token),
                ]
            )
        case .basic(let user, let password):
            var url = realm
            let login = isLogin ? [("offline_token", "true"), ("client_id", "coracle")] : []
            for (name, value) in parameters + [("account", user)] + login { url = url.adding(name, value) }
            let header = RegistryClient.basic(user, password)
            response = try await ask(operation, HTTPRequest(.get, url, headers: ["Authorization": header]))
            guard response.status == 404 || response.status == 405 else { break }
            await response.discard()
            response = try await post(
                operation,
                realm,
                parameters,
                scopes,
                [
                    ("grant_type", "password"), ("username", user), ("password", password),
                    ("access_type", isLogin ? "offline" : "online"),
                ]
            )
        default:
            var url = realm
            for (name, value) in parameters { url = url.adding(name, value) }
            response = try await ask(operation, HTTPRequest(.get, url))
        }
        guard response.isSuccess else { throw await refusal(operation, realm, response, credentials) }
        return try await read(response, operation, realm, scopes, credentials)
    }

    private func read(
        _ response: HTTPResponse,
        _ operation: Operation,
        _ realm: HTTPURL,
        _ scopes: [Scope],
        _ credentials: Credentials
    ) async throws -> (answer: [UInt8], token: Token) {
        do {
            let answer = try await response.bytes(limit: 1 << 20)
            let token = try Token(answer: answer, scopes: scopes, credentials: credentials)
            if let header = token.header { state.remember(secrets: [String(header.dropFirst(7))]) }
            return (answer, token)
        } catch let error as ServerError {
            throw operation.error(error)
        } catch let error as ContentError {
            throw operation.invalid(
                "the answer of the token server \(realm.authority) cannot be used: \(error.message)"
            )
        }
    }

    private func post(
        _ operation: Operation,
        _ realm: HTTPURL,
        _ parameters: [(String, String)],
        _ scopes: [Scope],
        _ grant: [(String, String)]
    ) async throws -> HTTPResponse {
        // One parameter with all scopes, as OAuth 2 has it; the GET form repeats it.
        let single = parameters.filter { $0.0 != "scope" }
        let scope = scopes.isEmpty ? [] : [("scope", scopes.map(\.description).joined(separator: " "))]
        let form = (grant + single + scope + [("client_id", "coracle")])
            .map { "\($0.0)=\(HTTPURL.encoded($0.1))" }.joined(separator: "&")
        return try await ask(
            operation,
            HTTPRequest(
                .post,
                realm,
                headers: ["Content-Type": "application/x-www-form-urlencoded"],
                body: HTTPBody(Array(form.utf8))
            )
        )
    }

    private func ask(_ operation: Operation, _ request: HTTPRequest) async throws -> HTTPResponse {
        do {
            return try await session.send(request)
        } catch let error as ServerError {
            throw operation.error(error)
        }
    }

    private func refusal(
        _ operation: Operation,
        _ realm: HTTPURL,
        _ response: HTTPResponse,
        _ credentials: Credentials
    ) async -> RegistryError {
        guard [400, 401, 403].contains(response.status) else {
            return await operation.error(response, secrets: state.secrets)
        }
        let answer = RegistryAnswer((try? await response.bytes(limit: 64 << 10)) ?? [], secrets: state.secrets)
        let reason = answer.text.map { ": \($0)" } ?? ""
        let id =
            response.headers["x-ms-correlation-request-id"]
            .map { " (x-ms-correlation-request-id \(Redaction.text($0)))" } ?? ""
        if response.status == 403, Operation.isAboutNetwork(answer.text ?? "") {
            return RegistryError(
                .denied,
                operation.what + reason + id,
                hint: operation.hint(.denied, 403, answer.text ?? ""),
                status: 403,
                codes: answer.codes
            )
        }
        let refusal =
            credentials == .anonymous
            ? "\(operation.registry) wants to know who asks, and there are no credentials for it"
            : "\(realm.authority) does not accept \(credentials)"
        let access = MissingAccess(
            registry: operation.registry,
            repository: operation.repository?.name,
            actions: operation.access.actions,
            credentials: credentials
        )
        let advice = await self.credentials.advice(on: access)
        return RegistryError(
            .auth,
            "\(operation.what): \(refusal)\(reason)\(id)" + (advice?.reason.map { "; \($0)" } ?? ""),
            hint: advice?.hint ?? "coracle login \(operation.registry)",
            status: response.status,
            codes: answer.codes
        )
    }

    /// A token that can stand in a header.
    private func checked(_ token: String, _ operation: Operation) throws -> String {
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw RegistryError(
                .auth,
                "\(operation.what): the registry token that is kept for \(operation.registry) is malformed",
                hint: "coracle login \(operation.registry)"
            )
        }
        return token
    }

    /// A name and a password as the field `Authorization` has them (RFC 7617).
    package static func basic(_ user: String, _ password: String) -> String {
        "Basic \(Base64.encode(Array("\(user):\(password)".utf8)))"
    }
}
