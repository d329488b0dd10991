// SPDX-License-Identifier: Apache-2.0
internal import OCI

extension ContainerGroup {
    /// The group as it should be: what there is, with what was asked for, and nothing else changed.
    ///
    /// Secrets that ARM did not give back are missing in it: see ``missingSecrets``.
    ///
    /// - Parameters:
    ///   - wish: What is asked for.
    ///   - existing: What ARM said about the group; `nil` for a new one.
    ///   - name: The group's name, which the first container has too where it is given none.
    /// - Returns: A document that may be sent once its secrets are there.
    public static func merging(_ wish: GroupWish, into existing: ContainerGroup?, name: String) -> ContainerGroup {
        var group = existing?.writable ?? ContainerGroup()
        let isNew = existing == nil
        if let location = wish.location { group.location = location }
        if !wish.tags.isEmpty { group.tags = group.tags.merging(wish.tags) { $1 } }
        if let zones = wish.zones { group.json["zones"] = JSONValue(zones) }
        group.set("restartPolicy", wish.restartPolicy)
        group.set("sku", wish.sku)
        group.set("priority", wish.priority)
        if let subnet = wish.subnet { group.properties["subnetIds"] = [["id": .string(subnet)]] }
        if wish.isWhole { (group.containers, group.initContainers, group.properties["volumes"]) = ([], [], nil) }
        group.merge(volumes: wish.volumes)
        group.containers.removeAll { wish.removedContainers.contains($0.name) }
        for container in wish.containers { group.merge(container, groupName: name) }
        for container in wish.initContainers {
            group.initContainers.removeAll { $0.name == container.name }
            group.initContainers.append(Container(initial: container))
        }
        group.merge(identities: wish)
        group.merge(credentials: wish.credentials)
        group.mergeAddress(wish, isNew: isNew)
        // What was taken out is not said at all.
        return group.writable
    }

    private mutating func set(_ name: String, _ value: String?) {
        if let value { properties[name] = .string(value) }
    }

    private mutating func merge(volumes: [GroupWish.Volume]) {
        guard !volumes.isEmpty else { return }
        var list = properties["volumes"]?.array ?? []
        for volume in volumes {
            list.removeAll { $0["name"]?.string == volume.name }
            list.append(volume.json)
        }
        properties["volumes"] = .array(list)
    }

    /// Which container of the group a wish is about; `nil` for a new one.
    func index(of wish: ContainerWish, groupName: String) -> Int? {
        if let name = wish.name { return containers.firstIndex { $0.name == name } }
        return containers.firstIndex { $0.name == groupName } ?? (containers.isEmpty ? nil : 0)
    }

    private mutating func merge(_ wish: ContainerWish, groupName: String) {
        var list = containers
        if let index = index(of: wish, groupName: groupName) {
            list[index].merge(wish)
        } else {
            list.append(Container(new: wish, name: wish.name ?? groupName))
        }
        containers = list
    }

    private mutating func merge(identities wish: GroupWish) {
        let pulls = wish.credentials.compactMap { credential -> String? in
            if case .identity(_, let id) = credential { id } else { nil }
        }
        let wanted = wish.identities + pulls
        guard wish.hasSystemIdentity || !wanted.isEmpty else { return }
        var identity = json["identity"] ?? [:]
        var users = identity["userAssignedIdentities"]?.object ?? [:]
        // ARM gives ids back in another case than they were written in.
        for id in wanted where !users.keys.contains(where: { $0.lowercased() == id.lowercased() }) { users[id] = [:] }
        let hasSystem = wish.hasSystemIdentity || identity["type"]?.string?.contains("SystemAssigned") == true
        identity["type"] =
            hasSystem ? (users.isEmpty ? "SystemAssigned" : "SystemAssigned, UserAssigned") : "UserAssigned"
        identity["userAssignedIdentities"] = users.isEmpty ? nil : .object(users)
        json["identity"] = identity
    }

    /// Azure refuses credentials that no image needs, and two for one registry.
    private mutating func merge(credentials: [GroupWish.Credential]) {
        var list = properties["imageRegistryCredentials"]?.array ?? []
        for credential in credentials {
            list.removeAll { $0["server"]?.string?.lowercased() == credential.server.lowercased() }
            list.append(credential.json)
        }
        let images = (containers + initContainers).map { try? ImageReference($0.image) }
        let used = Set(images.compactMap { $0?.domain.lowercased() })
        // An image whose registry cannot be read may need any of them.
        let areKnown = !images.contains(nil)
        list.removeAll { credential in
            guard areKnown, let server = credential["server"]?.string?.lowercased() else { return false }
            // Docker Hub goes by several names.
            let isHub = server.hasSuffix("docker.io") || server.hasSuffix("docker.com")
            return !used.contains(server) && !(isHub && used.contains("docker.io"))
        }
        properties["imageRegistryCredentials"] = list.isEmpty ? nil : .array(list)
    }

    private mutating func mergeAddress(_ wish: GroupWish, isNew: Bool) {
        var ports: [Port] = []
        for port in containers.flatMap(\.ports) where !ports.contains(port) { ports.append(port) }
        let had = address
        let isWanted = wish.dnsLabel != nil || (wish.reach ?? .nobody) != .nobody
        let hasReach = had != nil || isWanted || (isNew && !ports.isEmpty)
        guard wish.reach != .nobody, hasReach, !ports.isEmpty else {
            properties["ipAddress"] = nil
            return
        }
        var address = properties["ipAddress"] ?? [:]
        let isPrivate = (properties["subnetIds"]?.array ?? []).isEmpty == false
        let reach = wish.reach?.rawValue ?? address["type"]?.string ?? (isPrivate ? "Private" : "Public")
        address["type"] = .string(reach)
        // Ports that only the group had open stay open as long as no container's ports were touched.
        let isTouched = isNew || wish.containers.contains { $0.ports != nil } || !wish.removedContainers.isEmpty
        let kept = isTouched ? ports : (had?.ports ?? []) + ports.filter { had?.ports.contains($0) != true }
        address["ports"] = .array(kept.map(\.json))
        if let label = wish.dnsLabel { address["dnsNameLabel"] = .string(label) }
        if let scope = wish.dnsScope { address["autoGeneratedDomainNameLabelScope"] = .string(scope) }
        properties["ipAddress"] = address
    }
}

extension ContainerGroup.Container {
    /// What a container has where nobody says how much.
    static let usualCPU = 1.0, usualMemory = 1.5

    init(new wish: ContainerWish, name: String) {
        json = ["name": .string(name), "properties": ["image": ""]]
        var wish = wish
        wish.ports = wish.ports ?? (wish.defaults.ports.isEmpty ? nil : wish.defaults.ports)
        wish.liveness = wish.liveness ?? wish.defaults.liveness.map { .probe($0) }
        wish.cpu = wish.cpu ?? Self.usualCPU
        wish.memory = wish.memory ?? Self.usualMemory
        merge(wish)
    }

    /// One that runs before the others.
    init(initial wish: ContainerWish) {
        json = ["name": .string(wish.name ?? ""), "properties": ["image": ""]]
        merge(wish)
        for name in ["ports", "resources", "livenessProbe", "readinessProbe"] { properties[name] = nil }
    }

    mutating func merge(_ wish: ContainerWish) {
        if let image = wish.image { properties["image"] = .string(image) }
        if let command = wish.command { properties["command"] = command.isEmpty ? nil : JSONValue(command) }
        if let ports = wish.ports { properties["ports"] = ports.isEmpty ? nil : .array(ports.map(\.json)) }
        mergeVariables(wish)
        mergeResources(wish)
        mergeMounts(wish.mounts)
        set("livenessProbe", wish.liveness)
        set("readinessProbe", wish.readiness)
    }

    private mutating func set(_ name: String, _ probe: ContainerWish.ProbeWish?) {
        switch probe {
        case nil: break
        case .none?: properties[name] = nil
        case .probe(let probe)?: properties[name] = probe.json
        }
    }

    private mutating func mergeVariables(_ wish: ContainerWish) {
        guard !wish.environment.isEmpty || !wish.removedVariables.isEmpty else { return }
        var list = properties["environmentVariables"]?.array ?? []
        list.removeAll { wish.removedVariables.contains($0["name"]?.string ?? "") }
        for variable in wish.environment {
            if let index = list.firstIndex(where: { $0["name"]?.string == variable.name }) {
                list[index] = variable.json
            } else {
                list.append(variable.json)
            }
        }
        properties["environmentVariables"] = list.isEmpty ? nil : .array(list)
    }

    private mutating func mergeResources(_ wish: ContainerWish) {
        var resources = properties["resources"] ?? [:]
        var requests = resources["requests"] ?? [:]
        var limits = resources["limits"] ?? [:]
        if let cpu = wish.cpu { requests["cpu"] = JSONValue(cpu) }
        if let memory = wish.memory { requests["memoryInGB"] = JSONValue(memory) }
        if let cpu = wish.cpuLimit { limits["cpu"] = JSONValue(cpu) }
        if let memory = wish.memoryLimit { limits["memoryInGB"] = JSONValue(memory) }
        resources["requests"] = requests
        resources["limits"] = limits.object?.isEmpty == false ? limits : nil
        properties["resources"] = resources
    }

    private mutating func mergeMounts(_ mounts: [ContainerWish.Mount]) {
        guard !mounts.isEmpty else { return }
        var list = properties["volumeMounts"]?.array ?? []
        for mount in mounts {
            list.removeAll { $0["mountPath"]?.string == mount.path }
            var json: JSONValue = ["name": .string(mount.volume), "mountPath": .string(mount.path)]
            if mount.isReadOnly { json["readOnly"] = true }
            list.append(json)
        }
        properties["volumeMounts"] = .array(list)
    }
}

extension ContainerWish.Variable {
    var json: JSONValue {
        switch value {
        case .plain(let text): ["name": .string(name), "value": .string(text)]
        case .secure(let text): ["name": .string(name), "secureValue": .string(text.value)]
        }
    }
}

extension Probe {
    var json: JSONValue {
        var json: JSONValue
        switch check {
        case .command(let words): json = ["exec": ["command": JSONValue(words)]]
        case .http(let path, let port, let isSecure):
            json = [
                "httpGet": [
                    "path": .string(path), "port": .int(Int64(port)), "scheme": .string(isSecure ? "https" : "http"),
                ]
            ]
        }
        json["initialDelaySeconds"] = delay.map { .int(Int64($0)) }
        json["periodSeconds"] = period.map { .int(Int64($0)) }
        json["timeoutSeconds"] = timeout.map { .int(Int64($0)) }
        json["failureThreshold"] = failures.map { .int(Int64($0)) }
        return json
    }
}

extension GroupWish.Credential {
    var json: JSONValue {
        switch self {
        case .password(let server, let user, let password):
            ["server": .string(server), "username": .string(user), "password": .string(password.value)]
        case .identity(let server, let id): ["server": .string(server), "identity": .string(id)]
        }
    }
}

extension GroupWish.Volume {
    var json: JSONValue {
        var json: JSONValue = ["name": .string(name)]
        switch content {
        case .empty: json["emptyDir"] = [:]
        case .files(let files): json["secret"] = .object(files.mapValues { .string($0.value) })
        case .share(let share, let account, let key, let isReadOnly):
            var file: JSONValue = ["shareName": .string(share), "storageAccountName": .string(account)]
            file["storageAccountKey"] = key.map { .string($0.value) }
            if isReadOnly { file["readOnly"] = true }
            json["azureFile"] = file
        case .repository(let url, let folder, let revision):
            var repository: JSONValue = ["repository": .string(url)]
            repository["directory"] = folder.map { .string($0) }
            repository["revision"] = revision.map { .string($0) }
            json["gitRepo"] = repository
        }
        return json
    }
}
