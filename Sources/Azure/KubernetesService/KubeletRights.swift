// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Whether a cluster may pull from a registry, as far as roles say; and what would let it.
public struct KubeletRights: Hashable, Sendable {
    /// What is known.
    public enum Verdict: Hashable, Sendable {
        /// The kubelet identity has a role that pulls.
        case has
        /// It has none at the registry itself, at its group or its subscription.
        case lacks
        /// It could not be looked at, and why.
        case unknown(String)
    }

    /// What is known.
    public let verdict: Verdict
    /// The registry as references name it.
    public let server: String
    /// The command that lets the cluster pull; `nil` where that is not needed.
    public let remedy: String?
}

extension ARMClient {
    /// Roles that pull, where rights are of the whole registry: AcrPull, AcrPush, Reader, Contributor, Owner.
    private static let pulling: Set<String> = [
        "7f951dda-4ed3-4680-a7ca-43fe172d538d", "8311e382-0749-4cb8-b61a-304f252e45ec",
        "acdd72a7-3385-48ef-bd42-f606fba81ae7", "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    ]
    /// Roles that pull, where rights are of repositories: Container Registry Repository Reader, Writer, Contributor.
    private static let pullingByRepository: Set<String> = [
        "b93aa761-3e63-49ed-ac28-beffa264f7ac", "2a1e307c-b015-4ebd-883e-5b7698a07328",
        "2efddaa5-3f1f-4df3-97df-af3f13818f4c",
    ]

    /// Looks whether a cluster's kubelet identity may pull from a registry.
    ///
    /// - Parameters:
    ///   - cluster: The cluster.
    ///   - server: The registry: `myacr.azurecr.io`.
    ///   - subscriptions: Where to look for the registry.
    /// - Returns: What is known; nothing is thrown, since what cannot be looked at may be as it should.
    public func pullRights(of cluster: AKSCluster, at server: String, in subscriptions: [String]) async -> KubeletRights
    {
        let update = "az aks update --resource-group \(cluster.resourceGroup) --name \(cluster.name) --attach-acr "
        // Only of a registry's own host the first label is its name.
        var attach = update + (AzureCloud(ofRegistry: server) == nil ? "REGISTRY" : String(server.prefix { $0 != "." }))
        guard let kubelet = cluster.kubelet else {
            let reason = "the cluster \(cluster.name) has no kubelet identity"
            return KubeletRights(verdict: .unknown(reason), server: server, remedy: attach)
        }
        do {
            guard let registry = try await registry(server, in: subscriptions) else {
                return KubeletRights(
                    verdict: .unknown("\(server) is not to be seen from here"),
                    server: server,
                    remedy: attach
                )
            }
            // It may be reached by a name of somebody's own.
            attach = update + registry.name
            let path = "\(registry.id)/providers/Microsoft.Authorization/roleAssignments"
            let filter = "?$filter=principalId%20eq%20'\(kubelet)'"
            let roles = try await list(path + filter, apiVersion: "2022-04-01")
                .filter { $0["properties"]?["principalId"]?.string?.lowercased() == kubelet.lowercased() }
                .compactMap { $0["properties"]?["roleDefinitionId"]?.string?.split(separator: "/").last?.lowercased() }
            let wanted = registry.usesRepositoryRights ? ARMClient.pullingByRepository : ARMClient.pulling
            if registry.isAnonymousPullEnabled || roles.contains(where: { wanted.contains($0) }) {
                return KubeletRights(verdict: .has, server: server, remedy: nil)
            }
            let create =
                "az role assignment create --role \"Container Registry Repository Reader\" --assignee-object-id \(kubelet) "
                + "--assignee-principal-type ServicePrincipal --scope \(registry.id)"
            // attach-acr gives AcrPull, which counts for nothing where rights are given by repository.
            let remedy = registry.usesRepositoryRights ? create : attach
            return KubeletRights(verdict: .lacks, server: server, remedy: remedy)
        } catch {
            let reason =
                (error as? ARMError)?.description ?? (error as? AzureError)?.message ?? "its roles cannot be read"
            return KubeletRights(verdict: .unknown(reason), server: server, remedy: attach)
        }
    }
}
