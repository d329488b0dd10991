// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Azure
internal import Kubernetes
internal import OCI
internal import Sandbox

extension ClusterWish {
    /// The main container, without its image; what it is given goes into the workload.
    func container(_ workload: inout Workload) throws -> Workload.Container {
        var container = Workload.Container(name, image: "")
        // The words are the program and its arguments, as for Container Instances: both of the image's are replaced.
        if let command = options.command { container.command = try ShellWords.split(command, flag: "--command") }
        container.ports = try ports(options.ports)
        try addVariables(to: &container, &workload)
        container.resources = try resources(options.cpu, options.memory, options.cpuLimit, options.memoryLimit)
        try addProbes(to: &container)
        container.security.adds = try options.capabilities.flatMap { $0.split(separator: ",") }
            .map { text throws(ExitReason) -> String in
                let name = text.uppercased()
                let bare = name.suffix(after: "CAP_") ?? name
                guard bare == "ALL" || Capabilities.names.contains(bare) else {
                    throw ExitReason(
                        .usage,
                        "--cap-add \"\(text)\" is no capability" + Near.phrase(for: bare, among: Capabilities.names),
                        hint: "capabilities(7) lists them: --cap-add NET_BIND_SERVICE"
                    )
                }
                return bare
            }
        return container
    }

    /// A further container: `name=NAME,image=IMAGE,port=…,env=…,cpu=…`.
    func further(_ text: String, _ workload: inout Workload) throws -> Workload.Container {
        let values = try KeyedValues(text, flag: "--container")
        try values.allow([
            "name", "image", "command", "port", "env", "secure-env", "cpu", "memory", "cpu-limit", "memory-limit",
            "mount", "liveness", "readiness",
        ])
        var container = Workload.Container(try values.required("name"), image: try values.required("image"))
        if let command = values["command"] {
            container.command = try ShellWords.split(command, flag: "--container command")
        }
        container.ports = try ports(values.all("port"))
        let variables = try reader.variables(values.all("env"), [], values.all("secure-env"))
        let secret = "\(name)-\(container.name)-env"
        container.environment = keep(variables, in: secret, &workload)
        container.resources = try resources(
            values["cpu"],
            values["memory"],
            values["cpu-limit"],
            values["memory-limit"]
        )
        container.liveness = try probe(values["liveness"], "--container liveness")
        container.readiness = try probe(values["readiness"], "--container readiness")
        container.mounts = try values.all("mount").map { text throws(ExitReason) in try mount(text) }
        return container
    }

    // MARK: Variables

    private func addVariables(to container: inout Workload.Container, _ workload: inout Workload) throws {
        if !options.environmentFiles.isEmpty {
            let map = name + "-env"
            var files: [String: [UInt8]] = [:]
            for variable in try reader.variables([], options.environmentFiles, []) {
                if case .plain(let text) = variable.value { files[variable.name] = Array(text.utf8) }
            }
            workload.configMaps.append(.init(map, files: files))
            container.environmentSources.append(.init(.config, map))
        }
        for text in options.environmentSources { container.environmentSources.append(try source(text)) }
        let variables = try reader.variables(options.environment, [], options.secureEnvironment)
        container.environment = keep(variables, in: name + "-env", &workload)
    }

    /// Puts what is secret into a Secret, and names it.
    private func keep(
        _ variables: [ContainerWish.Variable],
        in secret: String,
        _ workload: inout Workload
    ) -> [Workload.Variable] {
        var kept: [String: [UInt8]] = [:]
        let list = variables.map { variable -> Workload.Variable in
            switch variable.value {
            case .plain(let text): return .init(variable.name, .plain(text))
            case .secure(let text):
                kept[variable.name] = Array(text.value.utf8)
                return .init(variable.name, .secret(name: secret, key: variable.name))
            }
        }
        if !kept.isEmpty { workload.secrets.append(.init(secret, files: kept)) }
        return list
    }

    /// `config/NAME` or `secret/NAME`, with `,prefix=…`.
    private func source(_ text: String) throws(ExitReason) -> Workload.EnvironmentSource {
        let parts = text.split(separator: ",", maxSplits: 1).map(String.init)
        var prefix = ""
        if parts.count == 2 {
            guard let given = parts[1].suffix(after: "prefix=") else {
                throw ExitReason(.usage, "--env-from \"\(text)\": only ,prefix=… may follow")
            }
            prefix = given
        }
        let first = parts.first ?? ""
        if let name = first.suffix(after: "secret/"), !name.isEmpty { return .init(.secret, name, prefix: prefix) }
        for kind in ["configmap/", "config/", "cm/"] {
            if let name = first.suffix(after: kind), !name.isEmpty { return .init(.config, name, prefix: prefix) }
        }
        throw ExitReason(.usage, "--env-from \"\(text)\" is neither config/NAME nor secret/NAME")
    }

    // MARK: Ports, resources, probes

    /// `[SERVICE:]PORT[/udp]`.
    private func ports(_ texts: [String]) throws(ExitReason) -> [Workload.Port] {
        var ports: [Workload.Port] = []
        for text in texts.flatMap({ $0.split(separator: ",").map(String.init) }) {
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let transport = parts.count == 2 ? parts[1].uppercased() : "TCP"
            let numbers = parts[0].split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
            let known = numbers.compactMap { $0 }.filter { (1...65535).contains($0) }
            guard (1...2).contains(numbers.count), known.count == numbers.count, let inner = known.last,
                ["TCP", "UDP", "SCTP"].contains(transport)
            else {
                throw ExitReason(
                    .usage,
                    "--port \"\(text)\" is not [SERVICE:]PORT[/udp]",
                    hint: "80:8080 for port 80 of the Service, and 8080 of the container"
                )
            }
            let outer = known.count == 2 ? known[0] : nil
            // By what it is outside: 80:9000 is http.
            let usual = outer.map { Workload.Port($0, transport).name }
            var port = Workload.Port(inner, transport, name: usual, servicePort: outer)
            if ports.contains(where: { $0.name == port.name }) { port.name = "\(transport.lowercased())-\(inner)" }
            ports.append(port)
        }
        return ports
    }

    /// Processors as `0.5` or `500m`, memory as `1.5` (gigabytes, as for Container Instances) or `512Mi`.
    private func resources(_ cpu: String?, _ memory: String?, _ cpuLimit: String?, _ memoryLimit: String?)
        throws(ExitReason) -> Workload.Resources
    {
        var result = Workload.Resources()
        result.cpu = try quantity(cpu, "--cpu")
        result.memory = try quantity(memory, "--memory")
        result.cpuLimit = try quantity(cpuLimit, "--cpu-limit")
        result.memoryLimit = try quantity(memoryLimit, "--memory-limit") ?? result.memory
        return result
    }

    private func quantity(_ text: String?, _ flag: String) throws(ExitReason) -> String? {
        guard let text else { return nil }
        let isMemory = flag.contains("memory")
        guard let value = Quantity.value(text), value > 0, value < 1e15 else {
            throw ExitReason(
                .usage,
                "\(flag) \"\(text)\" is no quantity",
                hint: isMemory ? "512Mi, 2Gi, or 1.5 for gigabytes" : "0.5 or 500m"
            )
        }
        guard Double(text) != nil else { return text }
        if !isMemory { return text.contains(".") ? "\(Int((value * 1000).rounded()))m" : text }
        // Gigabytes where no unit is said; bytes are not what anybody means.
        guard value < 100_000 else { return text }
        let mebibytes = (value * 1024).rounded()
        return mebibytes.truncatingRemainder(dividingBy: 1024) == 0
            ? "\(Int(mebibytes / 1024))Gi" : "\(Int(mebibytes))Mi"
    }

    private func addProbes(to container: inout Workload.Container) throws {
        if let text = options.httpProbe {
            let colon = text.lastIndex(of: ":") ?? text.endIndex
            let port = colon == text.endIndex ? nil : Int(text[text.index(after: colon)...])
            guard text.hasPrefix("/"), let port, (1...65535).contains(port) else {
                throw ExitReason(
                    .usage,
                    "--http-probe \"\(text)\" is not /PATH:PORT",
                    hint: "--http-probe /healthz:8080"
                )
            }
            let check = Workload.Probe.Check.http(path: String(text[..<colon]), port: "\(port)", isSecure: false)
            var probe = Workload.Probe(check)
            probe.period = 10
            container.liveness = probe
            probe.period = 5
            container.readiness = probe
        }
        // What is said of one of them, none among it, wins over --http-probe.
        if options.liveness != nil { container.liveness = try probe(options.liveness, "--liveness") }
        if options.readiness != nil { container.readiness = try probe(options.readiness, "--readiness") }
        container.startup = try probe(options.startup, "--startup")
    }

    /// A probe; `nil` where it is not said, or `none`.
    func probe(_ text: String?, _ flag: String) throws(ExitReason) -> Workload.Probe? {
        guard let text, text != "none" else { return nil }
        let read = try ProbeText(text, flag: flag)
        let check: Workload.Probe.Check
        switch read.check {
        case .command(let words): check = .command(words)
        case .http(let path, let port, let isSecure): check = .http(path: path, port: "\(port)", isSecure: isSecure)
        case .connection(let port): check = .connection(port: "\(port)")
        case .grpc(let port, let service): check = .grpc(port: port, service: service)
        }
        var probe = Workload.Probe(check)
        (probe.delay, probe.period) = (read.times["delay"], read.times["period"])
        (probe.timeout, probe.failures) = (read.times["timeout"], read.times["failures"])
        return probe
    }
}
