// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI
internal import Registry

/// Asks Entra ID for tokens.
///
/// Specification: Microsoft identity platform, "OAuth 2.0 client credentials flow".
struct EntraClient: Sendable {
    let cloud: AzureCloud
    let tenant: String
    let session: HTTPSession

    init(cloud: AzureCloud, tenant: String, session: HTTPSession) throws(AzureError) {
        let isClean =
            !tenant.isEmpty
            && tenant.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == 0x2D || byte == 0x2E
            }
        guard isClean else {
            throw AzureError(
                .usage,
                "\"\(Redaction.text(tenant))\" is no tenant: expected its id or domain, of letters, digits, - and .",
                hint: "az account show --query tenantId --output tsv"
            )
        }
        let authority = cloud.authority
        guard authority.isSecure || authority.isLoopback else {
            throw AzureError(
                .usage,
                "\(authority.authority) would be shown secrets over plain HTTP",
                hint: "write https:// before it in AZURE_AUTHORITY_HOST"
            )
        }
        (self.cloud, self.tenant, self.session) = (cloud, tenant, session)
    }

    /// Where tokens are asked for; also whom assertions are made out to.
    var endpoint: HTTPURL {
        var url = cloud.authority
        let prefix = url.path.hasSuffix("/") ? String(url.path.dropLast()) : url.path
        url.target = "\(prefix)/\(tenant)/oauth2/v2.0/token"
        return url
    }

    /// Asks for a token, with a proof of who we are as fields of a form; `sent` is what that says of itself, where it is a
    /// token of others.
    func token(
        for resource: String,
        client: String,
        proof: [(String, String)],
        who: String,
        sent: AssertionClaims? = nil
    ) async throws -> AzureToken {
        let scope = ("scope", resource + "/.default")
        let fields = [("grant_type", "client_credentials"), ("client_id", client), scope] + proof
        let form = fields.map { "\($0.0)=\(HTTPURL.encoded($0.1))" }.joined(separator: "&")
        var request = HTTPRequest(.post, endpoint, body: HTTPBody(Array(form.utf8)))
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        request.headers["Accept"] = "application/json"
        request.headers["client-request-id"] = GUID.random()
        let response: HTTPResponse
        let bytes: [UInt8]
        do {
            response = try await session.send(request)
            bytes = try await response.bytes(limit: 1 << 20)
        } catch let error as ServerError {
            throw AzureError(
                AzureError.Kind(error),
                "sign in as \(who): \(error.message)",
                hint: error.hint ?? "check the network between here and \(cloud.authority.authority), and try again"
            )
        }
        let json = try? JSONValue(parsing: bytes)
        if response.isSuccess {
            return try AzureToken(answer: json, from: cloud.authority.authority, who: who)
        }
        let secrets = proof.map(\.1)
        let refusal = EntraRefusal(json, status: response.status, headers: response.headers, secrets: secrets)
        throw refusal.error(who: who, client: client, tenant: tenant, cloud: cloud, sent: sent)
    }
}

extension AzureToken {
    /// Reads the answer of a token endpoint; numbers may be texts, and the end may be said in either of two ways.
    init(answer json: JSONValue?, from host: String, who: String) throws(AzureError) {
        // It becomes a header: what is no token must not get there.
        guard let value = json?["access_token"]?.string, !value.isEmpty,
            value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw AzureError(.network, "sign in as \(who): the answer of \(host) has no token in it") }
        let number = { (name: String) -> Int64? in json?[name]?.int ?? json?[name]?.string.flatMap { Int64($0) } }
        let now = Clock.now
        // By our own clock where the length is said, so that it does not matter whether the clocks agree.
        let end = number("expires_in").map { now + min(max($0, 0), 1 << 30) } ?? number("expires_on")
        self.init(value, expires: end ?? now + 300)
    }
}

/// What a token of others says of itself, unverified: what Entra ID compares with what it knows.
struct AssertionClaims: Sendable {
    let issuer: String
    let subject: String
    let audiences: [String]

    /// Reads a web token; `nil` where it is none.
    init?(_ token: String) {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64.decode(parts[1]), let claims = try? JSONValue(parsing: bytes) else {
            return nil
        }
        issuer = Redaction.text(claims["iss"]?.string ?? "")
        subject = Redaction.text(claims["sub"]?.string ?? "")
        audiences = (claims["aud"]?.texts ?? claims["aud"]?.string.map { [$0] } ?? []).map { Redaction.text($0) }
    }

    /// What is sent, in words.
    var text: String {
        "issuer \"\(issuer)\", subject \"\(subject)\", audience \"\(audiences.joined(separator: ", "))\""
    }

    /// The command that has an application trust such a token.
    func command(client: String, audience: String) -> String {
        let credential: JSONValue = [
            "name": "coracle", "issuer": .string(issuer), "subject": .string(subject),
            "audiences": JSONValue(audiences.isEmpty ? [audience] : audiences),
        ]
        // Single quotes end at a single quote, which no subject has, but what is pasted must be safe.
        let text = credential.canonical.filter { $0 != "'" }
        return "az ad app federated-credential create --id \(client) --parameters '\(text)'"
    }
}
