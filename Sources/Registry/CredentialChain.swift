// SPDX-License-Identifier: Apache-2.0

/// The credentials that a person or a pipeline has on this machine.
///
/// They are looked for in this order, and the first that are found are used:
/// 1. what was given on the command line;
/// 2. `CORACLE_REGISTRY_TOKEN_<HOST>`, then `CORACLE_REGISTRY_USER_<HOST>` with `CORACLE_REGISTRY_PASSWORD_<HOST>`;
///    every character of the host that is no letter or digit is `_`, and case does not matter;
/// 3. the file that `REGISTRY_AUTH_FILE` names;
/// 4. Docker's `config.json` in `DOCKER_CONFIG`, else in `~/.docker`;
/// 5. podman's `auth.json` in `$XDG_RUNTIME_DIR/containers`, then in `$XDG_CONFIG_HOME/containers`.
///
/// Of a file, an entry of `auths` for the repository comes first, the one with the longest beginning of its name; then
/// the helper named in `credHelpers`, then the one in `credsStore`, then the entry of the registry as a whole. Files and
/// helpers are read anew each time they are asked.
///
/// Specification: Docker's command line reference, "Configuration files"; containers-auth.json(5).
public struct CredentialChain: CredentialProvider {
    /// A user's name and password, typed by somebody.
    public struct Login: Sendable {
        /// The user.
        let user: String
        /// The password, or the token that stands for one.
        let password: String
        /// The registry they are for; `nil` for any.
        let host: RegistryHost?

        /// Takes a name and a password.
        ///
        /// - Parameters:
        ///   - user: The user.
        ///   - password: The password, or the token that stands for one.
        ///   - host: The registry they are for, with its port; `nil` for any.
        public init(user: String, password: String, host: String? = nil) {
            (self.user, self.password, self.host) = (user, password, host.map { RegistryHost($0) })
        }
    }

    let environment: [String: String]
    let login: Login?
    private let warn: @Sendable (String) -> Void

    /// Looks at an environment.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - login: What was given on the command line; `nil` for nothing.
    ///   - warn: Is told what is probably not what was meant: one line each, without a secret.
    public init(
        environment: [String: String],
        login: Login? = nil,
        warn: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        (self.environment, self.login, self.warn) = (environment, login, warn)
    }

    // MARK: Looking up

    /// The credentials for a registry as a whole.
    ///
    /// - Parameter registry: As references name it: `docker.io`, `localhost:5000`.
    /// - Returns: What was found first; `.anonymous` where nothing was.
    /// - Throws: ``RegistryError`` where a file is malformed, or a helper fails.
    public func credentials(for registry: String) async throws -> Credentials {
        try await credentials(for: registry, repository: nil)
    }

    /// The credentials for a repository.
    ///
    /// - Parameters:
    ///   - registry: As references name it: `docker.io`, `localhost:5000`.
    ///   - repository: `team/app`; `nil` for the registry as a whole.
    /// - Returns: What was found first; `.anonymous` where nothing was.
    /// - Throws: ``RegistryError`` where a file is malformed, or a helper fails.
    public func credentials(for registry: String, repository: String?) async throws -> Credentials {
        try await find(RegistryHost(registry), repository: repository) ?? .anonymous
    }

    /// The credentials for a repository; `nil` where there are none.
    func find(_ host: RegistryHost, repository: String?) async throws -> Credentials? {
        if let login, login.host == nil || login.host == host {
            return .basic(user: login.user, password: login.password)
        }
        if let found = try variables(host) { return found }
        for path in paths {
            guard let file = try DockerConfig(readingFrom: path) else { continue }
            if let found = try await find(host, repository, in: file) { return found }
        }
        return nil
    }

    private func find(_ host: RegistryHost, _ repository: String?, in file: DockerConfig) async throws
        -> Credentials?
    {
        if let repository, let found = try file.credential(for: host, ofRepository: repository) { return found }
        if let (helper, isOwn) = helper(for: host, in: file) {
            switch try await helper.find(host) {
            case .found(let credential): return credential
            case .none: break
            case .absent:
                guard !isOwn else { throw helper.absence(for: host) }
                warn("\(helper.missing): going on without it")
            }
        }
        return try file.credential(for: host)
    }

    /// The helper that a file names for a host, and whether it is for that host alone.
    private func helper(for host: RegistryHost, in file: DockerConfig) -> (CredentialHelper, isOwn: Bool)? {
        guard let (name, isOwn) = file.helper(for: host) else { return nil }
        let key = isOwn ? "credHelpers for \(host.name)" : "credsStore"
        let source = CredentialHelper.Source(file: file.path, key: key)
        return (CredentialHelper(name, environment: environment, source: source), isOwn)
    }

    /// What variables say of a host.
    func variables(_ host: RegistryHost) throws -> Credentials? {
        let suffix = CredentialChain.variable(host)
        let value = { (kind: String) -> String? in
            let name = "CORACLE_REGISTRY_\(kind)_\(suffix)"
            let found = environment.filter { $0.key.uppercased() == name && !$0.value.isEmpty }
            return found.min { $0.key < $1.key }?.value
        }
        if let token = value("TOKEN") { return .registryToken(token) }
        switch (value("USER"), value("PASSWORD")) {
        case (nil, nil): return nil
        case (let user?, let password?): return .basic(user: user, password: password)
        case (let user, _):
            throw CredentialFault.variable(set: user == nil ? "PASSWORD" : "USER", suffix)
        }
    }

    /// A host as variables have it.
    static func variable(_ host: RegistryHost) -> String {
        String(host.name.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    }

    /// The files, in order.
    private var paths: [String] {
        var paths: [String] = []
        if let path = value("REGISTRY_AUTH_FILE") { paths.append(path) }
        if let path = docker { paths.append(path) }
        if let folder = value("XDG_RUNTIME_DIR") { paths.append(folder + "/containers/auth.json") }
        if let folder = value("XDG_CONFIG_HOME") ?? value("HOME").map({ $0 + "/.config" }) {
            paths.append(folder + "/containers/auth.json")
        }
        return paths
    }

    private var docker: String? {
        (value("DOCKER_CONFIG") ?? value("HOME").map { $0 + "/.docker" }).map { $0 + "/config.json" }
    }

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    // MARK: Login and logout

    /// Where credentials were put.
    public enum Place: Hashable, Sendable {
        /// A helper keeps them: its program.
        case helper(String)
        /// They are in a file, which is not encrypted.
        case file(String)
    }

    /// Keeps what a user typed: with the helper that the configuration names, else in the file.
    ///
    /// - Parameters:
    ///   - credential: What the registry has accepted.
    ///   - host: The registry, with its port.
    /// - Returns: Where they are now.
    /// - Throws: ``RegistryError`` where the helper refuses, or the file is malformed or cannot be written.
    public func keep(_ credential: Credentials, for host: String) async throws -> Place {
        guard let path = value("REGISTRY_AUTH_FILE") ?? docker else { throw CredentialFault.noPlace }
        let host = RegistryHost(host)
        if let (helper, isOwn) = try DockerConfig(readingFrom: path).flatMap({ helper(for: host, in: $0) }) {
            if try await helper.keep(host, credential) {
                try change(path) { $0.set(host, nil) }
                return .helper(helper.program)
            }
            guard !isOwn else { throw helper.absence(for: host) }
            warn("\(helper.missing): going on without it")
        }
        try change(path) { $0.set(host, credential) }
        return .file(path)
    }

    /// Forgets a registry, wherever its credentials are.
    ///
    /// - Parameter host: The registry, with its port.
    /// - Returns: The files and helpers that knew it; empty where none did.
    /// - Throws: ``RegistryError`` where a helper refuses, or a file is malformed or cannot be written.
    public func forget(_ host: String) async throws -> [String] {
        let host = RegistryHost(host)
        var places: [String] = []
        for path in paths {
            guard let file = try DockerConfig(readingFrom: path) else { continue }
            if let (helper, _) = helper(for: host, in: file) {
                if try await helper.forget(host) { places.append(helper.program) }
            }
            var copy = file
            guard copy.remove(host) else { continue }
            try change(path) { _ = $0.remove(host) }
            places.append(path)
        }
        if try variables(host) != nil {
            warn("CORACLE_REGISTRY_…_\(CredentialChain.variable(host)) is still set in the environment")
        }
        return places
    }

    private func change(_ path: String, _ body: (inout DockerConfig) -> Void) throws {
        try ConfigFile.withLock(of: path) {
            var file = try DockerConfig(readingFrom: path) ?? DockerConfig(newAt: path)
            body(&file)
            try file.write()
        }
    }
}
