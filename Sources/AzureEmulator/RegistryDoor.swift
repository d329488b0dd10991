// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI
internal import RegistryServer
internal import Store
internal import Synchronization

/// What a registry of Azure has before and beside the registry itself: its own tokens, and lists below `/acr/v1`.
///
/// Specification: `Azure.ContainerRegistry` data plane 2021-07-01.
struct RegistryDoor: Sendable {
    let world: World
    let name: String

    private var rights: RegistryRights { RegistryRights(world: world, name: name) }

    /// How the registry's server is told.
    func authority(_ host: @escaping @Sendable () -> String) -> RegistryAuthority {
        RegistryAuthority(
            tokenPath: "/oauth2/token",
            admit: { try admit($0, host()) },
            answer: { exchange, client in try await answer(exchange, client) }
        )
    }

    private static let refusal = "authentication required, visit https://aka.ms/acr/authorization for more information."

    private func admit(_ credentials: RegistryAuthority.Credentials, _ host: String) throws -> RegistryAuthority.Grant {
        switch credentials {
        case .nobody: throw RegistryAuthority.Refusal(RegistryDoor.refusal)
        case .password(let user, let password):
            guard let known = rights.user(user, password, host: host) else {
                throw RegistryAuthority.Refusal(RegistryDoor.refusal)
            }
            if known == .admin { return .init(user: name, actions: nil, mayList: true) }
            let names = Repositories(try store()).names().map(\.description)
            var actions: [String: [String]] = [:]
            // Who may push may push what is not there yet: a right to everything has no names.
            let general = rights.actions(of: known, nil)
            if general.isSuperset(of: ["pull", "push", "delete"]) {
                return .init(user: user, actions: nil, mayList: true)
            }
            for name in names { actions[name] = Array(rights.actions(of: known, name)) }
            return .init(user: user, actions: actions, mayList: general.contains("catalog"))
        case .token(let text):
            guard let claims = world.keys.claims(text), claims["grant_type"]?.string == "access_token",
                claims["aud"]?.string == host
            else { throw RegistryAuthority.Refusal(RegistryDoor.refusal, error: "invalid_token") }
            guard Moment.now < claims["exp"]?.int ?? 0 else {
                throw RegistryAuthority.Refusal(RegistryDoor.refusal, error: "invalid_token")
            }
            var actions: [String: [String]] = [:]
            var mayList = false
            for entry in claims["access"]?.array ?? [] {
                let words = entry["actions"]?.texts ?? []
                if entry["type"]?.string == "registry" { mayList = mayList || words.contains("*") }
                guard entry["type"]?.string == "repository", let name = entry["name"]?.string else { continue }
                actions[name, default: []] += words
            }
            return .init(user: claims["sub"]?.string, actions: actions, mayList: mayList)
        }
    }

    private func store() throws -> ImageStore {
        guard let registry = world.state.withLock({ $0.registries[name.lowercased()] }) else {
            throw EmulatorError(message: "the registry \(name) is gone")
        }
        return registry.store
    }

    // MARK: Tokens

    private func answer(_ exchange: Exchange, _ host: String) async throws -> Answer {
        let method = exchange.method.rawValue
        var fields = exchange.query.map { ($0.name, $0.value) }
        if method == "POST", let body = try await exchange.body.collect(limit: 256 << 10) {
            fields += Exchange.form(String(decoding: body, as: UTF8.self)).map { ($0.name, $0.value) }
        }
        if let planned = plannedRefusal(method, exchange.target) { return planned }
        switch (method, exchange.path) {
        case ("POST", "/oauth2/exchange"): return exchanged(fields, host)
        case ("GET", "/oauth2/token"), ("POST", "/oauth2/token"): return token(exchange, fields, host)
        default: break
        }
        if exchange.path.hasPrefix("/acr/v1/") {
            return try RegistryLists(world: world, name: name, store: store(), host: host)
                .answer(exchange, rights, try? admit(credentials(exchange), host))
        }
        return RegistryDoor.refuse(404, "NOT_FOUND", "there is nothing at \(exchange.path)")
    }

    private func plannedRefusal(_ method: String, _ target: String) -> Answer? {
        world.faults.take(method, target) { effect -> Answer? in
            let (status, code, message, seconds): (Int, String, String, Int)
            switch effect {
            case .throttled(let retry):
                (status, code, message, seconds) = (429, "TOOMANYREQUESTS", "too many requests", retry)
            case .registryStatus(let number, let name, let text, let retry):
                (status, code, message, seconds) = (number, name, text, retry)
            default: return nil
            }
            var answer = RegistryDoor.refuse(status, code, message)
            if status == 429 || seconds > 0, let name = HTTPField.Name("Retry-After") {
                answer.headers[name] = "\(seconds)"
            }
            if let name = HTTPField.Name("x-ms-correlation-request-id") { answer.headers[name] = Identifier.random() }
            return answer
        }
    }

    private func credentials(_ exchange: Exchange) -> RegistryAuthority.Credentials {
        let header = exchange.headers[.authorization] ?? ""
        if let (user, password) = RegistryDoor.basic(header) { return .password(user: user, password: password) }
        return header.lowercased().hasPrefix("bearer ") ? .token(String(header.dropFirst(7))) : .nobody
    }

    static func basic(_ header: String) -> (String, String)? {
        guard header.lowercased().hasPrefix("basic "), let bytes = Base64.decode(header.dropFirst(6)) else {
            return nil
        }
        let parts = String(decoding: bytes, as: UTF8.self)
            .split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return parts.count == 2 ? (parts[0], parts[1]) : nil
    }

    static func refuse(_ status: Int, _ code: String, _ message: String) -> Answer {
        let error: JSONValue = ["code": .string(code), "message": .string(message)]
        return Answer(HTTPResponse.Status(code: status), json: ["errors": [error]])
    }

    private static func unauthorized(_ message: String = refusal) -> Answer { refuse(401, "UNAUTHORIZED", message) }

    /// A token of the directory for a refresh token of the registry.
    private func exchanged(_ fields: [(String, String)], _ host: String) -> Answer {
        func field(_ name: String) -> String { fields.first { $0.0 == name }?.1 ?? "" }
        guard field("grant_type").hasPrefix("access_token") else {
            return RegistryDoor.refuse(400, "UNSUPPORTED", "grant_type must be access_token")
        }
        guard field("service").lowercased() == host.lowercased() else {
            return RegistryDoor.refuse(400, "UNSUPPORTED", "service must be \(host)")
        }
        guard let claims = world.keys.claims(field("access_token")), Moment.now < claims["exp"]?.int ?? 0 else {
            return RegistryDoor.unauthorized("access token validation failed")
        }
        let tenant = field("tenant")
        guard tenant.isEmpty || tenant.lowercased() == world.options.tenant.lowercased() else {
            return RegistryDoor.unauthorized("the tenant of the token is not \(tenant)")
        }
        let audience = claims["aud"]?.string.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 } ?? ""
        let takesARM =
            rights.resource?.body[path: "properties", "policies", "azureADAuthenticationAsArmPolicy", "status"]?.string?
            .lowercased() != "disabled"
        guard
            audience == "https://containerregistry.azure.net"
                || (takesARM && CloudMetadata.audiences.contains(audience))
        else { return RegistryDoor.unauthorized("the audience of the token is invalid") }
        let user = RegistryRights.User.principal(claims["oid"]?.string ?? "")
        guard !rights.actions(of: user, nil).isEmpty else { return RegistryDoor.unauthorized() }
        let text = refreshToken(user, host)
        return Answer(.ok, json: ["refresh_token": .string(text)])
    }

    private func refreshToken(_ user: RegistryRights.User, _ host: String) -> String {
        sign(
            user,
            host,
            lifetime: 3 * 3600,
            [
                "grant_type": "refresh_token", "tenant": .string(world.options.tenant),
                "permissions": ["actions": ["read", "write", "delete"], "notActions": .null],
            ]
        )
    }

    private func sign(
        _ user: RegistryRights.User,
        _ host: String,
        lifetime: Int64,
        _ more: [String: JSONValue]
    ) -> String {
        // To whole seconds, and upwards: a token is good for all of its time.
        let now = Int64(Moment.precise.rounded(.up))
        let claims: [String: JSONValue] = [
            "jti": .string(Identifier.random()), "sub": .string(user.text), "nbf": .int(now - 900),
            "exp": .int(now + lifetime), "iat": .int(now), "iss": "Azure Container Registry", "aud": .string(host),
            "version": "1.0", "rid": .string(String(host.hashValue.magnitude, radix: 16)), "roles": [],
        ]
        return world.keys.sign(.object(claims.merging(more) { $1 }))
    }

    /// An access token, whose rights are those asked for that the user has: fewer are no error.
    private func token(_ exchange: Exchange, _ fields: [(String, String)], _ host: String) -> Answer {
        func field(_ name: String) -> String { fields.first { $0.0 == name }?.1 ?? "" }
        guard field("service").isEmpty || field("service").lowercased() == host.lowercased() else {
            return RegistryDoor.refuse(400, "UNSUPPORTED", "service must be \(host)")
        }
        var user: RegistryRights.User? = .nobody
        if !field("refresh_token").isEmpty {
            user = rights.refreshed(field("refresh_token"), host: host)
        } else if !field("username").isEmpty {
            user = rights.user(field("username"), field("password"), host: host)
        } else if let (name, password) = RegistryDoor.basic(exchange.headers[.authorization] ?? ""), !name.isEmpty {
            user = rights.user(name, password, host: host)
        }
        guard let user else { return RegistryDoor.unauthorized() }
        if user == .nobody, rights.actions(of: .nobody, nil).isEmpty { return RegistryDoor.unauthorized() }
        let scopes = fields.filter { $0.0 == "scope" }.flatMap { $0.1.split(separator: " ").map(String.init) }
        let lacking = world.faults.take(exchange.method.rawValue, exchange.target) { effect in
            if case .lackingActions(let list) = effect { list } else { nil }
        }
        let text = sign(
            user,
            host,
            lifetime: world.options.registryTokenLifetime,
            ["grant_type": "access_token", "access": .array(scopes.compactMap { granted($0, user, lacking ?? []) })]
        )
        return Answer(.ok, json: ["access_token": .string(text)])
    }

    private func granted(_ scope: String, _ user: RegistryRights.User, _ lacking: [String]) -> JSONValue? {
        let parts = scope.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, let colon = parts[1].lastIndex(of: ":") else { return nil }
        let target = String(parts[1][..<colon])
        let wanted = parts[1][parts[1].index(after: colon)...].split(separator: ",").map(String.init)
        let own: Set<String>
        if parts[0] == "registry" {
            own = rights.actions(of: user, nil).contains("catalog") ? ["*"] : []
        } else {
            let actions = rights.actions(of: user, target)
            own = wanted.contains("*") ? actions.union(["*"]) : actions
        }
        let allowed = wanted.flatMap { $0 == "*" && parts[0] != "registry" ? own.filter { $0 != "*" }.sorted() : [$0] }
            .filter { own.contains($0) && !lacking.contains($0) }
        return ["type": .string(parts[0]), "name": .string(target), "actions": JSONValue(allowed)]
    }
}
