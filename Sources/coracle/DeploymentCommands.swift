// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// Which deployment a command is about, where it is about one.
struct DeploymentFlags: ParsableArguments {
    @Option(
        name: [.customShort("g"), .customLong("resource-group")],
        help: ArgumentHelp("Of a deployment: its resource group; else that of coracle.yaml.", valueName: "group")
    )
    var resourceGroup: String?

    @Option(
        name: .customLong("name"),
        help: ArgumentHelp("Of a deployment: its name; else that of coracle.yaml.", valueName: "name")
    )
    var deployment: String?

    @Option(help: ArgumentHelp("Of a deployment: which of its containers.", valueName: "name"))
    var container: String?

    @Option(
        help: ArgumentHelp(
            "The file that names the deployment; else CORACLE_CONFIG, else coracle.yaml.",
            valueName: "file"
        )
    )
    var config: String?

    @Option(help: ArgumentHelp("Trust the certificates in this file too.", valueName: "file"))
    var ca: [String] = []

    @Option(help: ArgumentHelp("Do not verify the certificate of this host.", valueName: "host"))
    var insecure: [String] = []

    @OptionGroup(title: "Cluster") var access: ClusterAccessFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    /// The first flag that says which deployment is meant; `nil` where none does.
    var placeFlag: String? {
        let said: [(String, String?)] = [
            ("--resource-group", resourceGroup), ("--name", deployment), ("--cluster", access.cluster),
            ("--kubeconfig", access.kubeconfig), ("--kube-context", access.kubeContext),
            ("--namespace", access.namespace),
        ]
        return said.first { $0.1 != nil }?.0
    }

    /// Refuses `--container` where it chooses nothing.
    func refuseContainer(_ hint: String) throws(ExitReason) {
        guard container != nil else { return }
        throw ExitReason(.usage, "--container is of coracle logs and coracle exec of a deployment", hint: hint)
    }

    var manage: ManageDeployment {
        get throws {
            var manage = ManageDeployment(environment: Environment.all) { Output.note($0) }
            (manage.resourceGroup, manage.name, manage.container) = (resourceGroup, deployment, container)
            manage.config = config
            (manage.cluster, manage.isAdministrator) = (access.cluster, access.admin)
            (manage.kubeconfig, manage.kubeContext) = (access.kubeconfig, access.kubeContext)
            manage.namespace = access.namespace
            try manage.checkAdministrator()
            (manage.access.azure, manage.access.authorityFiles) = (try azure.access, ca)
            manage.access.insecureHosts = insecure
            try manage.access.check()
            return manage
        }
    }
}

/// `coracle start`.
struct StartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a deployment again that was stopped.",
        discussion:
            "On Container Instances its images are pulled anew, and its address may be another. Its URL goes to standard output."
    )

    @Argument(help: "The deployment's name, as --name.")
    var name: String?

    @OptionGroup var deployment: DeploymentFlags

    mutating func run() async throws {
        try deployment.refuseContainer("all containers of a deployment start together")
        var manage = try deployment.manage
        try manage.choose(name)
        try Output.result(await manage.start())
    }
}

/// `coracle down`.
struct DownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Delete a deployment; its images stay in the registry, and coracle.yaml where it is.",
        discussion: """
            It is the one that coracle.yaml names, or the one of --resource-group and --name; on a cluster, of --cluster or \
            --kube-context, --namespace and --name. There claims stay, as what is in them cannot be made again.
            """
    )

    @Argument(help: "The deployment's name, as --name.")
    var name: String?

    @OptionGroup var deployment: DeploymentFlags

    mutating func run() async throws {
        try deployment.refuseContainer("coracle deploy aci … --container-rm NAME takes one of several away")
        var manage = try deployment.manage
        try manage.choose(name)
        try Output.result(await manage.down())
    }
}
