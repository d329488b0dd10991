// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy

/// What is deployed: where it is, and how it is reached.
enum Deployment {
    /// A container group, and who we are at Azure.
    struct Place: Sendable {
        let account: AzureAccount
        let service: ContainerInstances
        let name: String

        init(
            _ options: DeployOptions,
            _ access: RegistryAccess,
            _ environment: [String: String],
            note: @escaping @Sendable (String) -> Void
        ) async throws {
            if let target = options.target, target != "aci" {
                throw ExitReason(.usage, "--target \"\(target)\" is neither aci nor aks", hint: "--target aci")
            }
            guard let group = options.resourceGroup, !group.isEmpty else {
                throw ExitReason(
                    .usage,
                    "there is no resource group to deploy to",
                    hint: "--resource-group NAME, which coracle up remembers in coracle.yaml"
                )
            }
            guard let name = options.name, !name.isEmpty else {
                throw ExitReason(.usage, "the deployment has no name", hint: "--name NAME")
            }
            if let fault = GroupRules.fault(ofName: name) { throw ExitReason(.usage, fault, hint: "--name NAME") }
            var access = access
            if access.azure.subscription == nil { access.azure.subscription = options.subscription }
            account = try await AzureAccount.open(access, environment: environment, note: note)
            var manager = account.manager
            if let interval = Deployment.interval(environment) { manager.patience.interval = interval }
            service = ContainerInstances(
                manager,
                subscription: try await account.subscription(),
                resourceGroup: group
            )
            self.name = name
        }
    }

    /// How long between two looks, in milliseconds; for an emulator, which is faster than Azure.
    private static func interval(_ environment: [String: String]) -> Duration? {
        environment["CORACLE_AZURE_POLL_MS"].flatMap { Int($0) }.flatMap { $0 > 0 ? .milliseconds($0) : nil }
    }

    /// How a deployment is watched.
    static func pace(_ environment: [String: String]) -> ACITarget.Pace {
        var pace = ACITarget.Pace()
        if let interval = interval(environment) { (pace.interval, pace.settling) = (interval, interval * 3) }
        return pace
    }
}
