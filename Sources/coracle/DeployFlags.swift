// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// Where a deployment goes, and what it is called.
struct DeployPlaceFlags: ParsableArguments {
    @Option(name: [.customShort("g"), .long], help: ArgumentHelp("The resource group.", valueName: "group"))
    var resourceGroup: String?

    @Option(name: .shortAndLong, help: "What the container group is called.")
    var name: String?

    @Option(name: .shortAndLong, help: "The region; that of the resource group by default.")
    var location: String?

    @Option(help: ArgumentHelp("The first part of its name in the world.", valueName: "label"))
    var dnsLabel: String?

    @Option(
        help: ArgumentHelp(
            "Who may take the label later: TenantReuse, Noreuse …; it is part of the name then.",
            valueName: "scope"
        )
    )
    var dnsScope: String?

    @Option(help: ArgumentHelp("Who reaches it: public, private (with --subnet) or none.", valueName: "who"))
    var ip: String?

    @Option(help: ArgumentHelp("The id of a subnet that it lives in.", valueName: "id"))
    var subnet: String?

    @Option(help: ArgumentHelp("An availability zone.", valueName: "number"))
    var zone: [String] = []

    @Option(help: ArgumentHelp("A tag of the group, NAME=value.", valueName: "tag"))
    var tag: [String] = []

    @Option(help: "Standard, Confidential or Dedicated.")
    var sku: String?

    @Option(help: "Regular or Spot.")
    var priority: String?

    @Option(
        help: ArgumentHelp(
            "An identity that it has: system, or the id of one; may be given several times.",
            valueName: "id"
        )
    )
    var identity: [String] = []

    @Option(
        help: ArgumentHelp(
            "What pulls images: auto, anonymous, admin, service-principal, identity=ID, user=NAME.",
            discussion:
                "auto keeps what the group has; else nothing where the image is public, the service principal of "
                + "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, the registry's admin user, or what coracle login kept. The "
                + "password of user=NAME is CORACLE_PULL_PASSWORD, or what coracle login kept.",
            valueName: "what"
        )
    )
    var pullWith: String?

    func apply(to deploy: inout DeployImage) {
        apply(to: &deploy.options)
        // Of this run: what coracle.yaml remembers does not renew it each time.
        deploy.renewsPasswords = pullWith != nil
    }

    private func apply(to options: inout DeployOptions) {
        (options.resourceGroup, options.name, options.location) = (resourceGroup, name, location)
        (options.dnsLabel, options.dnsScope, options.reach) = (dnsLabel, dnsScope, ip)
        (options.subnet, options.zones, options.tags) = (subnet, zone, tag)
        (options.sku, options.priority, options.identities, options.pull) = (sku, priority, identity, pullWith)
    }
}

/// What runs, and how.
struct DeployContainerFlags<Words: TargetWords>: ParsableArguments {
    @Option(name: .shortAndLong, help: Words.port)
    var port: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A variable, NAME=value; NAME alone takes it from here.", valueName: "variable")
    )
    var env: [String] = []

    @Option(help: ArgumentHelp("A file with a variable in each line.", valueName: "file"))
    var envFile: [String] = []

    @Option(help: ArgumentHelp(Words.secureEnv, valueName: "variable"))
    var secureEnv: [String] = []

    @Option(help: Words.envRm)
    var envRm: [String] = []

    @Option(
        help: ArgumentHelp(
            "The program and its arguments, in place of the image's; empty for these.",
            valueName: "words"
        )
    )
    var command: String?

    @Option(help: Words.cpu)
    var cpu: String?

    @Option(help: Words.memory)
    var memory: String?

    @Option(help: "The most processors that it may use.")
    var cpuLimit: String?

    @Option(help: Words.memoryLimit)
    var memoryLimit: String?

    @Option(help: Words.volume)
    var volume: [String] = []

    @Option(help: Words.liveness)
    var liveness: String?

    @Option(help: ArgumentHelp("How to see that it is ready, as --liveness.", valueName: "probe"))
    var readiness: String?

    @Option(
        help: ArgumentHelp(
            "A further container: name=NAME,image=IMAGE[,port=…,env=…,secure-env=…,cpu=…,memory=…,command=…,mount=…].",
            valueName: "container"
        )
    )
    var container: [String] = []

    func apply(to options: inout DeployOptions) {
        (options.ports, options.environment, options.environmentFiles) = (port, env, envFile)
        (options.secureEnvironment, options.removedVariables, options.command) = (secureEnv, envRm, command)
        (options.cpu, options.memory, options.cpuLimit, options.memoryLimit) = (cpu, memory, cpuLimit, memoryLimit)
        (options.volumes, options.liveness) = (volume, liveness)
        (options.readiness, options.containers) = (readiness, container)
    }
}

/// What only containers of Container Instances have.
struct DeployGroupFlags: ParsableArguments {
    @Option(help: "Always, OnFailure or Never.")
    var restartPolicy: String?

    @Option(help: ArgumentHelp("Which container of the group this is about.", valueName: "name"))
    var containerName: String?

    @Option(help: ArgumentHelp("A container that goes.", valueName: "name"))
    var containerRm: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where a secret is that Azure kept to itself: VOLUME=env:VARIABLE or VOLUME=file:PATH.",
            valueName: "source"
        )
    )
    var secretSource: [String] = []

    @Flag(help: "Delete the group and make it anew where Azure cannot change it; its address moves.")
    var recreate = false

    func apply(to deploy: inout DeployImage) {
        deploy.mayRecreate = recreate
        apply(to: &deploy.options)
    }

    private func apply(to options: inout DeployOptions) {
        options.restartPolicy = restartPolicy
        (options.containerName, options.removedContainers) = (containerName, containerRm)
        options.secretSources = secretSource
    }
}

/// `--dry-run`, as kubectl has it; its values are made flags of their own by ``Program/arguments(_:)``.
enum DryRun: String, EnumerableFlag {
    case plain
    case client
    case server

    static func name(for value: DryRun) -> NameSpecification {
        .customLong(value == .plain ? "dry-run" : "dry-run-\(value.rawValue)")
    }

    static func help(for value: DryRun) -> ArgumentHelp? {
        guard value == .plain else { return .private }
        return ArgumentHelp(
            "Say what would be done, and do nothing; what is built is not pushed. A cluster is asked what it would make of "
                + "it; with --dry-run=client it is only read."
        )
    }
}

/// What is done in the end, and how it is shown.
struct DeployModeFlags<Words: TargetWords>: ParsableArguments {
    @Option(name: .shortAndLong, help: Words.file)
    var file: [String] = []

    @Option(help: ArgumentHelp("The stage to build; the last one by default.", valueName: "stage"))
    var buildTarget: String?

    @Option(help: ArgumentHelp("A build argument, NAME=value.", valueName: "argument"))
    var buildArg: [String] = []

    @Option(
        help: ArgumentHelp("A further context, NAME=FOLDER or NAME=oci-layout://FOLDER[:TAG].", valueName: "context")
    )
    var buildContext: [String] = []

    @Option(help: ArgumentHelp(Words.registry, valueName: "registry"))
    var registry: String?

    @Option(help: ArgumentHelp("What it is called there; the deployment's name by default.", valueName: "name"))
    var repository: String?

    @Flag(exclusivity: .exclusive) var dryRun: DryRun?

    @Option(help: ArgumentHelp(Words.emit, valueName: "form"))
    var emit: String?

    @Flag(help: "Leave what does not work as it is; do not go back to what did.")
    var keepFailed = false

    @Option(help: "How to show progress: auto, plain, tty or json.")
    var progress = ProgressStyle.auto

    @Flag(name: .shortAndLong, help: "Print the result and nothing else.")
    var quiet = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    /// What flags say, without an image or a context.
    func deploy(
        _ store: StoreFlags,
        _ access: RegistryAccess,
        _ apply: (inout DeployImage) throws -> Void
    ) throws -> DeployImage {
        guard dryRun == nil || emit == nil else { throw ExitReason(.usage, "--dry-run and --emit are given both") }
        var deploy = DeployImage(try store.workspace, environment: Environment.all)
        let files = file.filter { !ComposeFiles.isCompose($0) }
        guard files.count < 2 else {
            throw ExitReason(.usage, "--file names two Dockerfiles: \(files[0]), \(files[1])")
        }
        (deploy.options.file, deploy.options.stage, deploy.options.buildArguments) = (
            files.first, buildTarget, buildArg
        )
        deploy.options.buildContexts = buildContext
        (deploy.options.registry, deploy.options.repository) = (registry, repository)
        deploy.access = access
        deploy.options.subscription = deploy.access.azure.subscription
        deploy.mode = emit.map { .emit($0) } ?? (dryRun == nil ? .apply : .dryRun)
        deploy.predicts = dryRun == .client
        deploy.keepsFailed = keepFailed
        if Prompt.isPossible { deploy.ask = { Prompt.secret($0) } }
        try apply(&deploy)
        if let compose = file.first(where: { ComposeFiles.isCompose($0) }), deploy.options.composeFiles.isEmpty {
            throw ExitReason(
                .usage,
                "--file \(compose) is no Dockerfile",
                hint: "coracle up -f \(compose), for its services"
            )
        }
        try deploy.checkFlags()
        return deploy
    }

    /// Does it, shows it, and prints its result.
    @discardableResult
    func show(_ body: (DeployImage.Watcher) async throws -> DeployImage.Outcome) async throws -> DeployImage.Outcome {
        let view = progress.view(isQuiet: quiet)
        var watcher = DeployImage.Watcher()
        (watcher.build, watcher.transfer) = ({ view.show($0) }, { view.show($0) })
        watcher.fault = { if quiet { Output.note($0) } else { view.show(line: $0) } }
        if !quiet { watcher.line = { view.show(line: $0) } }
        let outcome: DeployImage.Outcome
        do {
            outcome = try await body(watcher)
        } catch {
            view.finish()
            // Who reads JSON is told in JSON, too.
            if json { try Output.result(DeployImage.json(failure: error)) }
            throw error
        }
        view.finish()
        try Output.result(json ? outcome.json : outcome.text)
        if let failure = outcome.failure { throw failure }
        return outcome
    }
}
