// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle logs`.
struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show what a detached container or a deployment wrote.",
        discussion: """
            A name is that of a container of this machine, else of the deployment in coracle.yaml, which no name means \
            too; --resource-group and --name are of any deployment. What a container of this machine wrote to standard \
            error goes to standard error; Azure does not keep the two apart.
            """
    )

    @OptionGroup var flags: StoreFlags

    @Argument(help: "A name, or a number or the beginning of it.")
    var name: String?

    @Flag(name: .shortAndLong, help: "Go on until the container has ended.")
    var follow = false

    @Option(name: [.customShort("n"), .long], help: "Only so many lines from the end.")
    var tail: Int?

    @Flag(name: .shortAndLong, help: "Show when each line was written.")
    var timestamps = false

    @Flag(name: .shortAndLong, help: "On a cluster: what was written before the container was started again.")
    var previous = false

    @OptionGroup(title: "Deployments") var deployment: DeploymentFlags

    mutating func run() async throws {
        var manage = try deployment.manage
        try manage.take(name)
        if let name, try manage.meaning(of: name, in: flags.workspace) == .local {
            try deployment.refuseContainer("\(name) is a container of this machine, and has no others in it")
            guard !previous else {
                throw ExitReason(.usage, "--previous is of clusters, and \(name) is a container of this machine")
            }
            var logs = ShowLogs(try flags.workspace)
            (logs.follows, logs.tail, logs.hasTimes) = (follow, tail, timestamps)
            return try logs.run(name) { Output.piece($1, isError: $0 == .errors) }
        }
        _ = try manage.meaning(of: name, in: flags.workspace)
        try await manage.logs(follows: follow, tail: tail, hasTimes: timestamps, isPrevious: previous) {
            Output.piece($0, isError: false)
        }
    }
}
