// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle ps`.
struct ContainersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps",
        abstract: "List the containers that coracle run started, or what is deployed.",
        discussion: """
            Without --resource-group, the containers of this machine; where a coracle.yaml is here, the deployment that it \
            names follows. With --resource-group, all deployments there, or the one of --name; with --cluster, --kubeconfig, \
            --kube-context or --namespace those that Coracle made there.
            """
    )

    @OptionGroup var flags: StoreFlags

    @Flag(name: .shortAndLong, help: "Also those that have ended.")
    var all = false

    @Flag(name: .shortAndLong, help: "Names only.")
    var quiet = false

    @Flag(help: "Containers of this machine only.")
    var local = false

    @Option(help: "How to list: text or json.")
    var format = OutputFormat.text

    @OptionGroup(title: "Deployments") var deployment: DeploymentFlags

    mutating func run() async throws {
        try refuseIdle()
        let manage = try deployment.manage
        if format == .json, !local, !quiet, !manage.isElsewhere, try manage.isNamed() {
            // What programs read is one document.
            let list = ListContainers(try flags.workspace)
            return try Output.result(await manage.list(with: list, all ? .all : .running))
        }
        if !manage.isElsewhere || local {
            let list = ListContainers(try flags.workspace)
            try Output.result(quiet ? list.names(all ? .all : .running) : list.run(all ? .all : .running, format))
        }
        // The deployment of coracle.yaml is no container's name.
        guard !local, !quiet || manage.isElsewhere, try manage.isNamed() else { return }
        if quiet { return try Output.result(await manage.names()) }
        try Output.result(await manage.list(format))
    }

    /// Refuses flags that others leave nothing to do.
    private func refuseIdle() throws(ExitReason) {
        try deployment.refuseContainer("all containers of a deployment are listed")
        if local, let flag = deployment.placeFlag {
            throw ExitReason(
                .usage,
                "--local and \(flag) are given both",
                hint: "--local for containers of this machine, \(flag) for deployments"
            )
        }
        if quiet, format != .text {
            throw ExitReason(
                .usage,
                "--quiet and --format are given both",
                hint: "--quiet for names, a line each; --format json for all there is to know"
            )
        }
    }
}
