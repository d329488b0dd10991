// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle pull`.
struct PullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Pull an image of a registry into the store.",
        discussion: "Layers that are here already are not fetched. The image by its digest goes to standard output."
    )

    @OptionGroup var store: StoreFlags
    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags
    @OptionGroup var transfer: TransferFlags

    @Option(help: "The platform wanted, for example linux/arm64; this machine's by default.")
    var platform: String?

    @Flag(name: .customLong("all-platforms"), help: "Pull the image for all its platforms.")
    var allPlatforms = false

    @Argument(help: "The image: [HOST[:PORT]/]PATH[:TAG][@DIGEST].")
    var image: String

    mutating func run() async throws {
        var pull = PullImage(try store.workspace, environment: Environment.all)
        (pull.access, pull.platform, pull.takesAllPlatforms) = (try registry.access(azure), platform, allPlatforms)
        try await transfer.show { [pull, image] in try await pull.run(image, progress: $0) }
    }
}
