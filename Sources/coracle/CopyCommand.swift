// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle copy`.
struct CopyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Copy an image from anywhere to anywhere, byte for byte.",
        discussion: """
            A place is REFERENCE or docker://REFERENCE (a registry), store:NAME, oci:FOLDER[:TAG], \
            oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]. Between registries nothing touches the disk; within \
            one registry nothing is moved.
            """
    )

    @OptionGroup var store: StoreFlags
    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags
    @OptionGroup var transfer: TransferFlags

    @Option(help: "The platform wanted, for example linux/arm64; this machine's by default.")
    var platform: String?

    @Flag(name: .customLong("all-platforms"), help: "Copy the image for all its platforms.")
    var allPlatforms = false

    @Argument(help: "Where the image is.")
    var source: String

    @Argument(help: "Where it goes.")
    var target: String

    mutating func run() async throws {
        var copy = CopyImage(try store.workspace, environment: Environment.all)
        (copy.access, copy.platform, copy.takesAllPlatforms) = (try registry.access(azure), platform, allPlatforms)
        try await transfer.show { [copy, source, target] in try await copy.run(from: source, to: target, progress: $0) }
    }
}
