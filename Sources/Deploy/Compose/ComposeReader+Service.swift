// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

extension ComposeReader {
    /// One service.
    func service(_ entry: ComposeNode.Entry) -> ComposeService {
        let node = entry.value
        var build = node["build"].map { self.build($0) }
        if build?.platforms.isEmpty == true, let platform = node["platform"]?.text, platform.contains("/") {
            build?.platforms = [platform]
        }
        var service = ComposeService(entry.key, node, place: entry.place, build: build)
        if node.isNull { report.error("services.\(entry.key) is empty", at: entry.place) }
        (service.command, service.entrypoint) = (values.words(node["command"]), values.words(node["entrypoint"]))
        service.environment = environment(node)
        service.ports = (node["ports"]?.list ?? []).flatMap { ports($0) }
        service.expose = (node["expose"]?.list ?? []).flatMap { exposed($0) }
        service.health = node["healthcheck"].map { health($0) }
        service.mounts = (node["volumes"]?.list ?? []).compactMap { mount($0) } + temporary(node["tmpfs"])
        service.configs = (node["configs"]?.list ?? []).compactMap { grant($0, folder: "/") }
        service.secrets = (node["secrets"]?.list ?? []).compactMap { grant($0, folder: "/run/secrets/") }
        service.dependencies = dependencies(node)
        resources(node, &service)
        restart(node, &service)
        twice(service)
        return service
    }

    /// What is there twice, and could be there once only.
    private func twice(_ service: ComposeService) {
        var paths: [String: ComposePlace] = [:]
        let targets =
            service.mounts.map { ($0.target, $0.place, $0.path) }
            + (service.configs + service.secrets).map { ($0.target, $0.place, $0.path) }
        for (target, place, path) in targets {
            if let first = paths[target] {
                let line = report.sources[first.source].line(at: first.range.start)
                report.error("\(path): something is mounted at \(target) already, in line \(line)", at: place)
            }
            paths[target] = place
        }
        for (index, port) in service.ports.enumerated() {
            let isThere = service.ports[..<index]
                .contains { $0.published == port.published && $0.isUDP == port.isUDP && $0.address == port.address }
            if isThere, let published = port.published {
                report.error("\(port.path): the port \(published) is published twice", at: port.place)
            }
        }
    }

    // MARK: Variables

    private func environment(_ node: ComposeNode) -> [ComposeService.Variable] {
        var result: [ComposeService.Variable] = []
        let set = { (name: String, value: String?, place: ComposePlace) in
            result.removeAll { $0.name == name }
            if let value { result.append(.init(name: name, value: value, place: place)) }
        }
        for file in node["env_file"]?.list ?? node["env_file"].map({ [$0] }) ?? [] {
            for variable in variablesFile(file) { set(variable.name, variable.value, file.place) }
        }
        for (name, value, place) in node["environment"]?.pairs ?? [] {
            guard !name.isEmpty else {
                report.error("\(node["environment"]?.path ?? ""): a variable has no name", at: place)
                continue
            }
            if value == nil, variables[name] == nil {
                report.warn(
                    "\(node["environment"]?.path ?? ""): the variable \(name) is not set here, so the service has none",
                    at: place
                )
            }
            set(name, value?.text ?? variables[name], place)
        }
        return result
    }

    private func variablesFile(_ node: ComposeNode) -> [(name: String, value: String?)] {
        guard let file = node["path"] ?? (node.text == nil ? nil : node) else {
            report.error("\(node.path) names no file", at: node.place)
            return []
        }
        let path = path(file)
        let bytes: [UInt8]?
        do {
            bytes = try input.read(path)
        } catch {
            report.error("\(node.path): \(error)", at: file.place)
            return []
        }
        guard let bytes else {
            if node["required"]?.flag ?? true {
                report.error("\(node.path): there is no file \(path)", at: file.place, notes: ["required: false"])
            }
            return []
        }
        let source = SourceText(bytes, name: path)
        let read = VariablesFile(source, isRaw: node["format"]?.text == "raw") { variables[$0] }
        if !read.faults.isEmpty {
            let index = report.add(source, folder: ComposePath.folder(of: path))
            for fault in read.faults { report.error(fault.message, at: ComposePlace(index, fault.range)) }
        }
        return read.variables.map { ($0.name, $0.value ?? variables[$0.name]) }
    }

    // MARK: Ports

    private func numbers(_ text: String) -> ClosedRange<Int>? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard let first = parts.first ?? nil, let last = parts.last ?? nil, parts.count <= 2, first <= last,
            (1...65535).contains(first), last <= 65535, last - first < 1000
        else { return nil }
        return first...last
    }

    private func transport(_ text: String?, _ node: ComposeNode) -> Bool? {
        switch text?.lowercased() ?? "tcp" {
        case "tcp": return false
        case "udp": return true
        case let other:
            report.error("\(node.path): the protocol \"\(other)\" is neither tcp nor udp", at: node.place)
            return nil
        }
    }

    private func exposed(_ node: ComposeNode) -> [ComposePort] {
        let parts = (node.text ?? "").split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let range = numbers(parts.first ?? ""), parts.count <= 2 else {
            report.error("\(node.path) \"\(node.text ?? "")\" is not a port, as 3000 or 8080-8085/tcp", at: node.place)
            return []
        }
        guard let isUDP = transport(parts.count > 1 ? parts[1] : nil, node) else { return [] }
        return range.map { ComposePort(target: $0, isUDP: isUDP, place: node.place, path: node.path) }
    }

    private func ports(_ node: ComposeNode) -> [ComposePort] {
        guard node.map == nil else { return longPort(node) }
        let text = node.text ?? ""
        let fault = { () -> [ComposePort] in
            report.error(
                "\(node.path) \"\(text)\" is not a port: expected [[ADDRESS:]PUBLISHED:]PORT[/udp]",
                at: node.place
            )
            return []
        }
        let halves = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard halves.count <= 2, let isUDP = transport(halves.count == 2 ? halves[1] : nil, node) else {
            return halves.count > 2 ? fault() : []
        }
        var sides = halves[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard let target = numbers(sides.removeLast()) else { return fault() }
        let publishedText = sides.popLast() ?? ""
        var address: String? = sides.isEmpty ? nil : sides.joined(separator: ":")
        if let text = address, text.hasPrefix("["), text.hasSuffix("]") {
            address = String(text.dropFirst().dropLast())
        }
        return spread(target, publishedText, node)
            .map { target, published in
                ComposePort(
                    target: target,
                    published: published,
                    address: address,
                    isUDP: isUDP,
                    place: node.place,
                    path: node.path
                )
            }
    }

    private func longPort(_ node: ComposeNode) -> [ComposePort] {
        guard let target = node["target"] else {
            report.error("\(node.path) has no target", at: node.place)
            return []
        }
        guard let range = numbers(target.text ?? ""), let isUDP = transport(node["protocol"]?.text, node) else {
            report.error("\(target.path) \"\(target.text ?? "")\" is not a port", at: target.place)
            return []
        }
        return spread(range, node["published"]?.text ?? "", node["published"] ?? node)
            .map { target, published in
                var port = ComposePort(target: target, published: published, place: node.place, path: node.path)
                (port.address, port.isUDP, port.name) = (node["host_ip"]?.text, isUDP, node["name"]?.text)
                port.isSecure = node["app_protocol"]?.text == "https"
                return port
            }
    }

    /// Each port with the one that it is published at.
    private func spread(
        _ targets: ClosedRange<Int>,
        _ text: String,
        _ node: ComposeNode
    ) -> [(target: Int, published: Int?)] {
        if text.isEmpty { return targets.map { ($0, nil) } }
        guard let published = numbers(text) else {
            report.error("\(node.path): \"\(text)\" is not a port to publish at", at: node.place)
            return []
        }
        guard published.count == targets.count else {
            report.error(
                "\(node.path): \(published.count) published ports for \(targets.count), where any free one is taken",
                at: node.place,
                notes: ["say which one: \(published.lowerBound):\(targets.lowerBound)"]
            )
            return []
        }
        return zip(targets, published).map { ($0, $1) }
    }

    // MARK: Health

    private func health(_ node: ComposeNode) -> ComposeHealth {
        var health = ComposeHealth()
        if let test = node["test"], !test.isNull {
            let words = test.list?.compactMap(\.text) ?? ["CMD-SHELL", test.text ?? ""]
            switch words.first {
            case "NONE": health.isOff = true
            case "CMD" where words.count > 1: health.test = Array(words.dropFirst())
            case "CMD-SHELL" where words.count == 2: health.test = ["/bin/sh", "-c", words[1]]
            default:
                report.error(
                    "\(test.path) has to begin with CMD, CMD-SHELL and one text, or NONE",
                    at: test.place,
                    notes: ["test: [\"CMD\", \"curl\", \"-f\", \"http://localhost\"]"]
                )
            }
        }
        if node["disable"]?.flag == true { health.isOff = true }
        (health.interval, health.timeout) = (values.seconds(node["interval"]), values.seconds(node["timeout"]))
        health.delay = values.seconds(node["start_period"])
        health.retries = values.integer(node["retries"])
        _ = values.seconds(node["start_interval"])
        return health
    }

    // MARK: Resources

    private func resources(_ node: ComposeNode, _ service: inout ComposeService) {
        let limits = node["deploy"]?["resources"]?["limits"]
        let reserved = node["deploy"]?["resources"]?["reservations"]
        service.cpuLimit = values.decimal(limits?["cpus"]) ?? values.decimal(node["cpus"]) ?? quota(node)
        service.cpu = values.decimal(reserved?["cpus"])
        service.memoryLimit = values.bytes(limits?["memory"]) ?? values.bytes(node["mem_limit"])
        service.memory = values.bytes(reserved?["memory"]) ?? values.bytes(node["mem_reservation"])
        same(limits?["cpus"], node["cpus"]) { values.decimal($0) }
        same(limits?["memory"], node["mem_limit"]) { values.bytes($0) }
        same(reserved?["memory"], node["mem_reservation"]) { values.bytes($0) }
        let replicas = node["deploy"]?["replicas"]
        service.replicas = values.integer(replicas) ?? values.integer(node["scale"])
        same(replicas, node["scale"]) { values.integer($0).map(Double.init) }
        for (least, most, node) in [
            (service.cpu, service.cpuLimit, reserved?["cpus"]),
            (service.memory, service.memoryLimit, reserved?["memory"]),
        ] {
            if let least, let most, least > most, let node {
                report.error("\(node.path) is more than the limit", at: node.place)
            }
        }
    }

    /// Two keys that say the same have to agree.
    private func same(_ one: ComposeNode?, _ other: ComposeNode?, _ read: (ComposeNode) -> Double?) {
        guard let one, let other, let first = read(one), let second = read(other), first != second else { return }
        report.error("\(other.path) is \(other.text ?? ""), and \(one.path) is \(one.text ?? "")", at: other.place)
    }

    private func quota(_ node: ComposeNode) -> Double? {
        guard let quota = values.decimal(node["cpu_quota"]) else { return nil }
        return quota / (values.decimal(node["cpu_period"]) ?? 100_000)
    }

    private func restart(_ node: ComposeNode, _ service: inout ComposeService) {
        if let policy = node["deploy"]?["restart_policy"]?["condition"], let text = policy.text {
            service.restart = (["none": "no", "any": "always"][text] ?? text, policy)
        } else if let policy = node["restart"], let text = policy.text {
            let name = String(text.prefix { $0 != ":" })
            guard ["no", "always", "on-failure", "unless-stopped"].contains(name) else {
                report.error(
                    "\(policy.path) \"\(text)\" is none of no, always, on-failure, unless-stopped",
                    at: policy.place
                )
                return
            }
            service.restart = (name, policy)
        }
    }

    // MARK: Others

    private func dependencies(_ node: ComposeNode) -> [ComposeService.Dependency] {
        let depends = node["depends_on"]
        var result = (depends?.map ?? [])
            .map { entry in
                let condition = entry.value["condition"]?.text ?? "service_started"
                return ComposeService.Dependency(name: entry.key, condition: condition, place: entry.place)
            }
        result += (depends?.list ?? [])
            .map { .init(name: $0.text ?? "", condition: "service_started", place: $0.place) }
        for link in node["links"]?.list ?? [] {
            let name = String((link.text ?? "").prefix { $0 != ":" })
            if !result.contains(where: { $0.name == name }) {
                result.append(.init(name: name, condition: "service_started", place: link.place))
            }
        }
        return result
    }
}
