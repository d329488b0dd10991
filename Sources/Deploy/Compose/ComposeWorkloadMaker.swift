// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes

/// Makes workloads of the services of a project.
struct ComposeWorkloadMaker {
    let project: ComposeProject
    let namespace: String?
    /// Whether secrets are read; else their names are what counts.
    var readsSecrets = true
    var problems = ComposeProblems()
    private(set) var services: [ComposeService] = []
    /// ConfigMaps, Secrets and claims that a workload brings already.
    var brought: Set<String> = []

    init(_ project: ComposeProject, _ namespace: String?) { (self.project, self.namespace) = (project, namespace) }

    /// A service's name as clusters have names.
    static func name(_ text: String) -> String {
        String(text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
    }

    mutating func make(_ read: (String) throws -> [UInt8]?) -> [Workload] {
        problems.add(ComposeFit(.aks).problems(project))
        let before = project.services.filter { service in
            project.services.contains { other in
                other.dependencies.contains {
                    $0.name == service.name && $0.condition == "service_completed_successfully"
                }
            }
        }
        let beside = project.services.filter { service in !before.contains { $0.name == service.name } }
        services = beside + before
        networks()
        var taken: [String: String] = [:]
        for service in services {
            let name = ComposeWorkloadMaker.name(service.name)
            if let other = taken[name] {
                problems.error("services.\(service.name) and \(other) are both called \(name)", at: service.place)
            }
            taken[name] = service.name
        }
        return beside.map { workload($0, before, read) }
    }

    // MARK: Workloads

    private mutating func workload(
        _ service: ComposeService,
        _ before: [ComposeService],
        _ read: (String) throws -> [UInt8]?
    ) -> Workload {
        let name = ComposeWorkloadMaker.name(service.name)
        var workload = Workload(name)
        (workload.namespace, workload.partOf) = (namespace, project.name)
        workload.replicas = service.replicas
        workload.podAnnotations = annotations(service)
        workload.annotations = pairs(service.node["deploy"]?["labels"])
        let own = extension_(service)
        var container = container(service, own, &workload, read)
        ports(service, own, &container, &workload)
        workload.containers = [container]
        for other in before where service.dependencies.contains(where: { $0.name == other.name }) {
            workload.initContainers.append(initial(other, &workload, read))
        }
        pod(service, own, &workload)
        strategy(service, &workload)
        waits(service, before)
        restart(service)
        return workload
    }

    private mutating func initial(
        _ service: ComposeService,
        _ workload: inout Workload,
        _ read: (String) throws -> [UInt8]?
    ) -> Workload.Container {
        var container = container(service, extension_(service), &workload, read)
        (container.liveness, container.readiness) = (nil, nil)
        for port in service.ports {
            problems.error("\(port.path): \(service.name) ends before anybody could reach it", at: port.place)
        }
        return container
    }

    private mutating func container(
        _ service: ComposeService,
        _ own: ComposeNode?,
        _ workload: inout Workload,
        _ read: (String) throws -> [UInt8]?
    ) -> Workload.Container {
        let name = ComposeWorkloadMaker.name(service.name)
        var container = Workload.Container(name, image: service.image ?? "")
        (container.command, container.arguments) = (service.entrypoint, service.command)
        container.workingDirectory = service.node["working_dir"]?.text
        container.hasTerminal = service.node["tty"]?.flag ?? false
        container.hasInput = service.node["stdin_open"]?.flag ?? false
        environment(service, own, &container, &workload)
        resources(service, own, &container)
        health(service, &container)
        security(service, &container)
        mounts(service, &container, &workload)
        files(service, &container, &workload, read)
        return container
    }

    private static let shape: ComposeShape = .map([
        "environment": .pairs, "secure-environment": .list(.text), "reach": .word(["cluster", "private", "public"]),
        "dns-label": .text, "ingress": .oneOrMore(.text), "ingress-class": .text, "tls-secret": .text,
        "nodes": .pairs, "resources": .names(.text), "service-account": .text,
        "replicas": .map(["min": .number, "max": .number, "cpu": .number, "memory": .number]),
    ])

    private mutating func extension_(_ service: ComposeService) -> ComposeNode? {
        guard let own = service.node["x-aks"] else { return nil }
        let report = ComposeReport()
        ComposeWorkloadMaker.shape.check(own, report)
        problems.add(report.problems)
        return report.hasErrors ? nil : own
    }

    func pairs(_ node: ComposeNode?) -> [String: String] {
        Dictionary((node?.pairs ?? []).map { ($0.name, $0.value?.text ?? "") }) { $1 }
    }

    private func annotations(_ service: ComposeService) -> [String: String] {
        pairs(service.node["labels"]).merging(pairs(service.node["annotations"])) { $1 }
    }

    private func environment(
        _ service: ComposeService,
        _ own: ComposeNode?,
        _ container: inout Workload.Container,
        _ workload: inout Workload
    ) {
        let secure = Set((own?["secure-environment"]?.list ?? []).compactMap(\.text))
        let secret = "\(container.name)-env"
        var hidden: [String: [UInt8]] = [:]
        for (name, value) in service.environment(with: own) {
            if secure.contains(name) || SecretNames.looksSecret(name) {
                hidden[name] = Array(value.utf8)
                container.environment.append(.init(name, .secret(name: secret, key: name)))
            } else {
                container.environment.append(.init(name, .plain(value)))
            }
        }
        if !hidden.isEmpty { workload.secrets.append(.init(secret, files: hidden)) }
    }

    private func resources(_ service: ComposeService, _ own: ComposeNode?, _ container: inout Workload.Container) {
        let cpu = { (number: Double?) in number.map { "\(Int(($0 * 1000).rounded(.up)))m" } }
        let memory = { (bytes: Double?) -> String? in
            bytes.map { $0.truncatingRemainder(dividingBy: 1_048_576) == 0 ? "\(Int($0 / 1_048_576))Mi" : "\(Int($0))" }
        }
        container.resources.cpu = cpu(service.cpu)
        container.resources.cpuLimit = cpu(service.cpuLimit)
        container.resources.memory = memory(service.memory)
        container.resources.memoryLimit = memory(service.memoryLimit)
        container.resources.further = pairs(own?["resources"])
    }

    private func health(_ service: ComposeService, _ container: inout Workload.Container) {
        guard let health = service.health, !health.isOff, let test = health.test else { return }
        var probe = Workload.Probe(.command(test))
        (probe.period, probe.timeout) = (max(1, health.interval ?? 30), max(1, health.timeout ?? 30))
        probe.failures = max(1, health.retries ?? 3)
        var readiness = probe
        // A rollout waits for it.
        readiness.period = min(probe.period ?? 30, 5)
        (container.liveness, container.readiness) = (probe, readiness)
        guard let start = health.delay, start > 0 else { return }
        var startup = readiness
        let period = startup.period ?? 5
        startup.failures = (start + period - 1) / period + (probe.failures ?? 3)
        container.startup = startup
    }

    private mutating func security(_ service: ComposeService, _ container: inout Workload.Container) {
        let node = service.node
        container.security.hasReadOnlyRoot = node["read_only"]?.flag ?? false
        container.security.isPrivileged = node["privileged"]?.flag ?? false
        container.security.mayGainRights = container.security.isPrivileged
        let bare = { (text: String) in text.uppercased().hasPrefix("CAP_") ? String(text.dropFirst(4)) : text }
        container.security.adds = (node["cap_add"]?.texts ?? []).compactMap(\.text).map { bare($0.uppercased()) }
        if container.security.isPrivileged { container.security.drops = [] }
        for option in node["security_opt"]?.texts ?? [] {
            let text = (option.text ?? "").replacing("=", with: ":")
            switch text {
            case "no-new-privileges", "no-new-privileges:true": container.security.mayGainRights = false
            case "no-new-privileges:false": container.security.mayGainRights = true
            default:
                problems.error(
                    "\(option.path): \"\(option.text ?? "")\" is nothing that is set for a pod",
                    at: option.place
                )
            }
        }
        guard let user = node["user"], let text = user.text else { return }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { $0 == "root" ? "0" : String($0) }
        let numbers = parts.map { Int($0) }
        guard (1...2).contains(parts.count), numbers.allSatisfy({ $0.map { $0 >= 0 } == true }) else {
            problems.error(
                "\(user.path): clusters know no names of users, and \"\(text)\" is one",
                at: user.place,
                "its number, as 1000:1000"
            )
            return
        }
        (container.security.user, container.security.group) = (numbers[0], numbers.count == 2 ? numbers[1] : nil)
        container.security.refusesRoot = numbers[0] == 0 ? nil : true
    }

    // MARK: What others want of it

    private mutating func waits(_ service: ComposeService, _ before: [ComposeService]) {
        let waits = service.dependencies.filter { dependency in !before.contains { $0.name == dependency.name } }
        guard let first = waits.first else { return }
        problems.warn(
            "services.\(service.name).depends_on: \(service.name) does not wait for "
                + "\(waits.map(\.name).joined(separator: ", ")): a cluster starts all pods at once",
            at: first.place,
            "its program has to try again until they answer"
        )
    }

    private mutating func restart(_ service: ComposeService) {
        guard let (policy, node) = service.restart else { return }
        switch policy {
        case "no":
            problems.error(
                "\(node.path): a Deployment starts its containers again whenever they end",
                at: node.place,
                "what ends by itself runs before others: depends_on with service_completed_successfully"
            )
        case "on-failure": problems.warn("\(node.path): it is started again also where it ends well", at: node.place)
        default: break
        }
    }

    private mutating func networks() {
        let names = Set(
            project.services.flatMap { service -> [String] in
                guard let node = service.node["networks"] else { return ["default"] }
                return node.map?.map(\.key) ?? node.texts.compactMap(\.text)
            }
        )
        if names.count > 1, let entry = project.tree.entry("networks") {
            problems.warn(
                "networks: all services reach one another: a cluster has one network for all",
                at: entry.place,
                "a NetworkPolicy keeps them apart"
            )
        }
        for service in project.services {
            guard let mode = service.node["network_mode"], let text = mode.text else { continue }
            guard !["bridge", "default"].contains(text) else { continue }
            problems.error("\(mode.path): pods have a network of their own, not \"\(text)\"", at: mode.place)
        }
    }

    // MARK: Ports

    private mutating func ports(
        _ service: ComposeService,
        _ own: ComposeNode?,
        _ container: inout Workload.Container,
        _ workload: inout Workload
    ) {
        for port in service.ports + service.expose
        where !container.ports.contains(where: { $0.number == port.target && ($0.transport == "UDP") == port.isUDP }) {
            var made = Workload.Port(port.target, port.isUDP ? "UDP" : "TCP", name: port.name)
            if container.ports.contains(where: { $0.name == made.name }) {
                made.name = "\(made.transport.lowercased())-\(port.target)"
            }
            container.ports.append(made)
        }
        let published = service.ports.filter { !$0.isLoopback }
        for port in service.ports where port.isLoopback {
            problems.warn("\(port.path): the cluster reaches \(port.text), and this machine does not", at: port.place)
        }
        let isPlain = published.allSatisfy { $0.published == nil || $0.published == $0.target }
        let isAll = container.ports.count == Set(published.map(\.text)).count
        let hosts = own?["ingress"]?.texts ?? []
        let reach =
            own?["reach"]?.text.flatMap { Workload.Service.Reach(rawValue: $0) }
            ?? (published.isEmpty || !hosts.isEmpty ? .cluster : .public)
        guard !container.ports.isEmpty else { return }
        var names = aliases(service, container.name)
        let label = own?["dns-label"]?.text
        if reach == .cluster || (isPlain && isAll) {
            workload.service = .init(reach)
            workload.service?.dnsLabel = label
        } else {
            // Others in the cluster ask for the port that its program has, the world for the published one.
            workload.service = .init(.cluster)
            var name = Workload.FurtherService("\(container.name)-\(reach.rawValue)", reach)
            (name.dnsLabel, name.remark) = (label, "the ports that the world reaches, by the numbers it asks for")
            name.ports = published.map { port in
                let own = container.ports.first { $0.number == port.target && ($0.transport == "UDP") == port.isUDP }
                return .init(
                    port.published ?? port.target,
                    target: own?.name ?? "",
                    transport: port.isUDP ? "UDP" : "TCP"
                )
            }
            names.append(name)
        }
        workload.furtherServices = names
        if !hosts.isEmpty { workload.ingress = ingress(hosts, own) }
    }

    private func ingress(_ hosts: [ComposeNode], _ own: ComposeNode?) -> Workload.Ingress {
        var ingress = Workload.Ingress(
            hosts.compactMap(\.text)
                .map { text in
                    let slash = text.firstIndex(of: "/") ?? text.endIndex
                    let host = String(text[..<slash])
                    return .init(
                        host: host.isEmpty ? nil : host,
                        path: slash == text.endIndex ? "/" : String(text[slash...])
                    )
                }
        )
        (ingress.className, ingress.certificate) = (own?["ingress-class"]?.text, own?["tls-secret"]?.text)
        return ingress
    }

    /// Names by which others want it: aliases of networks, and those of links.
    private func aliases(_ service: ComposeService, _ own: String) -> [Workload.FurtherService] {
        var names: [String] = []
        for network in service.node["networks"]?.map ?? [] {
            names += (network.value["aliases"]?.texts ?? []).compactMap(\.text)
        }
        for other in project.services {
            for link in (other.node["links"]?.texts ?? []).compactMap(\.text) {
                let parts = link.split(separator: ":").map(String.init)
                if parts.count == 2, parts[0] == service.name { names.append(parts[1]) }
            }
        }
        let all = Set(project.services.map(\.name))
        return Set(names).subtracting(all).sorted()
            .map { name in
                var service = Workload.FurtherService(ComposeWorkloadMaker.name(name))
                service.remark = "another name for \(own)"
                return service
            }
    }
}
