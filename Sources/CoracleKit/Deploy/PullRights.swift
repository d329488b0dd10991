// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import OCI

/// Whether an identity may pull from a registry, as far as its roles say: only Azure can try.
struct PullRights {
    let account: AzureAccount

    /// Roles that pull, where rights are of the whole registry: AcrPull, AcrPush, Reader, Contributor, Owner.
    private static let usual: Set<String> = [
        "7f951dda-4ed3-4680-a7ca-43fe172d538d", "8311e382-0749-4cb8-b61a-304f252e45ec",
        "acdd72a7-3385-48ef-bd42-f606fba81ae7", "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    ]
    /// Roles that pull, where rights are of repositories: Container Registry Repository Reader, Writer, Contributor.
    private static let byRepository: Set<String> = [
        "b93aa761-3e63-49ed-ac28-beffa264f7ac", "2a1e307c-b015-4ebd-883e-5b7698a07328",
        "2efddaa5-3f1f-4df3-97df-af3f13818f4c",
    ]

    /// Looks; what cannot be looked at is doubtful, and so is a lack: groups of users may have the role.
    func look(_ id: String, _ server: String) async -> DeployFinding {
        let name = id.split(separator: "/").last.map { String($0) } ?? id
        do {
            guard let identity = try await account.manager.find(id, apiVersion: "2023-01-31"),
                let principal = identity["properties"]?["principalId"]?.string
            else { return .init("pull", .bad, "there is no identity \(id)", hint: "az identity list --query [].id") }
            guard let registry = try await account.manager.registry(server, in: account.subscriptions()) else {
                return .init(
                    "pull",
                    .doubtful,
                    "\(name) pulls from \(server), whose roles are not to be seen from here"
                )
            }
            let path = "\(registry.id)/providers/Microsoft.Authorization/roleAssignments"
            let filter = "?$filter=principalId%20eq%20'\(principal)'"
            let assignments = try await account.manager.list(path + filter, apiVersion: "2022-04-01")
            let roles = assignments.filter { $0["properties"]?["principalId"]?.string == principal }
                .compactMap { $0["properties"]?["roleDefinitionId"]?.string?.split(separator: "/").last?.lowercased() }
            let wanted = registry.usesRepositoryRights ? Self.byRepository : Self.usual
            if roles.contains(where: wanted.contains) {
                return .init("pull", .good, "\(name) has a role that pulls from \(server)")
            }
            let role = registry.usesRepositoryRights ? "\"Container Registry Repository Reader\"" : "AcrPull"
            return .init(
                "pull",
                .doubtful,
                "\(name) has no role at \(server) that pulls, unless a group has it",
                hint: "az role assignment create --role \(role) --assignee-object-id \(principal) "
                    + "--assignee-principal-type ServicePrincipal --scope \(registry.id)"
            )
        } catch {
            return .init(
                "pull",
                .doubtful,
                "\(name) pulls from \(server); its roles cannot be read",
                hint: "it needs the role AcrPull there"
            )
        }
    }
}
