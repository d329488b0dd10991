// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// The roles that come with Azure and matter to containers, and who has them where.
struct Roles: Sendable {
    let world: World

    /// A role: its number, its name, what it lets somebody do.
    struct Role: Sendable {
        let id: String
        let name: String
        let actions: [String]
        var notActions: [String] = []
        var dataActions: [String] = []
    }

    static let all = [
        Role(id: "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", name: "Owner", actions: ["*"]),
        Role(
            id: "b24988ac-6180-42a0-ab88-20f7382dd24c",
            name: "Contributor",
            actions: ["*"],
            notActions: ["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"]
        ),
        Role(id: "acdd72a7-3385-48ef-bd42-f606fba81ae7", name: "Reader", actions: ["*/read"]),
        Role(
            id: "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
            name: "User Access Administrator",
            actions: ["*/read", "Microsoft.Authorization/*"]
        ),
        Role(
            id: "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
            name: "Role Based Access Control Administrator",
            actions: [
                "*/read", "Microsoft.Authorization/roleAssignments/write",
                "Microsoft.Authorization/roleAssignments/delete",
            ]
        ),
        Role(
            id: "7f951dda-4ed3-4680-a7ca-43fe172d538d",
            name: "AcrPull",
            actions: ["Microsoft.ContainerRegistry/registries/pull/read"]
        ),
        Role(
            id: "8311e382-0749-4cb8-b61a-304f252e45ec",
            name: "AcrPush",
            actions: [
                "Microsoft.ContainerRegistry/registries/pull/read", "Microsoft.ContainerRegistry/registries/push/write",
            ]
        ),
        Role(
            id: "c2f4ef07-c644-48eb-af81-4b1b4947fb11",
            name: "AcrDelete",
            actions: ["Microsoft.ContainerRegistry/registries/artifacts/delete"]
        ),
        Role(
            id: "b93aa761-3e63-49ed-ac28-beffa264f7ac",
            name: "Container Registry Repository Reader",
            actions: [],
            dataActions: ["pull", "metadata_read"]
        ),
        Role(
            id: "2a1e307c-b015-4ebd-883e-5b7698a07328",
            name: "Container Registry Repository Writer",
            actions: [],
            dataActions: ["pull", "push", "metadata_read", "metadata_write"]
        ),
        Role(
            id: "2efddaa5-3f1f-4df3-97df-af3f13818f4c",
            name: "Container Registry Repository Contributor",
            actions: [],
            dataActions: ["pull", "push", "delete", "metadata_read", "metadata_write"]
        ),
        Role(
            id: "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7",
            name: "Container Registry Repository Catalog Lister",
            actions: [],
            dataActions: ["catalog"]
        ),
        Role(
            id: "f1a07417-d97a-45cb-824c-7a7467783830",
            name: "Managed Identity Operator",
            actions: [
                "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
                "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
            ]
        ),
    ]

    /// The role of a number or of a name.
    static func role(_ text: String) -> Role? {
        let word = text.split(separator: "/").last.map { $0.lowercased() } ?? ""
        return all.first { $0.id == word || $0.name.lowercased() == text.lowercased() }
    }

    /// The roles that somebody has at a scope: those that were assigned there and above.
    func roles(of principal: String, at scope: String) -> [Role] {
        let scope = scope.lowercased() + "/"
        return world.resources(ofType: "Microsoft.Authorization/roleAssignments")
            .filter { assignment in
                let place = assignment.body[path: "properties", "scope"]?.string?.lowercased() ?? "/"
                return assignment.body[path: "properties", "principalId"]?.string?.lowercased()
                    == principal.lowercased()
                    && scope.hasPrefix(place == "/" ? "/" : place + "/")
            }
            .compactMap { $0.body[path: "properties", "roleDefinitionId"]?.string.flatMap { Roles.role($0) } }
    }

    /// Whether somebody may do something to what the resource manager has.
    func may(_ principal: String, _ action: String, at scope: String) -> Bool {
        roles(of: principal, at: scope)
            .contains { role in
                role.actions.contains { Roles.matches(action, $0) }
                    && !role.notActions.contains { Roles.matches(action, $0) }
            }
    }

    /// What somebody may do to the content of a registry.
    func contentActions(_ principal: String, registry: Resource) -> Set<String> {
        let isByAttributes =
            registry.body[path: "properties", "roleAssignmentMode"]?.string == "AbacRepositoryPermissions"
        if isByAttributes { return Set(roles(of: principal, at: registry.id).flatMap(\.dataActions)) }
        var actions: Set<String> = []
        let type = "Microsoft.ContainerRegistry/registries/"
        if may(principal, type + "pull/read", at: registry.id) {
            actions.formUnion(["pull", "metadata_read", "catalog"])
        }
        if may(principal, type + "push/write", at: registry.id) { actions.formUnion(["push", "metadata_write"]) }
        if may(principal, type + "artifacts/delete", at: registry.id) { actions.insert("delete") }
        return actions
    }

    /// Whether an action is one that a pattern with `*` names, whatever the case.
    static func matches(_ action: String, _ pattern: String) -> Bool {
        func match(_ text: Substring, _ pattern: Substring) -> Bool {
            guard let first = pattern.first else { return text.isEmpty }
            if first == "*" {
                let rest = pattern.dropFirst()
                var tail = text
                while true {
                    if match(tail, rest) { return true }
                    guard !tail.isEmpty else { return false }
                    tail = tail.dropFirst()
                }
            }
            return text.first == first && match(text.dropFirst(), pattern.dropFirst())
        }
        return match(action.lowercased()[...], pattern.lowercased()[...])
    }

    // MARK: As resources

    /// A role as the resource manager shows it.
    static func json(_ role: Role, subscription: String) -> JSONValue {
        [
            "id": .string(
                "/subscriptions/\(subscription)/providers/Microsoft.Authorization/roleDefinitions/\(role.id)"
            ),
            "type": "Microsoft.Authorization/roleDefinitions", "name": .string(role.id),
            "properties": [
                "roleName": .string(role.name), "type": "BuiltInRole", "description": .string(role.name),
                "assignableScopes": ["/"],
                "permissions": [
                    [
                        "actions": JSONValue(role.actions), "notActions": JSONValue(role.notActions),
                        "dataActions": JSONValue(role.dataActions), "notDataActions": [],
                    ]
                ],
            ],
        ]
    }

    /// Gives a role.
    func assign(_ role: Role, to principal: String, at scope: String, name: String = Identifier.random()) -> Resource {
        let subscription = world.options.subscription
        let properties: JSONValue = [
            "roleDefinitionId": .string(
                "/subscriptions/\(subscription)/providers/Microsoft.Authorization/roleDefinitions/\(role.id)"
            ), "principalId": .string(principal), "principalType": "ServicePrincipal",
            "scope": .string(scope.isEmpty ? "/" : scope), "createdOn": .string(Moment.text(fraction: true)),
            "updatedOn": .string(Moment.text(fraction: true)),
        ]
        let resource = Resource(
            id: "\(scope)/providers/Microsoft.Authorization/roleAssignments/\(name)",
            type: "Microsoft.Authorization/roleAssignments",
            name: name,
            body: ["properties": properties]
        )
        world.put(resource)
        return resource
    }
}
