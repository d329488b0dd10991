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
