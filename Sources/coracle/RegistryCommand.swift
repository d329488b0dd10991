// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// `coracle registry`.
struct RegistryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry",
        abstract: "Look into registries, or be one.",
        subcommands: [
            RegistryServeCommand.self, RegistryListCommand.self, RegistryTagsCommand.self, RegistryManifestCommand.self,
            RegistryRemoveCommand.self,
        ]
    )
}
