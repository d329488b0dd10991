// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import CoracleKit

/// `coracle plan`.
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Show what a build would do: stages, steps, their keys, and what runs in parallel.",
        discussion: "Nothing is built or fetched."
    )

    @Argument(help: "The build context or a Dockerfile; - is a Dockerfile on standard input.")
    var path = "."

    @Option(name: .shortAndLong, help: "The Dockerfile of the build context; - is standard input.")
    var file: String?

    @OptionGroup var flags: PlanFlags

    @Option(help: "How to show it: text, json or mermaid.")
    var format = PlanFormat.text

    @Flag(help: .hidden)
    var timing = false

    mutating func run() async throws {
        var show = ShowPlan(DockerfileInput(file: file, path: path))
        show.settings = flags.settings
        if timing {
            let timing = try show.measure(rounds: 51, environment: Environment.all)
            Output.note("{\"parse_ms\": \(timing.parse), \"plan_ms\": \(timing.plan)}")
        }
        let outcome = try await show.run(environment: Environment.all)
        guard let plan = outcome.plan else {
            Output.note(CheckFormat.text.write(outcome.errors))
            throw ExitReason(.usage, "")
        }
        Output.result(format.write(plan, of: outcome.source))
    }
}

extension PlanFormat: ExpressibleByArgument {}
