// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What is shown to a registry with each request, and how long it is good for.
struct Token: Sendable {
    /// The value of `Authorization`; `nil` where nothing is shown.
    let header: String?
    /// What it was asked for.
    let scopes: [Scope]
    /// When it should not be used any more.
    let goodUntil: ContinuousClock.Instant
    /// Whose it is.
    let credentials: Credentials

    /// A token that a server gave, from its answer.
    ///
    /// - Throws: `ContentError` where there is none in it.
    init(answer: [UInt8], scopes: [Scope], credentials: Credentials) throws(ContentError) {
        let json = try JSONValue(parsing: answer)
        let found = [json["token"]?.string, json["access_token"]?.string].compactMap { $0 }.first { !$0.isEmpty }
        // It becomes a header: what is no token must not get there.
        guard let found, found.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ContentError(message: "there is neither \"token\" nor \"access_token\" in it")
        }
        let claims = Token.claims(found)
        var lifetime = json["expires_in"]?.int ?? 0
        if lifetime <= 0, let end = claims?["exp"]?.int {
            // Both by the server's clock, so that ours does not matter.
            let start = claims?["iat"]?.int ?? claims?["nbf"]?.int
            let (time, isBeyond) = end.subtractingReportingOverflow(start ?? end)
            if start != nil, !isBeyond { lifetime = time }
        }
        if lifetime <= 0 { lifetime = 60 }
        lifetime = min(lifetime, 1 << 30)
        // A quarter of a second matters, too, to a token of one second.
        let margin = min(.seconds(60), Duration.seconds(lifetime) / 4)
        self.init(
            header: "Bearer \(found)",
            scopes: scopes,
            credentials: credentials,
            goodFor: .seconds(lifetime) - margin
        )
    }

    init(header: String?, scopes: [Scope], credentials: Credentials, goodFor time: Duration) {
        (self.header, self.scopes, self.credentials) = (header, scopes, credentials)
        goodUntil = .now + time
    }

    /// What the token says of itself, unverified; `nil` where it is opaque.
    private static func claims(_ token: String) -> JSONValue? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let bytes = Base64.decode(parts[1]) else { return nil }
        return try? JSONValue(parsing: bytes)
    }

    /// What the token lets us do with a repository, where it says so: a server may give less than was asked for.
    func grants(_ repository: String) -> [String]? {
        guard let header, header.hasPrefix("Bearer "), let claims = Token.claims(String(header.dropFirst(7))),
            let access = claims["access"]?.array
        else { return nil }
        return access.filter { $0["name"]?.string == repository }.flatMap { $0["actions"]?.texts ?? [] }
    }
}
