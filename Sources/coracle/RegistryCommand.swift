// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// `coracle registry`.
struct RegistryCommand: CommandGroup {
    static let configuration = CommandConfiguration(
        commandName: "registry",
        abstract: "Look into registries, and be one.",
        subcommands: [
            RegistryListCommand.self, RegistryTagsCommand.self, RegistryManifestCommand.self,
            RegistryRemoveCommand.self, RegistryServeCommand.self,
        ]
    )
}
