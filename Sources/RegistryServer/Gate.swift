// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPTypes
internal import OCI
internal import Store

/// Lets requests in, or says what they lack.
///
/// Specification: RFC 7617 (Basic), RFC 6750 (Bearer), Docker's token authentication.
final class Gate: Sendable {
    private let access: RegistryAccess
    private let isReadOnly: Bool
    private let faults: Faults
    /// Signs our tokens.
    private let key: [UInt8]
    private static let refreshLifetime: Int64 = 24 * 3600
    /// How far the clock of who signs tokens elsewhere may be from ours, in seconds; distribution's registry has it so.
    private static let leeway: Int64 = 60

    init(_ access: RegistryAccess, isReadOnly: Bool, _ faults: Faults) {
        (self.access, self.isReadOnly, self.faults) = (access, isReadOnly, faults)
        if case .tokens(_, let tokens) = access.kind, let given = tokens.key {
            key = given.bytes
        } else {
            key = TokenKey.fresh().bytes
        }
    }

    /// Finds out who asks, and whether they may.
    func admit(_ exchange: Exchange, _ need: Need, _ origin: String) throws -> Caller {
        let caller: Caller?
        switch access.kind {
        case .anonymous: return Caller(user: nil, rights: .all)
        case .passwords(let file): caller = try basic(exchange, file, need, origin)
        case .tokens(let file, let tokens):
            caller =
                try bearer(exchange, need, origin) { $0.isOurs(key: key) && $0.isFor(tokens.service) }
                ?? basic(exchange, file, need, origin)
        case .foreign(let foreign):
            caller = try bearer(exchange, need, origin, leeway: Gate.leeway) { token in
                token.isSigned(by: foreign.key) && token.isFor(foreign.service)
                    && token.claims["iss"]?.string == foreign.issuer
            }
        case .delegated(let authority):
            caller = try delegated(exchange, authority) { challenge(need, origin, $0, $1) }
        }
        guard let caller else {
            // The first request of a client asks who must say who they are; anonymous ones go on without.
            if access.anonymousMayPull, isPasswords, need != .presence {
                let nobody = Caller(user: nil, rights: .pullOnly)
                if need.isMet(by: nobody) { return nobody }
            }
            throw challenge(need, origin, nil, "authentication required")
        }
        guard need.isMet(by: caller) else {
            throw challenge(need, origin, "insufficient_scope", "the credentials do not allow this")
        }
        return caller
    }

    private var isPasswords: Bool {
        if case .passwords = access.kind { return true }
        return false
    }

    /// The user whose password is right; `nil` where none is said.
    private func basic(_ exchange: Exchange, _ file: PasswordFile, _ need: Need, _ origin: String) throws -> Caller? {
        guard let (user, password) = Gate.password(exchange), !(user.isEmpty && password.isEmpty) else { return nil }
        guard file.accepts(user, password) else {
            throw challenge(need, origin, nil, "the user is unknown, or the password is wrong")
        }
        return Caller(user: user, rights: .all)
    }

    /// User and password of a request; `nil` where it has none.
    static func password(_ exchange: Exchange) -> (user: String, password: String)? {
        guard let text = credentials(exchange, "basic"), let bytes = Base64.decode(text) else { return nil }
        let parts = String(decoding: bytes, as: UTF8.self)
            .split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
    }

    static func credentials(_ exchange: Exchange, _ scheme: String) -> String? {
        guard let header = exchange.headers[.authorization] else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1)
        return parts.count == 2 && parts[0].lowercased() == scheme ? String(parts[1]).trimmed : nil
    }

    /// What a token lets somebody do; `nil` where there is none.
    private func bearer(
        _ exchange: Exchange,
        _ need: Need,
        _ origin: String,
        leeway: Int64 = 0,
        _ isTrusted: (WebToken) -> Bool
    ) throws -> Caller? {
        guard let text = Gate.credentials(exchange, "bearer") else { return nil }
        let isFaulty = faults.take(exchange) { $0 == .expiredToken ? true : nil } ?? false
        guard let token = WebToken(text), isTrusted(token), token.claims["typ"]?.string != "refresh" else {
            throw challenge(need, origin, "invalid_token", "the token is not one of this registry")
        }
        guard !isFaulty, token.isCurrent(at: Int64(time(nil)), leeway: leeway) else {
            throw challenge(need, origin, "invalid_token", "the token has expired")
        }
        return token.caller
    }

    /// What a client should do to be let in.
    private func challenge(_ need: Need, _ origin: String, _ error: String?, _ message: String) -> Refusal {
        var refusal = Refusal(.unauthorized, .unauthorized, message, detail: need.detail)
        var text: String
        switch access.kind {
        case .anonymous, .passwords: text = "Basic realm=\"coracle\""
        case .tokens(_, let tokens): text = "Bearer realm=\"\(origin)/token\",service=\"\(tokens.service)\""
        case .foreign(let foreign): text = "Bearer realm=\"\(foreign.realm)\",service=\"\(foreign.service)\""
        case .delegated(let authority):
            let host = origin.split(separator: "/").last ?? ""
            text = "Bearer realm=\"\(origin)\(authority.tokenPath)\",service=\"\(host)\""
        }
        if text.hasPrefix("Bearer") {
            if let scope = need.scope { text += ",scope=\"\(scope)\"" }
            if let error { text += ",error=\"\(error)\"" }
        }
        refusal.headers[.wwwAuthenticate] = text
        return refusal
    }

    // MARK: Tokens

    /// Whether a path is where tokens are fetched.
    func isTokenPath(_ path: String) -> Bool {
        switch access.kind {
        case .tokens: path == "/token"
        case .delegated: path != "/v2" && !path.hasPrefix("/v2/")
        default: false
        }
    }

    /// Who answers what is outside of the registry's own paths; `nil` where nobody does.
    var authority: RegistryAuthority? {
        if case .delegated(let authority) = access.kind { authority } else { nil }
    }

    /// Gives a token for a password or a refresh token, or to nobody where they may pull.
    func token(_ exchange: Exchange) async throws -> Answer {
        guard case .tokens(let file, let tokens) = access.kind else {
            throw Refusal(.notFound, .unsupported, "there are no tokens here")
        }
        var fields = exchange.query
        if exchange.method == .post, let body = try await exchange.body.collect(limit: 64 << 10) {
            fields += Exchange.form(String(decoding: body, as: UTF8.self))
        }
        func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        if let service = field("service"), service != tokens.service {
            throw Refusal(.badRequest, .unsupported, "there are no tokens for \"\(service)\" here")
        }
        let user = try user(exchange, field, file)
        guard user != nil || access.anonymousMayPull else {
            var refusal = Refusal(.unauthorized, .unauthorized, "a token takes a user and a password")
            refusal.headers[.wwwAuthenticate] = "Basic realm=\"coracle\""
            throw refusal
        }
        let scopes = fields.filter { $0.name == "scope" }.flatMap { $0.value.split(separator: " ").map(String.init) }
        let wantsRefresh = field("offline_token") == "true" || field("access_type") == "offline"
        return grant(user, scopes, tokens, wantsRefresh: wantsRefresh)
    }

    private func user(
        _ exchange: Exchange,
        _ field: (String) -> String?,
        _ file: PasswordFile
    ) throws(Refusal) -> String? {
        if let text = field("refresh_token"), !text.isEmpty {
            guard let token = WebToken(text), token.isOurs(key: key), token.claims["typ"]?.string == "refresh",
                token.isCurrent(at: Int64(time(nil))), let user = token.claims["sub"]?.string
            else { throw Refusal(.unauthorized, .unauthorized, "the refresh token is not one of this registry") }
            return user
        }
        let form = field("username").map { ($0, field("password") ?? "") }
        guard let (user, password) = form ?? Gate.password(exchange), !(user.isEmpty && password.isEmpty) else {
            return nil
        }
        guard file.accepts(user, password) else {
            throw Refusal(.unauthorized, .unauthorized, "the user is unknown, or the password is wrong")
        }
        return user
    }

    private func grant(
        _ user: String?,
        _ scopes: [String],
        _ tokens: RegistryAccess.Tokens,
        wantsRefresh: Bool
    ) -> Answer {
        let now = Int64(time(nil))
        let access = scopes.compactMap { scope -> JSONValue? in
            let parts = scope.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, let colon = parts[1].lastIndex(of: ":") else { return nil }
            let wanted = parts[1][parts[1].index(after: colon)...].split(separator: ",").map(String.init)
            let mayChange = user != nil && !isReadOnly
            let allowed =
                parts[0] == "registry" ? (user == nil ? [] : wanted) : wanted.filter { mayChange || $0 == "pull" }
            return [
                "type": .string(parts[0]), "name": .string(String(parts[1][..<colon])), "actions": JSONValue(allowed),
            ]
        }
        func claims(_ more: [String: JSONValue], lifetime: Int64) -> String {
            let common: [String: JSONValue] = [
                "iss": "coracle", "aud": .string(tokens.service), "sub": .string(user ?? ""), "iat": .int(now),
                "nbf": .int(now), "exp": .int(now + lifetime),
            ]
            return WebToken.make(.object(common.merging(more) { $1 }), key: key)
        }
        let text = claims(["access": .array(access)], lifetime: tokens.lifetime)
        var members: [String: JSONValue] = ["access_token": .string(text)]
        if tokens.tellsExpiry { members.merge(["token": .string(text), "expires_in": .int(tokens.lifetime)]) { $1 } }
        if wantsRefresh, user != nil {
            members["refresh_token"] = .string(claims(["typ": "refresh"], lifetime: Gate.refreshLifetime))
        }
        var answer = Answer(.ok, json: .object(members))
        answer.headers[.cacheControl] = "no-store"
        return answer
    }
}

extension Need {
    /// What an answer says was needed; `nil` where that is nothing in particular.
    fileprivate var detail: JSONValue? {
        switch self {
        case .presence: nil
        case .catalog: [["Type": "registry", "Name": "catalog", "Action": "*"]]
        case .action(let action, let name):
            [["Type": "repository", "Name": .string(name.description), "Action": .string(action.rawValue)]]
        }
    }
}
