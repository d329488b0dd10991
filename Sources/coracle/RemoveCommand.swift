// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle rm`.
struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Take images off the list.",
        discussion: "Their blobs stay until coracle prune removes what no image needs.",
        aliases: ["rmi"]
    )

    @OptionGroup var flags: StoreFlags

    @Argument(help: "Names, or sha256: and digests, which remove every name of an image.")
    var names: [String]

    mutating func run() throws {
        let removed = try RemoveImage(flags.workspace).run(names)
        try Output.result(removed.map { $0 + "\n" }.joined())
    }
}
