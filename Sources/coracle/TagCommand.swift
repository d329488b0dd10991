// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle tag`.
struct TagCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag",
        abstract: "Give an image another name.",
        discussion: "An image that had the name has it no longer; no blob is copied."
    )

    @OptionGroup var flags: StoreFlags

    @Argument(help: "The image: a name, or sha256: and its digest.")
    var source: String

    @Argument(help: "The name: [HOST[:PORT]/]PATH[:TAG].")
    var target: String

    mutating func run() throws {
        try Output.result(TagImage(flags.workspace).run(source, as: target) + "\n")
    }
}
