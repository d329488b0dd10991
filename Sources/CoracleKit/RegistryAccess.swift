// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Azure
internal import HTTP
internal import Kubernetes
internal import OCI
internal import Registry
internal import Store

/// How registries are reached, as flags say it.
public struct RegistryAccess: Sendable {
    /// `--insecure`: hosts with which plain HTTP is spoken, or whose certificates are not verified.
    public var insecureHosts: [String] = []
    /// `--ca`: files of certificates to trust besides the system's.
    public var authorityFiles: [String] = []
    /// `--username`.
    public var user: String?
    /// What came on standard input for `--password-stdin`.
    public var password: String?
    /// Which Azure identity to use at Azure's registries.
    public var azure = AzureAccess()
    /// The registry that name and password are for; no other is shown them.
    private(set) var loginHost: String?

    /// As the environment says.
    public init() {}

    /// How servers are reached.
    func network(_ environment: [String: String]) -> NetworkSettings {
        var network = NetworkSettings(environment: environment)
        network.insecureHosts = Set(insecureHosts)
        // Docker Hub's registry has another name than images of it.
        if !network.insecureHosts.isDisjoint(with: ["docker.io", "index.docker.io"]) {
            network.insecureHosts.insert("registry-1.docker.io")
        }
        network.authorityFiles = authorityFiles
        network.userAgent = "coracle/\(CoracleVersion.number)"
        CertificateFolders(environment: environment).add(to: &network)
        return network
    }

    /// Says what is wrong with files of certificates that flags name.
    func checkFiles() throws(ExitReason) {
        var network = NetworkSettings()
        network.authorityFiles = authorityFiles
        do {
            try network.checkAuthorities()
        } catch {
            throw ExitReason(.usage, error.message, hint: error.hint)
        }
    }

    /// The same, with name and password for the one registry that a command is about.
    func bound(to hosts: [String]) throws(ExitReason) -> RegistryAccess {
        guard try typed() != nil, loginHost == nil else { return self }
        var names: [String] = []
        for host in hosts where !names.contains(host) { names.append(host) }
        var copy = self
        if names.count == 1 {
            copy.loginHost = names[0]
            return copy
        }
        guard names.count > 1 else {
            throw ExitReason(.usage, "--username is given, and no registry is named that it could be for")
        }
        throw ExitReason(
            .usage,
            "--username is for one registry, and \(names.joined(separator: " and ")) are named",
            hint: names.map { "coracle login \($0)" }.joined(separator: " and ")
                + " first, or \(RegistryAccess.variables(of: "<HOST>")) of each"
        )
    }

    /// The same for a build, where base images and caches may be anywhere.
    func bound(toPush names: [ImageReference]?) throws(ExitReason) -> RegistryAccess {
        guard try typed() != nil, loginHost == nil else { return self }
        if let names { return try bound(to: names.map(\.domain)) }
        throw ExitReason(
            .usage,
            "--username is for the registry that --push goes to, and nothing is pushed",
            hint: "for base images: coracle login HOST first, or \(RegistryAccess.variables(of: "<HOST>"))"
        )
    }

    /// The same without name and password, for what speaks with no registry.
    var anonymous: RegistryAccess {
        var copy = self
        (copy.user, copy.password, copy.loginHost) = (nil, nil, nil)
        return copy
    }

    private static func variables(of host: String) -> String {
        "CORACLE_REGISTRY_USER_\(host) with CORACLE_REGISTRY_PASSWORD_\(host)"
    }

    /// Name and password from the command line, for their registry.
    func login() throws(ExitReason) -> CredentialChain.Login? {
        guard let (user, password) = try typed() else { return nil }
        // Without a host it would be for all.
        guard let loginHost else {
            throw ExitReason(.usage, "--username is given, and no registry is named that it could be for")
        }
        return CredentialChain.Login(user: user, password: password, host: loginHost)
    }

    private func typed() throws(ExitReason) -> (user: String, password: String)? {
        switch (user, password) {
        case (nil, nil): return nil
        case (let user?, let password?): return (user, password)
        case (nil, _): throw ExitReason(.usage, "--password-stdin is given, and --username is not")
        case (_, nil): throw ExitReason(.usage, "--username is given, and --password-stdin is not")
        }
    }
}

/// All that is needed to speak with registries in one run.
struct Registries: Sendable {
    let client: RegistryClient
    let credentials: CredentialChain
    let azure: AzureRegistries
    let session: HTTPSession

    /// Prepares to speak with registries; nothing is sent or read before the first request.
    init(
        _ access: RegistryAccess,
        environment: [String: String],
        store: String? = nil,
        note: @escaping @Sendable (TransferEvent) -> Void
    ) throws(ExitReason) {
        let network = access.network(environment)
        let chain = CredentialChain(environment: environment, login: try access.login()) { note(.warning($0)) }
        var settings = RegistryClient.Settings()
        settings.insecureHosts = network.insecureHosts
        settings.mirrors = try RegistryHost.mirrors(environment["CORACLE_REGISTRY_MIRRORS"] ?? "")
        settings.journalFolder = store.map { $0 + "/uploads" }
        credentials = chain
        azure = try AzureRegistries(chain, access, environment: environment, network: AzureNetwork(network))
        let transport = NetworkTransport(network)
        session = HTTPSession(transport)
        client = RegistryClient(transport: transport, credentials: azure, settings: settings) { event in
            switch event {
            case .warning(let registry, let text): note(.warning("\(registry) says: \(text)"))
            case .waiting(let registry, let reason, let delay, let attempt):
                note(.retrying("\(registry): \(reason); attempt \(attempt + 1) in \(Registries.seconds(delay))"))
            case .mirrorFailed(let mirror, let reason): note(.warning("the mirror \(mirror) is passed over: \(reason)"))
            }
        }
    }

    static func seconds(_ delay: Duration) -> String {
        let tenths = Int((delay / .milliseconds(100)).rounded(.up))
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

extension ExitReason {
    /// What any part of Coracle could not do, with the exit code for it.
    static func of(_ error: any Error) -> any Error {
        switch error {
        case let error as RegistryError:
            if let cause = error.cause as? ServerError, let code = code(of: cause) {
                return ExitReason(code, error.message, hint: error.hint)
            }
            let isRefused = error.kind == .auth || error.kind == .denied
            return ExitReason(isRefused ? .credentials : .registry, error.message, hint: error.hint)
        case let error as ServerError: return ExitReason(code(of: error) ?? .registry, error.message, hint: error.hint)
        case let error as AzureError: return ExitReason(error)
        case let error as ARMError: return ExitReason(.cloud, error.description, hint: error.remedy)
        case let error as KubernetesError: return ExitReason(error)
        case let error as WorkloadError: return ExitReason(.usage, error.description)
        case let error as ContentError: return ExitReason(.registry, error.message)
        case let error as StoreError: return ExitReason(error)
        case let error as ArchiveError: return ExitReason(.step, error.message)
        default: return error
        }
    }

    /// The exit code of what is wrong on our side before anything is sent; `nil` where it is not that.
    private static func code(of error: ServerError) -> Code? {
        [
            ServerError.Code.badSettings: .usage, .badClientCertificate: .credentials, .clientCertificate: .credentials,
        ][error.code]
    }

    /// Does something, and says why it could not in words of the command line.
    static func explaining<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch {
            throw of(error)
        }
    }
}

extension ExitReason {
    /// Why there is no Azure token.
    init(_ error: AzureError) {
        let codes: [AzureError.Kind: Code] = [.usage: .usage, .network: .registry]
        let others =
            error.trace.dropLast().isEmpty ? "" : "; tried before: \(error.trace.dropLast().joined(separator: "; "))"
        // The message of "there is none" has the trace in it.
        let message = error.message + (error.kind == .unavailable ? "" : others)
        self.init(codes[error.kind] ?? .credentials, message, hint: error.hint)
    }
}

extension ExitReason {
    /// Why a cluster did not do something.
    init(_ error: KubernetesError) {
        let codes: [KubernetesError.Code: Code] = [
            .settings: .usage, .credentials: .credentials, .network: .registry,
        ]
        self.init(codes[error.code] ?? .cloud, error.message, hint: error.hint)
    }
}
