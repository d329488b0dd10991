// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle stop`.
struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "End containers, and remove what is kept of them; or stop a deployment.",
        discussion: """
            The program of a container of this machine gets the image's STOPSIGNAL, and is killed if it still runs after a \
            while. A name that no such container has is that of the deployment in coracle.yaml; --resource-group and \
            --name are of any deployment, as --kube-context, --namespace and --name are on a cluster, where it has no pods \
            then. A stopped deployment costs nothing and loses what it changed; coracle start \
            starts it again, coracle down deletes it.
            """
    )

    @OptionGroup var flags: StoreFlags

    @Argument(help: "Names, or numbers or the beginnings of them.")
    var names: [String] = []

    @Option(name: .shortAndLong, help: "The seconds until it is killed; 10 by default, 0 kills at once.")
    var time: Int?

    @Flag(help: "All containers of this machine.")
    var all = false

    @Flag(name: .customLong("rm"), help: "Remove state and log; also of containers that have ended.")
    var remove = false

    @OptionGroup(title: "Deployments") var deployment: DeploymentFlags

    mutating func run() async throws {
        try deployment.refuseContainer("all containers of a deployment are stopped together")
        var manage = try deployment.manage
        if remove || time != nil, let flag = deployment.placeFlag {
            throw ExitReason(
                .usage,
                "\(remove ? "--rm" : "--time") is of containers of this machine, and \(flag) of deployments",
                hint: remove ? "coracle down, which deletes a deployment" : "Azure and clusters have times of their own"
            )
        }
        guard !manage.isElsewhere || (!all && names.count <= 1) else {
            throw ExitReason(.usage, "of deployments one is stopped at a time", hint: "coracle stop NAME, for each")
        }
        if names.count == 1 { try manage.take(names.first) }
        if !all, names.count <= 1, try isDeployed(manage) { return try Output.result(await manage.stop()) }
        var stop = StopContainers(try flags.workspace)
        (stop.seconds, stop.all, stop.removes) = (time ?? 10, all, remove)
        try Output.result(stop.run(names))
    }

    /// Without a name, only where a deployment is named somewhere.
    private func isDeployed(_ manage: ManageDeployment) throws -> Bool {
        if names.isEmpty, try !manage.isNamed() { return false }
        return try manage.meaning(of: names.first, in: flags.workspace) == .deployed
    }
}
