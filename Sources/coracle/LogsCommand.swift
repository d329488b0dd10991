// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle logs`.
struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show what a detached container wrote.",
        discussion: "What it wrote to standard error goes to standard error."
    )

    @OptionGroup var flags: StoreFlags

    @Argument(help: "A name, or a number or the beginning of it.")
    var name: String

    @Flag(name: .shortAndLong, help: "Go on until the container has ended.")
    var follow = false

    @Option(name: [.customShort("n"), .long], help: "Only so many lines from the end.")
    var tail: Int?

    @Flag(name: .shortAndLong, help: "Show when each line was written.")
    var timestamps = false

    mutating func run() throws {
        var logs = ShowLogs(try flags.workspace)
        (logs.follows, logs.tail, logs.hasTimes) = (follow, tail, timestamps)
        try logs.run(name) { Output.piece($1, isError: $0 == .errors) }
    }
}
