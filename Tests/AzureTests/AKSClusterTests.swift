// SPDX-License-Identifier: Apache-2.0
import Foundation
import OCI
import TestSupport
import Testing

@testable import Azure

@Suite("Clusters of Azure Kubernetes Service", .inTurns)
struct AKSClusterTests {
    private static let id =
        "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/shop"
    private static let registry =
        "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/a"

    private static func resource(_ id: String = id, state: String = "Running", kubelet: String? = "k1") -> JSONValue {
        var properties: JSONValue = [
            "currentKubernetesVersion": "1.33.2", "fqdn": "shop.hcp.westeurope.azmk8s.io",
            "provisioningState": "Succeeded", "powerState": ["code": .string(state)],
            "apiServerAccessProfile": ["enablePrivateCluster": true], "disableLocalAccounts": true,
            "agentPoolProfiles": [["name": "a"], ["name": "b", "enableAutoScaling": true]],
        ]
        if let kubelet {
            properties["identityProfile"] = ["kubeletidentity": ["objectId": .string(kubelet), "clientId": "c1"]]
        }
        return ["id": .string(id), "name": "shop", "location": "westeurope", "properties": properties]
    }

    @Test("A cluster is found by name in its group, by name alone, and by its id")
    func lookup() async throws {
        let peer = try Peer { request, _ in
            if request.path == Self.id { return .json(Self.resource()) }
            if request.path.hasSuffix("/managedClusters") {
                return .json(["value": request.path.contains("/s1/") ? [Self.resource()] : []])
            }
            return .status(404, [:], "{\"error\":{\"code\":\"ResourceNotFound\"}}")
        }
        let arm = try ARMClientTests.client(peer)

        let named = try await arm.cluster("shop", resourceGroup: "rg", in: ["s0", "s1"])
        let alone = try await arm.cluster("SHOP", resourceGroup: nil, in: ["s0", "s1"])
        let byID = try await arm.cluster(Self.id, resourceGroup: nil, in: [])

        #expect(named == alone)
        #expect(named == byID)
        #expect(named.resourceGroup == "rg")
        #expect(named.subscription == "s1")
        #expect(named.version == "1.33.2")
        #expect(named.host == "shop.hcp.westeurope.azmk8s.io")
        #expect(named.isPrivate && named.hasNoLocalAccounts && named.isRunning && named.addsNodes)
        #expect(named.kubelet == "k1")
    }

    @Test("No cluster, and two of a name, are errors that say how to go on")
    func ambiguous() async throws {
        let other = Self.id.replacing("/rg/", with: "/other/")
        let peer = try Peer { request, _ in
            request.path.hasSuffix("/managedClusters")
                ? .json(["value": [Self.resource(), Self.resource(other)]])
                : .status(404, [:], "{\"error\":{\"code\":\"ResourceNotFound\"}}")
        }
        let arm = try ARMClientTests.client(peer)

        let two = try await #require(throws: AzureError.self) {
            try await arm.cluster("shop", resourceGroup: nil, in: ["s1"])
        }
        let none = try await #require(throws: AzureError.self) {
            try await arm.cluster("nope", resourceGroup: "rg", in: ["s1"])
        }

        #expect(two.message == "there are 2 clusters shop, in the resource groups other, rg")
        #expect(two.hint == "--resource-group rg")
        #expect(none.message == "there is no cluster nope in the resource group rg")
    }

    @Test("The kubeconfig is the user's, or the administrator's; a cluster that is stopped gives none")
    func kubeconfig() async throws {
        let text = Data("apiVersion: v1\n".utf8).base64EncodedString()
        let peer = try Peer { _, _ in .json(["kubeconfigs": [["name": "clusterUser", "value": .string(text)]]]) }
        let arm = try ARMClientTests.client(peer)
        let cluster = try #require(AKSCluster(Self.resource()))

        #expect(try await arm.kubeconfig(of: cluster) == "apiVersion: v1\n")
        #expect(try await arm.kubeconfig(of: cluster, isAdministrator: true) == "apiVersion: v1\n")
        #expect(
            peer.requests.map { $0.path.split(separator: "/").last } == [
                "listClusterUserCredential", "listClusterAdminCredential",
            ]
        )
        #expect(peer.requests.allSatisfy { $0.method == "POST" })

        let stopped = try #require(AKSCluster(Self.resource(state: "Stopped")))
        let error = try await #require(throws: AzureError.self) { try await arm.kubeconfig(of: stopped) }
        #expect(error.message == "the cluster shop is stopped")
        #expect(error.hint == "az aks start --resource-group rg --name shop")
        #expect(peer.requests.count == 2)
    }

    private func rights(
        _ roles: [(principal: String, role: String)],
        mode: String = "LegacyRegistryPermissions",
        kubelet: String? = "k1"
    ) async throws -> KubeletRights {
        let peer = try Peer { request, _ in
            if request.path.hasSuffix("/registries") {
                let properties: JSONValue = ["loginServer": "a.azurecr.io", "roleAssignmentMode": .string(mode)]
                return .json(["value": [["id": .string(Self.registry), "name": "a", "properties": properties]]])
            }
            let role = "/subscriptions/s1/providers/Microsoft.Authorization/roleDefinitions/"
            let all = roles.map { entry -> JSONValue in
                [
                    "properties": [
                        "principalId": .string(entry.principal), "roleDefinitionId": .string(role + entry.role),
                    ]
                ]
            }
            return .json(["value": .array(all)])
        }
        let cluster = try #require(AKSCluster(Self.resource(kubelet: kubelet)))
        return await (try ARMClientTests.client(peer)).pullRights(of: cluster, at: "a.azurecr.io", in: ["s1"])
    }

    private static let pull = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    private static let reader = "b93aa761-3e63-49ed-ac28-beffa264f7ac"

    @Test(
        "The kubelet's role is found, by what counts at the registry; where it lacks, the command that gives it is said"
    )
    func pulls() async throws {
        #expect(try await rights([("k1", Self.pull)]).verdict == .has)
        #expect(try await rights([("K1", Self.reader)], mode: "AbacRepositoryPermissions").verdict == .has)

        let lacking = try await rights([("other", Self.pull)])
        #expect(lacking.verdict == .lacks)
        #expect(lacking.remedy == "az aks update --resource-group rg --name shop --attach-acr a")

        let abac = try await rights([("k1", Self.pull)], mode: "AbacRepositoryPermissions")
        #expect(abac.verdict == .lacks)
        #expect(
            abac.remedy?.contains("--role \"Container Registry Repository Reader\" --assignee-object-id k1") == true
        )
        #expect(abac.remedy?.hasSuffix("--scope \(Self.registry)") == true)

        let nobody = try await rights([], kubelet: nil)
        #expect(nobody.verdict == .unknown("the cluster shop has no kubelet identity"))
    }
}
