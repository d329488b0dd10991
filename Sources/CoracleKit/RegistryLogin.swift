// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Glibc
internal import OCI
internal import Registry

/// `coracle login` and `coracle logout`.
public struct RegistryLogin: Sendable {
    /// Flags about registries; name and password among them.
    public var access = RegistryAccess()
    private let environment: [String: String]
    private let note: @Sendable (String) -> Void

    /// Works with the credentials of this user.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - note: Is told what is probably not what was meant: one line each.
    public init(environment: [String: String], note: @escaping @Sendable (String) -> Void) {
        (self.environment, self.note) = (environment, note)
    }

    /// Asks a registry whether it accepts a name and a password, and keeps them.
    ///
    /// - Parameter host: The registry, with its port; `docker.io` where it is empty.
    /// - Returns: A line for people.
    /// - Throws: ``ExitReason`` where the registry refuses them or cannot be reached, or they cannot be kept.
    public func login(_ host: String) async throws -> String {
        let host = try RegistryLogin.host(host)
        guard let user = access.user, !user.isEmpty, let password = access.password, !password.isEmpty else {
            throw ExitReason(
                .usage,
                "there is no \(access.user == nil ? "user name" : "password") to log in to \(host) with",
                hint: "coracle login --username NAME --password-stdin \(host) < FILE"
            )
        }
        return try await ExitReason.explaining {
            let registries = try registries()
            let typed = Credentials.basic(user: user, password: password)
            let accepted = try await registries.client.login(host, with: typed)
            switch try await registries.credentials.keep(accepted, for: host) {
            case .helper(let program): return "logged in to \(host) as \(user); \(program) keeps the password"
            case .file(let path):
                note(
                    "warning: the password is kept unencrypted in \(path); with a credential helper it is not: "
                        + "\"credsStore\" in that file names one"
                )
                return "logged in to \(host) as \(user)"
            }
        }
    }

    /// Logs in to a registry of Azure as an Azure identity, and keeps the registry's token, as `az acr login` does.
    ///
    /// - Parameter host: The registry, with its port.
    /// - Returns: A line for people; `nil` where the registry is none of Azure's, or there is no identity and none was
    ///   asked for.
    /// - Throws: ``ExitReason`` where the identity or the registry refuses, or cannot be reached, or the token cannot be
    ///   kept.
    public func loginWithIdentity(_ host: String) async throws -> String? {
        let host = try RegistryLogin.host(host)
        guard access.azure.method != "none" else { return nil }
        return try await ExitReason.explaining { () -> String? in
            let registries = try registries()
            do {
                guard let found = try await registries.azure.ofAzure(host), found != .anonymous else {
                    guard access.azure.isExplicit else { return nil }
                    throw ExitReason(
                        .usage,
                        "\(host) is no registry of Azure, and is not shown an Azure identity",
                        hint: "coracle login --username NAME --password-stdin \(host)"
                    )
                }
                let accepted = try await registries.client.login(host, with: found)
                let place = try await registries.credentials.keep(accepted, for: host)
                let who = try await registries.azure.identity(at: host)?.summary ?? ""
                return RegistryLogin.line(host, who, accepted, place)
            } catch let error as AzureError where error.kind == .unavailable && !access.azure.isExplicit {
                note(error.message)
                return nil
            }
        }
    }

    private static func line(_ host: String, _ who: String, _ kept: Credentials, _ place: CredentialChain.Place)
        -> String
    {
        let keeper =
            switch place {
            case .helper(let program): program
            case .file(let path): path
            }
        if case .basic(let user, _) = kept {
            return "logged in to \(host) as its admin user \(user); \(keeper) keeps the password"
        }
        return
            "logged in to \(host) as \(who); \(keeper) keeps the registry's token, which is good for some three hours: "
            + "coracle itself takes a new one whenever it can"
    }

    /// Forgets a registry.
    ///
    /// - Parameter host: The registry, with its port; `docker.io` where it is empty.
    /// - Returns: A line for people.
    /// - Throws: ``ExitReason`` where a file or a helper cannot be changed.
    public func logout(_ host: String) async throws -> String {
        let host = try RegistryLogin.host(host)
        return try await ExitReason.explaining {
            let places = try await registries().credentials.forget(host)
            if places.isEmpty { return "there was no login to \(host)" }
            return "logged out of \(host): removed from \(places.joined(separator: ", "))"
        }
    }

    private func registries() throws(ExitReason) -> Registries {
        try Registries(access.anonymous, environment: environment) { [note] event in
            if case .warning(let text) = event { note("warning: \(text)") }
            if case .retrying(let text) = event { note(text) }
        }
    }

    /// A registry as references name it; people give URLs too.
    static func host(_ text: String) throws(ExitReason) -> String {
        var host = text[...]
        for scheme in ["https://", "http://"] where host.hasPrefix(scheme) { host = host.dropFirst(scheme.count) }
        while host.last == "/" { host.removeLast() }
        if ["", "docker.io", "index.docker.io", "index.docker.io/v1", "registry-1.docker.io"].contains(host) {
            return "docker.io"
        }
        guard !host.contains("/"), let reference = try? ImageReference("\(host)/any"), reference.domain == host else {
            throw ExitReason(
                .usage,
                "\"\(text)\" is no registry: expected HOST or HOST:PORT, for example myacr.azurecr.io"
            )
        }
        return String(host)
    }
}

/// What a person types when asked.
public enum Prompt {
    /// Whether somebody is there to answer.
    public static var isPossible: Bool { isatty(0) == 1 && isatty(2) == 1 }

    /// Asks for a line.
    ///
    /// - Parameter question: What is asked, on standard error.
    /// - Returns: The line; `nil` where none came.
    public static func line(_ question: String) -> String? {
        show(question)
        return readLine(strippingNewline: true)
    }

    /// Asks for a line that is not shown.
    ///
    /// - Parameter question: What is asked, on standard error.
    /// - Returns: The line; `nil` where none came.
    public static func secret(_ question: String) -> String? {
        var old = termios()
        guard tcgetattr(0, &old) == 0 else { return line(question) }
        var hidden = old
        hidden.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(0, TCSAFLUSH, &hidden)
        defer {
            tcsetattr(0, TCSAFLUSH, &old)
            show("\n")
        }
        return line(question)
    }

    private static func show(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(2, bytes, bytes.count)
    }

    /// A password on standard input: all of it, without the end of its last line.
    ///
    /// - Returns: The password.
    /// - Throws: ``ExitReason`` where there is none, or standard input cannot be read.
    public static func password() throws(ExitReason) -> String {
        var bytes = try TextFile.read("-") ?? []
        if bytes.last == 0x0A { bytes.removeLast() }
        if bytes.last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else {
            throw ExitReason(.usage, "--password-stdin: there is no password on standard input")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
