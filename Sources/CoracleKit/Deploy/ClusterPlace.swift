// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import Kubernetes
internal import OCI

/// Who we are at Azure, found out when first asked, as many clusters and registries need no Azure at all.
///
/// An actor, so that tasks that ask at once get one account, whose tokens are kept.
actor LazyAccount {
    private let access: RegistryAccess
    private let environment: [String: String]
    private let note: @Sendable (String) -> Void
    private var account: AzureAccount?

    init(_ access: RegistryAccess, _ environment: [String: String], note: @escaping @Sendable (String) -> Void) {
        (self.access, self.environment, self.note) = (access, environment, note)
    }

    func open() async throws -> AzureAccount {
        if let account { return account }
        let opened = try await AzureAccount.open(access, environment: environment, note: note)
        account = account ?? opened
        return account ?? opened
    }
}

/// A cluster that is deployed to, and how it was found.
struct ClusterPlace: Sendable {
    let client: ClusterClient
    /// The cluster as Azure knows it; `nil` where a kubeconfig names it.
    let cluster: AKSCluster?
    let account: LazyAccount

    /// What people call the cluster.
    var summary: String { client.access.summary }
    /// Where objects are.
    var namespace: String { client.namespace }

    /// Finds the cluster: `--cluster` of Azure, else a context of a kubeconfig, else the one that this runs in.
    init(
        _ options: DeployOptions,
        _ access: RegistryAccess,
        _ environment: [String: String],
        note: @escaping @Sendable (String) -> Void
    ) async throws {
        if let target = options.target, target != "aks" {
            throw ExitReason(.usage, "--target \"\(target)\" is no cluster", hint: "--target aks")
        }
        var access = access
        if access.azure.subscription == nil { access.azure.subscription = options.subscription }
        let account = LazyAccount(access, environment, note: note)
        self.account = account
        let found: ClusterAccess
        (found, cluster) = try await ClusterPlace.find(options, environment, account)
        client = ClusterClient(
            found,
            network: access.network(environment),
            environment: environment,
            answer: { plugin in
                guard plugin.name.hasPrefix("kubelogin") else { return nil }
                return try await KubeloginAnswer(account.open().tokens, note: note).credential(plugin)
            },
            note: note
        )
    }

    private static func find(
        _ options: DeployOptions,
        _ environment: [String: String],
        _ account: LazyAccount
    ) async throws -> (ClusterAccess, AKSCluster?) {
        guard let name = options.cluster else {
            if options.adminAccess == "true" {
                throw ExitReason(.usage, "--admin needs a cluster of Azure", hint: "--cluster NAME")
            }
            let isNamed = options.kubeconfig != nil || options.kubeContext != nil
            let config = try Kubeconfig.load(options.kubeconfig, environment: environment)
            if !isNamed, config.contextNames.isEmpty, var pod = try ClusterAccess.ofPod(environment: environment) {
                if let namespace = options.namespace { pod.namespace = namespace }
                return (pod, nil)
            }
            guard isNamed || !config.contextNames.isEmpty else {
                throw ExitReason(
                    .usage,
                    "there is no cluster to deploy to: no --cluster, and no kubeconfig",
                    hint: "--cluster NAME --resource-group GROUP for one of Azure, or --kubeconfig FILE"
                )
            }
            return (try config.access(context: options.kubeContext, namespace: options.namespace), nil)
        }
        guard options.kubeconfig == nil, options.kubeContext == nil else {
            throw ExitReason(
                .usage,
                "--cluster and \(options.kubeconfig != nil ? "--kubeconfig" : "--kube-context") are given both",
                hint: "--cluster for what Azure gives, --kubeconfig and --kube-context for what is on this machine"
            )
        }
        let azure = try await account.open()
        let cluster = try await azure.manager.cluster(
            name,
            resourceGroup: options.resourceGroup,
            in: azure.subscriptions()
        )
        let text = try await azure.manager.kubeconfig(of: cluster, isAdministrator: options.adminAccess == "true")
        let config = try Kubeconfig(parsing: text, file: "the kubeconfig of \(name)")
        return (try config.access(namespace: options.namespace), cluster)
    }
}
