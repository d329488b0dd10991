// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit
internal import Glibc

/// `coracle deploy`.
struct DeployCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deploy",
        abstract: "Run an image on Azure.",
        subcommands: [DeployACICommand.self]
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
    @OptionGroup(title: "Container") var container: DeployContainerFlags
    @OptionGroup var mode: DeployModeFlags

    mutating func run() async throws {
        var deploy = try mode.deploy(place, container)
        if DeployImage.isContext(image) { deploy.options.context = image } else { deploy.options.image = image }
        try await mode.show { [deploy] in try await deploy.run($0) }
    }
}

/// `coracle up`.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "From a Dockerfile to a running URL: build, push, deploy.",
        discussion: """
            The flags are those of coracle deploy aci. What they say is kept in coracle.yaml in the current folder, so \
            that the next coracle up needs none; never a secret: of --secure-env it keeps where the value comes from.

              coracle up -g demo --registry myacr
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

    @Option(help: "Where it runs: aci.")
    var target: String?

    @Option(help: ArgumentHelp("An image of a registry in place of a build context.", valueName: "name"))
    var image: String?

    @Option(help: ArgumentHelp("The file that remembers; else CORACLE_CONFIG, else coracle.yaml.", valueName: "file"))
    var config: String?

    @OptionGroup(title: "Several services") var compose: ComposeFlags
    @OptionGroup(title: "Group") var place: DeployPlaceFlags
    @OptionGroup(title: "Container") var container: DeployContainerFlags
    @OptionGroup var mode: DeployModeFlags

    mutating func run() async throws {
        let files = compose.files(taking: &mode.file)
        var deploy = try mode.deploy(place, container)
        (deploy.options.composeFiles, deploy.options.profiles) = (files, compose.profile)
        guard context == nil || files.isEmpty else {
            throw ExitReason(.usage, "a context and a compose file are given both")
        }
        guard context == nil || image == nil else { throw ExitReason(.usage, "a context and --image are given both") }
        (deploy.options.target, deploy.options.context, deploy.options.image) = (target, context, image)
        let up = Up(deploy, config: config, environment: Environment.all)
        try await mode.show { try await up.run($0) }
    }
}
