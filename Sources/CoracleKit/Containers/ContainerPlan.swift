// SPDX-License-Identifier: Apache-2.0
internal import Builder
internal import Glibc
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store

/// What flags say of a container, checked.
struct ContainerPlan: Sendable {
    let run: RunImage
    let id: String
    let name: String
    let platform: Platform
    let hostname: String
    let volumes: [VolumeFlag]
    let memories: [MemoryFlag]
    let ports: [PortFlag]
    /// Hosts, network and limits.
    let settings: RunSettings
    /// The caller's variables.
    private let caller: [String: String]

    /// Checks the flags; `id` is the number of a container that has one already.
    init(_ run: RunImage, environment: [String: String], in store: ImageStore, id: String? = nil) throws {
        (self.run, caller) = (run, environment)
        self.id = id ?? ContainerName.number()
        if let name = run.name {
            try ContainerName.check(name)
            self.name = name
        } else {
            let taken = id == nil ? Set(ContainerFolder.list(in: store).map(\.config.name)) : []
            name = ContainerName.made(for: self.id, among: taken)
        }
        do throws(ContentError) {
            platform = try run.platform.map { text throws(ContentError) in try Platform(text) } ?? .host
        } catch {
            throw ExitReason(.usage, "--platform \(error.message)")
        }
        hostname = run.hostname ?? self.id
        guard !hostname.isEmpty, hostname.utf8.count <= 64,
            hostname.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || ".-_".contains($0)) })
        else {
            throw ExitReason(
                .usage,
                "--hostname \"\(hostname)\" is not a name of at most 64 letters, digits, \".\" and \"-\""
            )
        }
        volumes = try run.volumes.map { text throws(ExitReason) in try VolumeFlag(text) }
        memories = try run.memoryFolders.map { text throws(ExitReason) in try MemoryFlag(text) }
        ports = try run.ports.map { text throws(ExitReason) in try PortFlag(text) }
        var settings = RunSettings()
        var agents: [AgentOption] = []
        try run.options.apply(
            to: &settings,
            secrets: run.options.secretValues(environment),
            environment: environment,
            in: store,
            keeping: &agents
        )
        guard ["sandbox", "insecure"].contains(run.security) else {
            throw ExitReason(.usage, "--security is sandbox or insecure, not \"\(run.security)\"")
        }
        settings.allowsInsecure = run.security == "insecure"
        self.settings = settings
        try check()
    }

    private func check() throws(ExitReason) {
        if let folder = run.workingDirectory, !folder.hasPrefix("/") {
            throw ExitReason(.usage, "-w \"\(folder)\" is not an absolute path")
        }
        let targets = (volumes.map(\.target) + memories.map(\.target)).map { ContainerPlan.parts($0) }
        for (place, target) in targets.enumerated() where targets[..<place].contains(target) {
            throw ExitReason(.usage, "two of -v and --tmpfs have the target /\(target.joined(separator: "/"))")
        }
        if settings.network == "none", !ports.isEmpty {
            throw ExitReason(.usage, "-p \(run.ports[0]): with --network none nobody reaches the program")
        }
        for port in ports { if let fault = port.fault() { throw fault } }
        if run.hasTerminal, run.isInteractive, !run.isDetached, isatty(0) == 0 {
            throw ExitReason(.usage, "-t with -i needs a terminal, and standard input is none", hint: "-i alone")
        }
    }

    static func parts(_ path: String) -> [Substring] { path.split(separator: "/").filter { $0 != "." } }

    // MARK: With an image

    /// The program and its arguments.
    ///
    /// As in Docker, the image's arguments are those of its own program only.
    func command(_ config: ImageConfig) throws(ExitReason) -> [String] {
        let own = run.entrypoint.map { $0.isEmpty ? [] : [$0] }
        let arguments = run.arguments.isEmpty && own == nil ? config.command ?? [] : run.arguments
        let command = (own ?? config.entrypoint ?? []) + arguments
        guard let program = command.first else {
            throw ExitReason(
                .usage,
                "the image \(run.image) does not say what to run",
                hint: "coracle run \(run.image) PROGRAM ARGUMENTS"
            )
        }
        guard !program.isEmpty else { throw ExitReason(.usage, "the name of the program to run is empty") }
        return command
    }

    /// What is written down of the container.
    func config(_ image: RunnableImage) throws -> ContainerFolder.Config {
        let open = ports.isEmpty ? image.config.exposedPorts.sorted() : ports.map(\.text)
        return ContainerFolder.Config(
            id: id,
            name: name,
            image: image.name,
            digest: image.digest?.description,
            command: try command(image.config),
            ports: settings.network == "none" ? [] : open,
            isDetached: run.isDetached,
            isRemoved: run.isRemoved,
            created: Moment.now
        )
    }

    /// What is run, as whom and with what around it; mounts are left to the caller.
    func spec(_ root: ProcessSpec.Root, _ image: RunnableImage, _ folders: [String], _ snapshots: Snapshots) throws
        -> ProcessSpec
    {
        let config = image.config
        var spec = ProcessSpec(root: root, arguments: try command(config))
        let user = try RunUser(run.user ?? config.user) {
            try snapshots.read(Array($0.utf8), in: folders, limit: 10 << 20)
        }
        spec.user = ProcessSpec.User(uid: user.uid, gid: user.gid, groups: user.groups)
        let folder = run.workingDirectory ?? config.workingDirectory
        spec.workingDirectory = folder.isEmpty ? "/" : folder.hasPrefix("/") ? folder : "/" + folder
        var variables = ContainerEnvironment(hostname: hostname, hasTerminal: run.hasTerminal)
        for text in config.environment { variables.set(text) }
        for file in run.environmentFiles { try variables.set(file: file, caller: caller) }
        for flag in run.environment { try variables.set(flag: flag, caller: caller) }
        if !variables.has("HOME") { variables.set("HOME=\(user.home)") }
        spec.environment = variables.list
        spec.network = settings.network == "none" ? .none : .host
        (spec.hostname, spec.hasHostnameFile, spec.hosts) = (hostname, true, settings.hosts)
        (spec.isRootReadOnly, spec.isInsecure) = (run.isReadOnly, settings.allowsInsecure)
        (spec.sharedMemorySize, spec.limits) = (settings.sharedMemory, settings.limits)
        spec.resources = settings.resources
        spec.hasTerminal = run.hasTerminal
        spec.passesKeys = run.isInteractive && !run.isDetached
        return spec
    }
}
