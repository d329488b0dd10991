// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle push`.
struct PushCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push",
        abstract: "Push an image of the store to a registry.",
        discussion: """
            What the registry has already is not sent, and what another of its repositories has is mounted from there. \
            The image by its digest goes to standard output.
            """
    )

    @OptionGroup var store: StoreFlags
    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags
    @OptionGroup var transfer: TransferFlags

    @Option(name: .shortAndLong, help: "A further tag in the same repository; may be given several times.")
    var tag: [String] = []

    @Option(help: "Push the image for one platform only, for example linux/arm64.")
    var platform: String?

    @Argument(help: "The image: a name, or its digest: whole, or the first 12 digits or more.")
    var image: String

    @Argument(help: "Its name in the registry, HOST/PATH[:TAG]; its own name by default.")
    var target: String?

    mutating func run() async throws {
        var push = PushImage(try store.workspace, environment: Environment.all)
        (push.access, push.platform, push.tags) = (try registry.access(azure), platform, tag)
        try await transfer.show { [push, image, target] in try await push.run(image, to: target, progress: $0) }
    }
}
