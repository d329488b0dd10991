// SPDX-License-Identifier: Apache-2.0
internal import HTTP

extension AzureSettings {
    /// The identity to use.
    ///
    /// Of `auto`, in azure-identity's order: the environment's application, a federated token, a managed identity, `az`.
    ///
    /// - Parameters:
    ///   - cloud: The cloud.
    ///   - network: Sends requests.
    /// - Returns: The identity; nothing is sent before it is asked for a token.
    /// - Throws: ``AzureError`` where what is given is not enough.
    public func identity(_ cloud: AzureCloud, network: AzureNetwork) throws(AzureError) -> any AzureIdentity {
        switch method {
        case .auto: return try chain(cloud, network)
        case .servicePrincipal:
            if let found = try application(cloud, network) { return found }
            throw missing(
                "a service principal",
                ["AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH": secret ?? certificate]
            )
        case .federated:
            if let found = try federated(cloud, network) { return found }
            throw missing(
                "a federated identity",
                ["AZURE_FEDERATED_TOKEN_FILE, GitHub Actions or Azure Pipelines": nil]
            )
        case .managedIdentity: return managed(.insists, network)
        case .cli: return AzureCLIIdentity(tenant: tenant, subscription: subscription, environment: environment)
        }
    }

    /// The subscription that `az` works in; `nil` where there is no session of it.
    ///
    /// - Parameter cloud: The cloud.
    /// - Returns: Its id.
    /// - Throws: ``AzureError`` where there is a session, and it is broken.
    public func cliSubscription(_ cloud: AzureCloud) async throws(AzureError) -> String? {
        let cli = AzureCLIIdentity(tenant: tenant, environment: environment)
        return try await cli.subscription(cloud.resourceManagerAudience)
    }

    private func missing(_ what: String, _ proof: [String: String?]) -> AzureError {
        var names = ["AZURE_CLIENT_ID": client, "AZURE_TENANT_ID": tenant]
        names.merge(proof) { $1 }
        let absent = names.filter { $0.value == nil }.keys.sorted()
        let exports = absent.compactMap { name in name.split { " ,".contains($0) }.first.map { "\($0)=…" } }
        return AzureError(
            .usage,
            "\(what) needs \(absent.joined(separator: ", and "))",
            hint: "export \(exports.joined(separator: " ")); or --azure auto, for whatever identity is here"
        )
    }

    private func application(_ cloud: AzureCloud, _ network: AzureNetwork) throws(AzureError) -> ServicePrincipal? {
        guard let client, let tenant else { return nil }
        let proof: ServicePrincipal.Proof
        if let secret {
            proof = .secret(secret)
        } else if let certificate {
            proof = .certificate(path: certificate, password: certificatePassword, sendsChain: sendsChain)
        } else {
            return nil
        }
        return try ServicePrincipal(
            client: client,
            tenant: tenant,
            proof: proof,
            cloud: cloud,
            session: network.session
        )
    }

    private func federated(_ cloud: AzureCloud, _ network: AzureNetwork) throws(AzureError) -> ServicePrincipal? {
        let session = network.session
        let pipelineClient = environment.given("AZURESUBSCRIPTION_CLIENT_ID")
        let pipelineTenant = environment.given("AZURESUBSCRIPTION_TENANT_ID")
        guard let client = client ?? pipelineClient, let tenant = tenant ?? pipelineTenant else { return nil }
        let token =
            tokenFile.map { FederatedToken.file($0) }
            ?? FederatedToken.gitHubActions(environment, audience: cloud.federationAudience, session: session)
            ?? FederatedToken.azurePipelines(environment, session: session)
        guard let token else { return nil }
        return try ServicePrincipal(
            client: client,
            tenant: tenant,
            proof: .federated(token),
            cloud: cloud,
            session: session
        )
    }

    private func managed(_ patience: ManagedIdentity.Patience, _ network: AzureNetwork) -> ManagedIdentity {
        let isKnown = ManagedPlace(environment) != .machine
        return ManagedIdentity(
            environment: environment,
            selection: client.map { $0.hasPrefix("/") ? .resource($0) : .client($0) } ?? .system,
            patience: isKnown ? .insists : patience,
            network: network
        )
    }

    private func chain(_ cloud: AzureCloud, _ network: AzureNetwork) throws(AzureError) -> IdentityChain {
        var candidates: [IdentityChain.Candidate] = []
        if let found = try application(cloud, network) {
            candidates.append(.identity(found))
        } else {
            let error = missing("a service principal", ["a secret or certificate": secret ?? certificate])
            candidates.append(.missing("environment: \(error.message)"))
        }
        if let found = try federated(cloud, network) {
            candidates.append(.identity(found))
        } else {
            candidates.append(
                .missing("federated identity: there is no token file, no GitHub Actions, no Azure Pipelines")
            )
        }
        candidates.append(.identity(managed(.probes, network)))
        let cli = AzureCLIIdentity(tenant: tenant, subscription: subscription, environment: environment)
        return IdentityChain(candidates + [.identity(cli)])
    }
}
