// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import HTTP
internal import OCI
internal import Registry
internal import Synchronization

/// Who we are at registries: what is kept on this machine, and at Azure's registries an Azure identity.
///
/// In order: `--username`; `--azure`; what ``CredentialChain`` finds, but no token of a registry that has ended; the
/// first Azure identity that there is. The lock protects what was found out about the hosts of this run.
final class AzureRegistries: CredentialProvider {
    private struct Place {
        let account: AzureAccount
        let exchange: RegistryExchange
    }

    private let chain: CredentialChain
    private let access: AzureAccess
    private let settings: AzureSettings
    private let network: AzureNetwork
    private let loginHost: String?
    private let places = Mutex<[String: Place?]>([:])
    private let absences = Mutex<[String: String]>([:])
    private let turnstile = ConcurrencyLimit(1)

    init(
        _ chain: CredentialChain,
        _ access: RegistryAccess,
        environment: [String: String],
        network: AzureNetwork
    ) throws(ExitReason) {
        (self.chain, self.access, self.network) = (chain, access.azure, network)
        loginHost = access.loginHost
        settings = try access.azure.settings(environment)
        guard access.user == nil || !access.azure.isExplicit else {
            throw ExitReason(.usage, "--username and --azure are given both")
        }
    }

    func credentials(for registry: String) async throws -> Credentials {
        try await credentials(for: registry, repository: nil)
    }

    func credentials(for registry: String, repository: String?) async throws -> Credentials {
        if access.isExplicit, let found = try await ofAzure(registry) { return found }
        let found = try await chain.credentials(for: registry, repository: repository)
        guard registry != loginHost, found == .anonymous || AzureRegistries.hasEnded(found) else { return found }
        do {
            return try await ofAzure(registry) ?? found
        } catch let error as AzureError where error.kind == .unavailable {
            let ended = found == .anonymous ? "" : "the token that was kept for it has ended, and "
            absences.withLock { $0[registry] = ended + error.message }
            return .anonymous
        }
    }

    /// What Azure gives us for a registry; `nil` where it is none of Azure's.
    func ofAzure(_ registry: String) async throws -> Credentials? {
        guard let place = try await place(registry) else { return nil }
        guard access.method == "admin" else { return try await place.exchange.credentials(for: registry) }
        let known = try await place.account.manager.registry(registry, in: place.account.subscriptions())
        guard let known else {
            throw AzureError(
                .refused,
                "\(place.account.tokens.identity.summary) sees no registry \(registry)",
                hint: "name the right subscription: --azure-subscription ID"
            )
        }
        return try await place.account.manager.adminCredentials(of: known)
    }

    /// Who we are at Azure, as far as a registry is of it; `nil` where it is not.
    func identity(at registry: String) async throws -> (any AzureIdentity)? {
        try await place(registry)?.account.tokens.identity
    }

    private func place(_ registry: String) async throws -> Place? {
        guard access.method != "none" else { return nil }
        if let known = places.withLock({ $0[registry] }) { return known }
        return try await turnstile.run {
            if let known = places.withLock({ $0[registry] }) { return known }
            let found = try await find(registry)
            places.withLock { $0[registry] = .some(found) }
            return found
        }
    }

    private func find(_ registry: String) async throws -> Place? {
        let isKnown = AzureCloud(ofRegistry: registry) != nil
        let isCustom = settings.cloud.map { AzureCloud(named: $0) == nil } ?? false
        // Only a cloud that describes itself can have other registries.
        guard isKnown || isCustom, registry != "docker.io" else { return nil }
        do {
            let account = try await AzureAccount(settings, registry: registry, network: network)
            guard account.cloud.ownsRegistry(registry) else { return nil }
            let shared = places.withLock {
                $0.values.lazy.compactMap { $0 }.first { $0.account.cloud == account.cloud }
            }
            return shared ?? Place(account: account, exchange: account.exchange)
        } catch let error as AzureError where !isKnown && !access.isExplicit {
            // Another's registry should not suffer from a cloud that cannot be asked.
            absences.withLock { $0[registry] = error.message }
            return nil
        }
    }

    /// Whether it is a token of a registry that says itself that it has ended.
    static func hasEnded(_ credentials: Credentials) -> Bool {
        switch credentials {
        case .identityToken(let token): RegistryExchange.hasEnded(token)
        case .basic("00000000-0000-0000-0000-000000000000", let token): RegistryExchange.hasEnded(token)
        default: false
        }
    }

    // MARK: Advice

    func advice(on lack: MissingAccess) async -> CredentialAdvice? {
        if lack.credentials == .anonymous {
            return absences.withLock { $0[lack.registry] }
                .map { CredentialAdvice(reason: $0, hint: Self.login(lack.registry)) }
        }
        guard let place = try? await place(lack.registry) else { return await chain.advice(on: lack) }
        let actions = lack.actions.compactMap { RoleAdvice.Action(rawValue: $0) }
        switch lack.credentials {
        case .basic(let user, _) where user.isGUID && user != "00000000-0000-0000-0000-000000000000":
            return CredentialAdvice(
                hint: RoleAdvice(registry: lack.registry, token: nil, user: user).command(for: actions)
            )
        case .basic(let user, _):
            guard let repository = lack.repository, !lack.registry.hasPrefix(user.lowercased() + ".") else {
                return await chain.advice(on: lack)
            }
            let rights = lack.actions.map {
                $0 == "pull" ? "content/read" : $0 == "push" ? "content/write" : "content/\($0)"
            }
            return CredentialAdvice(
                hint: "if \"\(user)\" is a token of the registry: az acr scope-map update --registry "
                    + "\(lack.registry.prefix { !".:-".contains($0) }) --name SCOPE-MAP --add-repository \(repository) "
                    + rights.joined(separator: " ")
            )
        default: return await roles(lack, actions, place)
        }
    }

    private func roles(_ lack: MissingAccess, _ actions: [RoleAdvice.Action], _ place: Place) async -> CredentialAdvice
    {
        let token = try? await place.account.tokens.token(for: place.account.cloud.registryAudience)
        var known: ContainerRegistry?
        if let subscription = settings.subscription {
            known = try? await place.account.manager.registry(lack.registry, in: [subscription])
        }
        let advice = RoleAdvice(registry: lack.registry, token: token, known: known)
        return CredentialAdvice(
            reason: "signed in as \(place.account.tokens.identity.summary)",
            hint: advice.command(for: actions)
        )
    }

    private static func login(_ registry: String) -> String { "coracle login \(registry)" }
}

extension String {
    /// Whether it is `8-4-4-4-12` hexadecimal digits, as Entra ID's ids are.
    fileprivate var isGUID: Bool {
        let parts = split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.allSatisfy(\.isHexDigit) }
    }
}
