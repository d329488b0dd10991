// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import DockerfileSyntax

/// Makes the wish for a container group of a project.
struct ComposeGroupMaker {
    let project: ComposeProject
    var problems = ComposeProblems()
    private var wish = GroupWish()

    init(_ project: ComposeProject) { self.project = project }

    /// Adds a volume, once.
    mutating func add(_ volume: GroupWish.Volume) {
        if !wish.volumes.contains(where: { $0.name == volume.name }) { wish.volumes.append(volume) }
    }

    /// The wish, and the services that its containers are of.
    mutating func make(
        _ read: (String) throws -> [UInt8]?
    ) -> (wish: GroupWish, services: [ComposeService]) {
        problems.add(ComposeFit(.aci).problems(project))
        wish.isWhole = true
        let services = project.services.filter { isThere($0) }
        let before = services.filter { runsBefore($0, services) }
        let beside = services.filter { service in !before.contains { $0.name == service.name } }
        ports(beside)
        restart(beside)
        dependencies(beside, before)
        names(beside)
        label(services)
        for service in beside { wish.containers.append(container(service, read)) }
        for service in before { wish.initContainers.append(container(service, read)) }
        return (wish, beside + before)
    }

    /// Whether a service is in the group at all.
    private mutating func isThere(_ service: ComposeService) -> Bool {
        guard let replicas = service.replicas, replicas != 1 else { return true }
        let node = service.node["deploy"]?["replicas"] ?? service.node["scale"] ?? service.node
        if replicas == 0 {
            problems.warn("\(node.path): \(service.name) is left out, as it is not to run", at: node.place)
            return false
        }
        problems.error(
            "\(node.path): a container group has each container once, not \(replicas) times",
            at: node.place,
            "run it on AKS, or give it one replica"
        )
        return true
    }

    // MARK: Containers

    private mutating func container(_ service: ComposeService, _ read: (String) throws -> [UInt8]?) -> ContainerWish {
        var container = ContainerWish()
        container.name = containerName(service)
        container.image = service.image ?? ""
        // Also where it is empty: what EXPOSE says is not opened to the world.
        container.ports = open(service).map { ContainerGroup.Port($0.target, isUDP: $0.isUDP) }
        let own = extension_(service)
        container.environment = environment(service, own)
        resources(service, own, &container)
        health(service, &container)
        mounts(service, &container)
        files(service, &container, read)
        platform(service)
        network(service)
        return container
    }

    /// Letters, digits and dashes.
    private mutating func containerName(_ service: ComposeService) -> String {
        let name = service.name.lowercased().map { $0 == "_" || $0 == "." ? "-" : $0 }
        return String(name)
    }

    private static let shape: ComposeShape = .map([
        "cpu": .number, "memory": .number, "cpu-limit": .number, "memory-limit": .number, "environment": .pairs,
        "secure-environment": .list(.text),
    ])

    /// What `x-aci` of a service says, checked.
    private mutating func extension_(_ service: ComposeService) -> ComposeNode? {
        guard let own = service.node["x-aci"] else { return nil }
        let report = ComposeReport()
        ComposeGroupMaker.shape.check(own, report)
        problems.add(report.problems)
        return report.hasErrors ? nil : own
    }

    private func environment(_ service: ComposeService, _ own: ComposeNode?) -> [ContainerWish.Variable] {
        let secure = Set((own?["secure-environment"]?.list ?? []).compactMap(\.text))
        return service.environment(with: own)
            .map { name, value in
                let isSecret = secure.contains(name) || SecretNames.looksSecret(name)
                return .init(name, isSecret ? .secure(SecureText(value)) : .plain(value))
            }
    }

    private mutating func resources(
        _ service: ComposeService,
        _ own: ComposeNode?,
        _ container: inout ContainerWish
    ) {
        // Azure counts memory in tenths of gigabytes.
        let tenths = { (bytes: Double?) in bytes.map { ($0 / 1_073_741_824 * 10).rounded(.up) / 10 } }
        let report = ComposeReport()
        let values = ComposeValues(report: report)
        let memory = { (node: ComposeNode?) -> Double? in
            guard let node, let text = node.text else { return nil }
            // As --memory has it: a number alone is gigabytes.
            return Double(text) ?? tenths(values.bytes(node))
        }
        let cpuLimit = values.decimal(own?["cpu-limit"]) ?? service.cpuLimit
        let memoryLimit = memory(own?["memory-limit"]) ?? tenths(service.memoryLimit)
        container.cpu = values.decimal(own?["cpu"]) ?? service.cpu ?? cpuLimit
        container.memory = memory(own?["memory"]) ?? tenths(service.memory) ?? memoryLimit
        (container.cpuLimit, container.memoryLimit) = (cpuLimit, memoryLimit)
        problems.add(report.problems)
    }

    private mutating func health(_ service: ComposeService, _ container: inout ContainerWish) {
        guard let health = service.health else { return }
        if health.isOff { container.liveness = ContainerWish.ProbeWish.none }
        guard let test = health.test, !health.isOff else { return }
        var probe = Probe(.command(test))
        (probe.period, probe.timeout, probe.failures) = (30, 30, 3)
        container.liveness = .probe(probe.with(health))
    }

    private mutating func platform(_ service: ComposeService) {
        for node in [service.node["platform"]].compactMap(\.self) + (service.node["build"]?["platforms"]?.list ?? []) {
            guard let text = node.text, !["linux/amd64", "linux"].contains(text) else { continue }
            problems.error("\(node.path): Container Instances runs linux/amd64, not \(text)", at: node.place)
        }
    }

    private mutating func network(_ service: ComposeService) {
        guard let mode = service.node["network_mode"], let text = mode.text else { return }
        switch text {
        case "bridge", "default": break
        case _ where text.hasPrefix("service:"): break
        case "none": problems.error("\(mode.path): containers of a group have one network", at: mode.place)
        default: problems.error("\(mode.path): there is no network \"\(text)\" of a host", at: mode.place)
        }
    }

    // MARK: The group

    /// The ports that the world reaches.
    private func open(_ service: ComposeService) -> [ComposePort] { service.ports.filter { !$0.isLoopback } }

    private mutating func ports(_ services: [ComposeService]) {
        var taken: [String: (service: String, place: ComposePlace)] = [:]
        for service in services {
            var seen: Set<String> = []
            for port in service.ports + service.expose where seen.insert(port.text).inserted {
                if let other = taken[port.text] {
                    let source = project.sources[other.place.source]
                    problems.error(
                        "\(port.path): the port \(port.text) is taken by \(other.service): containers of a group share "
                            + "one address",
                        at: port.place,
                        "\(other.service): \(source.name):\(source.line(at: other.place.range.start)); one of the two "
                            + "has to listen on another port"
                    )
                }
                taken[port.text] = (service.name, port.place)
            }
            for port in service.ports { published(port) }
        }
    }

    private mutating func published(_ port: ComposePort) {
        if port.isLoopback {
            problems.warn(
                "\(port.path): \(port.text) is not opened: it is published to this machine only, and the group's other "
                    + "containers reach it anyway",
                at: port.place
            )
        } else if let published = port.published, published != port.target {
            problems.error(
                "\(port.path): a container group opens the very port that its program listens on, so that \(port.target) "
                    + "cannot be reached at \(published)",
                at: port.place,
                "\(port.target):\(port.target), or let the program listen on \(published)"
            )
        } else if let address = port.address, !["0.0.0.0", "::"].contains(address) {
            problems.warn("\(port.path): the port is opened at the group's own address, not \(address)", at: port.place)
        }
    }

    private mutating func restart(_ services: [ComposeService]) {
        let names = ["no": "Never", "always": "Always", "unless-stopped": "Always", "on-failure": "OnFailure"]
        var first: (service: String, policy: String, node: ComposeNode)?
        for service in services {
            guard let (policy, node) = service.restart, let name = names[policy] else { continue }
            if node.text?.contains(":") == true {
                problems.warn("\(node.path): it is tried without end", at: node.place)
            }
            if let first, first.policy != name {
                let line = project.sources[first.node.place.source].line(at: first.node.place.range.start)
                problems.error(
                    "\(node.path): containers of a group have one restart policy; here it is \(name), and for "
                        + "\(first.service) (line \(line)) \(first.policy)",
                    at: node.place
                )
            }
            first = first ?? (service.name, name, node)
        }
        wish.restartPolicy = first?.policy
    }

    /// The first part of the group's name in the world, as Docker's own integration had it.
    private mutating func label(_ services: [ComposeService]) {
        for service in services {
            guard let node = service.node["domainname"], let text = node.text else { continue }
            let label = text.lowercased()
            if let known = wish.dnsLabel, known != label {
                problems.error("\(node.path): the group is called \(known) already, and has one name", at: node.place)
            }
            wish.dnsLabel = label
        }
    }

    // MARK: What services want of each other

    /// Whether a service ends before those that want it begin.
    private func runsBefore(_ service: ComposeService, _ all: [ComposeService]) -> Bool {
        all.contains { other in
            other.dependencies.contains {
                $0.name == service.name && $0.condition == "service_completed_successfully"
            }
        }
    }

    private mutating func dependencies(_ services: [ComposeService], _ before: [ComposeService]) {
        for service in before {
            for dependency in service.dependencies where services.contains(where: { $0.name == dependency.name }) {
                problems.error(
                    "services.\(service.name).depends_on: \(service.name) has to end before the others begin, and wants "
                        + "\(dependency.name), which begins with them",
                    at: dependency.place,
                    "let \(dependency.name) run elsewhere, or \(service.name) be part of what wants it"
                )
            }
            for port in service.ports {
                problems.error("\(port.path): \(service.name) ends before the group has an address", at: port.place)
            }
        }
        for service in services {
            let waits = service.dependencies.filter { $0.condition != "service_completed_successfully" }
            guard let first = waits.first else { continue }
            problems.warn(
                "services.\(service.name).depends_on: \(service.name) does not wait for "
                    + "\(waits.map(\.name).joined(separator: ", ")): all containers of a group begin at once",
                at: first.place,
                "its program has to try again until they answer"
            )
        }
    }

    /// There are no names in a group: who wants another by its name finds nobody.
    private mutating func names(_ services: [ComposeService]) {
        guard services.count > 1 else { return }
        var isSaid = false
        for service in services {
            let own = service.node["x-aci"]?["environment"]?.pairs.map(\.name) ?? []
            for variable in service.environment where !own.contains(variable.name) {
                guard let other = services.first(where: { $0.isNamed(in: variable.value) && $0.name != service.name })
                else { continue }
                isSaid = true
                problems.warn(
                    "services.\(service.name).environment.\(variable.name) names \(other.name), which \(service.name) "
                        + "reaches at localhost: containers of a group share one address, and have no names",
                    at: variable.place,
                    "x-aci: environment: \(variable.name): what it is on Container Instances"
                )
            }
        }
        if !isSaid, let entry = project.tree.entry("services") {
            problems.warn(
                "services reach each other at localhost, not by their names: containers of a group share one address",
                at: entry.place
            )
        }
    }
}

extension ComposeService {
    /// Whether a text wants this service by its name: `db`, `db:5432`, `//db/`, `@db:5432`.
    func isNamed(in text: String) -> Bool {
        let isPart = { (letter: Character) in letter.isLetter || letter.isNumber || "_.-".contains(letter) }
        for range in text.ranges(of: name) {
            let before = text[..<range.lowerBound]
            let after = text[range.upperBound...]
            if let letter = after.first, isPart(letter) { continue }
            if before.isEmpty || before.hasSuffix(",") {
                if after.isEmpty || after.first == "," { return true }
                if after.first == ":", after.dropFirst().first?.isNumber == true { return true }
            } else if before.hasSuffix("//") || before.hasSuffix("@") {
                return true
            }
        }
        return false
    }

    /// The variables, with those that are for one target only.
    func environment(with own: ComposeNode?) -> [(name: String, value: String)] {
        var result = environment.map { ($0.name, $0.value) }
        for (name, value, _) in own?["environment"]?.pairs ?? [] {
            result.removeAll { $0.0 == name }
            if let text = value?.text { result.append((name, text)) }
        }
        return result
    }
}
