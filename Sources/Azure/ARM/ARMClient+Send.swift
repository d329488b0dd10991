// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

/// A request to the resource manager.
struct ARMRequest: Sendable {
    let method: HTTPRequest.Method
    let id: String
    let apiVersion: String
    let body: JSONValue?
    /// Where it goes, where that is not what the id says: a page, an operation's status.
    var url: HTTPURL?

    init(_ method: HTTPRequest.Method, _ id: String, _ apiVersion: String, _ body: JSONValue? = nil) {
        (self.method, self.id, self.apiVersion, self.body) = (method, id, apiVersion, body)
    }

    /// `put containerGroups/web`: the method and the last two parts of the id.
    var words: String {
        let path = id.prefix { $0 != "?" }.split(separator: "/")
        return "\(method.rawValue.lowercased()) \(path.suffix(2).joined(separator: "/"))"
    }

    /// Every text of the body that may be a secret: values of members whose names say so.
    var secrets: [String] {
        var found: [String] = []
        body?.collectSecrets(into: &found)
        return found
    }
}

/// An answer of the resource manager.
struct ARMAnswer: Sendable {
    let status: Int
    let headers: HTTPFields
    let url: HTTPURL
    let body: JSONValue?

    /// How long until the next look, as the answer asks.
    var retryAfter: Duration? { RetryPolicy.retryAfter(headers) }
}

extension ARMClient {
    /// Sends a request with a token; one that has ended meanwhile is renewed, once.
    ///
    /// - Throws: ``ARMError`` for a refusal.
    func send(_ request: ARMRequest) async throws -> ARMAnswer {
        let url = try request.url ?? address(request)
        var refused: AzureToken?
        while true {
            let token = try await tokens.token(for: cloud.resourceManagerAudience, refused: refused)
            let answer = try await send(request, to: url, token)
            if (200..<300).contains(answer.status) { return answer }
            let error = refusal(request, answer)
            guard answer.status == 401, refused == nil, !error.has("InvalidAuthenticationTokenTenant") else {
                throw error
            }
            refused = token
        }
    }

    private func address(_ request: ARMRequest) throws -> HTTPURL {
        let path = request.id.split(separator: "?", maxSplits: 1)
        // Names of resources have no blanks, but what a user typed may.
        let clean = (path.first ?? "").split(separator: "/").map { HTTPURL.encoded(String($0)) }.joined(separator: "/")
        var url = cloud.resourceManager
        url.target = "/" + clean + (path.count > 1 ? "?" + path[1] : "")
        return url.adding("api-version", request.apiVersion)
    }

    private func send(_ request: ARMRequest, to url: HTTPURL, _ token: AzureToken) async throws -> ARMAnswer {
        var message = HTTPRequest(request.method, url)
        message.headers["Authorization"] = "Bearer \(token.value)"
        message.headers["Accept"] = "application/json"
        message.headers["x-ms-client-request-id"] = GUID.random()
        if let body = request.body {
            message.headers["Content-Type"] = "application/json; charset=utf-8"
            message.body = HTTPBody(Array(body.canonical.utf8))
        }
        // A PATCH here is a merge, which may be repeated.
        message.repetition = .allowed
        let response = try await session.send(message)
        let bytes = try await response.bytes(limit: 64 << 20)
        return ARMAnswer(
            status: response.status,
            headers: response.headers,
            url: response.url,
            body: try? JSONValue(parsing: bytes)
        )
    }

    /// What a refusal means.
    func refusal(_ request: ARMRequest, _ answer: ARMAnswer) -> ARMError {
        ARMError(
            operation: request.words,
            resource: request.id,
            status: answer.status,
            body: answer.body,
            correlationID: answer.headers["x-ms-correlation-request-id"] ?? answer.headers["x-ms-request-id"],
            retryAfter: answer.retryAfter.map { Int($0.components.seconds) },
            secrets: request.secrets
        )
    }

    /// An address that the service gave, and that our token may be shown to: its own host's, or of the same domain.
    func ours(_ text: String, _ request: ARMRequest) throws -> HTTPURL {
        let base = cloud.resourceManager
        let url = try base.resolving(text)
        let domain = base.host.split(separator: ".").dropFirst().joined(separator: ".")
        let isSame = url.host == base.host && url.port == base.port
        // `management.azure.com` sends to `westeurope.management.azure.com` and `eastus.prod.….azure.com`.
        let isRelated = domain.contains(".") && url.port == base.port && url.host.hasSuffix("." + domain)
        guard url.isSecure == base.isSecure || url.isSecure, isSame || isRelated else {
            throw ServerError(
                .redirect,
                "\(request.words): \(base.authority) sends on to \(Redaction.url(url)), which is not Azure's",
                hint: "check the proxies between here and \(base.authority)",
                url: url
            )
        }
        return url
    }
}

/// Random names that are unique.
enum GUID {
    /// A version 4 UUID, in lower case.
    static func random() -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let hex = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        return [hex[0..<4], hex[4..<6], hex[6..<8], hex[8..<10], hex[10..<16]].map { $0.joined() }
            .joined(separator: "-")
    }
}

extension JSONValue {
    private static let secretNames = ["password", "secret", "key", "token", "credential", "connectionstring"]

    /// Adds every text whose member's name says that it is a secret, and every text in a member of such a name.
    fileprivate func collectSecrets(into found: inout [String], isSecret: Bool = false) {
        switch self {
        case .string(let text): if isSecret, text.utf8.count >= 4 { found.append(text) }
        case .array(let elements): for element in elements { element.collectSecrets(into: &found, isSecret: isSecret) }
        case .object(let members):
            for (name, value) in members {
                let lower = name.lowercased()
                let says = lower.hasPrefix("secure") || JSONValue.secretNames.contains { lower.hasSuffix($0) }
                value.collectSecrets(into: &found, isSecret: isSecret || says)
            }
        default: break
        }
    }
}
