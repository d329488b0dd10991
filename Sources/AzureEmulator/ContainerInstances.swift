// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Container Instances: container groups that run on this machine.
struct ContainerInstances: Sendable {
    let world: World

    static let type = "Microsoft.ContainerInstance/containerGroups"

    func answer(_ call: ResourceManager.Call) throws -> AzureAnswer {
        switch call.path.word(0) {
        case "containergroups": break
        case "locations": return try location(call)
        case "operations": return AzureAnswer(200, ["value": []])
        default: throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
        guard call.path.parts.count > 1 else {
            let all = world.resources(ofType: ContainerInstances.type, under: call.path.normalScope)
            // Lists have no instance view.
            return AzureAnswer(200, ["value": .array(all.map { view($0, withInstances: false) })])
        }
        let id = call.path.identifier("containerGroups")
        if call.path.parts.count == 2, call.method == "PUT" { return try put(call, id) }
        guard let resource = world.resource(id), let group = world.container(id) else {
            if call.method == "DELETE" { return AzureAnswer(204) }
            throw ResourceChecks.missing(call)
        }
        switch (call.method, call.path.word(2), call.path.word(4)) {
        case ("GET", "", _): return AzureAnswer(200, view(resource, withInstances: true))
        case ("PATCH", "", _): return try patch(call, resource)
        case ("DELETE", "", _): return try delete(resource, group, call)
        case ("POST", "start", _), ("POST", "restart", _): return try start(resource, group, call)
        case ("POST", "stop", _): return try stop(resource, group, call)
        case ("GET", "outboundnetworkdependenciesendpoints", _): return AzureAnswer(200, [])
        case ("GET", "containers", "logs"): return try logs(group, call)
        case ("POST", "containers", "exec"): return try exec(group, call)
        case ("POST", "containers", "attach"): return try attach(group, call)
        default: throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
    }

    // MARK: Creating, changing, removing

    private func put(_ call: ResourceManager.Call, _ id: String) throws -> AzureAnswer {
        let body = try call.body()
        try ResourceTypes.check(ContainerInstances.type, call.version, location: body.member("location")?.string)
        try ResourceChecks(world: world).checkSchema(body, ContainerInstances.type, call.version)
        let (resource, operation, isNew) = try apply(body, id, call.path.parts[1], call.request)
        return AzureAnswer(
            isNew ? 201 : 200,
            view(resource, withInstances: true),
            headers: header(operation, resource, call)
        )
    }

    /// Takes a group in and begins to run it.
    func apply(
        _ body: JSONValue,
        _ id: String,
        _ name: String,
        _ request: AzureRequest
    ) throws(ARMFault) -> (Resource, AzureOperation, isNew: Bool) {
        try ContainerGroupRules(name: name, body: body).check()
        try throwPlannedFault(request, name, body)
        let old = world.resource(id)
        if let running = world.container(id) {
            if running.isTransitioning { throw ContainerInstances.transitioning(name) }
            try ContainerGroupRules(name: name, body: body).checkUpdate(of: running.body)
        }
        try checkLabel(body, id)
        try EmulatedQuota(world: world).check(body, id, name)
        let images = try images(body, name)
        if let kind = body[path: "identity", "type"]?.string, kind != "None" {
            world.options.note("\(name): no metadata service gives its containers tokens of the group's identities")
        }
        let resource = Resource(id: old?.id ?? id, type: ContainerInstances.type, name: old?.name ?? name, body: body)
        let group: RunningGroup
        do {
            group = try world.container(id) ?? RunningGroup(resource.id, resource.name, body, world)
        } catch {
            throw ARMFault(500, "InternalServerError", "\(error)")
        }
        group.state.withLock { $0.provisioning = "Pending" }
        world.state.withLock { state in
            state.resources[id.lowercased()] = resource
            state.containers[id.lowercased()] = group
        }
        return (resource, begin(request, resource) { group.start(body, images, then: $0) }, old == nil)
    }

    private func images(_ body: JSONValue, _ name: String) throws(ARMFault) -> [String: GroupImage] {
        let source = ImageSource(world: world)
        var images: [String: GroupImage] = [:]
        for kind in ["containers", "initContainers"] {
            for container in body[path: "properties", kind]?.array ?? [] {
                let image = container[path: "properties", "image"]?.string ?? ""
                images[container.member("name")?.string ?? ""] = try source.find(image, for: name, body: body)
            }
        }
        return images
    }

    /// Begins an operation that some work ends.
    private func begin(
        _ request: AzureRequest,
        _ resource: Resource,
        _ work: (@escaping @Sendable (ARMFault?) -> Void) -> Void
    ) -> AzureOperation {
        let operation = world.begin(on: resource.id)
        let planned = world.faults.take(request.method, request.target) { effect -> ARMFault? in
            if case .failedOperation(let code, let message) = effect { ARMFault(409, code, message) } else { nil }
        }
        let world = world
        work { fault in
            let fault = planned ?? fault
            if planned != nil { world.container(resource.id)?.state.withLock { $0.provisioning = "Failed" } }
            world.end(operation.id, fault.map { .failed($0) } ?? .succeeded)
        }
        return operation
    }

    private func header(_ operation: AzureOperation, _ resource: Resource, _ call: ResourceManager.Call) -> [(
        String, String
    )] {
        let place = ResourceTypes.location(resource.body.member("location")?.string ?? world.options.location)
        let path =
            "/subscriptions/\(world.options.subscription)/providers/Microsoft.ContainerInstance/locations/\(place)"
            + "/operations/\(operation.id)?api-version=\(call.version)"
        return [
            ("Azure-AsyncOperation", call.request.origin + path), ("Retry-After", "\(world.options.retryAfter)"),
        ]
    }

    private func patch(_ call: ResourceManager.Call, _ resource: Resource) throws(ARMFault) -> AzureAnswer {
        let body = try call.body()
        let others = (body.object ?? [:]).keys
            .filter { !["tags", "zones", "location", "id", "name", "type"].contains($0) }
        guard others.isEmpty else {
            throw ARMFault(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'Could not find member "
                    + "'\(others.sorted()[0])' on object of type 'Resource'.'."
            )
        }
        var changed = resource
        changed.body = resource.body.with("tags", body.member("tags"))
        world.put(changed)
        return AzureAnswer(200, view(changed, withInstances: true))
    }

    private func delete(_ resource: Resource, _ group: RunningGroup, _ call: ResourceManager.Call) throws(ARMFault)
        -> AzureAnswer
    {
        try throwTransition(call.request, resource.name)
        let seen = view(resource, withInstances: true)
        world.state.withLock { state in
            state.resources[resource.id.lowercased()] = nil
            state.containers[resource.id.lowercased()] = nil
        }
        Thread.start { group.remove() }
        return AzureAnswer(200, seen)
    }

    private func start(_ resource: Resource, _ group: RunningGroup, _ call: ResourceManager.Call) throws(ARMFault)
        -> AzureAnswer
    {
        try throwTransition(call.request, resource.name)
        if group.isTransitioning { throw ContainerInstances.transitioning(resource.name) }
        // Images are looked up again, as a start pulls them again.
        let images = try images(resource.body, resource.name)
        group.state.withLock { $0.provisioning = "Pending" }
        let operation = begin(call.request, resource) { group.start(resource.body, images, then: $0) }
        let isRestart = call.path.word(2) == "restart"
        return AzureAnswer(isRestart ? 204 : 202, headers: header(operation, resource, call))
    }

    private func stop(_ resource: Resource, _ group: RunningGroup, _ call: ResourceManager.Call) throws(ARMFault)
        -> AzureAnswer
    {
        try throwTransition(call.request, resource.name)
        group.stop {}
        return AzureAnswer(204)
    }

    // MARK: What goes wrong

    static func transitioning(_ name: String) -> ARMFault {
        ARMFault(
            409,
            "ContainerGroupTransitioning",
            "The container group '\(name)' is still transitioning, please retry later."
        )
    }

    private func throwTransition(_ request: AzureRequest, _ name: String) throws(ARMFault) {
        if world.faults.take(request.method, request.target, { $0 == .transitioning ? true : nil }) != nil {
            throw ContainerInstances.transitioning(name)
        }
    }

    private func throwPlannedFault(_ request: AzureRequest, _ name: String, _ body: JSONValue) throws(ARMFault) {
        try throwTransition(request, name)
        let image = body[path: "properties", "containers"]?.array?.first?[path: "properties", "image"]?.string ?? ""
        let place = ResourceTypes.location(body.member("location")?.string ?? "")
        let source = ImageSource(world: world)
        let planned = world.faults.take(request.method, request.target) { effect -> ARMFault? in
            switch effect {
            case .inaccessibleImage: return source.inaccessible(image, name)
            case .quota:
                return EmulatedQuota.reached("StandardCores", place, 10, 10, 1)
            case .noCapacity:
                return ARMFault(
                    409,
                    "ServiceUnavailable",
                    "The requested resource is not available in the location '\(place)' at this moment. Please retry with "
                        + "a different resource request or in another location."
                )
            case .registryTrouble:
                return ARMFault(
                    409,
                    "RegistryErrorResponse",
                    "An error response is received from the docker registry '\(ImageName(image).server)'. Please retry later."
                )
            default: return nil
            }
        }
        if let planned { throw planned }
    }

    /// A DNS label is one group's in a region.
    private func checkLabel(_ body: JSONValue, _ id: String) throws(ARMFault) {
        guard let label = body[path: "properties", "ipAddress", "dnsNameLabel"]?.string else { return }
        let place = ResourceTypes.location(body.member("location")?.string ?? "")
        let isTaken = world.resources(ofType: ContainerInstances.type)
            .contains { other in
                other.id.lowercased() != id.lowercased()
                    && other.body[path: "properties", "ipAddress", "dnsNameLabel"]?.string == label
                    && ResourceTypes.location(other.body.member("location")?.string ?? "") == place
            }
        guard isTaken else { return }
        throw ARMFault(
            400,
            "DnsNameLabelNotAvailable",
            "The DNS name label '\(label)' in container group is already taken in the location '\(place)'."
        )
    }

    // MARK: Locations

    private func location(_ call: ResourceManager.Call) throws(ARMFault) -> AzureAnswer {
        switch call.path.word(2) {
        case "operations":
            guard let operation = world.operation(call.path.word(3)) else {
                throw ARMFault(404, "OperationNotFound", "The operation '\(call.path.word(3))' was not found.")
            }
            return AzureAnswer(
                200,
                ContainerInstances.json(operation, call),
                headers: [("Retry-After", "\(world.options.retryAfter)")]
            )
        case "usages":
            return AzureAnswer(200, ["value": .array(EmulatedQuota(world: world).usages(in: call.path.word(1)))])
        case "capabilities":
            let place = call.path.word(1)
            return AzureAnswer(
                200,
                [
                    "value": [
                        [
                            "resourceType": "containerGroups", "osType": "Linux", "location": .string(place),
                            "ipAddressType": "Public", "gpu": "None",
                            "capabilities": ["maxMemoryInGB": 240, "maxCpu": 31, "maxGpuCount": 0],
                        ]
                    ]
                ]
            )
        case "cachedimages": return AzureAnswer(200, ["value": []])
        default: throw ARMFault(404, "InvalidResourceType", "The emulator has nothing at '\(call.request.path)'.")
        }
    }

    static func json(_ operation: AzureOperation, _ call: ResourceManager.Call) -> JSONValue {
        var members: [String: JSONValue] = [
            "id": .string(call.request.path), "name": .string(operation.id), "status": .string(operation.status),
            "startTime": .string(Moment.text(operation.started, fraction: true)),
        ]
        members["endTime"] = operation.ended.map { .string(Moment.text($0, fraction: true)) }
        if case .failed(let fault) = operation.outcome { members["error"] = fault.json }
        return .object(members)
    }
}
