// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle doctor`.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what this machine allows for RUN and coracle run, and how to allow more.",
        discussion: "The exit code is 0 where commands can be run at all, else 1."
    )

    @OptionGroup var flags: StoreFlags

    @Option(help: "How to show it: text or json.")
    var format = OutputFormat.text

    mutating func run() throws {
        let report = try ExamineMachine(flags.workspace).run(format)
        try Output.result(report.text)
        if !report.isPossible { throw ExitCode(ExitReason.Code.step.rawValue) }
    }
}
