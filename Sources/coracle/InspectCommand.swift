// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle inspect`.
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what an image is made of: platforms, configuration, layers and what made them."
    )

    @OptionGroup var flags: StoreFlags
    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Flag(help: "Look in the registry, and pull nothing; so does docker:// before the name.")
    var remote = false

    @Argument(help: "A name, sha256: and a digest, oci-layout://FOLDER[:TAG], or docker://NAME.")
    var name: String

    @Option(help: "How to show it: text or json.")
    var format = OutputFormat.text

    mutating func run() async throws {
        guard remote || name.hasPrefix("docker://") else {
            return try Output.result(InspectImage(flags.workspace).run(name, format))
        }
        let text = try await InspectImage.run(
            remote: name,
            registry.access(azure),
            environment: Environment.all,
            format,
            note: { Output.note($0) }
        )
        try Output.result(text)
    }
}
