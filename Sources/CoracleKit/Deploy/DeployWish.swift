// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Azure
internal import OCI

/// Puts what flags say into a wish.
struct DeployWish {
    let options: DeployOptions
    let environment: [String: String]
    /// Whether secrets are read; else their names are what counts, and each is empty.
    var readsSecrets = true

    /// Everything but images and credentials, which take questions to registries.
    func group() throws -> GroupWish {
        var wish = GroupWish()
        wish.location = options.location
        wish.restartPolicy = try choice(options.restartPolicy, ["Always", "OnFailure", "Never"], "--restart-policy")
        wish.sku = try choice(options.sku, ["Standard", "Confidential", "Dedicated"], "--sku")
        wish.priority = try choice(options.priority, ["Regular", "Spot"], "--priority")
        let scopes = ["Unsecure", "TenantReuse", "SubscriptionReuse", "ResourceGroupReuse", "Noreuse"]
        wish.dnsScope = try choice(options.dnsScope, scopes, "--dns-scope")
        (wish.dnsLabel, wish.subnet) = (options.dnsLabel, options.subnet)
        wish.reach = try choice(options.reach, ["Public", "Private", "None"], "--ip").flatMap { .init(rawValue: $0) }
        if let zone = options.zones.first(where: { Int($0).map { !(1...3).contains($0) } ?? true }) {
            throw ExitReason(.usage, "--zone \"\(zone)\" is not 1, 2 or 3")
        }
        if let subnet = options.subnet, !subnet.lowercased().hasPrefix("/subscriptions/") {
            throw ExitReason(
                .usage,
                "--subnet \"\(subnet)\" is no resource id",
                hint: "what az network vnet subnet show --query id prints: /subscriptions/…"
            )
        }
        if options.reach?.lowercased() == "none", options.dnsLabel != nil {
            throw ExitReason(.usage, "--dns-label needs an address in the world", hint: "--ip public")
        }
        if !options.zones.isEmpty { wish.zones = options.zones }
        for tag in options.tags {
            let (name, value) = PlanSettings.split(tag)
            guard !name.isEmpty, let value else { throw ExitReason(.usage, "--tag \"\(tag)\" is not NAME=value") }
            wish.tags[name] = value
        }
        wish.hasSystemIdentity = options.identities.contains("system")
        wish.identities = options.identities.filter { $0 != "system" }
        for id in wish.identities where !id.hasPrefix("/subscriptions/") {
            throw ExitReason(
                .usage,
                "--identity \"\(id)\" is no resource id",
                hint: "system, or what az identity show --query id prints: /subscriptions/…"
            )
        }
        wish.removedContainers = options.removedContainers
        try checkSources()
        var main = try container()
        for text in options.volumes {
            let (volume, mount) = try volume(text)
            if let volume { wish.volumes.append(volume) }
            main.mounts.append(mount)
        }
        wish.containers = [main]
        return wish
    }

    /// The container that this is about, without its image.
    private func container() throws -> ContainerWish {
        var wish = ContainerWish()
        wish.name = options.containerName
        if let command = options.command { wish.command = try ShellWords.split(command, flag: "--command") }
        if !options.ports.isEmpty { wish.ports = try ports(options.ports) }
        wish.environment = try variables(options.environment, options.environmentFiles, options.secureEnvironment)
        wish.removedVariables = options.removedVariables
        wish.cpu = try number(options.cpu, "--cpu")
        wish.memory = try number(options.memory, "--memory")
        wish.cpuLimit = try number(options.cpuLimit, "--cpu-limit")
        wish.memoryLimit = try number(options.memoryLimit, "--memory-limit")
        wish.liveness = try probe(options.liveness, "--liveness")
        wish.readiness = try probe(options.readiness, "--readiness")
        return wish
    }

    /// A further container: `name=NAME,image=IMAGE,port=…,env=…,cpu=…`.
    func further(_ text: String) throws -> (wish: ContainerWish, image: String) {
        let values = try KeyedValues(text, flag: "--container")
        try values.allow([
            "name", "image", "command", "port", "env", "secure-env", "cpu", "memory", "cpu-limit", "memory-limit",
            "mount",
            "liveness", "readiness",
        ])
        var wish = ContainerWish()
        wish.name = try values.required("name")
        if let command = values["command"] { wish.command = try ShellWords.split(command, flag: "--container command") }
        if !values.all("port").isEmpty { wish.ports = try ports(values.all("port")) }
        wish.environment = try variables(values.all("env"), [], values.all("secure-env"))
        wish.cpu = try number(values["cpu"], "--container cpu")
        wish.memory = try number(values["memory"], "--container memory")
        wish.cpuLimit = try number(values["cpu-limit"], "--container cpu-limit")
        wish.memoryLimit = try number(values["memory-limit"], "--container memory-limit")
        wish.liveness = try probe(values["liveness"], "--container liveness")
        wish.readiness = try probe(values["readiness"], "--container readiness")
        for mount in values.all("mount") { wish.mounts.append(try self.mount(mount)) }
        return (wish, try values.required("image"))
    }

    func choice(_ text: String?, _ names: [String], _ flag: String) throws(ExitReason) -> String? {
        guard let text else { return nil }
        if let found = names.first(where: { $0.lowercased() == text.lowercased().filter { $0 != "-" } }) {
            return found
        }
        throw ExitReason(.usage, "\(flag) \"\(text)\" is not one of \(names.joined(separator: ", "))")
    }

    private func number(_ text: String?, _ flag: String) throws(ExitReason) -> Double? {
        guard let text else { return nil }
        // Gigabytes are what Azure counts in, whatever people write.
        let bare = flag.contains("memory") ? String(text.prefix { $0.isNumber || $0 == "." }) : text
        let unit = text.dropFirst(bare.count).lowercased()
        guard let number = Double(bare), number > 0, number < 10_000, ["", "g", "gb", "gib"].contains(unit) else {
            throw ExitReason(
                .usage,
                "\(flag) \"\(text)\" is not a number\(flag.contains("memory") ? " of gigabytes" : ""), as 0.5"
            )
        }
        return number
    }

    private func ports(_ texts: [String]) throws(ExitReason) -> [ContainerGroup.Port] {
        var ports: [ContainerGroup.Port] = []
        for text in texts.flatMap({ $0.split(separator: ",") }) {
            do {
                ports.append(try ContainerGroup.Port(String(text)))
            } catch {
                throw ExitReason(.usage, "--port \(error.message)")
            }
        }
        return ports
    }

    func variables(
        _ plain: [String],
        _ files: [String],
        _ secure: [String]
    ) throws -> [ContainerWish.Variable] {
        var list = ContainerEnvironment(hostname: "", hasTerminal: false)
        let usual = Set(list.list)
        for file in files { try list.set(file: file, caller: environment) }
        for flag in plain { try list.set(flag: flag, caller: environment) }
        var variables = list.list.filter { !usual.contains($0) }
            .map { text -> ContainerWish.Variable in
                let (name, value) = PlanSettings.split(text)
                return .init(name, .plain(value ?? ""))
            }
        for text in secure {
            var (name, value) = (PlanSettings.split(text).0, SecureText(""))
            if readsSecrets { (name, value) = try SecretSource.variable(text, environment) }
            variables.removeAll { $0.name == name }
            variables.append(.init(name, .secure(value)))
        }
        return variables
    }

    /// The variables that are left out, as `docker run` leaves them out: they should have our value, and we have none.
    func absentVariables() throws -> [String] {
        var list = ContainerEnvironment(hostname: "", hasTerminal: false)
        for file in options.environmentFiles { try list.set(file: file, caller: environment) }
        for flag in options.environment { try list.set(flag: flag, caller: environment) }
        for text in options.containers {
            for flag in try KeyedValues(text, flag: "--container").all("env") {
                try list.set(flag: flag, caller: environment)
            }
        }
        return list.absent.filter { name in !list.has(name) }
    }

    /// Refuses forms of `--secret-source` that would name no source once one is needed.
    private func checkSources() throws(ExitReason) {
        for text in options.secretSources {
            let (name, source) = PlanSettings.split(text)
            guard !name.isEmpty, let source else {
                throw ExitReason(.usage, "--secret-source \"\(text)\" is not NAME=env:VARIABLE or NAME=file:PATH")
            }
            guard SecretSource.isSource(source) else {
                throw ExitReason(
                    .usage,
                    "--secret-source \(name): a secret is named, not written",
                    hint: "\(name)=env:VARIABLE or \(name)=file:PATH"
                )
            }
        }
    }

    // MARK: Volumes

    /// `NAME:PATH[:ro]` for a volume that is there, or `type=…,name=…,target=…`.
    private func volume(_ text: String) throws -> (volume: GroupWish.Volume?, mount: ContainerWish.Mount) {
        guard text.contains("=") else { return (nil, try mount(text)) }
        let values = try KeyedValues(text, flag: "--volume")
        let name = try values.required("name")
        let content: GroupWish.Volume.Content
        let shared = ["type", "name", "target", "readonly"]
        switch try values.required("type").lowercased() {
        case "emptydir", "empty":
            try values.allow(shared)
            content = .empty
        case "azurefile":
            try values.allow(shared + ["share", "account", "key"])
            var key: SecureText?
            if let source = values["key"] { key = try SecretSource.text(source, for: "--volume \(name)", environment) }
            content = .share(
                name: try values.required("share"),
                account: try values.required("account"),
                key: key,
                isReadOnly: values["readonly"] == "true"
            )
        case "gitrepo":
            try values.allow(shared + ["repository", "directory", "revision"])
            let url = try values.required("repository")
            content = .repository(url: url, folder: values["directory"], revision: values["revision"])
        case "secret":
            var files: [String: SecureText] = [:]
            for (file, source) in values.pairs where !shared.contains(file) {
                let bytes = try SecretSource.read(source, for: "--volume \(name): \(file)", environment)
                files[file] = SecureText(Base64Text.encode(bytes))
            }
            guard !files.isEmpty else {
                throw ExitReason(
                    .usage,
                    "--volume \(name) has no file",
                    hint: "type=secret,name=…,target=…,FILE=file:PATH"
                )
            }
            content = .files(files)
        case let other:
            throw ExitReason(
                .usage,
                "--volume: there is no type \"\(other)\"",
                hint: "type=azureFile, emptyDir, secret or gitRepo"
            )
        }
        let isReadOnly = values["readonly"] == "true"
        let mount = ContainerWish.Mount(volume: name, path: try values.required("target"), isReadOnly: isReadOnly)
        return (GroupWish.Volume(name: name, content: content), mount)
    }

    private func mount(_ text: String) throws(ExitReason) -> ContainerWish.Mount {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (2...3).contains(parts.count), !parts[0].isEmpty, parts[1].hasPrefix("/"),
            parts.count == 2 || ["ro", "rw"].contains(parts[2])
        else {
            throw ExitReason(.usage, "--volume \"\(text)\" is not NAME:PATH[:ro]", hint: "or type=…,name=…,target=…")
        }
        return .init(volume: parts[0], path: parts[1], isReadOnly: parts.count == 3 && parts[2] == "ro")
    }

    // MARK: Probes

    private func probe(_ text: String?, _ flag: String) throws -> ContainerWish.ProbeWish? {
        guard let text else { return nil }
        if text == "none" { return ContainerWish.ProbeWish.none }
        let read = try ProbeText(text, flag: flag)
        var probe: Probe
        switch read.check {
        case .command(let words): probe = Probe(.command(words))
        case .http(let path, let port, let isSecure): probe = Probe(.http(path: path, port: port, isSecure: isSecure))
        case .connection, .grpc:
            throw ExitReason(
                .usage,
                "\(flag) \"\(text)\": Container Instances knows requests and commands only",
                hint: "http:PORT/PATH, exec:COMMAND or none"
            )
        }
        (probe.delay, probe.period) = (read.times["delay"], read.times["period"])
        (probe.timeout, probe.failures) = (read.times["timeout"], read.times["failures"])
        return .probe(probe)
    }
}

/// Base64 of small things.
enum Base64Text {
    static func encode(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0..<4 {
                let isUsed = place <= group.count
                result.append(isUsed ? letters[word >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
