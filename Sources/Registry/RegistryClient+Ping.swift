// SPDX-License-Identifier: Apache-2.0
public import HTTP
internal import OCI

extension RegistryClient {
    /// Whether a registry can be reached and lets us in with the provider's credentials.
    ///
    /// - Parameter registry: `HOST` or `HOST:PORT`.
    /// - Throws: ``RegistryError`` where it cannot, or does not.
    public func ping(_ registry: String) async throws {
        let operation = Operation("ask \(registry)", registry: registry)
        let response = try await send(operation) { base in HTTPRequest(.get, base) }
        guard response.isSuccess else { throw await operation.error(response, secrets: state.secrets) }
        await response.discard()
    }

    /// Finds out where a registry is and what it wants to be shown; asked once for each registry.
    ///
    /// - Parameter registry: `HOST` or `HOST:PORT`.
    /// - Returns: The address of `/v2/` there, plain HTTP for this machine only, and the challenges; none where nothing
    ///   need be shown.
    /// - Throws: ``RegistryError`` where it cannot be reached, or is no registry.
    public func challenges(of registry: String) async throws -> (url: HTTPURL, challenges: [Challenge]) {
        let found = try await endpoint(Operation("log in to \(registry)", registry: registry))
        return (found.base, found.challenges)
    }

    /// Tries credentials at a registry, as `coracle login` does; the provider is not asked.
    ///
    /// - Parameters:
    ///   - registry: `HOST` or `HOST:PORT`.
    ///   - credentials: What to try.
    /// - Returns: What to keep: an identity token where the registry gave one, else the same credentials.
    /// - Throws: ``RegistryError`` of kind `.auth` where they are not accepted.
    public func login(_ registry: String, with credentials: Credentials) async throws -> Credentials {
        let operation = Operation("log in to \(registry)", registry: registry)
        state.remember(secrets: credentials.secrets)
        let endpoint = try await endpoint(operation)
        let challenges = endpoint.challenges
        guard let challenge = challenges.first(where: { $0.scheme == "bearer" }) ?? challenges.first else {
            return credentials
        }
        var kept = credentials
        let token: Token
        if challenge.scheme == "bearer", challenge.parameters["realm"] != nil, !credentials.isRegistryToken {
            let realm = try realm(challenge, endpoint, operation)
            let service = challenge.parameters["service"]
            let (answer, found) = try await askForToken(operation, realm, service, [], credentials, isLogin: true)
            token = found
            let json = try? JSONValue(parsing: answer)
            if let identity = json?["refresh_token"]?.string, !identity.isEmpty {
                state.remember(secrets: [identity])
                kept = .identityToken(identity)
            }
        } else {
            token = try await fetch(operation, endpoint, challenge, [], credentials)
        }
        var request = HTTPRequest(.get, endpoint.base)
        request.headers["Authorization"] = token.header
        let response: HTTPResponse
        do {
            response = try await session.send(request)
        } catch let error as ServerError {
            throw operation.error(error)
        }
        guard response.isSuccess else {
            guard response.status == 401 else { throw await operation.error(response, secrets: state.secrets) }
            await response.discard()
            throw RegistryError(
                .auth,
                "\(operation.what): \(registry) does not accept \(credentials)",
                hint: "check the user's name and the password, and that the password has not expired",
                status: 401
            )
        }
        await response.discard()
        return kept
    }
}

extension Credentials {
    fileprivate var isRegistryToken: Bool {
        if case .registryToken = self { true } else { false }
    }
}
