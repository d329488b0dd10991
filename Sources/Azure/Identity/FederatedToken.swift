// SPDX-License-Identifier: Apache-2.0
public import HTTP
internal import OCI

/// A token of somebody else that stands for an application of ours (workload identity federation).
///
/// It lives for minutes, so it is fetched anew for each request to Entra ID, and never kept.
public struct FederatedToken: Sendable {
    /// Where it comes from, in words; no secret.
    public let summary: String
    private let fetch: @Sendable () async throws -> String

    /// Gets a token.
    ///
    /// - Returns: The token, a secret.
    /// - Throws: ``AzureError`` where there is none.
    public func token() async throws -> String {
        let token = try await fetch()
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw AzureError(.usage, "\(summary): what is there is no token")
        }
        return token
    }

    /// A token in a file that somebody else keeps fresh: Kubernetes, GitLab, a step before.
    ///
    /// - Parameter path: The file, read anew each time.
    /// - Returns: The token's source.
    public static func file(_ path: String) -> FederatedToken {
        FederatedToken(summary: "token file \(path)") {
            try AzureFile.line(path, limit: 64 << 10, what: "the federated token")
        }
    }

    /// A token of a workflow in GitHub Actions.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process: `ACTIONS_ID_TOKEN_REQUEST_URL` and `…_TOKEN`.
    ///   - audience: Whom it is made out to.
    ///   - session: Sends requests.
    /// - Returns: The token's source; `nil` where this is no such workflow, or it lacks `permissions: id-token: write`.
    public static func gitHubActions(
        _ environment: [String: String],
        audience: String,
        session: HTTPSession
    ) -> FederatedToken? {
        guard let address = environment.given("ACTIONS_ID_TOKEN_REQUEST_URL"),
            let secret = environment.given("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        else { return nil }
        return FederatedToken(summary: "GitHub Actions") {
            let url = try HTTPURL(address).adding("audience", audience)
            let request = HTTPRequest(.get, url, headers: ["Authorization": "bearer \(secret)"])
            return try await ask(request, "value", "GitHub Actions", session, secret)
        }
    }

    /// A token of a service connection of Azure Pipelines.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process: `SYSTEM_OIDCREQUESTURI`, `SYSTEM_ACCESSTOKEN`, and
    ///     `AZURESUBSCRIPTION_SERVICE_CONNECTION_ID`.
    ///   - session: Sends requests.
    /// - Returns: The token's source; `nil` where this is no such pipeline, or not all of these are set.
    public static func azurePipelines(_ environment: [String: String], session: HTTPSession) -> FederatedToken? {
        guard let address = environment.given("SYSTEM_OIDCREQUESTURI"),
            let secret = environment.given("SYSTEM_ACCESSTOKEN"),
            let connection = environment.given("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")
        else { return nil }
        return FederatedToken(summary: "Azure Pipelines") {
            var url = try HTTPURL(address)
            url = url.adding("api-version", "7.1").adding("serviceConnectionId", connection)
            var request = HTTPRequest(.post, url, headers: ["Authorization": "Bearer \(secret)"])
            request.headers["Content-Type"] = "application/json"
            // Without it the service answers a refusal with the page that people sign in on.
            request.headers["X-TFS-FedAuthRedirect"] = "Suppress"
            request.body = HTTPBody([])
            return try await ask(request, "oidcToken", "Azure Pipelines", session, secret)
        }
    }

    private static func ask(
        _ request: HTTPRequest,
        _ member: String,
        _ who: String,
        _ session: HTTPSession,
        _ secret: String
    ) async throws -> String {
        let host = request.url.authority
        guard request.url.isSecure || request.url.isLoopback else {
            throw AzureError(.usage, "\(host) of \(who) would be shown a secret over plain HTTP")
        }
        do {
            let response = try await session.send(request)
            let bytes = try await response.bytes(limit: 1 << 20)
            if response.isSuccess, let token = (try? JSONValue(parsing: bytes))?[member]?.string { return token }
            let words = Redaction.text(String(decoding: bytes.prefix(300), as: UTF8.self), secrets: [secret]).trimmed
            throw AzureError(
                RetryPolicy.isTransient(response.status) ? .network : .refused,
                "fetch a token of \(who) from \(host): it answered \(response.status)"
                    + (words.isEmpty || words.hasPrefix("<") || response.isSuccess ? "" : ": \(words)"),
                hint: who == "GitHub Actions"
                    ? "give the job \"permissions: id-token: write\""
                    : "give the step \"env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)\""
            )
        } catch let error as ServerError {
            throw AzureError(
                AzureError.Kind(error),
                "fetch a token of \(who) from \(host): \(error.message)",
                hint: error.hint
            )
        }
    }
}

extension [String: String] {
    /// A variable that is set, and not to nothing.
    func given(_ name: String) -> String? { self[name].flatMap { $0.isEmpty ? nil : $0 } }
}
