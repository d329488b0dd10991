// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import RegistryServer
internal import Rootfs
internal import Sandbox
internal import Store
internal import Synchronization

/// What is run for a container of a pod, and what it sees.
struct PodContainerSpec {
    let run: PodRun
    let container: JSONValue
    let image: GroupImage
    let folders: [String]
    let snapshots: Snapshots

    func spec(_ root: ProcessSpec.Root) throws -> ProcessSpec {
        let config = image.config
        let variables = try environment()
        let command = arguments(variables)
        guard !command.isEmpty, !command[0].isEmpty else {
            throw PodContainer.Obstacle(
                reason: "CreateContainerError",
                message: "failed to generate container spec: no command specified"
            )
        }
        let (user, home) = try user(config)
        var spec = ProcessSpec(root: root, arguments: command)
        spec.user = user
        let context = container["securityContext"]
        spec.isInsecure = context?["privileged"]?.bool ?? false
        spec.isRootReadOnly = context?["readOnlyRootFilesystem"]?.bool ?? false
        let folder = container["workingDir"]?.string ?? config.workingDirectory
        spec.workingDirectory = folder.isEmpty ? "/" : folder.hasPrefix("/") ? folder : "/" + folder
        spec.environment = variables.map { "\($0.name)=\($0.value)" }
        if !variables.contains(where: { $0.name == "HOME" }) { spec.environment.append("HOME=\(home)") }
        (spec.hostname, spec.hasHostnameFile) = (run.key.name, true)
        spec.hosts = hosts()
        spec.mounts = try PodVolumes(run: run).mounts(of: container)
        let limits = container.at("resources", "limits")
        if let memory = KubeQuantity.value(limits?["memory"]) { spec.resources.memory = Int64(memory) }
        if let processors = KubeQuantity.value(limits?["cpu"]) {
            spec.resources.cpuQuota = Int64(processors * 100_000)
            spec.resources.cpuPeriod = 100_000
        }
        return spec
    }

    // MARK: Who

    private func user(_ config: ImageConfig) throws -> (ProcessSpec.User, home: String) {
        let pod = run.spec["securityContext"]
        let own = container["securityContext"]
        let number = { (name: String) in own?[name]?.int ?? pod?[name]?.int }
        let mustNotBeRoot = own?["runAsNonRoot"]?.bool ?? pod?["runAsNonRoot"]?.bool ?? false
        let described = "\(run.key.name)_\(run.namespace)(\(run.uid)), container: \(container.text("name"))"
        if mustNotBeRoot {
            if number("runAsUser") == 0 {
                throw PodContainer.Obstacle(
                    reason: "CreateContainerConfigError",
                    message: "container's runAsUser breaks non-root policy (pod: \"\(described))"
                )
            }
            let name = config.user.prefix { $0 != ":" }
            if number("runAsUser") == nil, !name.isEmpty, UInt32(name) == nil {
                throw PodContainer.Obstacle(
                    reason: "CreateContainerConfigError",
                    message: "container has runAsNonRoot and image has non-numeric user (\(name)), cannot verify user is "
                        + "non-root (pod: \"\(described))"
                )
            }
            if number("runAsUser") == nil, name.isEmpty || UInt32(name) == 0 {
                throw PodContainer.Obstacle(
                    reason: "CreateContainerConfigError",
                    message: "container has runAsNonRoot and image will run as root (pod: \"\(described))"
                )
            }
        }
        let found = try ContainerUser(config.user) { try snapshots.read(Array($0.utf8), in: folders, limit: 10 << 20) }
        var user = ProcessSpec.User(uid: found.uid, gid: found.gid, groups: found.groups)
        if let uid = number("runAsUser") { user.uid = UInt32(truncatingIfNeeded: uid) }
        if let gid = number("runAsGroup") { user.gid = UInt32(truncatingIfNeeded: gid) }
        for group in (pod?["supplementalGroups"]?.array ?? []) + (pod?["fsGroup"].map { [$0] } ?? []) {
            if let gid = group.int { user.groups.append(UInt32(truncatingIfNeeded: gid)) }
        }
        return (user, found.home)
    }

    /// Names of services, which a cluster's own name server would know.
    private func hosts() -> [ProcessSpec.Host] {
        var hosts: [ProcessSpec.Host] = []
        for service in run.cluster.store.withLock({ $0.list(.services) }) {
            guard let address = service.at("spec", "clusterIP")?.string, address.first?.isNumber ?? false else { continue }
            let (name, space) = (service.kubeName, service.kubeNamespace)
            var names = ["\(name).\(space)", "\(name).\(space).svc", "\(name).\(space).svc.cluster.local"]
            if space == run.namespace { names.insert(name, at: 0) }
            hosts += names.map { ProcessSpec.Host(name: $0, address: address) }
        }
        for alias in run.spec["hostAliases"]?.array ?? [] {
            for name in alias["hostnames"]?.texts ?? [] { hosts.append(.init(name: name, address: alias.text("ip"))) }
        }
        return hosts
    }

    // MARK: What

    /// The command: each part of the image's stands where the pod has none of its own.
    private func arguments(_ variables: [(name: String, value: String)]) -> [String] {
        let command = container["command"]?.texts ?? []
        let arguments = container["args"]?.texts ?? []
        let values = Dictionary(variables.map { ($0.name, $0.value) }) { $1 }
        let own = { (texts: [String]) in texts.map { Expansion.expand($0, values) } }
        if !command.isEmpty { return own(command) + own(arguments) }
        return (image.config.entrypoint ?? []) + (arguments.isEmpty ? image.config.command ?? [] : own(arguments))
    }

    /// The variables: those of the image, of services, of `envFrom`, of `env`, the later over the earlier.
    private func environment() throws -> [(name: String, value: String)] {
        var list: [(name: String, value: String)] = []
        func set(_ name: String, _ value: String) {
            if let place = list.firstIndex(where: { $0.name == name }) {
                list[place].value = value
            } else {
                list.append((name, value))
            }
        }
        set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        set("HOSTNAME", run.key.name)
        for text in image.config.environment {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            set(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
        if run.spec["enableServiceLinks"]?.bool ?? true { for (name, value) in serviceLinks() { set(name, value) } }
        for source in container["envFrom"]?.array ?? [] {
            let prefix = source.text("prefix")
            for (name, value) in try Sources(run: run).all(of: source).sorted(by: { $0.key < $1.key }) {
                set(prefix + name, value)
            }
        }
        for variable in container["env"]?.array ?? [] {
            if let source = variable["valueFrom"] {
                if let value = try Sources(run: run).value(of: source, container) { set(variable.text("name"), value) }
            } else {
                let values = Dictionary(list.map { ($0.name, $0.value) }) { $1 }
                set(variable.text("name"), Expansion.expand(variable.text("value"), values))
            }
        }
        return list
    }

    private func serviceLinks() -> [(String, String)] {
        var links: [(String, String)] = []
        for service in run.cluster.store.withLock({ $0.list(.services, run.namespace) }) {
            guard let address = service.at("spec", "clusterIP")?.string, address.first?.isNumber ?? false else { continue }
            let name = String(service.kubeName.uppercased().map { $0 == "-" ? "_" : $0 })
            let ports = service.at("spec", "ports")?.array ?? []
            links.append(("\(name)_SERVICE_HOST", address))
            if let first = ports.first?["port"]?.int { links.append(("\(name)_SERVICE_PORT", "\(first)")) }
        }
        return links
    }
}

/// `$(NAME)` in commands and variables, as Kubernetes resolves it; `$$` is a dollar.
enum Expansion {
    static func expand(_ text: String, _ values: [String: String]) -> String {
        var result = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                result += "$"
                rest = rest.dropFirst()
            } else if rest.first == "(", let close = rest.firstIndex(of: ")") {
                let name = String(rest[rest.index(after: rest.startIndex)..<close])
                // What is not known stays as it is written.
                result += values[name] ?? "$(\(name))"
                rest = rest[rest.index(after: close)...]
            } else {
                result += "$"
            }
        }
        return result + rest
    }
}

/// Values that come from other objects.
struct Sources {
    let run: PodRun

    /// The texts of a config map or a secret; `nil` where there is none and there need not be.
    private func texts(_ type: KubeType, _ name: String, isOptional: Bool) throws -> [String: String]? {
        let found = run.cluster.store.withLock { $0.get(type, ObjectKey(run.namespace, name)) }
        guard let found else {
            if isOptional { return nil }
            throw PodContainer.Obstacle(
                reason: "CreateContainerConfigError",
                message: "\(type.singular) \"\(name)\" not found"
            )
        }
        var texts = type == .configMaps ? found["data"]?.strings ?? [:] : [:]
        for (key, value) in found[type == .configMaps ? "binaryData" : "data"]?.strings ?? [:] {
            texts[key] = String(decoding: Base64.decode(value) ?? [], as: UTF8.self)
        }
        return texts
    }

    /// Everything of an entry of `envFrom`.
    func all(of source: JSONValue) throws -> [String: String] {
        for (member, type) in [("configMapRef", KubeType.configMaps), ("secretRef", .secrets)] {
            guard let reference = source[member] else { continue }
            return try texts(type, reference.text("name"), isOptional: reference["optional"]?.bool ?? false) ?? [:]
        }
        return [:]
    }

    /// The value of a `valueFrom`; `nil` where there need not be one.
    func value(of source: JSONValue, _ container: JSONValue) throws -> String? {
        for (member, type) in [("configMapKeyRef", KubeType.configMaps), ("secretKeyRef", .secrets)] {
            guard let reference = source[member] else { continue }
            let (name, key) = (reference.text("name"), reference.text("key"))
            let isOptional = reference["optional"]?.bool ?? false
            guard let all = try texts(type, name, isOptional: isOptional) else { return nil }
            if let value = all[key] { return value }
            if isOptional { return nil }
            let kind = type == .configMaps ? "ConfigMap" : "Secret"
            throw PodContainer.Obstacle(
                reason: "CreateContainerConfigError",
                message: "couldn't find key \(key) in \(kind) \(run.namespace)/\(name)"
            )
        }
        if let path = source.at("fieldRef", "fieldPath")?.string { return field(path) }
        if let resource = source.at("resourceFieldRef", "resource")?.string {
            let parts = resource.split(separator: ".").map(String.init)
            let amount = parts.count == 2 ? container.at("resources", parts[0], parts[1]) : JSONValue?.none
            let divisor = KubeQuantity.value(source.at("resourceFieldRef", "divisor")) ?? 1
            let value = KubeQuantity.value(amount) ?? 0
            return "\(Int64((value / (divisor == 0 ? 1 : divisor)).rounded(.up)))"
        }
        return nil
    }

    /// A field of the pod, as the downward API gives it.
    func field(_ path: String) -> String {
        switch path {
        case "metadata.name": return run.key.name
        case "metadata.namespace": return run.namespace
        case "metadata.uid": return run.uid
        case "spec.nodeName": return KubernetesCluster.nodeName
        case "spec.serviceAccountName": return run.spec["serviceAccountName"]?.string ?? "default"
        case "status.podIP", "status.podIPs": return run.network.address
        case "status.hostIP", "status.hostIPs": return "127.0.0.1"
        default: break
        }
        for kind in ["labels", "annotations"] where path.hasPrefix("metadata.\(kind)") {
            let all = run.pod.at("metadata", kind)?.strings ?? [:]
            if let key = path.split(separator: "'").dropFirst().first { return all[String(key)] ?? "" }
            return all.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }.joined(separator: "\n")
        }
        return ""
    }
}
