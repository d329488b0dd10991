// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import CoracleKit

/// `coracle check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Find every fault and doubtful place in Dockerfiles.",
        discussion: "Exits with 0 where there are none or warnings only, and with 2 where there are errors."
    )

    @Argument(help: "Build contexts or Dockerfiles; - is a Dockerfile on standard input.")
    var paths: [String] = ["."]

    @Option(name: .shortAndLong, help: "The Dockerfile of a build context; - is standard input.")
    var file: String?

    @OptionGroup var flags: PlanFlags

    @Option(help: "Lint rules to leave out, with commas between; all for all of them.")
    var skip: [String] = []

    @Option(help: "Lint rules to add that are off by default, with commas between; all for all of them.")
    var enable: [String] = []

    @Flag(name: .customLong("error"), help: "Fail on warnings too.")
    var failsOnWarning = false

    @Option(help: "How to report: text, json, sarif, github or azure.")
    var format = CheckFormat.text

    @Flag(help: "List the lint rules.")
    var listRules = false

    mutating func run() throws {
        if listRules {
            Output.result(RuleList.text)
            return
        }
        let environment = Environment.all
        var reports: [Check.Report] = []
        for path in paths {
            var check = Check(DockerfileInput(file: file, path: path))
            check.settings = flags.settings
            (check.skipped, check.enabled, check.failsOnWarning) = (skip, enable, failsOnWarning)
            reports.append(try check.run(environment: environment))
        }
        Output.result(format.write(reports.flatMap(\.findings)))
        if format == .text { Output.note(Check.summary(of: reports)) }
        if reports.contains(where: \.isFailure) { throw ExitReason(.usage, "") }
    }
}

extension CheckFormat: ExpressibleByArgument {}
