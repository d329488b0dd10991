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

    /// As the environment says.
    public init() {}

    /// How servers are reached.
    func network(_ environment: [String: String]) -> NetworkSettings {
        var network = NetworkSettings(environment: environment)
        network.insecureHosts = Set(insecureHosts)
        network.authorityFiles = authorityFiles
        network.userAgent = "coracle/\(CoracleVersion.number)"
        CertificateFolders(environment: environment).add(to: &network)
        return network
    }

    /// Name and password from the command line.
    func login() throws(ExitReason) -> CredentialChain.Login? {
        switch (user, password) {
        case (nil, nil): return nil
        case (let user?, let password?): return CredentialChain.Login(user: user, password: password)
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
        repositories: [Repository] = [],
        store: String? = nil,
        note: @escaping @Sendable (TransferEvent) -> Void
    ) throws(ExitReason) {
        let network = access.network(environment)
        var chain = CredentialChain(environment: environment, login: try access.login()) { note(.warning($0)) }
        chain.repositories = repositories
        var settings = RegistryClient.Settings()
        settings.insecureHosts = network.insecureHosts
        settings.mirrors = try Registries.mirrors(environment["CORACLE_REGISTRY_MIRRORS"] ?? "")
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

    /// `HOST=MIRROR[/PREFIX][,HOST=MIRROR…]`; several mirrors of one host are asked in order.
    static func mirrors(_ text: String) throws(ExitReason) -> [String: [String]] {
        var mirrors: [String: [String]] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else {
                throw ExitReason(.usage, "CORACLE_REGISTRY_MIRRORS: \"\(part)\" is not HOST=MIRROR[/PREFIX]")
            }
            mirrors[pair[0], default: []].append(pair[1])
        }
        return mirrors
    }
}

extension ExitReason {
    /// What any part of Coracle could not do, with the exit code for it.
    static func of(_ error: any Error) -> any Error {
        switch error {
        case let error as RegistryError:
            let isRefused = error.kind == .auth || error.kind == .denied
            return ExitReason(isRefused ? .credentials : .registry, error.message, hint: error.hint)
        case let error as ServerError: return ExitReason(.registry, error.message, hint: error.hint)
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
