// SPDX-License-Identifier: Apache-2.0
public import Foundation
public import Testing

/// A real registry on a free port of this machine, ended with the last reference to it.
public final class TestRegistry: Sendable {
    /// Who may do what, and over which kind of connection.
    public enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
        /// Everybody, over plain HTTP.
        case anonymous
        /// User "alice", over TLS with a certificate of a private authority.
        case password
        /// Whom a token server knows, over TLS: alice everything, bob reading, nobody reading below "public/".
        case token

        /// The kind's name.
        public var testDescription: String { "docker-registry, \(rawValue)" }
    }

    /// The user who may do everything.
    public static let user = "alice"
    /// Her password, and with it what must be in no message.
    public static let password = "correct horse"

    /// Her line in a file of users, as `htpasswd -B` writes it.
    public static let passwordFile = "alice:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n"

    /// `HOST:PORT` as references have it.
    public let host: String
    /// Its port.
    public let port: Int
    /// The certificate to trust; `nil` where plain HTTP is spoken.
    public let authority: URL?
    private let processes: [ServerProcess]
    private let files: TemporaryFolder

    /// Whether the registry is installed.
    public static var isInstalled: Bool { Program.named("docker-registry") != nil }

    /// Starts a registry.
    ///
    /// - Parameters:
    ///   - kind: Who may do what.
    ///   - lifetime: How many seconds the token server's tokens are good for.
    ///   - settings: More of its configuration, YAML.
    /// - Throws: Where it does not start.
    public init(_ kind: Kind = .anonymous, lifetime: Int = 300, settings: String = "") async throws {
        files = try TemporaryFolder()
        let root = files.url.appending(path: "data").path
        var lines =
            "version: 0.1\nstorage: {filesystem: {rootdirectory: \(root)}, delete: {enabled: true}}\n\(settings)\n"
        var address = "addr: \"127.0.0.1:0\""
        var tokens: ServerProcess?
        var certificate: URL?
        if kind != .anonymous {
            let authority = try TestAuthority()
            let own = try files.write("ca.pem", String(contentsOf: authority.certificate, encoding: .utf8))
            let pair = try authority.issue(rsa: true)
            let (chain, key) = (
                try files.write("tls.pem", String(contentsOf: pair.certificate, encoding: .utf8)),
                try files.write("tls.key", String(contentsOf: pair.key, encoding: .utf8))
            )
            certificate = own
            address += ", tls: {certificate: \(chain.path), key: \(key.path)}"
            if kind == .token {
                let server = try await TestRegistry.tokenServer(key, chain, lifetime)
                let realm = "http://127.0.0.1:\(try server.port(after: "listening on "))/token"
                lines += "auth: {token: {realm: \"\(realm)\", service: tests, issuer: tests, "
                lines += "rootcertbundle: \(chain.path)}}\n"
                tokens = server
            } else {
                let passwords = try files.write("htpasswd", TestRegistry.passwordFile)
                lines += "auth: {htpasswd: {realm: tests, path: \(passwords.path)}}\n"
            }
        }
        let configuration = try files.write("registry.yml", lines + "http: {\(address)}\n")
        let server = try await ServerProcess(
            ["docker-registry", "serve", configuration.path],
            readyAt: "listening on "
        )
        port = try server.port(after: "listening on ")
        host = "127.0.0.1:\(port)"
        authority = certificate
        processes = [server] + (tokens.map { [$0] } ?? [])
    }

    /// What the registry printed so far: its access log.
    public var log: String { processes[0].text }

    /// How tokens were asked for so far: method, user, scopes.
    public var tokens: [String] {
        guard processes.count > 1 else { return [] }
        return processes[1].text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("token ") }.map { String($0) }
    }

    /// Starts a token server: alice everything, bob reading, nobody reading below "public/".
    ///
    /// - Parameters:
    ///   - key: What it signs with, PEM.
    ///   - certificate: The certificate of the key, PEM.
    ///   - lifetime: How many seconds its tokens are good for.
    /// - Returns: The server; it prints "listening on PORT", and a line for each token.
    /// - Throws: Where it does not start.
    public static func tokenServer(_ key: URL, _ certificate: URL, _ lifetime: Int) async throws -> ServerProcess {
        let script = ConformanceData.projectRoot.appending(path: "Tests/Fixtures/registry/token_server.py").path
        return try await ServerProcess(
            ["python3", script, key.path, certificate.path, "tests", "\(lifetime)"],
            readyAt: "listening on "
        )
    }
}
