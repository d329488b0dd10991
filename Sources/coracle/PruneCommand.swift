// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle prune`.
struct PruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Remove what no image needs.",
        discussion: """
            Layers that nothing refers to always go, and logs of builds after a week. Cached steps go when an option \
            says so, with layers that only they need, and so does what RUN --mount=type=cache keeps. No image of the list loses anything, and nothing is removed under a running build.
            """
    )

    @OptionGroup var flags: StoreFlags

    @Option(
        help: ArgumentHelp(
            "Remove unpacked layers, cached steps and cache mounts, the least recently used first, until the "
                + "store is no larger: 20GB, 512MiB.",
            valueName: "size"
        )
    )
    var maxSize: String?

    @Option(
        help: ArgumentHelp(
            "Remove cached steps and cache mounts that were not used for so long: 7d, 12h.",
            valueName: "time"
        )
    )
    var olderThan: String?

    @Flag(help: "Remove all cached steps and all that RUN --mount=type=cache keeps.")
    var all = false

    @Flag(help: "Say what would be removed, and remove nothing.")
    var dryRun = false

    mutating func run() throws {
        var prune = PruneStore(try flags.workspace)
        prune.maxSize = try maxSize.map { try DataSize($0) }
        prune.olderThan = try olderThan.map { try TimeSpan($0) }
        prune.all = all
        try Output.result(prune.run(dryRun ? .preview : .remove))
    }
}
