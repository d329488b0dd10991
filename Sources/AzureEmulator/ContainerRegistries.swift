// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Registries as resources: their admin users, tokens and scope maps.
struct ContainerRegistries: Sendable {
    let world: World

    static let type = "Microsoft.ContainerRegistry/registries"

    func answer(_ call: ResourceManager.Call) async throws -> AzureAnswer {
        let path = call.path
        if path.word(0) == "checknameavailability" { return try availability(call) }
        guard path.word(0) == "registries" else {
            throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
        guard path.parts.count > 1 else {
            let all = world.resources(ofType: ContainerRegistries.type, under: path.normalScope)
            return AzureAnswer(200, ["value": .array(all.map(view))])
        }
        let id = path.identifier("registries")
        if call.method == "PUT", path.parts.count == 2 { return try await put(call, id) }
        guard let registry = world.resource(id) else {
            if call.method == "DELETE" { return AzureAnswer(204) }
            throw ResourceChecks.missing(call)
        }
        switch (call.method, path.word(2)) {
        case ("GET", ""): return AzureAnswer(200, view(registry))
        case ("PATCH", ""): return try patch(call, registry)
        case ("DELETE", ""):
            world.remove(id)
            world.registryRequests.end(registry.name)
            return AzureAnswer(200)
        case ("POST", "listcredentials"): return try credentials(registry)
        case ("POST", "regeneratecredential"): return try regenerate(call, registry)
        case ("GET", "listusages"): return AzureAnswer(200, usages)
        case ("POST", "generatecredentials"): return try generate(call, registry)
        case (_, "tokens"), (_, "scopemaps"): return try part(call, registry)
        case ("GET", "replications"), ("GET", "webhooks"), ("GET", "cacherules"), ("GET", "connectedregistries"),
            ("GET", "credentialsets"), ("GET", "privateendpointconnections"):
            return AzureAnswer(200, ["value": []])
        default: throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
    }

    private static func isName(_ name: String) -> Bool {
        (5...50).contains(name.utf8.count) && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
    }

    private func availability(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        let name = try call.body().member("name")?.string ?? ""
        guard ContainerRegistries.isName(name) else {
            return AzureAnswer(
                200,
                [
                    "nameAvailable": false, "reason": "Invalid",
                    "message": "The specified resource name is invalid. It must be 5 to 50 letters and digits.",
                ]
            )
        }
        let isTaken = RegistryRights(world: world, name: name).resource != nil
        guard isTaken else { return AzureAnswer(200, ["nameAvailable": true]) }
        return AzureAnswer(
            200,
            [
                "nameAvailable": false, "reason": "AlreadyExists",
                "message": .string("The registry \(name) is already in use."),
            ]
        )
    }

    // MARK: Registries

    private func put(_ call: ResourceManager.Call, _ id: String) async throws -> AzureAnswer {
        let body = try call.body()
        let name = call.path.parts[1]
        try ResourceTypes.check(ContainerRegistries.type, call.version, location: body.member("location")?.string)
        try ResourceChecks(world: world).checkSchema(body, ContainerRegistries.type, call.version)
        guard ContainerRegistries.isName(name) else {
            throw ARMFault(
                400,
                "InvalidResourceName",
                "The registry name '\(name)' is invalid: it must be 5 to 50 letters and digits."
            )
        }
        guard body[path: "sku", "name"]?.string != nil else {
            throw ARMFault(400, "MissingSku", "The registry '\(name)' has no 'sku'.")
        }
        let old = world.resource(id)
        if old == nil, RegistryRights(world: world, name: name).resource != nil {
            throw ARMFault(409, "AlreadyInUse", "The registry DNS name \(name).azurecr.io is already in use.")
        }
        let registry = try await make(old?.name ?? name, id: old?.id ?? id, body, old)
        return AzureAnswer(old == nil ? 201 : 200, view(registry))
    }

    /// Makes a registry that is served, or changes one.
    func make(_ name: String, id: String, _ body: JSONValue, _ old: Resource?) async throws -> Resource {
        let live: LiveRegistry
        if let known = world.state.withLock({ $0.registries[name.lowercased()] }) {
            live = known
        } else {
            live = try await world.registryRequests.begin(name)
        }
        let secrets: JSONValue =
            old?.body.member("secrets") ?? ["passwords": JSONValue([Self.password(), Self.password()])]
        let properties = (body.member("properties") ?? [:]).with("loginServer", .string(live.host))
            .with("creationDate", old?.body[path: "properties", "creationDate"] ?? .string(Moment.text(fraction: true)))
        let resource = Resource(
            id: id,
            type: ContainerRegistries.type,
            name: name,
            body: body.with("properties", properties).with("secrets", secrets)
        )
        world.put(resource)
        return resource
    }

    private static func password() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        // Of the form of Azure's, with the letters that clients forget to escape.
        let body = (0..<42).map { _ in letters[Int.random(in: 0..<letters.count)] }
        return "\(String(body))+/AC"
    }

    private func view(_ registry: Resource) -> JSONValue {
        var properties = registry.body.member("properties") ?? [:]
        let defaults: [String: JSONValue] = [
            "adminUserEnabled": false, "anonymousPullEnabled": false, "dataEndpointEnabled": false,
            "dataEndpointHostNames": [], "publicNetworkAccess": "Enabled", "networkRuleBypassOptions": "AzureServices",
            "zoneRedundancy": "Disabled", "privateEndpointConnections": [],
            "roleAssignmentMode": "LegacyRegistryPermissions", "provisioningState": "Succeeded",
            "encryption": ["status": "disabled"],
            "policies": [
                "azureADAuthenticationAsArmPolicy": ["status": "enabled"],
                "retentionPolicy": ["days": 7, "status": "disabled"], "quarantinePolicy": ["status": "disabled"],
                "trustPolicy": ["type": "Notary", "status": "disabled"],
            ],
        ]
        for (name, value) in defaults where properties.member(name) == nil { properties = properties.with(name, value) }
        let sku = registry.body.member("sku") ?? ["name": "Basic"]
        var shown = ResourceChecks.json(registry).with("secrets", nil).with("properties", properties)
            .with("sku", sku.with("tier", sku.member("name")))
        shown = shown.with("location", .string(ResourceTypes.location(registry.body.member("location")?.string ?? "")))
        if shown.member("tags") == nil { shown = shown.with("tags", [:]) }
        return shown
    }

    private func patch(_ call: ResourceManager.Call, _ registry: Resource) throws(ARMFault) -> AzureAnswer {
        let body = try call.body()
        var changed = registry
        for name in ["tags", "sku", "identity"] {
            if let value = body.member(name) { changed.body = changed.body.with(name, value) }
        }
        var properties = registry.body.member("properties") ?? [:]
        for (name, value) in body.member("properties")?.object ?? [:] { properties = properties.with(name, value) }
        changed.body = changed.body.with("properties", properties)
        world.put(changed)
        return AzureAnswer(200, view(changed))
    }

    // MARK: Passwords

    private func credentials(_ registry: Resource) throws(ARMFault) -> AzureAnswer {
        guard registry.body[path: "properties", "adminUserEnabled"]?.bool == true else {
            throw ARMFault(
                400,
                "UnAuthorizedForCredentialOperations",
                "Cannot perform credential operations for \(registry.id) as admin user is disabled. Kindly enable admin "
                    + "user as per docs: https://docs.microsoft.com/en-us/azure/container-registry/"
                    + "container-registry-authentication#admin-account"
            )
        }
        let passwords = registry.body[path: "secrets", "passwords"]?.texts ?? []
        return AzureAnswer(
            200,
            [
                "username": .string(registry.name),
                "passwords": .array(
                    zip(["password", "password2"], passwords).map { ["name": .string($0), "value": .string($1)] }
                ),
            ]
        )
    }

    private func regenerate(_ call: ResourceManager.Call, _ registry: Resource) throws(ARMFault) -> AzureAnswer {
        var passwords = registry.body[path: "secrets", "passwords"]?.texts ?? []
        let place = try call.body().member("name")?.string == "password2" ? 1 : 0
        if place < passwords.count { passwords[place] = Self.password() }
        var changed = registry
        changed.body = registry.body.with("secrets", ["passwords": JSONValue(passwords)])
        world.put(changed)
        return try credentials(changed)
    }

    private var usages: JSONValue {
        [
            "value": [
                ["name": "Size", "limit": 10_737_418_240, "currentValue": 0, "unit": "Bytes"],
                ["name": "Webhooks", "limit": 2, "currentValue": 0, "unit": "Count"],
                ["name": "ScopeMaps", "limit": 100, "currentValue": 0, "unit": "Count"],
                ["name": "Tokens", "limit": 100, "currentValue": 0, "unit": "Count"],
            ]
        ]
    }

    // MARK: Tokens and scope maps

    private func part(_ call: ResourceManager.Call, _ registry: Resource) throws(ARMFault) -> AzureAnswer {
        let kind = call.path.word(2) == "tokens" ? "tokens" : "scopeMaps"
        let type = "\(ContainerRegistries.type)/\(kind)"
        func shown(_ resource: Resource) -> JSONValue {
            let properties = (resource.body.member("properties") ?? [:]).with("provisioningState", "Succeeded")
                .with("creationDate", .string(resource.created))
            return ResourceChecks.json(resource).with("secrets", nil).with("properties", properties)
        }
        guard call.path.parts.count > 3 else {
            let all = world.resources(ofType: type, under: registry.id)
            return AzureAnswer(200, ["value": .array(all.map(shown))])
        }
        let id = "\(registry.id)/\(kind)/\(call.path.parts[3])"
        let found = world.resource(id)
        switch call.method {
        case "PUT", "PATCH":
            let body = try call.body()
            if call.method == "PUT" { try ResourceChecks(world: world).checkSchema(body, type, call.version) }
            if kind == "tokens", let map = body[path: "properties", "scopeMapId"]?.string, world.resource(map) == nil {
                throw ARMFault(404, "ScopeMapNotFound", "The scope map '\(map)' was not found.")
            }
            var properties = found?.body.member("properties") ?? [:]
            for (name, value) in body.member("properties")?.object ?? [:] { properties = properties.with(name, value) }
            var kept: JSONValue = ["properties": properties]
            kept["secrets"] = found?.body.member("secrets")
            let resource = Resource(id: id, type: type, name: call.path.parts[3], body: kept)
            world.put(resource)
            return AzureAnswer(found == nil ? 201 : 200, shown(resource))
        case "GET":
            guard let found else { throw ResourceChecks.missing(call) }
            return AzureAnswer(200, shown(found))
        case "DELETE":
            world.remove(id)
            return AzureAnswer(found == nil ? 204 : 200)
        default: throw ARMFault(405, "MethodNotAllowed", "\(call.method) does nothing here.")
        }
    }

    private func generate(_ call: ResourceManager.Call, _ registry: Resource) throws(ARMFault) -> AzureAnswer {
        let body = try call.body()
        let id = body.member("tokenId")?.string ?? ""
        guard var token = world.resource(id) else {
            throw ARMFault(404, "TokenNotFound", "The token '\(id)' was not found.")
        }
        let wanted = body.member("name")?.string.map { [$0] } ?? ["password1", "password2"]
        var passwords = token.body[path: "secrets", "passwords"]?.object ?? [:]
        for name in wanted { passwords[name] = .string(Self.password()) }
        token.body = token.body.with("secrets", ["passwords": .object(passwords)])
        world.put(token)
        let now = Moment.text(fraction: true)
        return AzureAnswer(
            200,
            [
                "username": .string(token.name),
                "passwords": .array(
                    passwords.sorted { $0.key < $1.key }
                        .map { ["name": .string($0.key), "value": $0.value, "creationTime": .string(now)] }
                ),
            ]
        )
    }
}
