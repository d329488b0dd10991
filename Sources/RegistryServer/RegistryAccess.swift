// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Store

/// Who may use a registry, and how they say who they are.
public struct RegistryAccess: Sendable {
    enum Kind: Sendable {
        case anonymous
        case passwords(PasswordFile)
        case tokens(PasswordFile, Tokens)
        case foreign(ForeignTokens)
        case delegated(RegistryAuthority)
    }

    /// How the registry's own tokens are made.
    public struct Tokens: Sendable {
        /// What tokens are for: the name of the service in challenges.
        public var service = "coracle"
        /// How long a token counts, in seconds.
        public var lifetime: Int64 = 300
        /// Whether answers say `expires_in` and `token`; Azure's registry says `access_token` only.
        public var tellsExpiry = true
        /// Signs the tokens; `nil` for a key of this process's own, so that tokens end with it.
        public var key: TokenKey?

        /// Tokens that count for five minutes.
        public init() {}
    }

    /// Tokens that a server elsewhere signs.
    struct ForeignTokens: Sendable {
        let realm: String
        let service: String
        let issuer: String
        let key: PublicKey
    }

    let kind: Kind
    /// Whether those who say nothing may pull.
    public var anonymousMayPull = false

    init(_ kind: Kind) {
        self.kind = kind
    }

    /// Everybody may do everything.
    public static let anonymous = RegistryAccess(.anonymous)

    /// Users of a file may do everything, with their password in every request (Basic).
    ///
    /// - Parameter file: The users.
    /// - Returns: The access.
    public static func passwords(_ file: PasswordFile) -> RegistryAccess { RegistryAccess(.passwords(file)) }

    /// Users of a file may do everything, with tokens that they fetch from `/token` for their password (Bearer).
    ///
    /// - Parameters:
    ///   - file: The users.
    ///   - tokens: How tokens are made.
    /// - Returns: The access.
    public static func tokens(_ file: PasswordFile, _ tokens: Tokens = Tokens()) -> RegistryAccess {
        RegistryAccess(.tokens(file, tokens))
    }

    /// Somebody else decides, and answers what is asked for outside of `/v2/`.
    ///
    /// - Parameter authority: Who decides.
    /// - Returns: The access.
    package static func delegated(_ authority: RegistryAuthority) -> RegistryAccess {
        RegistryAccess(.delegated(authority))
    }

    /// Tokens of a server elsewhere say who may do what, in the claims of Docker's token authentication (Bearer).
    ///
    /// - Parameters:
    ///   - realm: Where clients fetch tokens, a URL.
    ///   - service: What tokens are for, their `aud`.
    ///   - issuer: Who makes them, their `iss`.
    ///   - certificate: A PEM file with the certificate or the public key of who signs them: RS256 or ES256.
    /// - Returns: The access.
    /// - Throws: ``RegistryServerError`` where the file holds no key.
    public static func tokens(
        of realm: String,
        service: String,
        issuer: String,
        certificate: String
    ) throws -> RegistryAccess {
        guard let bytes = try? DiskFile.read(certificate, limit: 1 << 20), let key = PublicKey(pem: bytes) else {
            throw RegistryServerError(message: "\(certificate) holds no certificate and no public key in PEM")
        }
        return RegistryAccess(.foreign(ForeignTokens(realm: realm, service: service, issuer: issuer, key: key)))
    }
}
