// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import HTTP
internal import Synchronization

/// Which Azure identity to use, as flags say it; what they do not say, the environment does.
public struct AzureAccess: Sendable {
    /// `--azure`: `auto`, `service-principal`, `federated`, `managed-identity`, `cli`, `admin`, `none`; `nil` where it was
    /// not given.
    public var method: String?
    /// `--azure-client-id`.
    public var client: String?
    /// `--azure-tenant`.
    public var tenant: String?
    /// `--azure-subscription`.
    public var subscription: String?
    /// `--azure-cloud`.
    public var cloud: String?
    /// `--azure-certificate`.
    public var certificate: String?
    /// `--azure-token-file`.
    public var tokenFile: String?

    /// As the environment says.
    public init() {}

    /// What `--azure` may be.
    public static let methods = AzureSettings.Method.allCases.map(\.rawValue) + ["admin", "none"]

    /// Whether any of them was given: an identity is wanted then, and its absence is an error.
    var isExplicit: Bool {
        method.map { $0 != "none" } ?? ([client, certificate, tokenFile].contains { $0 != nil })
    }

    /// Flags over the environment.
    func settings(_ environment: [String: String]) throws(ExitReason) -> AzureSettings {
        var settings = AzureSettings(environment: environment)
        switch method {
        case nil, "none": break
        case "admin": settings.method = .auto
        case let text?:
            guard let known = AzureSettings.Method(rawValue: text) else {
                throw ExitReason(
                    .usage,
                    "--azure \"\(text)\" is no kind of identity",
                    hint: "--azure \(AzureAccess.methods.joined(separator: "|"))"
                )
            }
            settings.method = known
        }
        if let client { settings.client = client }
        if let tenant { settings.tenant = tenant }
        if let subscription { settings.subscription = subscription }
        if let cloud { settings.cloud = cloud }
        if let certificate { (settings.certificate, settings.secret) = (certificate, nil) }
        if let tokenFile { (settings.tokenFile, settings.secret, settings.certificate) = (tokenFile, nil, nil) }
        return settings
    }
}

/// Who we are at Azure in this run: a cloud, an identity in it, and what both are needed for.
struct AzureAccount: Sendable {
    let cloud: AzureCloud
    let tokens: AzureTokens
    let settings: AzureSettings
    let network: AzureNetwork

    /// Finds out the cloud and the identity; no token is asked for yet.
    init(_ settings: AzureSettings, registry: String? = nil, network: AzureNetwork) async throws {
        let cloud = try await settings.cloud(ofRegistry: registry, session: network.session)
        (self.cloud, self.settings, self.network) = (cloud, settings, network)
        tokens = AzureTokens(try settings.identity(cloud, network: network))
    }

    /// Who we are at Azure, as flags and the environment say.
    static func open(
        _ access: RegistryAccess,
        environment: [String: String],
        note: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> AzureAccount {
        let network = AzureNetwork(access.network(environment)) { event in
            if case .waiting(let host, let reason, let delay, let attempt) = event {
                note("\(host): \(reason); attempt \(attempt + 1) in \(Registries.seconds(delay))")
            }
        }
        return try await AzureAccount(try access.azure.settings(environment), network: network)
    }

    /// The resource manager.
    var manager: ARMClient { ARMClient(cloud: cloud, tokens: tokens, session: network.session) }

    /// The registries of the cloud.
    var exchange: RegistryExchange {
        RegistryExchange(tokens, cloud: cloud, tenant: settings.tenant, session: network.session)
    }

    /// The subscription to work in: the one that was named, else that of `az`, else the only one there is.
    func subscription() async throws -> String {
        if let named = settings.subscription { return named }
        let all = try await manager.subscriptions()
        if all.count == 1 { return all[0] }
        guard !all.isEmpty else {
            throw ExitReason(
                .usage,
                "\(tokens.identity.summary) sees no subscription",
                hint: "give it a role in one: az role assignment create --role Contributor --scope /subscriptions/ID …"
            )
        }
        var trouble = ""
        do {
            if let own = try await settings.cliSubscription(cloud), all.contains(own) { return own }
        } catch {
            trouble = "; az does not say which of them: \(error.message)"
        }
        throw ExitReason(
            .usage,
            "\(tokens.identity.summary) sees \(all.count) subscriptions: \(all.prefix(10).joined(separator: ", "))"
                + trouble,
            hint: "--azure-subscription ID, or AZURE_SUBSCRIPTION_ID"
        )
    }

    /// Where to look for a registry: the subscription that was named, else all that there are.
    func subscriptions() async throws -> [String] {
        if let named = settings.subscription { return [named] }
        return try await manager.subscriptions()
    }
}
