// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit
internal import Glibc

/// `coracle deploy`.
struct DeployCommand: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "deploy",
        abstract: "Run an image on Azure.",
        subcommands: [DeployACICommand.self, DeployAKSCommand.self]
    )
}

/// `coracle deploy aci`.
struct DeployACICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aci",
        abstract: "Run an image on Azure Container Instances.",
        discussion: """
            A folder is built and pushed first. Everything that can be looked at is looked at before anything is changed; \
            the plan says whether the group is made, changed in place, started again or made anew, and whether its \
            address moves. What is not mentioned stays as it is; secrets, which Azure never gives back, are asked for \
            again. Where the new image does not work, the last good one runs again. The URL goes to standard output.

              coracle deploy aci . -g demo -n web --registry myacr
              coracle deploy aci myacr.azurecr.io/web:1.4 -g demo -n web --dns-label my-web --secure-env DB_PASSWORD
              coracle deploy aci . -g demo -n web --emit bicep > web.bicep
            """
    )

    @Argument(help: "The image, by its name in a registry; or a build context, a folder.")
    var image: String

    @OptionGroup(title: "Group") var place: DeployPlaceFlags
    @OptionGroup(title: "Container") var container: DeployContainerFlags<GroupWords>
    @OptionGroup(title: "Container") var group: DeployGroupFlags
    @OptionGroup var mode: DeployModeFlags<GroupWords>
    @OptionGroup var store: StoreFlags
    @OptionGroup var registries: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    mutating func run() async throws {
        try await mode.show { [self] in try await prepared().run($0) }
    }

    /// What flags say.
    private func prepared() throws -> DeployImage {
        try mode.deploy(store, registries.access(azure)) { deploy in
            place.apply(to: &deploy)
            container.apply(to: &deploy.options)
            group.apply(to: &deploy)
            if DeployImage.isContext(image) { deploy.options.context = image } else { deploy.options.image = image }
        }
    }
}

/// `coracle deploy aks`.
struct DeployAKSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aks",
        abstract: "Run an image on Azure Kubernetes Service, or any other cluster.",
        discussion: """
            A folder is built and pushed first. The manifests are pinned to the image's digest, and as tight as the image \
            allows: its user, no capabilities, seccomp, a root file system that can only be read where nothing is written \
            there. They are applied by server-side apply, so that what others own in them stays theirs. The rollout is \
            watched, and where it does not work the version before runs again. The URL, else the name, goes to standard \
            output; with --dry-run what the cluster says it would change; with --emit k8s the manifests, for which no \
            cluster is asked.

              coracle deploy aks . -g demo -n web --cluster shop --registry myacr
              coracle deploy aks myacr.azurecr.io/web:1.4 -n web --ip public --http-probe /healthz:8080 --replicas 3
              coracle deploy aks nginx:1.27 -n web --ingress www.example.com --emit k8s -o k8s/base
            """
    )

    @Argument(help: "The image, by its name in a registry; or a build context, a folder.")
    var image: String

    @OptionGroup(title: "Deployment") var place: ClusterPlaceFlags
    @OptionGroup(title: "Cluster") var access: ClusterAccessFlags
    @OptionGroup(title: "Container") var container: DeployContainerFlags<ClusterWords>
    @OptionGroup(title: "Kubernetes") var cluster: ClusterFlags
    @OptionGroup var mode: DeployModeFlags<ClusterWords>
    @OptionGroup var store: StoreFlags
    @OptionGroup var registries: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    mutating func run() async throws {
        try await mode.show { [self] in try await prepared().run($0) }
    }

    /// What flags say.
    private func prepared() throws -> DeployImage {
        try mode.deploy(store, registries.access(azure)) { deploy in
            place.apply(to: &deploy.options)
            access.apply(to: &deploy.options)
            container.apply(to: &deploy.options)
            try cluster.apply(to: &deploy)
            deploy.options.target = "aks"
            if DeployImage.isContext(image) { deploy.options.context = image } else { deploy.options.image = image }
        }
    }
}

/// `coracle up`.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "From a Dockerfile to a running URL: build, push, deploy.",
        discussion: """
            The flags are those of coracle deploy aci and, with --target aks, coracle deploy aks. What they say is kept in \
            coracle.yaml in the current folder, so that the next coracle up needs none; never a secret: of --secure-env it keeps where the value comes from.

              coracle up -g demo --registry myacr
              coracle up --target aks -g demo --cluster shop --registry myacr
              coracle up
              coracle logs -f
              coracle down

            Where a compose.yaml is here, or -f names one, all its services are built, pushed and run as one container \
            group; what a group cannot do is said with file, line and key, before anything is built (coracle check \
            compose.yaml says the same).

              coracle up -f compose.yaml -f compose.prod.yaml -g demo --registry myacr
            """
    )

    @Argument(help: "The build context; that of coracle.yaml, else this folder.")
    var context: String?

    @Option(help: "Where it runs: aci, the default, or aks.")
    var target: String?

    @Option(help: ArgumentHelp("An image of a registry in place of a build context.", valueName: "name"))
    var image: String?

    @Option(help: ArgumentHelp("The file that remembers; else CORACLE_CONFIG, else coracle.yaml.", valueName: "file"))
    var config: String?

    @OptionGroup(title: "Several services") var compose: ComposeFlags
    @OptionGroup(title: "Group") var place: DeployPlaceFlags
    @OptionGroup(title: "Container") var container: DeployContainerFlags<EveryWords>
    @OptionGroup(title: "Container") var group: DeployGroupFlags
    @OptionGroup(title: "Cluster") var access: ClusterAccessFlags
    @OptionGroup(title: "Kubernetes") var cluster: ClusterFlags
    @OptionGroup var mode: DeployModeFlags<EveryWords>
    @OptionGroup var store: StoreFlags
    @OptionGroup var registries: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    mutating func run() async throws {
        try await mode.show { [self] in try await prepared().run($0) }
    }

    /// What flags say.
    func prepared() throws -> Up {
        let deploy = try mode.deploy(store, registries.access(azure)) { deploy in
            place.apply(to: &deploy)
            container.apply(to: &deploy.options)
            group.apply(to: &deploy)
            access.apply(to: &deploy.options)
            try cluster.apply(to: &deploy)
            guard context == nil || image == nil else {
                throw ExitReason(.usage, "a context and --image are given both")
            }
            deploy.options.profiles = compose.profile
            // A compose file may be given as -f, as Compose has it.
            deploy.options.composeFiles = compose.compose + mode.file.filter { ComposeFiles.isCompose($0) }
            guard (context == nil && image == nil) || deploy.options.composeFiles.isEmpty else {
                throw ExitReason(.usage, "a compose file and a context or --image are given both")
            }
            (deploy.options.target, deploy.options.context, deploy.options.image) = (target, context, image)
        }
        return Up(deploy, config: config, environment: Environment.all)
    }
}

/// `coracle diff`.
struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show what coracle up would change, and change nothing.",
        discussion: """
            The flags are those of coracle up. On a cluster it is asked what it would make of the manifests, and what would \
            be different is shown line by line; secrets never are. What would be built is built, and not pushed.

            It ends with 0 where all is as it should be, with 1 where something would change, and with more than 1 where \
            that could not be found out, as kubectl diff does.

              coracle diff
              coracle diff --quiet; [ $? -ne 1 ] || coracle up
            """
    )

    // It does so without, as kubectl's; git's needs it.
    @Flag(help: ArgumentHelp("End with 1 where something would change, as always.", visibility: .hidden))
    var exitCode = false

    @OptionGroup var up: UpCommand

    mutating func run() async throws {
        let outcome = try await up.mode.show { [up] watcher in
            guard up.mode.dryRun == nil, up.mode.emit == nil else {
                throw ExitReason(.usage, "coracle diff changes nothing, with --dry-run and --emit or without")
            }
            do {
                var prepared = try up.prepared()
                prepared.deploy.mode = .diff
                return try await prepared.run(watcher)
            } catch let reason as ExitReason where reason.code == .step {
                // 1 is a difference, and nothing else.
                throw ExitReason(.usage, reason.message, hint: reason.hint)
            }
        }
        if outcome.hasChanges { throw ExitCode(1) }
    }
}
