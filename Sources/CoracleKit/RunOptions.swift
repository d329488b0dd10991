// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import Glibc
internal import Sandbox
internal import Store
internal import Synchronization

/// What commands of a build are given, and what they are allowed, as flags have it.
public struct RunOptions: Sendable {
    /// `--secret`: `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`.
    public var secrets: [String] = []
    /// `--ssh`: `ID`, `ID=SOCKET` or `ID=KEY[,KEY…]`.
    public var agents: [String] = []
    /// `--network`: `default`, `host` or `none`.
    public var network = "default"
    /// `--add-host`: `NAME:ADDRESS`.
    public var hosts: [String] = []
    /// `--allow`: `security.insecure`, `network.host`.
    public var allowed: [String] = []
    /// `--shm-size`.
    public var sharedMemory: String?
    /// `--ulimit`: `NAME=SOFT[:HARD]`.
    public var limits: [String] = []
    /// `--memory`.
    public var memory: String?
    /// `--cpus`.
    public var processors: String?
    /// `--isolation`: `auto`, `namespaces`, `chroot`, `oci`, `oci:RUNTIME`.
    public var isolation = "auto"
    /// `--on-fail`: `stop` or `shell`.
    public var onFail = "stop"

    /// Nothing given and nothing allowed.
    public init() {}

    /// Puts the flags into settings; agents live as long as `keeping` holds them.
    func apply(
        to settings: inout RunSettings,
        secrets: @escaping @Sendable (_ id: String) throws -> [UInt8]?,
        environment: [String: String],
        in store: ImageStore,
        keeping agents: inout [AgentOption]
    ) throws {
        settings.secret = secrets
        for text in self.agents {
            let agent = try AgentOption(text, environment: environment, in: store)
            settings.agents[agent.id] = agent.socket
            agents.append(agent)
        }
        guard ["default", "host", "none"].contains(network) else {
            throw ExitReason(.usage, "--network is default, host or none, not \"\(network)\"")
        }
        settings.network = network
        settings.hosts = try hosts.map { try RunOptions.host($0) }
        for right in allowed.flatMap({ $0.split(separator: ",") }) {
            switch right {
            case "security.insecure": settings.allowsInsecure = true
            case "network.host": break
            default:
                throw ExitReason(.usage, "--allow knows security.insecure and network.host, not \"\(right)\"")
            }
        }
        guard onFail == "stop" || onFail == "shell" else {
            throw ExitReason(.usage, "--on-fail is stop or shell, not \"\(onFail)\"")
        }
        if onFail == "shell" {
            guard isatty(0) == 1, isatty(1) == 1 else {
                throw ExitReason(.usage, "--on-fail shell needs a terminal, and standard input or output is none")
            }
            settings.opensShell = true
        }
        if let sharedMemory { settings.sharedMemory = try RunOptions.size(sharedMemory, "--shm-size") }
        settings.limits = try limits.map { try RunOptions.limit($0) }
        if let memory { settings.resources.memory = try RunOptions.size(memory, "--memory") }
        if let processors {
            guard let count = Double(processors), count > 0, count < 100_000 else {
                throw ExitReason(.usage, "--cpus \"\(processors)\" is not a number of processors, for example 1.5")
            }
            (settings.resources.cpuPeriod, settings.resources.cpuQuota) = (100_000, Int64(count * 100_000))
        }
    }

    /// Gives the values of all secrets, which are looked for at once and read where they are needed.
    func secretValues(_ environment: [String: String]) throws -> @Sendable (_ id: String) throws -> [UInt8]? {
        var secrets: [String: SecretOption] = [:]
        for text in self.secrets {
            let secret = try SecretOption(text, environment: environment)
            try secret.check()
            secrets[secret.id] = secret
        }
        return RunOptions.values(secrets, environment)
    }

    /// Gives the values of secrets, each read once: a pipe, as a shell's `<(…)` is one, gives its content once.
    private static func values(
        _ secrets: [String: SecretOption],
        _ environment: [String: String]
    ) -> @Sendable (_ id: String) throws -> [UInt8]? {
        let known = Mutex<[String: [UInt8]]>([:])
        return { id in
            try known.withLock { known in
                if let value = known[id] { return value }
                let value = try secrets[id]?.value(environment: environment)
                known[id] = value
                return value
            }
        }
    }

    private static func size(_ text: String, _ flag: String) throws(ExitReason) -> Int64 {
        do {
            return try DataSize(text).bytes
        } catch {
            throw ExitReason(.usage, "\(flag) \(error.message)")
        }
    }

    /// `NAME:ADDRESS` or `NAME=ADDRESS`; an address may be in brackets.
    private static func host(_ text: String) throws(ExitReason) -> ProcessSpec.Host {
        let fault = ExitReason(.usage, "--add-host \"\(text)\" is not NAME:ADDRESS", hint: "--add-host db:10.0.0.5")
        guard let mark = text.firstIndex(where: { $0 == "=" || $0 == ":" }) else { throw fault }
        let name = String(text[..<mark])
        var address = String(text[text.index(after: mark)...])
        if address.hasPrefix("["), address.hasSuffix("]") { address = String(address.dropFirst().dropLast()) }
        // The network is the host's own, so that this machine is where a loopback address leads.
        if address == "host-gateway" { address = "127.0.0.1" }
        var bytes = [UInt8](repeating: 0, count: 16)
        guard !name.isEmpty, !name.contains(where: \.isWhitespace),
            inet_pton(AF_INET, address, &bytes) == 1 || inet_pton(AF_INET6, address, &bytes) == 1
        else { throw fault }
        return ProcessSpec.Host(name: name, address: address)
    }

    /// `NAME=SOFT[:HARD]`; -1 is no limit.
    private static func limit(_ text: String) throws(ExitReason) -> ProcessSpec.Limit {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = parts.count == 2 ? parts[1].split(separator: ":", omittingEmptySubsequences: false) : []
        let values = numbers.compactMap { Int64($0) }.map { $0 < 0 ? UInt64.max : UInt64($0) }
        guard (1...2).contains(numbers.count), values.count == numbers.count, !parts[0].isEmpty else {
            throw ExitReason(
                .usage,
                "--ulimit \"\(text)\" is not NAME=SOFT[:HARD] with a name as in ulimit(1)",
                hint: "--ulimit nofile=1024:4096"
            )
        }
        let limit = ProcessSpec.Limit(name: String(parts[0]), soft: values[0], hard: values.last ?? values[0])
        guard limit.soft <= limit.hard else {
            throw ExitReason(.usage, "--ulimit \"\(text)\": the soft limit is above the hard one")
        }
        return limit
    }
}
