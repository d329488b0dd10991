// SPDX-License-Identifier: Apache-2.0
public import HTTP
internal import OCI
public import Registry
internal import Synchronization

/// Who an Azure identity is at Azure's container registries.
///
/// Its Entra token is exchanged for a token of the registry, kept until five minutes before that ends, then exchanged
/// anew. Tokens go to hosts only that are registries of the identity's cloud. The lock protects what is kept, by host.
///
/// Specification: Azure Container Registry, "Authentication with an OAuth 2.0 token" (ACR AAD-OAuth).
public final class RegistryExchange: CredentialProvider {
    /// Whose rights are used.
    public let tokens: AzureTokens
    /// The cloud.
    public let cloud: AzureCloud
    private let tenant: String?
    private let session: HTTPSession
    /// Finds out where registries are; nobody there.
    private let client: RegistryClient
    private let kept = Mutex<[String: AzureToken]>([:])
    private let turnstile = ConcurrencyLimit(1)

    /// Makes an exchange; nothing is sent before it is asked.
    ///
    /// - Parameters:
    ///   - tokens: Keeps the Entra tokens of whose rights are used.
    ///   - cloud: The cloud.
    ///   - tenant: The tenant, where it is known.
    ///   - session: Sends requests.
    public init(_ tokens: AzureTokens, cloud: AzureCloud, tenant: String?, session: HTTPSession) {
        (self.tokens, self.cloud, self.tenant, self.session) = (tokens, cloud, tenant, session)
        var settings = RegistryClient.Settings()
        // The session tries again itself.
        settings.retries = .never
        client = RegistryClient(transport: session, settings: settings)
    }

    /// The registry's token for the identity.
    ///
    /// - Parameter registry: As references name it: `myacr.azurecr.io`.
    /// - Returns: An identity token; `.anonymous` for hosts that are no registries of the cloud, which are not asked.
    /// - Throws: ``AzureError`` where there is no identity, or Entra ID does not accept it; `RegistryError` where the
    ///   registry does not.
    public func credentials(for registry: String) async throws -> Credentials {
        guard cloud.ownsRegistry(registry) else { return .anonymous }
        if let token = find(registry) { return .identityToken(token.value) }
        return try await turnstile.run {
            if let token = find(registry) { return .identityToken(token.value) }
            let token = try await exchange(registry)
            kept.withLock { $0[registry] = token }
            return .identityToken(token.value)
        }
    }

    /// Whether a registry's token says itself that it has ended, or will within a minute.
    ///
    /// - Parameter token: The token.
    /// - Returns: Whether it does; not where it says nothing.
    public static func hasEnded(_ token: String) -> Bool {
        WebTokenClaims(token)?.expires.map { $0 - 60 < Clock.now } ?? false
    }

    private func find(_ registry: String) -> AzureToken? {
        kept.withLock { $0[registry] }.flatMap { $0.isGood() ? $0 : nil }
    }

    private func exchange(_ registry: String) async throws -> AzureToken {
        let service = try await service(registry)
        let first = try await tokens.token(for: cloud.registryAudience)
        var (answer, json) = try await ask(registry, service, first)
        if answer == 401 {
            // The token may have lost its rights, or been kept for too long.
            let second = try await tokens.token(for: cloud.registryAudience, refused: first)
            (answer, json) = try await ask(registry, service, second)
        }
        guard (200..<300).contains(answer) else { throw refusal(registry, answer, json, first) }
        guard let value = json?["refresh_token"]?.string, !value.isEmpty,
            value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw RegistryError(.invalid, "log in to \(registry): the answer to the exchange has no token in it")
        }
        // Both by the registry's clock, so that ours does not matter.
        let claims = WebTokenClaims(value)
        let lifetime = claims.flatMap { claims in claims.expires.map { $0 - (claims.issued ?? $0 - 3600) } } ?? 3600
        return AzureToken(value, expires: Clock.now + lifetime)
    }

    /// Where the registry wants tokens to be asked for: by its own word, but only at itself.
    private func service(_ registry: String) async throws -> (url: HTTPURL, name: String) {
        let base = try await client.challenges(of: registry)
        let challenge = base.challenges.first { $0.scheme == "bearer" }
        guard let challenge else { return (try base.url.resolving("/oauth2/exchange"), registry) }
        let realm = try base.url.resolving(challenge.parameters["realm"] ?? "/oauth2/token")
        let isSafe = realm.isSecure || !base.url.isSecure
        guard isSafe, cloud.ownsRegistry(realm.authority) else {
            throw RegistryError(
                .invalid,
                "log in to \(registry): it wants tokens to be sent to \(Redaction.url(realm)), which is no registry of "
                    + cloud.name,
                hint: "coracle login --username NAME --password-stdin \(registry)"
            )
        }
        return (try realm.resolving("/oauth2/exchange"), challenge.parameters["service"] ?? registry)
    }

    private func ask(
        _ registry: String,
        _ service: (url: HTTPURL, name: String),
        _ token: AzureToken
    ) async throws -> (Int, JSONValue?) {
        var fields = [("grant_type", "access_token"), ("service", service.name), ("access_token", token.value)]
        if let tenant { fields.append(("tenant", tenant)) }
        let form = fields.map { "\($0.0)=\(HTTPURL.encoded($0.1))" }.joined(separator: "&")
        var request = HTTPRequest(.post, service.url, body: HTTPBody(Array(form.utf8)))
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        request.headers["X-Meta-Source-Client"] = "azure/coracle"
        do {
            let response = try await session.send(request)
            let bytes = try await response.bytes(limit: 1 << 20)
            var json = try? JSONValue(parsing: bytes)
            if let id = response.headers["x-ms-correlation-request-id"], case .object(var members) = json ?? [:] {
                members["correlation"] = .string(id)
                json = .object(members)
            }
            return (response.status, json)
        } catch let error as ServerError {
            throw network(registry, error)
        }
    }

    private func network(_ registry: String, _ error: ServerError) -> RegistryError {
        RegistryError(
            .network,
            "log in to \(registry): \(error.message)",
            hint: error.hint
                ?? "az acr show --name \(registry.prefix { !".:-".contains($0) }) says whether there is such a registry",
            cause: error
        )
    }

    private func refusal(_ registry: String, _ status: Int, _ json: JSONValue?, _ token: AzureToken) -> RegistryError {
        let first = json?["errors"]?.array?.first
        let words = first?["message"]?.string ?? json?["error_description"]?.string ?? ""
        let text = Redaction.text(String(words.prefix(400)), secrets: [token.value]).trimmed
        let id = json?["correlation"]?.string.map { " (x-ms-correlation-request-id \(Redaction.text($0)))" } ?? ""
        let who = tokens.identity.summary
        let detail = (text.isEmpty ? "" : ": \(text)") + id
        if status == 403 {
            return RegistryError(
                .denied,
                "log in to \(registry) as \(who): the registry does not let this machine in\(detail)",
                hint:
                    "az acr network-rule add --name \(registry.prefix { !".:-".contains($0) }) --ip-address THIS-MACHINE",
                status: status
            )
        }
        let isRefused = [400, 401].contains(status)
        return RegistryError(
            isRefused ? .auth : status == 429 ? .throttled : .server,
            "log in to \(registry) as \(who): the registry \(isRefused ? "does not accept it" : "answered \(status)")\(detail)",
            hint: isRefused ? RoleAdvice(registry: registry, token: token).command(for: [.pull]) : "try again later",
            status: status,
            codes: [first?["code"]?.string].compactMap { $0 }
        )
    }
}
