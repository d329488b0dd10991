// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Deployments of templates to resource groups.
struct Deployments: Sendable {
    let world: World

    static let type = "Microsoft.Resources/deployments"

    func answer(_ call: ResourceManager.Call) async throws -> AzureAnswer {
        guard call.path.word(0) == "deployments", let group = call.path.group, let home = world.group(group) else {
            throw ARMFault(404, "InvalidResourceType", "The emulator deploys to resource groups that exist only.")
        }
        let scope = home.id
        guard call.path.parts.count > 1 else {
            let all = world.resources(ofType: Deployments.type, under: scope)
            return AzureAnswer(200, ["value": .array(all.map(ResourceChecks.json))])
        }
        let name = call.path.parts[1]
        let id = "\(scope)/providers/\(Deployments.type)/\(name)"
        switch (call.method, call.path.word(2)) {
        case ("PUT", ""): return try put(call, id, name, home)
        case ("POST", "validate"): return try validate(call, id, name, home)
        case ("POST", "whatif"): return try whatIf(call, id, name, home)
        case ("GET", "operationstatuses"), ("GET", "whatifoperationresults"): return try status(call)
        default: break
        }
        guard let found = world.resource(id) else {
            if call.method == "HEAD" { return AzureAnswer(404) }
            if call.method == "DELETE" { return AzureAnswer(204) }
            throw ARMFault(404, "DeploymentNotFound", "Deployment '\(name)' could not be found.")
        }
        switch (call.method, call.path.word(2)) {
        case ("GET", ""):
            return AzureAnswer(200, ResourceChecks.json(found).with("operations", nil).with("template", nil))
        case ("HEAD", ""): return AzureAnswer(204)
        case ("DELETE", ""):
            world.remove(id)
            return AzureAnswer(204)
        case ("GET", "operations"): return AzureAnswer(200, ["value": found.body.member("operations") ?? []])
        case ("POST", "exporttemplate"): return AzureAnswer(200, ["template": found.body.member("template") ?? [:]])
        case ("POST", "cancel"):
            throw ARMFault(409, "DeploymentCannotBeCancelled", "The deployment '\(name)' cannot be cancelled.")
        default: throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
    }

    // MARK: Reading templates

    private func template(
        _ call: ResourceManager.Call,
        _ name: String,
        _ home: Resource
    ) throws(ARMFault) -> (Template, JSONValue) {
        let body = try call.body(relaxed: true)
        guard let properties = body.member("properties"), properties.object != nil else {
            throw ARMFault(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'Required property 'properties' not found "
                    + "in JSON. Path '', line 1, position 2.'."
            )
        }
        // The template itself has a schema of another kind.
        try ResourceChecks(world: world)
            .checkSchema(
                body.with("properties", properties.with("template", [:]).with("whatIfSettings", nil)),
                Deployments.type,
                call.version
            )
        var scope = TemplateScope()
        (scope.subscription, scope.tenant, scope.deployment) = (world.options.subscription, world.options.tenant, name)
        scope.group = Subscriptions.json(home)
        return (try Template(properties, scope), properties)
    }

    /// A scope that knows what is there now.
    func live(_ scope: TemplateScope) -> TemplateScope {
        let world = world
        var scope = scope
        scope.reference = { (id, isFull) throws(TemplateFault) in
            guard let resource = world.resource(id) else {
                throw TemplateFault(
                    message: "The resource '\(id)' is not defined in the template, and not there.",
                    isEarly: true
                )
            }
            let shown =
                resource.type == ContainerInstances.type
                ? ContainerInstances(world: world).view(resource, withInstances: true)
                : ResourceChecks.json(resource).with("secrets", nil)
            return isFull ? shown : shown.member("properties") ?? [:]
        }
        scope.list = { (function, id) throws(TemplateFault) in
            guard let resource = world.resource(id), function == "listcredentials" else {
                throw TemplateFault(message: "The emulator has no '\(function)' of '\(id)'.", isEarly: true)
            }
            let passwords = resource.body[path: "secrets", "passwords"]?.texts ?? []
            return [
                "username": .string(resource.name),
                "passwords": .array(
                    passwords.enumerated()
                        .map {
                            ["name": .string($0.offset == 0 ? "password" : "password2"), "value": .string($0.element)]
                        }
                ),
            ]
        }
        return scope
    }

    // MARK: Validating

    private func validate(
        _ call: ResourceManager.Call,
        _ id: String,
        _ name: String,
        _ home: Resource
    ) throws(ARMFault) -> AzureAnswer {
        let (template, properties) = try template(call, name, home)
        let found = try check(template, name)
        return AzureAnswer(
            200,
            [
                "id": .string(id), "name": .string(name), "type": .string(Deployments.type),
                "properties": described(template, properties, call)
                    .with("provisioningState", "Succeeded")
                    .with("validatedResources", .array(found.map { ["id": .string($0)] })),
            ]
        )
    }

    /// Checks what can be checked before anything is changed; gives the resources' identifiers.
    private func check(_ template: Template, _ name: String) throws(ARMFault) -> [String] {
        var ids: [String] = []
        var faults: [ARMFault] = []
        for entry in template.entries {
            do throws(TemplateFault) {
                let (id, version) = try Template.identifier(entry.json, entry, template.scope)
                let body = try template.body(entry, live(template.scope), keepsEarly: true)
                _ = try template.dependencies(entry)
                ids.append(id)
                do throws(ARMFault) {
                    try checkResource(id, version, body)
                } catch {
                    faults.append(error)
                }
            } catch {
                throw Template.invalid(error.message)
            }
        }
        guard !faults.isEmpty else { return ids }
        throw ARMFault(
            400,
            "InvalidTemplateDeployment",
            "The template deployment '\(name)' is not valid according to the validation procedure. The tracking id is "
                + "'\(Identifier.random())'. See inner errors for details.",
            details: faults
        )
    }

    private func checkResource(_ id: String, _ version: String, _ body: JSONValue) throws(ARMFault) {
        let path = ResourcePath(id.split(separator: "/").map(String.init))
        try ResourceTypes.check(path.type, version, location: body.member("location")?.string)
        guard ResourceTypes.providers.contains(where: { $0.name.lowercased() == path.provider?.lowercased() }) else {
            throw ARMFault(
                400,
                "InvalidResourceNamespace",
                "The resource namespace '\(path.provider ?? "")' is invalid."
            )
        }
        var body = body
        if path.type.lowercased() == Deployments.type.lowercased(), let properties = body.member("properties") {
            // A template within this one is looked at in its turn.
            body = body.with("properties", properties.with("template", [:]))
        }
        try ResourceChecks(world: world).checkSchema(body, path.type, version)
        if path.type.lowercased() == ContainerInstances.type.lowercased() {
            try ContainerGroupRules(name: path.parts.last ?? "", body: body).check()
        }
    }

    private func described(_ template: Template, _ properties: JSONValue, _ call: ResourceManager.Call) -> JSONValue {
        [
            "mode": .string(template.mode), "parameters": template.shownParameters,
            "timestamp": .string(Moment.text(fraction: true)), "duration": "PT1S",
            "correlationId": .string(Identifier.random()), "providers": [], "dependencies": [],
            "templateHash": .string(
                String(TemplateScope.uniqueString([properties.member("template")?.canonical ?? ""]))
            ),
        ]
    }

    // MARK: Deploying

    private func put(
        _ call: ResourceManager.Call,
        _ id: String,
        _ name: String,
        _ home: Resource
    ) throws(ARMFault) -> AzureAnswer {
        let (template, properties) = try template(call, name, home)
        _ = try check(template, name)
        let isNew = world.resource(id) == nil
        let described = described(template, properties, call).with("provisioningState", "Accepted")
        let resource = Resource(
            id: id,
            type: Deployments.type,
            name: name,
            body: ["properties": described, "template": properties.member("template") ?? [:]]
        )
        world.put(resource)
        let operation = world.begin(on: id)
        let run = DeploymentRun(deployments: self, template: template, call: call, resource: resource, home: home)
        world.registryRequests.work { await run.run(operation) }
        let place = "\(call.request.origin)\(id)/operationStatuses/\(operation.id)?api-version=\(call.version)"
        return AzureAnswer(
            isNew ? 201 : 200,
            ResourceChecks.json(resource).with("template", nil),
            headers: [("Azure-AsyncOperation", place), ("Retry-After", "\(world.options.retryAfter)")]
        )
    }

    private func status(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        guard let operation = world.operation(call.path.word(3)) else {
            throw ARMFault(404, "OperationNotFound", "The operation '\(call.path.word(3))' was not found.")
        }
        let wait = [("Retry-After", "\(world.options.retryAfter)")]
        if call.path.word(2) == "whatifoperationresults" {
            return AzureAnswer(200, operation.result ?? ["status": "Succeeded", "properties": ["changes": []]])
        }
        var members: [String: JSONValue] = [
            "status": .string(operation.status == "InProgress" ? "Running" : operation.status)
        ]
        if case .failed(let fault) = operation.outcome { members["error"] = fault.json }
        return AzureAnswer(200, .object(members), headers: wait)
    }

    // MARK: What would be

    private func whatIf(
        _ call: ResourceManager.Call,
        _ id: String,
        _ name: String,
        _ home: Resource
    ) throws(ARMFault) -> AzureAnswer {
        let (template, _) = try template(call, name, home)
        _ = try check(template, name)
        let changes: [JSONValue]
        do throws(TemplateFault) {
            changes = try WhatIf(deployments: self, template: template, home: home).changes()
        } catch {
            throw Template.invalid(error.message)
        }
        let operation = world.begin(on: id)
        world.end(
            operation.id,
            .succeeded,
            result: ["status": "Succeeded", "properties": ["changes": .array(changes)]]
        )
        let place = "\(call.request.origin)\(id)/whatIfOperationResults/\(operation.id)?api-version=\(call.version)"
        return AzureAnswer(202, headers: [("Location", place), ("Retry-After", "\(world.options.retryAfter)")])
    }
}
