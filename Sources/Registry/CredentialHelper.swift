// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// A program that keeps credentials: `docker-credential-NAME`.
///
/// It is told what to do as its one argument, and everything else on standard input, where nobody sees it.
///
/// Specification: docker-credential-helpers, "Development".
struct CredentialHelper: Sendable {
    /// What names a helper.
    struct Source: Sendable {
        /// The file of settings.
        let file: String
        /// The key in it, as people find it there: `credsStore`, or `credHelpers` with the host.
        let key: String
    }

    /// The program.
    let program: String
    private let source: Source?
    private let patience: Int
    private let environment: [String: String]

    init(_ name: String, environment: [String: String], source: Source? = nil, patience: Int = 120) {
        program = "docker-credential-" + name
        (self.source, self.patience) = (source, patience)
        // A helper has no use for the secrets of registries that it does not keep.
        self.environment = environment.filter { !$0.key.hasPrefix("CORACLE_REGISTRY_") }
    }

    /// What came of asking.
    enum Answer: Sendable {
        case found(Credentials)
        /// It has nothing for the host.
        case none
        /// There is no such program in `PATH`.
        case absent
    }

    /// Asks for the credentials of a host.
    func find(_ host: RegistryHost) async throws -> Answer {
        guard let output = try await run("get", host.dockerKey, secret: nil) else { return .absent }
        guard !output.isEmpty else { return .none }
        guard let json = try? JSONValue(parsing: output), let secret = json["Secret"]?.string else {
            throw fault("get", host, "its answer is not the JSON it should be: an object with Username and Secret")
        }
        let user = json["Username"]?.string ?? ""
        if user == "<token>" { return .found(.identityToken(secret)) }
        return user.isEmpty && secret.isEmpty ? .none : .found(.basic(user: user, password: secret))
    }

    /// Gives it the credentials of a host to keep; `false` where there is no such program.
    func keep(_ host: RegistryHost, _ credential: Credentials) async throws -> Bool {
        let (user, secret) =
            switch credential {
            case .basic(let user, let password): (user, password)
            case .identityToken(let token), .registryToken(let token): ("<token>", token)
            case .anonymous: ("", "")
            }
        let told: JSONValue = [
            "ServerURL": .string(host.dockerKey), "Username": .string(user), "Secret": .string(secret),
        ]
        return try await run("store", told.canonical, secret: secret, host: host) != nil
    }

    /// Has it forget a host; `false` where there is no such program, or it knew nothing.
    func forget(_ host: RegistryHost) async throws -> Bool {
        guard case .found = try await find(host) else { return false }
        return try await run("erase", host.dockerKey, secret: nil) != nil
    }

    /// The hosts that it keeps credentials of, with the user of each; `nil` where there is no such program.
    func list() async throws -> [String: String]? {
        guard let output = try await run("list", "", secret: nil) else { return nil }
        guard let hosts = try? JSONValue(parsing: output).strings else {
            throw CredentialFault.helper("\(program) list: its answer is not the JSON it should be", self)
        }
        return hosts
    }

    /// Runs it; `nil` where there is no such program, nothing where it says that it has nothing.
    private func run(_ verb: String, _ input: String, secret: String?, host: RegistryHost? = nil) async throws
        -> [UInt8]?
    {
        switch await HelperProcess.run(
            [program, verb],
            input: Array(input.utf8),
            environment: environment,
            seconds: patience
        ) {
        case .absent: return nil
        case .failed(let reason): throw fault(verb, host ?? RegistryHost(input), reason)
        case .ended(0, let output, _): return output
        case .ended(let status, let output, _):
            var words = CredentialHelper.line(output)
            // The library that most helpers are made with has these words for it.
            if words.contains("credentials not found") { return [] }
            if let secret, !secret.isEmpty { words = words.replacing(secret, with: "***") }
            throw fault(
                verb,
                host ?? RegistryHost(input),
                "\(words.isEmpty ? "it says nothing" : words) (exit \(status))"
            )
        }
    }

    private func fault(_ verb: String, _ host: RegistryHost, _ reason: String) -> any Error {
        let named = source.map { ", which \($0.file) names in \($0.key)" } ?? ""
        return CredentialFault.helper("\(program) \(verb) for \(host.name)\(named): \(reason)", self, host)
    }

    /// Why there is no answer: the program is not installed.
    func absence(for host: RegistryHost) -> any Error { CredentialFault.helper(missing, self, host, isAbsent: true) }

    /// The same in words.
    var missing: String {
        "\(program)\(source.map { ", which \($0.file) names in \($0.key)," } ?? "") is not in PATH"
    }

    /// What to type to go on, without the helper or with it.
    func advice(_ host: RegistryHost?, isAbsent: Bool) -> String {
        let out = source.map { "take it out of \($0.key) in \($0.file)" } ?? "take it out of credHelpers and credsStore"
        let suffix = host.map { CredentialChain.variable($0) } ?? "<HOST>"
        // What `list` prints are hosts and users, and no secrets.
        return (isAbsent ? "install \(program)" : "look what \(program) list says") + ", or \(out); "
            + "CORACLE_REGISTRY_USER_\(suffix) with CORACLE_REGISTRY_PASSWORD_\(suffix), and --username with "
            + "--password-stdin, work without it"
    }

    /// The first line of an answer, without control characters, and at most 200 characters of it.
    private static func line(_ output: [UInt8]) -> String {
        let line = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
        return String(line.filter { !$0.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F } }.prefix(200))
    }
}
