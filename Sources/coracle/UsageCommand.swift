// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle du`.
struct UsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "du",
        abstract: "Show what the store takes on disk.",
        discussion: "In blocks, as du(1) counts them; a file with several names counts once."
    )

    @OptionGroup var flags: StoreFlags

    @Option(help: "How to show it: text or json.")
    var format = OutputFormat.text

    mutating func run() throws {
        try Output.result(ShowUsage(flags.workspace).run(format))
    }
}
