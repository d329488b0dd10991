// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle ps`.
struct ContainersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps",
        abstract: "List the containers that coracle run started."
    )

    @OptionGroup var flags: StoreFlags

    @Flag(name: .shortAndLong, help: "Also those that have ended.")
    var all = false

    @Flag(name: .shortAndLong, help: "Names only.")
    var quiet = false

    @Option(help: "How to list: text or json.")
    var format = OutputFormat.text

    mutating func run() throws {
        let list = ListContainers(try flags.workspace)
        try Output.result(quiet ? list.names(all ? .all : .running) : list.run(all ? .all : .running, format))
    }
}
