// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import Registry
import RegistryServer
import Store
import TestSupport
import Testing

/// A registry that the client is tried against: Debian's in a process of its own, or ours in this one.
struct Peer: Sendable {
    /// Whose it is, and who may do what there.
    enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
        /// Debian's docker-registry: everybody over plain HTTP.
        case debianAnonymous
        /// Debian's: alice, by password over TLS.
        case debianPassword
        /// Debian's: whom a token server knows, over TLS.
        case debianToken
        /// Ours: everybody over plain HTTP.
        case ownAnonymous
        /// Ours: alice, by password over TLS.
        case ownPassword
        /// Ours, with tokens that it makes itself, over TLS.
        case ownToken
        /// Ours, with the tokens of the same server that Debian's is used with, over TLS.
        case ownForeignToken

        var testDescription: String { rawValue }

        var isOurs: Bool { rawValue.hasPrefix("own") }

        /// Those that can be had here.
        static let available: [Kind] = {
            if !TestRegistry.isInstalled { print("SKIPPED Registries of Debian: docker-registry is not installed") }
            return allCases.filter { $0.isOurs || TestRegistry.isInstalled }
        }()
        /// Those with passwords, and those with tokens.
        static let closed = available.filter { $0 != .debianAnonymous && $0 != .ownAnonymous }
        /// Those with the token server that is a process of its own.
        static let foreign = available.filter { $0 == .debianToken || $0 == .ownForeignToken }

        fileprivate var debian: TestRegistry.Kind? {
            switch self {
            case .debianAnonymous: .anonymous
            case .debianPassword: .password
            case .debianToken: .token
            default: nil
            }
        }
    }

    /// `HOST:PORT` as references have it.
    let host: String
    /// The certificate to trust; `nil` where plain HTTP is spoken.
    let authority: URL?
    /// Ours; `nil` where it is not.
    let own: EmbeddedRegistry?
    private let told: @Sendable () -> [String]

    /// How the token server of its own process was asked so far: method, user, scopes.
    var tokens: [String] { told() }

    /// A certificate of a private authority, PEM; made once, as a key of RSA takes its time.
    private static let pair = Result {
        let authority = try TestAuthority()
        let pair = try authority.issue(rsa: true)
        return (
            authority: try String(contentsOf: authority.certificate, encoding: .utf8),
            certificate: try String(contentsOf: pair.certificate, encoding: .utf8),
            key: try String(contentsOf: pair.key, encoding: .utf8)
        )
    }

    /// Serves while a function runs.
    static func with(
        _ kind: Kind,
        lifetime: Int = 300,
        faults: Faults = Faults(),
        change: (inout RegistryOptions) -> Void = { _ in },
        _ work: @escaping @Sendable (Peer) async throws -> Void
    ) async throws {
        if let debian = kind.debian {
            let registry = try await TestRegistry(debian, lifetime: lifetime)
            let peer = Peer(host: registry.host, authority: registry.authority, own: nil) { registry.tokens }
            return try await work(peer)
        }
        let folder = try TemporaryFolder()
        var options = RegistryOptions()
        options.rememberedRequests = 10_000
        change(&options)
        var (authority, tokens): (URL?, ServerProcess?)
        if kind != .ownAnonymous {
            let pair = try await offPool { try Peer.pair.get() }
            authority = try folder.write("ca.pem", pair.authority)
            let chain = try folder.write("tls.pem", pair.certificate)
            let key = try folder.write("tls.key", pair.key)
            options.certificate = (chain.path, key.path)
            let users = try PasswordFile(try folder.write("htpasswd", TestRegistry.passwordFile).path)
            options.access = kind == .ownToken ? .tokens(users) : .passwords(users)
            if kind == .ownForeignToken {
                let server = try await TestRegistry.tokenServer(key, chain, lifetime)
                tokens = server
                options.access = try .tokens(
                    of: "http://127.0.0.1:\(try server.port(after: "listening on "))/token",
                    service: "tests",
                    issuer: "tests",
                    certificate: chain.path
                )
            }
        }
        let store = try ImageStore(folder.url.path + "/store")
        let (certificate, server) = (authority, tokens)
        try await EmbeddedRegistry.run(store, options, faults: faults) { registry in
            let peer = Peer(host: registry.host, authority: certificate, own: registry) {
                (server?.text ?? "").split(whereSeparator: \.isNewline).filter { $0.hasPrefix("token ") }
                    .map { String($0) }
            }
            try await work(peer)
        }
        withExtendedLifetime((tokens, folder)) {}
    }
}
