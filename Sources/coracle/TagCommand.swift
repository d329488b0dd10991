// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle tag`.
struct TagCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag",
        abstract: "Give an image another name.",
        discussion: """
            An image that had the name has it no longer; no blob is copied. An image that is not in the store gets the \
            name in its registry, where both names begin with the same host; so does any with --remote.
            """
    )

    @OptionGroup var flags: StoreFlags
    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Flag(help: "Give the name in the registry, whatever the store has.")
    var remote = false

    @Argument(help: "The image: a name, or its digest: whole, or the first 12 digits or more.")
    var source: String

    @Argument(help: "The name: [HOST[:PORT]/]PATH[:TAG].")
    var target: String

    mutating func run() async throws {
        let tag = TagImage(try flags.workspace)
        if try remote || tag.isRemote(source, target) {
            try Output.result(await registry.content(azure).tag(source, as: target) + "\n")
        } else {
            try Output.result(tag.run(source, as: target) + "\n")
        }
    }
}
