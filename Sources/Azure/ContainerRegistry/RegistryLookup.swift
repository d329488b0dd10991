// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI
public import Registry

extension ARMClient {
    private static let registryVersion = "2023-07-01"

    /// The subscriptions that the identity may see, switched-off ones left out.
    ///
    /// - Returns: Their ids, in the service's order.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func subscriptions() async throws -> [String] {
        try await list("/subscriptions", apiVersion: "2022-12-01")
            .filter { ["enabled", "warned", "pastdue"].contains($0["state"]?.string?.lowercased() ?? "enabled") }
            .compactMap { $0["subscriptionId"]?.string }
    }

    /// Finds a registry by its name or by what references call it.
    ///
    /// - Parameters:
    ///   - name: `myacr`, or `myacr.azurecr.io` as its login server is.
    ///   - subscriptions: Where to look.
    /// - Returns: The registry; `nil` where none of these has it.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func registry(_ name: String, in subscriptions: [String]) async throws -> ContainerRegistry? {
        let name = name.lowercased()
        for subscription in subscriptions {
            let path = "/subscriptions/\(subscription)/providers/Microsoft.ContainerRegistry/registries"
            let found = try await list(path, apiVersion: ARMClient.registryVersion).compactMap { ContainerRegistry($0) }
            if let match = found.first(where: { $0.loginServer == name || $0.name.lowercased() == name }) {
                return match
            }
        }
        return nil
    }

    /// The name and password of a registry's admin user.
    ///
    /// - Parameter registry: The registry.
    /// - Returns: The user, with the first password.
    /// - Throws: ``AzureError`` where there is no such user; ``ARMError``; `ServerError`.
    public func adminCredentials(of registry: ContainerRegistry) async throws -> Credentials {
        guard registry.isAdminEnabled else {
            throw AzureError(
                .refused,
                "the registry \(registry.name) has no admin user",
                hint: "az acr update --name \(registry.name) --admin-enabled true, or use an identity with AcrPush"
            )
        }
        let answer = try await post(registry.id + "/listCredentials", apiVersion: ARMClient.registryVersion)
        let passwords = answer["passwords"]?.array ?? []
        guard let user = answer["username"]?.string,
            let password = passwords.lazy.compactMap({ $0["value"]?.string }).first(where: { !$0.isEmpty })
        else { throw AzureError(.network, "the admin user of \(registry.name) has no password in Azure's answer") }
        return .basic(user: user, password: password)
    }
}
