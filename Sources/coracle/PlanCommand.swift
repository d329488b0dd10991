// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import CoracleKit

/// `coracle plan`.
struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Show what a build would do: stages, steps, their keys, and what runs in parallel.",
        discussion: "Nothing is built, and nothing is fetched. Base images are looked at with --resolve only."
    )

    @Argument(help: "The build context or a Dockerfile; - is a Dockerfile on standard input.")
    var path = "."

    @Option(name: .shortAndLong, help: "The Dockerfile of the build context; - is standard input.")
    var file: String?

    @OptionGroup var flags: PlanFlags

    @Option(help: "How to show it: text, json or mermaid.")
    var format = PlanFormat.text

    @Flag(help: "Look at base images, here and in registries: variables, user, directory, ONBUILD.")
    var resolve = false

    @OptionGroup var registry: RegistryFlags
    @OptionGroup var base: BaseImageFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Option(help: "The folder of the store; $CORACLE_STORE or ~/.local/share/coracle by default.")
    var store: String?

    @Flag(help: .hidden)
    var timing = false

    mutating func run() async throws {
        var show = ShowPlan(DockerfileInput(file: file, path: path))
        show.settings = flags.settings
        show.registries = base.settings(try registry.access(azure))
        if timing {
            let timing = try show.measure(rounds: 51, environment: Environment.all)
            let times = "\"parse_ms\": \(timing.parse), \"plan_ms\": \(timing.plan), \"keys_ms\": \(timing.keys)"
            Output.note("{\(times)}")
        }
        let environment = Environment.all
        let outcome =
            resolve
            ? try await show.resolved(
                environment: environment,
                in: Workspace(store: store, environment: environment)
            )
            : try await show.run(environment: environment)
        guard let plan = outcome.plan else {
            Output.raw(CheckFormat.text.write(outcome.errors))
            throw ExitReason(outcome.code, "")
        }
        try Output.result(format.write(plan, of: outcome.source, warnings: outcome.warnings))
        if format != .json { Output.raw(outcome.summary) }
    }
}

extension PlanFormat: ExpressibleByArgument {}
