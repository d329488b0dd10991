// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle inspect`.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what an image is made of: platforms, configuration, layers and what made them."
    )

    @OptionGroup var flags: StoreFlags

    @Argument(help: "A name, sha256: and a digest, or oci-layout://FOLDER[:TAG].")
    var name: String

    @Option(help: "How to show it: text or json.")
    var format = OutputFormat.text

    mutating func run() throws {
        try Output.result(InspectImage(flags.workspace).run(name, format))
    }
}
