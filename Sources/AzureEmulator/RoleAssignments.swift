// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Who has which role where, as resources.
struct RoleAssignments: Sendable {
    let world: World

    private static let type = "Microsoft.Authorization/roleAssignments"

    func answer(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        switch call.path.word(0) {
        case "roleassignments": return try assignment(call)
        case "roledefinitions": return try definition(call)
        case "locks", "policyassignments", "permissions": return AzureAnswer(200, ["value": []])
        default: throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
    }

    private func definition(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        let subscription = world.options.subscription
        guard call.path.parts.count > 1 else {
            let name = call.request.query("$filter").flatMap { RoleAssignments.value(of: "roleName", in: $0) }
            let roles = Roles.all.filter { name == nil || $0.name.lowercased() == name?.lowercased() }
            return AzureAnswer(200, ["value": .array(roles.map { Roles.json($0, subscription: subscription) })])
        }
        guard let role = Roles.role(call.path.parts[1]) else {
            throw ARMFault(
                404,
                "RoleDefinitionDoesNotExist",
                "The specified role definition with ID '\(call.path.parts[1])' does not exist."
            )
        }
        return AzureAnswer(200, Roles.json(role, subscription: subscription))
    }

    /// `'VALUE'` after `NAME eq` in a filter.
    static func value(of name: String, in filter: String) -> String? {
        let parts = filter.split(separator: "'", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2,
            let place = parts.indices.dropLast()
                .first(where: { parts[$0].lowercased().contains("\(name.lowercased()) eq") })
        else { return nil }
        return parts[place + 1]
    }

    private func assignment(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        let scope = call.path.normalScope
        guard call.path.parts.count > 1 else { return list(call, scope) }
        let name = call.path.parts[1]
        let id = "\(scope)/providers/\(RoleAssignments.type)/\(name)"
        let found = world.resource(id)
        switch call.method {
        case "PUT":
            guard Identifier.isOne(name) else {
                throw ARMFault(
                    400,
                    "InvalidRoleAssignmentId",
                    "The role assignment ID '\(name)' is not valid. The role assignment ID must be a GUID."
                )
            }
            return try put(call, scope, name, found)
        case "GET":
            guard let found else { throw missing(name) }
            return AzureAnswer(200, json(found))
        case "DELETE":
            guard let found else { return AzureAnswer(204) }
            world.remove(found.id)
            return AzureAnswer(200, json(found))
        default: throw ARMFault(405, "MethodNotAllowed", "\(call.method) does nothing here.")
        }
    }

    private func missing(_ name: String) -> ARMFault {
        ARMFault(404, "RoleAssignmentNotFound", "The role assignment '\(name)' is not found.")
    }

    private func put(
        _ call: ResourceManager.Call,
        _ scope: String,
        _ name: String,
        _ found: Resource?
    ) throws(ARMFault) -> AzureAnswer {
        let body = try call.body()
        try ResourceChecks(world: world).checkSchema(body, RoleAssignments.type, call.version)
        let resource = try make(body, scope, name, found)
        return AzureAnswer(found == nil ? 201 : 200, json(resource))
    }

    /// Makes an assignment of a request's body.
    func make(_ body: JSONValue, _ scope: String, _ name: String, _ found: Resource?) throws(ARMFault) -> Resource {
        let properties = body.member("properties") ?? [:]
        let definition = properties.member("roleDefinitionId")?.string ?? ""
        guard let role = Roles.role(definition) else {
            throw ARMFault(
                400,
                "RoleDefinitionDoesNotExist",
                "The specified role definition with ID '\(definition.split(separator: "/").last ?? "")' does not exist."
            )
        }
        let principal = properties.member("principalId")?.string ?? ""
        guard world.principal(objectID: principal) != nil else {
            throw ARMFault(
                400,
                "PrincipalNotFound",
                "Principal \(principal) does not exist in the directory \(world.options.tenant). Check that you have "
                    + "the correct principal ID. If you are creating this principal and then immediately assigning a "
                    + "role, this error might be related to a replication delay. In this case, set the role assignment "
                    + "principalType property to a value, such as ServicePrincipal, User, or Group."
            )
        }
        let same = world.resources(ofType: RoleAssignments.type)
            .first { other in
                other.body[path: "properties", "scope"]?.string?.lowercased() == scope.lowercased()
                    && other.body[path: "properties", "principalId"]?.string == principal
                    && other.body[path: "properties", "roleDefinitionId"]?.string.flatMap { Roles.role($0)?.id }
                        == role.id
            }
        if let same, same.name.lowercased() != name.lowercased() {
            throw ARMFault(
                409,
                "RoleAssignmentExists",
                "The role assignment already exists. The ID of the conflicting role assignment is "
                    + "\(same.name.filter { $0 != "-" })."
            )
        }
        if let found, same == nil {
            throw ARMFault(
                400,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated (\(found.name))."
            )
        }
        return Roles(world: world).assign(role, to: principal, at: scope, name: name)
    }

    private func list(_ call: ResourceManager.Call, _ scope: String) -> AzureAnswer {
        let filter = call.request.query("$filter") ?? ""
        let principal =
            RoleAssignments.value(of: "principalId", in: filter)
            ?? (filter.lowercased().contains("assignedto(")
                ? filter.split(separator: "'").dropFirst().first.map(String.init) : nil)
        let isExact = filter.lowercased().contains("atscope()")
        let all = world.resources(ofType: RoleAssignments.type)
            .filter { assignment in
                let place = (assignment.body[path: "properties", "scope"]?.string ?? "/").lowercased()
                let above = place == "/" || (scope.lowercased() + "/").hasPrefix(place + "/")
                let below = (place + "/").hasPrefix(scope.lowercased() + "/")
                return above || (below && !isExact)
            }
            .filter {
                principal == nil
                    || $0.body[path: "properties", "principalId"]?.string?.lowercased() == principal?.lowercased()
            }
        return AzureAnswer(200, ["value": .array(all.map(json))])
    }

    private func json(_ resource: Resource) -> JSONValue {
        resource.body.with("id", .string(resource.id)).with("type", .string(resource.type))
            .with("name", .string(resource.name))
    }
}

/// Managed identities that users make.
struct ManagedIdentities: Sendable {
    let world: World
    private static let type = "Microsoft.ManagedIdentity/userAssignedIdentities"

    func answer(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        guard call.path.word(0) == "userassignedidentities" else {
            throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
        guard call.path.parts.count > 1 else {
            let all = world.resources(ofType: ManagedIdentities.type, under: call.path.normalScope)
            return AzureAnswer(200, ["value": .array(all.map(ResourceChecks.json))])
        }
        let id = call.path.identifier("userAssignedIdentities")
        let found = world.resource(id)
        switch call.method {
        case "PUT":
            let body = try call.body()
            try ResourceChecks(world: world).checkSchema(body, ManagedIdentities.type, call.version)
            let old = found?.body.member("properties")
            let properties: JSONValue =
                old ?? [
                    "tenantId": .string(world.options.tenant), "principalId": .string(Identifier.random()),
                    "clientId": .string(Identifier.random()),
                ]
            let resource = Resource(
                id: found?.id ?? id,
                type: ManagedIdentities.type,
                name: call.path.parts[1],
                body: body.with("properties", properties)
            )
            world.put(resource)
            return AzureAnswer(found == nil ? 201 : 200, ResourceChecks.json(resource))
        case "GET":
            guard let found else { throw ResourceChecks.missing(call) }
            return AzureAnswer(200, ResourceChecks.json(found))
        case "DELETE":
            guard found != nil else { return AzureAnswer(204) }
            world.remove(id)
            return AzureAnswer(200)
        default: throw ARMFault(405, "MethodNotAllowed", "\(call.method) does nothing here.")
        }
    }
}

/// What services of the resource manager have in common.
struct ResourceChecks: Sendable {
    let world: World

    /// Throws where a body is not what the published schema says.
    func checkSchema(_ body: JSONValue, _ type: String, _ version: String) throws(ARMFault) {
        // Clients send back what they read; members that only Azure writes are passed over.
        var sent = body
        for name in ["id", "name", "type", "systemData", "etag"] { sent = sent.with(name, nil) }
        guard let fault = world.schemas.fault(sent, type, version) else { return }
        throw ARMFault(
            400,
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: '\(fault.message) Path '\(fault.path)'.'.",
            target: fault.path
        )
    }

    static func missing(_ call: ResourceManager.Call) -> ARMFault {
        let kind = call.path.type.split(separator: "/").prefix(2).joined(separator: "/")
        let name = call.path.parts.count > 1 ? call.path.parts[1] : ""
        return ARMFault(
            404,
            "ResourceNotFound",
            "The Resource '\(kind)/\(name)' under resource group '\(call.path.group ?? "")' was not found. For more details "
                + "please go to https://aka.ms/ARMResourceNotFoundFix"
        )
    }

    /// A resource as it is kept.
    static func json(_ resource: Resource) -> JSONValue {
        resource.body.with("id", .string(resource.id)).with("name", .string(resource.name))
            .with("type", .string(resource.type))
    }
}
