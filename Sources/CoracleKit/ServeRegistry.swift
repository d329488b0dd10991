// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import RegistryServer
internal import Store

/// `coracle registry serve`: a registry over the store, until somebody ends it.
public struct ServeRegistry: Sendable {
    /// `--listen`: the address and the port.
    public var listen = "127.0.0.1:5000"
    /// `--htpasswd`: the file of users.
    public var passwords: String?
    /// `--token-auth`: how tokens are made, or who makes them.
    public var tokens: String?
    /// `--tls-cert`: the certificate chain.
    public var certificate: String?
    /// `--tls-key`: its key.
    public var key: String?
    /// `--anonymous`: those who say nothing may pull, and push where there are no users.
    public var anonymous = false
    /// `--read-only`: nothing is taken in.
    public var readOnly = false
    /// `--warning`: what clients should tell people.
    public var warnings: [String] = []
    /// `--log`: how requests are reported.
    public var log = Log.plain
    private let workspace: Workspace

    /// How requests are reported.
    public enum Log: String, CaseIterable, Sendable {
        /// A line of words for each.
        case plain
        /// A line of JSON for each.
        case json
        /// Not at all.
        case none

        /// Reads a name.
        ///
        /// - Parameter name: `plain`, `json` or `none`.
        /// - Throws: ``ExitReason`` for another.
        public init(named name: String) throws(ExitReason) {
            guard let log = Log(rawValue: name) else {
                throw ExitReason(.usage, "--log \"\(name)\" is none of plain, json and none")
            }
            self = log
        }
    }

    /// Serves a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Serves until it is told to stop; then requests that are under way have ten seconds to end.
    ///
    /// - Parameters:
    ///   - announce: Is given the address, `http://127.0.0.1:5000`, once connections are accepted.
    ///   - note: Is given a line for each request, and warnings; on any thread.
    ///   - stop: Returns when serving should end.
    /// - Throws: ``ExitReason`` where it cannot listen, or the store cannot be used.
    public func run(
        announce: @escaping @Sendable (String) throws -> Void,
        note: @escaping @Sendable (String) -> Void,
        until stop: @escaping @Sendable () async -> Void
    ) async throws {
        let store = try workspace.store()
        let options = try options(store, note)
        do {
            try await EmbeddedRegistry.run(store, options) { registry in
                try announce(registry.url)
                await stop()
            }
        } catch let error as RegistryServerError {
            throw ExitReason(error.isAboutOptions ? .usage : .registry, error.message)
        }
    }

    private func options(
        _ store: ImageStore,
        _ note: @escaping @Sendable (String) -> Void
    ) throws -> RegistryOptions {
        var options = RegistryOptions()
        (options.host, options.port) = try ServeRegistry.address(listen)
        options.isReadOnly = readOnly
        options.access = try access(store, note)
        do {
            for warning in warnings { try options.warn(warning) }
        } catch {
            throw ExitReason(.usage, "--warning: \(error.message)")
        }
        if let certificate, let key {
            options.certificate = (certificate, key)
        } else if certificate != nil || key != nil {
            throw ExitReason(.usage, "--tls-cert and --tls-key go together")
        }
        let isOpen = passwords == nil && tokens == nil
        if !ServeRegistry.isLoopback(options.host) {
            guard !isOpen || anonymous else {
                throw ExitReason(
                    .usage,
                    "\(listen) can be reached from other machines, and nobody would need a password",
                    hint: "--htpasswd FILE, or --anonymous if that is meant, or --listen 127.0.0.1:5000"
                )
            }
            if !isOpen, certificate == nil {
                note("coracle: warning: passwords travel in clear text without --tls-cert and --tls-key")
            }
        }
        let style = log
        if style != .none { options.onRequest = { note(ServeRegistry.line($0, style)) } }
        return options
    }

    /// Reads `ADDRESS:PORT`; an IPv6 address stands in brackets.
    static func address(_ text: String) throws(ExitReason) -> (host: String, port: Int) {
        let fault = ExitReason(
            .usage,
            "--listen \"\(text)\" is not ADDRESS:PORT, for example 127.0.0.1:5000 or [::1]:0"
        )
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw fault
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw fault
        }
        return (host.isEmpty ? "0.0.0.0" : host, Int(port))
    }

    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || (host.hasPrefix("127.") && host.split(separator: ".").count == 4)
    }

    private func access(
        _ store: ImageStore,
        _ note: @escaping @Sendable (String) -> Void
    ) throws -> RegistryServer.RegistryAccess {
        do {
            var access = RegistryServer.RegistryAccess.anonymous
            let file = try passwords.map { try PasswordFile($0) }
            if let tokens {
                access = try TokenFields(tokens)
                    .access(file) { () throws(RegistryServerError) -> TokenKey? in
                        do throws(RegistryServerError) {
                            return try TokenKey(keptIn: store)
                        } catch  where readOnly {
                            // The store may be one that nobody can write to.
                            note("coracle: warning: \(error.message): tokens end with this process")
                            return nil
                        }
                    }
            } else if let file {
                access = .passwords(file)
            }
            access.anonymousMayPull = anonymous
            return access
        } catch let error as RegistryServerError {
            throw ExitReason(.usage, error.message)
        }
    }

    /// What is said of a request.
    private static func line(_ request: RequestRecord, _ log: Log) -> String {
        guard log == .json else {
            let time = "\(request.microseconds / 1000).\((request.microseconds / 100) % 10) ms"
            let user = (request.user.map { " " + $0 } ?? "") + (request.problem.map { " " + $0 } ?? "")
            return "\(request.method) \(request.path) \(request.status) in \(request.bytesIn) B out "
                + "\(request.bytesOut) B \(time)\(user)"
        }
        var members: [String: JSONValue] = [
            "method": .string(request.method), "path": .string(request.path), "status": .int(Int64(request.status)),
            "bytesIn": .int(request.bytesIn), "bytesOut": .int(request.bytesOut),
            "microseconds": .int(request.microseconds),
        ]
        members["user"] = request.user.map { .string($0) }
        members["problem"] = request.problem.map { .string($0) }
        return JSONValue.object(members).canonical
    }
}

/// `--token-auth`: `NAME=VALUE` with commas between.
private struct TokenFields {
    private var fields: [String: String] = [:]
    private static let names: Set<String> = ["realm", "service", "issuer", "certificate", "lifetime", "key"]

    init(_ text: String) throws(ExitReason) {
        for item in text.split(separator: ",") {
            let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, TokenFields.names.contains(parts[0]) else {
                throw ExitReason(
                    .usage,
                    "--token-auth \"\(item)\" is none of realm=URL, service=NAME, issuer=NAME, certificate=FILE, "
                        + "lifetime=SECONDS and key=FILE"
                )
            }
            fields[parts[0]] = parts[1]
        }
    }

    /// With a realm somebody else makes the tokens; without one we do, for the users of a file.
    ///
    /// Tokens of our own are signed with the key of a file, else with the one that `kept` gives.
    func access(
        _ file: PasswordFile?,
        kept: () throws(RegistryServerError) -> TokenKey?
    ) throws -> RegistryServer.RegistryAccess {
        guard let realm = fields["realm"] else {
            guard let file else {
                throw ExitReason(
                    .usage,
                    "--token-auth without realm= makes tokens for users, who are in --htpasswd FILE"
                )
            }
            guard fields["issuer"] == nil, fields["certificate"] == nil else {
                throw ExitReason(.usage, "--token-auth issuer= and certificate= are for tokens of a realm= elsewhere")
            }
            var tokens = RegistryServer.RegistryAccess.Tokens()
            tokens.service = fields["service"] ?? tokens.service
            if let text = fields["lifetime"] {
                guard let seconds = Int64(text), (1...86400).contains(seconds) else {
                    throw ExitReason(.usage, "--token-auth lifetime=\(text) is not 1 to 86400 seconds")
                }
                tokens.lifetime = seconds
            }
            tokens.key = try fields["key"].map { try TokenKey(readingFrom: $0) } ?? kept()
            return .tokens(file, tokens)
        }
        guard file == nil, fields["lifetime"] == nil, fields["key"] == nil else {
            throw ExitReason(
                .usage,
                "with --token-auth realm=URL users, lifetimes and keys are the realm's: no --htpasswd, lifetime= or key="
            )
        }
        guard let service = fields["service"], let issuer = fields["issuer"], let certificate = fields["certificate"]
        else {
            throw ExitReason(.usage, "--token-auth realm= takes service=NAME, issuer=NAME and certificate=FILE too")
        }
        return try .tokens(of: realm, service: service, issuer: issuer, certificate: certificate)
    }
}
