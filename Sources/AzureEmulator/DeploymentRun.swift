// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// One deployment on its way: its resources, one after the other, each once those that it waits for are there.
struct DeploymentRun: Sendable {
    let deployments: Deployments
    let call: ResourceManager.Call
    let resource: Resource
    private let template: Template
    private let home: Resource

    init(
        deployments: Deployments,
        template: Template,
        call: ResourceManager.Call,
        resource: Resource,
        home: Resource
    ) {
        (self.deployments, self.template, self.call) = (deployments, template, call)
        (self.resource, self.home) = (resource, home)
    }

    private var world: World { deployments.world }

    /// Deploys everything, and ends the operation.
    func run(_ operation: AzureOperation) async {
        change("Running")
        var operations: [JSONValue] = []
        do {
            let made = try await deploy(&operations)
            if template.mode.lowercased() == "complete" { try await removeOthers(made) }
            let outputs = try outputs()
            change("Succeeded") { properties in
                properties.with("outputs", outputs)
                    .with("outputResources", .array(made.map { ["id": .string($0)] }))
            }
            world.end(operation.id, .succeeded)
        } catch {
            let inner =
                error as? ARMFault ?? (error as? TemplateFault).map { Template.invalid($0.message) }
                ?? ARMFault(500, "InternalServerError", "\(error)")
            let fault = ARMFault(
                409,
                "DeploymentFailed",
                "At least one resource deployment operation failed. Please list deployment operations for details. Please "
                    + "see https://aka.ms/arm-deployment-operations for usage details.",
                details: [inner]
            )
            change("Failed") { $0.with("error", fault.json) }
            world.end(operation.id, .failed(fault))
        }
        if var kept = world.resource(resource.id) {
            kept.body["operations"] = .array(operations)
            world.put(kept)
        }
    }

    private func change(_ state: String, _ more: (JSONValue) -> JSONValue = { $0 }) {
        guard var kept = world.resource(resource.id) else { return }
        kept.body["properties"] = more(
            (kept.body.member("properties") ?? [:]).with("provisioningState", .string(state))
        )
        world.put(kept)
    }

    private func deploy(_ operations: inout [JSONValue]) async throws -> [String] {
        var waiting = template.entries
        var made: [String] = []
        while !waiting.isEmpty {
            var rest: [Template.Entry] = []
            var isStuck = true
            var reason = "The resources of the template wait for each other."
            let open = try waiting.map {
                try Template.identifier($0.json, $0, deployments.live(template.scope)).id.lowercased()
            }
            for (place, entry) in waiting.enumerated() {
                let others = open.enumerated()
                    .filter { $0.offset != place && !made.map { $0.lowercased() }.contains($0.element) }
                let needs = try template.dependencies(entry)
                let waits = others.contains { other in
                    needs.contains { other.element == $0 || other.element.hasSuffix("/" + $0) }
                }
                guard !waits else {
                    rest.append(entry)
                    continue
                }
                do {
                    let scope = deployments.live(template.scope)
                    let (id, version) = try Template.identifier(entry.json, entry, scope)
                    let body = try template.body(entry, scope)
                    try await put(id, version, body, &operations)
                    made.append(id)
                    isStuck = false
                } catch let fault as TemplateFault where fault.isEarly {
                    reason = fault.message
                    rest.append(entry)
                }
            }
            if isStuck, !rest.isEmpty { throw TemplateFault(message: reason) }
            waiting = rest
        }
        return made
    }

    /// Puts a resource as a client would, and waits until it is there.
    private func put(_ id: String, _ version: String, _ body: JSONValue, _ operations: inout [JSONValue]) async throws {
        var record: [String: JSONValue] = [
            "provisioningOperation": "Create", "timestamp": .string(Moment.text(fraction: true)),
            "targetResource": [
                "id": .string(id), "resourceName": .string(id.split(separator: "/").last.map(String.init) ?? ""),
            ],
        ]
        func note(_ state: String, _ fault: ARMFault?) {
            record["provisioningState"] = .string(state)
            record["statusCode"] = fault.map { _ in "BadRequest" } ?? "Created"
            if let fault { record["statusMessage"] = ["status": "Failed", "error": fault.json] }
            let name = Identifier.random()
            operations.append([
                "id": .string("\(resource.id)/operations/\(name)"), "operationId": .string(name),
                "properties": .object(record),
            ])
        }
        do {
            let answer = try await ResourceManager(world: world)
                .perform(request("PUT", id, version, body), as: call.caller)
            if let place = answer.headers.first(where: { $0.0 == "Azure-AsyncOperation" })?.1 {
                let name = String(place.prefix { $0 != "?" }.split(separator: "/").last ?? "")
                try await wait(for: name)
            }
            note("Succeeded", nil)
        } catch let fault as ARMFault {
            note("Failed", fault)
            throw fault
        }
    }

    private func wait(for operation: String) async throws {
        while let found = world.operation(operation) {
            switch found.outcome {
            case .running: try await Task.sleep(for: .milliseconds(50))
            case .succeeded: return
            case .failed(let fault): throw fault
            }
        }
    }

    private func request(_ method: String, _ id: String, _ version: String, _ body: JSONValue) -> AzureRequest {
        AzureRequest(
            method: method,
            target: "\(id)?api-version=\(version)",
            segments: id.split(separator: "/").map(String.init),
            query: [("api-version", version)],
            headers: call.request.headers,
            body: Array(body.canonical.utf8),
            origin: call.request.origin
        )
    }

    /// What mode `Complete` does: everything else in the group goes.
    private func removeOthers(_ made: [String]) async throws {
        let kept = Set(made.map { $0.lowercased() })
        for (id, type) in WhatIf.others(kept, home, world) {
            let version = ResourceTypes.versions[type.lowercased()]?.last ?? ""
            _ = try await ResourceManager(world: world).perform(request("DELETE", id, version, [:]), as: call.caller)
        }
    }

    private func outputs() throws -> JSONValue {
        let scope = deployments.live(template.scope)
        var outputs: [String: JSONValue] = [:]
        for (name, output) in template.outputs.object ?? [:] {
            let kind = output.member("type")?.string ?? "string"
            let word = JSONValue.string(kind.prefix(1).uppercased() + kind.dropFirst())
            if let condition = output.member("condition"), try scope.value(of: condition) != true { continue }
            let value = try scope.value(of: output.member("value") ?? .null)
            outputs[name] = kind.lowercased().hasPrefix("secure") ? ["type": word] : ["type": word, "value": value]
        }
        return .object(outputs)
    }
}

/// What a deployment would change.
struct WhatIf {
    let deployments: Deployments
    let template: Template
    let home: Resource

    /// Resources of a group besides some.
    static func others(_ kept: Set<String>, _ home: Resource, _ world: World) -> [(id: String, type: String)] {
        let prefix = home.id.lowercased() + "/"
        let hidden = ["microsoft.authorization/roleassignments", "microsoft.resources/deployments"]
        return ResourceTypes.versions.keys.filter { !hidden.contains($0) }
            .flatMap { deploymentsOf($0, world) }
            .filter { $0.id.lowercased().hasPrefix(prefix) && !kept.contains($0.id.lowercased()) }
            .map { ($0.id, $0.type) }.sorted { $0.id < $1.id }
    }

    private static func deploymentsOf(_ type: String, _ world: World) -> [Resource] { world.resources(ofType: type) }

    func changes() throws(TemplateFault) -> [JSONValue] {
        let world = deployments.world
        var changes: [JSONValue] = []
        var ids: Set<String> = []
        for entry in template.entries {
            let scope = deployments.live(template.scope)
            let (id, version) = try Template.identifier(entry.json, entry, scope)
            ids.insert(id.lowercased())
            let head: JSONValue = [
                "id": .string(id), "name": .string(id.split(separator: "/").last.map(String.init) ?? ""),
                "type": entry.json.member("type") ?? "", "apiVersion": .string(version),
            ]
            let body = try template.body(entry, scope, keepsEarly: true)
            let after = (body.object ?? [:]).reduce(head) { $0.with($1.key, WhatIf.shown($1.value)) }
            guard let old = world.resource(id) else {
                changes.append(["resourceId": .string(id), "changeType": "Create", "after": after])
                continue
            }
            let delta = WhatIf.delta(old.body, body, "")
            let before = (old.body.with("secrets", nil).object ?? [:])
                .reduce(head) { $0.with($1.key, WhatIf.shown($1.value)) }
            changes.append([
                "resourceId": .string(id), "changeType": delta.isEmpty ? "NoChange" : "Modify", "before": before,
                "after": after, "delta": .array(delta),
            ])
        }
        let isComplete = template.mode.lowercased() == "complete"
        for (id, type) in WhatIf.others(ids, home, world) {
            changes.append([
                "resourceId": .string(id), "changeType": isComplete ? "Delete" : "Ignore",
                "before": [
                    "id": .string(id), "type": .string(type),
                    "name": .string(id.split(separator: "/").last.map(String.init) ?? ""),
                ],
            ])
        }
        return changes
    }

    private static let secrets: Set<String> = ["securevalue", "password", "storageaccountkey", "workspacekey"]

    /// A value without secrets.
    private static func shown(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let list): return .array(list.map(shown))
        case .object(let members):
            return .object(
                members.filter { !secrets.contains($0.key.lowercased()) && $0.key.lowercased() != "secret" }
                    .mapValues(shown)
            )
        default: return value
        }
    }

    /// What is different, by path; what cannot be known yet is taken for the same.
    private static func delta(_ old: JSONValue, _ new: JSONValue, _ path: String) -> [JSONValue] {
        var changes: [JSONValue] = []
        for (name, value) in (new.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            if let text = value.string, text.hasPrefix("["), !text.hasPrefix("[[") { continue }
            let place = path.isEmpty ? name : "\(path).\(name)"
            let isSecret = secrets.contains(name.lowercased()) || name.lowercased() == "secret"
            guard let before = old.member(name) else {
                changes.append(change(place, "Create", nil, isSecret ? nil : value))
                continue
            }
            if before.object != nil, value.object != nil {
                changes += delta(before, value, place)
            } else if let left = before.array, let right = value.array, left.count == right.count,
                left.allSatisfy({ $0.object != nil })
            {
                for (index, pair) in zip(left, right).enumerated() {
                    changes += delta(pair.0, pair.1, "\(place).\(index)")
                }
            } else if before != value, !isSamePlace(name, before, value) {
                changes.append(change(place, "Modify", isSecret ? nil : before, isSecret ? nil : value))
            }
        }
        return changes
    }

    private static func isSamePlace(_ name: String, _ left: JSONValue, _ right: JSONValue) -> Bool {
        guard name.lowercased() == "location", let left = left.string, let right = right.string else { return false }
        return ResourceTypes.location(left) == ResourceTypes.location(right)
    }

    private static func change(_ path: String, _ kind: String, _ before: JSONValue?, _ after: JSONValue?) -> JSONValue {
        var members: [String: JSONValue] = [
            "path": .string(path), "propertyChangeType": .string(kind), "children": .null,
        ]
        members["before"] = before ?? .null
        members["after"] = after ?? .null
        return .object(members)
    }
}
