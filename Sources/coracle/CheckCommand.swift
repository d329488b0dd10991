// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import CoracleKit

/// `coracle check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Find every fault and doubtful place in Dockerfiles and compose files.",
        discussion: "Exits with 0 where there are none or warnings only, and with 2 where there are errors."
    )

    @Argument(help: "Build contexts, Dockerfiles, or compose files (.yaml, .yml); - is a Dockerfile on standard input.")
    var paths: [String] = ["."]

    @Option(name: .shortAndLong, help: "The Dockerfile of a build context; - is standard input.")
    var file: String?

    @OptionGroup var flags: PlanFlags

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp("Where the services of compose files are to run: aci or aks.", valueName: "where")
    )
    var destination = "aci"

    @Option(help: ArgumentHelp("Of compose files: also the services of this profile.", valueName: "name"))
    var profile: [String] = []

    @Option(help: "Lint rules to leave out, with commas between; all for all of them.")
    var skip: [String] = []

    @Option(help: "Lint rules to add that are off by default, with commas between; all for all of them.")
    var enable: [String] = []

    @Flag(name: .customLong("error"), help: "Take findings of lint rules as errors.")
    var failsOnWarning = false

    @Option(help: "How to report: text, json, sarif, github or azure.")
    var format = CheckFormat.text

    @Flag(help: "List the lint rules.")
    var listRules = false

    mutating func run() throws {
        if listRules {
            try Output.result(RuleList.text)
            return
        }
        let environment = Environment.all
        var reports: [Check.Report] = []
        var unread: [ExitReason] = []
        var compose = ComposeFiles(environment: environment)
        (compose.files, compose.profiles) = (paths.filter { ComposeFiles.isCompose($0) }, profile)
        // They describe one project, each put over those before it.
        if !compose.files.isEmpty { reports.append(try compose.check(target: destination)) }
        for path in paths where !ComposeFiles.isCompose(path) {
            var check = Check(DockerfileInput(file: file, path: path))
            check.settings = flags.settings
            (check.skipped, check.enabled, check.failsOnWarning) = (skip, enable, failsOnWarning)
            do {
                reports.append(try check.run(environment: environment))
            } catch {
                // A flag with a fault has it for every path.
                if !unread.contains(where: { $0.message == error.message }) { unread.append(error) }
            }
        }
        if reports.isEmpty, let first = unread.first, unread.count == 1 { throw first }
        try Output.result(format.write(reports.flatMap(\.findings)))
        if format == .text, !reports.isEmpty { Output.note(Check.summary(of: reports)) }
        for reason in unread { Output.note(reason) }
        if let reason = unread.first { throw ExitReason(reason.code, "") }
        if reports.contains(where: \.isFailure) { throw ExitReason(.usage, "") }
    }
}

extension CheckFormat: ExpressibleByArgument {}
