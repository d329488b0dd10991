// SPDX-License-Identifier: Apache-2.0
public import OCI
internal import Registry

/// A cluster of Azure Kubernetes Service as the resource manager knows it.
///
/// Specification: `managedClusters.json` of 2024-02-01.
public struct AKSCluster: Hashable, Sendable {
    /// The resource: `/subscriptions/…/managedClusters/shop`.
    public let id: String
    /// `shop`.
    public let name: String
    /// The resource group.
    public let resourceGroup: String
    /// The region: `westeurope`.
    public let location: String
    /// As `1.33.2`; `nil` where it does not say.
    public let version: String?
    /// The name of its API; `nil` where it does not say.
    public let host: String?
    /// Whether it runs: one that was stopped answers nothing.
    public let isRunning: Bool
    /// How it is: `Succeeded`, `Updating`; may be empty.
    public let provisioning: String
    /// Whether its API is reached from its own network only.
    public let isPrivate: Bool
    /// Whether people and programs are known by Entra ID alone.
    public let hasNoLocalAccounts: Bool
    /// Whether it adds nodes by itself where pods have no room.
    public let addsNodes: Bool
    /// Who pulls images for it: the object id of the kubelet identity; `nil` where it has none.
    public let kubelet: String?
    /// The subscription's id.
    public let subscription: String

    /// Reads a cluster; `nil` where it has no id.
    ///
    /// - Parameter resource: As the resource manager has it.
    public init?(_ resource: JSONValue) {
        guard let id = resource["id"]?.string else { return nil }
        let parts = id.split(separator: "/").map { String($0) }
        let place = { (word: String) -> String in
            guard let index = parts.firstIndex(where: { $0.lowercased() == word }), index + 1 < parts.count else {
                return ""
            }
            return parts[index + 1]
        }
        let properties = resource["properties"]
        self.id = id
        name = resource["name"]?.string ?? parts.last ?? ""
        (resourceGroup, subscription) = (place("resourcegroups"), place("subscriptions"))
        location = resource["location"]?.string ?? ""
        version = properties?["currentKubernetesVersion"]?.string ?? properties?["kubernetesVersion"]?.string
        host = properties?["fqdn"]?.string ?? properties?["privateFQDN"]?.string
        isRunning = properties?["powerState"]?["code"]?.string?.lowercased() != "stopped"
        provisioning = properties?["provisioningState"]?.string ?? ""
        isPrivate = properties?["apiServerAccessProfile"]?["enablePrivateCluster"]?.bool ?? false
        hasNoLocalAccounts = properties?["disableLocalAccounts"]?.bool ?? false
        let pools = properties?["agentPoolProfiles"]?.array ?? []
        addsNodes =
            pools.contains { $0["enableAutoScaling"]?.bool == true }
            || properties?["nodeProvisioningProfile"]?["mode"]?.string == "Auto"
        kubelet = properties?["identityProfile"]?["kubeletidentity"]?["objectId"]?.string
    }
}

extension ARMClient {
    private static let clusterVersion = "2024-02-01"

    /// Finds a cluster by its name.
    ///
    /// - Parameters:
    ///   - name: The cluster's name, or its id: `/subscriptions/…`.
    ///   - resourceGroup: Its resource group; `nil` to look in all of the subscriptions.
    ///   - subscriptions: Where to look.
    /// - Returns: The cluster.
    /// - Throws: ``AzureError`` where there is none, or several; ``ARMError``; `ServerError`.
    public func cluster(
        _ name: String,
        resourceGroup: String?,
        in subscriptions: [String]
    ) async throws -> AKSCluster {
        if name.hasPrefix("/") { return try await cluster(id: name) }
        if let resourceGroup {
            for subscription in subscriptions {
                let id =
                    "/subscriptions/\(subscription)/resourceGroups/\(resourceGroup)"
                    + "/providers/Microsoft.ContainerService/managedClusters/\(name)"
                if let json = try await find(id, apiVersion: ARMClient.clusterVersion), let found = AKSCluster(json) {
                    return found
                }
            }
            throw AzureError(
                .usage,
                "there is no cluster \(name) in the resource group \(resourceGroup)",
                hint: "az aks list --resource-group \(resourceGroup) --query [].name"
            )
        }
        var found: [AKSCluster] = []
        for subscription in subscriptions {
            let path = "/subscriptions/\(subscription)/providers/Microsoft.ContainerService/managedClusters"
            found += try await list(path, apiVersion: ARMClient.clusterVersion).compactMap { AKSCluster($0) }
                .filter { $0.name.lowercased() == name.lowercased() }
        }
        guard let first = found.first else {
            throw AzureError(.usage, "there is no cluster \(name) to be seen", hint: "az aks list --query [].name")
        }
        guard found.count == 1 else {
            let groups = found.map(\.resourceGroup).sorted().joined(separator: ", ")
            throw AzureError(
                .usage,
                "there are \(found.count) clusters \(name), in the resource groups \(groups)",
                hint: "--resource-group \(first.resourceGroup)"
            )
        }
        return first
    }

    private func cluster(id: String) async throws -> AKSCluster {
        guard let json = try await find(id, apiVersion: ARMClient.clusterVersion), let found = AKSCluster(json) else {
            throw AzureError(.usage, "there is no cluster \(id)", hint: "az aks list --query [].id")
        }
        return found
    }

    /// A kubeconfig of a cluster, for us.
    ///
    /// - Parameters:
    ///   - cluster: The cluster.
    ///   - isAdministrator: Whether it is to be the administrator's, which clusters may refuse.
    /// - Returns: The kubeconfig, YAML, with secrets in it.
    /// - Throws: ``AzureError`` where the cluster is stopped, or gives none; ``ARMError``; `ServerError`.
    public func kubeconfig(of cluster: AKSCluster, isAdministrator: Bool = false) async throws -> String {
        guard cluster.isRunning else {
            throw AzureError(
                .refused,
                "the cluster \(cluster.name) is stopped",
                hint: "az aks start --resource-group \(cluster.resourceGroup) --name \(cluster.name)"
            )
        }
        let action = isAdministrator ? "listClusterAdminCredential" : "listClusterUserCredential"
        let answer = try await post("\(cluster.id)/\(action)", apiVersion: ARMClient.clusterVersion)
        guard let value = answer["kubeconfigs"]?.array?.first?["value"]?.string, let bytes = Base64.decode(value),
            !bytes.isEmpty
        else {
            throw AzureError(.network, "the cluster \(cluster.name): there is no kubeconfig in Azure's answer")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
