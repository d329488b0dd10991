// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import CoracleKit

/// `coracle images`.
struct ImagesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images",
        abstract: "List the images of the store.",
        discussion: "Sizes are those of the compressed blobs; one that several images need counts in each."
    )

    @OptionGroup var flags: StoreFlags

    @Option(help: "How to list: text or json.")
    var format = OutputFormat.text

    @Flag(help: "Show whole digests.")
    var digests = false

    mutating func run() throws {
        try Output.result(ListImages(flags.workspace).run(format, digests: digests ? .whole : .short))
    }
}

extension OutputFormat: ExpressibleByArgument {}
