// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// Where base images come from.
struct BaseImageFlags: ParsableArguments {
    @Flag(help: "Ask registries for base images that are in the store too.")
    var pull = false

    @Flag(help: "Ask no registry for base images.")
    var offline = false

    func settings(_ access: RegistryAccess) -> BuildRegistries {
        var settings = BuildRegistries()
        (settings.access, settings.pulls, settings.isOffline) = (access, pull, offline)
        return settings
    }
}

/// What a build has to do with registries.
struct BuildRegistryFlags: ParsableArguments {
    @Flag(help: "Push the image to the registries of its names; layers go there while later steps still run.")
    var push = false

    @Option(
        help: ArgumentHelp(
            "Keep the step cache, with the layers of all steps, in this image of a registry, and start from it.",
            valueName: "reference"
        )
    )
    var cache: [String] = []

    @Option(
        name: .customLong("cache-from"),
        help: "Start from the step cache in an image: type=registry,ref=REFERENCE, or the reference alone."
    )
    var cacheFrom: [String] = []

    @Option(
        name: .customLong("cache-to"),
        help:
            "Keep the step cache in an image: type=registry,ref=REFERENCE[,mode=max]; max keeps the layers of all steps."
    )
    var cacheTo: [String] = []

    func settings(
        _ base: BuildRegistries,
        _ show: @escaping @Sendable (TransferProgress) -> Void
    ) -> BuildRegistries {
        var settings = base
        (settings.pushes, settings.progress) = (push, show)
        (settings.caches, settings.cachesFrom, settings.cachesTo) = (cache, cacheFrom, cacheTo)
        return settings
    }
}
