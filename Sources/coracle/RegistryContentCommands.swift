// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle registry ls`.
struct RegistryListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List the repositories of a registry.")

    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Option(help: "How to list: text or json.")
    var format = OutputFormat.text

    @Argument(help: "The registry: HOST[:PORT].")
    var host: String

    mutating func run() async throws {
        try Output.result(await registry.content(azure).repositories(host, format))
    }
}

/// `coracle registry tags`.
struct RegistryTagsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tags", abstract: "List the tags of a repository.")

    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Option(help: "How to list: text or json.")
    var format = OutputFormat.text

    @Argument(help: "The repository: HOST[:PORT]/PATH.")
    var repository: String

    mutating func run() async throws { try Output.result(await registry.content(azure).tags(repository, format)) }
}

/// `coracle registry manifest`.
struct RegistryManifestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manifest",
        abstract: "Show a manifest or index as the registry holds it, byte for byte."
    )

    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Option(help: "Show the manifest for this platform, where the name is of an index.")
    var platform: String?

    @Argument(help: "The image: HOST[:PORT]/PATH[:TAG][@DIGEST].")
    var image: String

    mutating func run() async throws {
        try Output.result(await registry.content(azure).manifest(image, platform: platform))
    }
}

/// `coracle registry rm`.
struct RegistryRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Remove images or tags from a registry.",
        discussion: "A name with a digest removes the image and all its tags. A name with a tag removes the tag."
    )

    @OptionGroup var registry: RegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @Flag(help: "Remove the image that a tag names, with all its tags; some registries know no other way.")
    var image = false

    @Argument(help: "HOST[:PORT]/PATH:TAG or HOST[:PORT]/PATH@DIGEST.")
    var names: [String]

    mutating func run() async throws {
        try await registry.content(azure)
            .remove(names, removesImage: image) { try Output.result($0 + "\n") }
    }
}

extension RegistryFlags {
    /// What registries hold.
    func content(_ azure: AzureFlags) throws -> RegistryContent {
        var content = RegistryContent(environment: Environment.all) { Output.note($0) }
        content.access = try access(azure)
        return content
    }
}
