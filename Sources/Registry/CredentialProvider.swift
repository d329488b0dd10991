// SPDX-License-Identifier: Apache-2.0

/// Knows who we are at registries.
///
/// It is asked anew each time a token is needed, so that none expires in our hands; it may take its time, as when it
/// asks a helper program or another service.
public protocol CredentialProvider: Sendable {
    /// What to show a registry.
    ///
    /// - Parameter registry: As references name it: `docker.io`, `myacr.azurecr.io`, `localhost:5000`.
    /// - Returns: The credentials; `.anonymous` where there are none.
    /// - Throws: Where there should be some, but they cannot be had; the transfer fails with that error.
    func credentials(for registry: String) async throws -> Credentials

    /// What to show a registry for one of its repositories.
    ///
    /// - Parameters:
    ///   - registry: As references name it.
    ///   - repository: `team/app`; `nil` where it is about none.
    /// - Returns: The credentials; `.anonymous` where there are none.
    /// - Throws: Where there should be some, but they cannot be had; the transfer fails with that error.
    func credentials(for registry: String, repository: String?) async throws -> Credentials

    /// What to tell people whom a registry did not let do something.
    ///
    /// - Parameter access: What they were not let do, and with which credentials.
    /// - Returns: Why, and what to do; `nil` where nothing is known beyond what the registry says.
    func advice(on access: MissingAccess) async -> CredentialAdvice?
}

extension CredentialProvider {
    /// The same for all repositories of a registry.
    ///
    /// - Parameters:
    ///   - registry: As references name it.
    ///   - repository: Not looked at.
    /// - Returns: What ``credentials(for:)`` gives.
    /// - Throws: What ``credentials(for:)`` throws.
    public func credentials(for registry: String, repository: String?) async throws -> Credentials {
        try await credentials(for: registry)
    }

    /// Nothing is known.
    ///
    /// - Parameter access: Anything.
    /// - Returns: `nil`.
    public func advice(on access: MissingAccess) async -> CredentialAdvice? { nil }
}

/// What a registry did not let somebody do.
public struct MissingAccess: Sendable {
    /// As references name it.
    public let registry: String
    /// `team/app`; `nil` where it was about no repository.
    public let repository: String?
    /// The rights that are lacking: `pull`, `push`, `delete`; all that were needed where the registry does not say.
    public let actions: [String]
    /// Who it was.
    public let credentials: Credentials

    /// Says what.
    ///
    /// - Parameters:
    ///   - registry: As references name it.
    ///   - repository: The repository.
    ///   - actions: The rights that are lacking.
    ///   - credentials: Who it was.
    public init(registry: String, repository: String?, actions: [String], credentials: Credentials) {
        (self.registry, self.repository) = (registry, repository)
        (self.actions, self.credentials) = (actions, credentials)
    }
}

/// What to tell people whom a registry did not let do something.
public struct CredentialAdvice: Sendable {
    /// Why, in words that follow a semicolon; no secrets.
    public var reason: String?
    /// The command or setting most likely to put it right.
    public var hint: String?

    /// Says what.
    ///
    /// - Parameters:
    ///   - reason: Why.
    ///   - hint: What to do.
    public init(reason: String? = nil, hint: String? = nil) {
        (self.reason, self.hint) = (reason, hint)
    }
}

/// Who we are at a registry.
///
/// Printing or dumping one shows no secret.
public enum Credentials: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Nobody.
    case anonymous
    /// A name and a password.
    case basic(user: String, password: String)
    /// A token that tokens are given for (Docker's `identitytoken`, ACR's refresh token).
    case identityToken(String)
    /// A token that is shown to the registry as it is (Docker's `registrytoken`).
    case registryToken(String)

    /// What kind it is, and whose; no secret.
    public var description: String {
        switch self {
        case .anonymous: "no credentials"
        case .basic(let user, _): "user \"\(user)\""
        case .identityToken: "an identity token"
        case .registryToken: "a registry token"
        }
    }

    /// What kind it is, and whose; no secret.
    public var debugDescription: String { description }

    /// Nothing within is shown.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// What may be in no message.
    var secrets: [String] {
        switch self {
        case .anonymous: []
        case .basic(let user, let password): [password, Base64.encode(Array("\(user):\(password)".utf8))]
        case .identityToken(let token), .registryToken(let token): [token]
        }
    }
}

/// Nobody, everywhere.
public struct AnonymousCredentials: CredentialProvider {
    /// Makes one.
    public init() {}

    /// Nobody.
    ///
    /// - Parameter registry: Any.
    /// - Returns: `.anonymous`.
    public func credentials(for registry: String) -> Credentials { .anonymous }
}
