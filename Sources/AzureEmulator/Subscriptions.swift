// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Subscriptions, resource groups, providers, and the list of all resources.
struct Subscriptions: Sendable {
    let world: World

    func answer(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        let path = call.path
        guard path.subscription != nil else { return try top(call) }
        switch path.word(0) {
        case "": return AzureAnswer(200, subscription)
        case "locations":
            return AzureAnswer(
                200,
                [
                    "value": .array(
                        ResourceTypes.locations.map { name in
                            [
                                "id": .string("/subscriptions/\(world.options.subscription)/locations/\(name)"),
                                "name": .string(name), "displayName": .string(name),
                                "regionalDisplayName": .string(name),
                                "type": "Region",
                            ]
                        }
                    )
                ]
            )
        case "resourcegroups": return try groups(call)
        case "resources": return resources(call)
        case "providers": return try providers(call)
        case "operationresults": return AzureAnswer(200)
        default: throw notFound(call)
        }
    }

    private func top(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        switch call.path.word(0) {
        case "subscriptions":
            return AzureAnswer(200, ["value": [subscription], "count": ["type": "Total", "value": 1]])
        case "tenants":
            return AzureAnswer(
                200,
                [
                    "value": [
                        [
                            "id": .string("/tenants/\(world.options.tenant)"),
                            "tenantId": .string(world.options.tenant), "displayName": "Emulated",
                            "defaultDomain": "emulated.onmicrosoft.com", "tenantCategory": "Home", "countryCode": "NL",
                        ]
                    ]
                ]
            )
        default: throw notFound(call)
        }
    }

    private func notFound(_ call: ResourceManager.Call) -> ARMFault {
        ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
    }

    private var subscription: JSONValue {
        [
            "id": .string("/subscriptions/\(world.options.subscription)"),
            "subscriptionId": .string(world.options.subscription), "tenantId": .string(world.options.tenant),
            "displayName": "Emulated", "state": "Enabled", "authorizationSource": "RoleBased", "managedByTenants": [],
            "subscriptionPolicies": [
                "locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off",
            ],
        ]
    }

    // MARK: Resource groups

    static func json(_ group: Resource) -> JSONValue {
        var members: [String: JSONValue] = [
            "id": .string(group.id), "name": .string(group.name), "type": "Microsoft.Resources/resourceGroups",
            "location": group.body.member("location") ?? .null,
            "properties": ["provisioningState": "Succeeded"],
        ]
        members["tags"] = group.body.member("tags")
        return .object(members)
    }

    func make(_ name: String, _ location: String, tags: JSONValue? = nil) -> Resource {
        let id = "/subscriptions/\(world.options.subscription)/resourceGroups/\(name)"
        var body: [String: JSONValue] = ["location": .string(location)]
        body["tags"] = tags
        let group = Resource(id: id, type: "Microsoft.Resources/resourceGroups", name: name, body: .object(body))
        world.state.withLock { $0.groups[name.lowercased()] = group }
        return group
    }

    private func groups(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        guard let name = call.path.group else {
            let all = world.state.withLock { $0.groups.values.sorted { $0.name < $1.name } }
            return AzureAnswer(200, ["value": .array(all.map(Subscriptions.json))])
        }
        let found = world.group(name)
        if call.path.parts.count > 2 {
            guard found != nil else { throw missing(name) }
            guard call.path.word(2) == "resources" else { throw notFound(call) }
            return resources(call)
        }
        switch call.method {
        case "PUT":
            let body = try call.body()
            guard let location = body.member("location")?.string, !location.isEmpty else {
                throw ARMFault(400, "LocationRequired", "The location property is required for this definition.")
            }
            if let found, let old = found.body.member("location")?.string,
                ResourceTypes.location(old) != ResourceTypes.location(location)
            {
                throw ARMFault(
                    409,
                    "InvalidResourceGroupLocation",
                    "Invalid resource group location '\(location)'. The Resource group already exists in location "
                        + "'\(old)'."
                )
            }
            let group = make(found?.name ?? name, ResourceTypes.location(location), tags: body.member("tags"))
            return AzureAnswer(found == nil ? 201 : 200, Subscriptions.json(group))
        case "HEAD": return AzureAnswer(found == nil ? 404 : 204)
        case "GET", "PATCH":
            guard let found else { throw missing(name) }
            return AzureAnswer(200, Subscriptions.json(found))
        case "DELETE":
            guard let found else { throw missing(name) }
            remove(found)
            return AzureAnswer(200)
        default: throw notFound(call)
        }
    }

    private func missing(_ name: String) -> ARMFault {
        ARMFault(404, "ResourceGroupNotFound", "Resource group '\(name)' could not be found.")
    }

    private func remove(_ group: Resource) {
        let prefix = group.id.lowercased() + "/"
        let (containers, registries) = world.state.withLock { state in
            state.groups[group.name.lowercased()] = nil
            let ids = state.resources.keys.filter { $0.hasPrefix(prefix) }
            let gone = ids.compactMap { state.resources.removeValue(forKey: $0) }
            let containers = ids.compactMap { state.containers.removeValue(forKey: $0) }
            return (containers, gone.filter { $0.type.lowercased() == "microsoft.containerregistry/registries" })
        }
        for registry in registries { world.registryRequests.end(registry.name) }
        Thread.start { for container in containers { container.remove() } }
    }

    private func resources(_ call: ResourceManager.Call) -> AzureAnswer {
        let home = call.path.group.map { "/resourcegroups/\($0.lowercased())" } ?? ""
        let scope = "/subscriptions/\(world.options.subscription.lowercased())\(home)/"
        let filter = call.request.query("$filter")?.lowercased() ?? ""
        let all = world.state.withLock { $0.resources.values.filter { $0.id.lowercased().hasPrefix(scope) } }
        let shown = all.filter { !$0.type.lowercased().hasPrefix("microsoft.authorization") }
            .filter { !filter.contains("resourcetype eq") || filter.contains("'\($0.type.lowercased())'") }
            .filter { !filter.contains("name eq") || filter.contains("name eq '\($0.name.lowercased())'") }
            .sorted { $0.id < $1.id }
            .map { resource -> JSONValue in
                var members: [String: JSONValue] = [
                    "id": .string(resource.id), "name": .string(resource.name), "type": .string(resource.type),
                ]
                for name in ["location", "tags", "sku", "identity"] { members[name] = resource.body.member(name) }
                return .object(members)
            }
        return AzureAnswer(200, ["value": .array(shown)])
    }

    // MARK: Providers

    private func providers(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        guard call.path.parts.count > 1 else {
            return AzureAnswer(200, ["value": .array(ResourceTypes.providers.map { provider($0.name) })])
        }
        let name = call.path.parts[1]
        guard let known = ResourceTypes.providers.first(where: { $0.name.lowercased() == name.lowercased() }) else {
            throw ARMFault(404, "InvalidResourceNamespace", "The resource namespace '\(name)' is invalid.")
        }
        switch call.path.word(2) {
        case "register": world.state.withLock { _ = $0.unregistered.remove(name.lowercased()) }
        case "unregister": world.state.withLock { _ = $0.unregistered.insert(name.lowercased()) }
        default: break
        }
        return AzureAnswer(200, provider(known.name))
    }

    private func provider(_ name: String) -> JSONValue {
        let isOut = world.state.withLock { $0.unregistered.contains(name.lowercased()) }
        let types = ResourceTypes.providers.first { $0.name == name }?.types ?? []
        return [
            "id": .string("/subscriptions/\(world.options.subscription)/providers/\(name)"), "namespace": .string(name),
            "registrationState": .string(isOut ? "NotRegistered" : "Registered"),
            "registrationPolicy": "RegistrationRequired",
            "resourceTypes": .array(
                types.map { type in
                    let top = "\(name)/\(type.split(separator: "/")[0])".lowercased()
                    let versions = ResourceTypes.versions[top] ?? ["2021-04-01"]
                    return [
                        "resourceType": .string(type), "locations": JSONValue(ResourceTypes.locations),
                        "apiVersions": JSONValue(versions.sorted(by: >)), "capabilities": "None",
                    ]
                }
            ),
        ]
    }
}
