// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit
internal import Glibc

/// `coracle exec`.
struct ExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run a command, or a shell, in a container of a deployment.",
        discussion: """
            Without a command, a shell with this terminal before it. Its exit code is that of coracle. On \
            Container Instances it is run by /bin/sh there, and both its streams go to standard output. The deployment is \
            the one that coracle.yaml names, or the one of --resource-group and --name; on a cluster, of --cluster or \
            --kube-context, --namespace and --name, and in the newest pod that is ready.

              coracle exec
              coracle exec --container proxy cat /etc/nginx/nginx.conf
              coracle exec -i tar -x -C /srv < site.tar
              coracle exec -it python3
            """
    )

    @OptionGroup var deployment: DeploymentFlags

    @Option(help: "The shell, where there is no command.")
    var shell = "/bin/sh"

    @Flag(
        name: [.customShort("i"), .customLong("interactive"), .customLong("stdin")],
        help: "Pass standard input on to the command."
    )
    var interactive = false

    @Flag(name: [.customShort("t"), .customLong("tty")], help: "Give the command a terminal.")
    var terminal = false

    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.")
    var command: [String] = []

    mutating func run() async throws {
        if let first = command.first, first.hasPrefix("-"), first != "--" {
            if ["-h", "--help"].contains(first) { throw CleanExit.helpRequest(ExecCommand.self) }
            throw ExitReason(
                .usage,
                "coracle exec has no option \(first)",
                hint: "coracle exec -- \(first) …, where that is the command"
            )
        }
        let manage = try deployment.manage
        let words = command.first == "--" ? Array(command.dropFirst()) : command
        guard !words.isEmpty else {
            let code = try await manage.shell(shell) { Output.piece($0, isError: false) }
            if code != 0 { throw ExitCode(code) }
            return
        }
        var connection = ExecConnection()
        (connection.passesInput, connection.hasTerminal) = (interactive, terminal)
        let code = try await manage.execute(words, connection) { Output.piece($1, isError: $0) }
        if code != 0 { throw ExitCode(code) }
    }
}
