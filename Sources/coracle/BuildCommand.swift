// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle build`.
struct BuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build",
        abstract: "Build an image from a Dockerfile and a build context.",
        discussion: "The image goes to the store, and wherever --output says. Its digest goes to standard output."
    )

    @Argument(help: "The build context: a folder, a tar archive, a git URL, or - for standard input.")
    var path = "."

    @Option(name: .shortAndLong, help: "The Dockerfile: a path, a URL, or - for standard input.")
    var file: String?

    @Option(name: .shortAndLong, help: "A name for the image; may be given several times.")
    var tag: [String] = []

    @OptionGroup var flags: BuildFlags
    @OptionGroup var access: RegistryFlags
    @OptionGroup var base: BaseImageFlags
    @OptionGroup var registry: BuildRegistryFlags
    @OptionGroup(title: "Azure") var azure: AzureFlags

    @OptionGroup(title: "Commands") var runFlags: RunFlags

    @Option(name: .shortAndLong, help: "Where the image goes besides the store: type=oci|docker|tar|local,dest=PATH.")
    var output: [String] = []

    @Option(help: "Write the image's digest to a file.")
    var iidfile: String?

    @Option(name: .customLong("metadata-file"), help: "Write what was built to a file, as JSON.")
    var metadataFile: String?

    @Option(help: "How to show progress: auto, plain, tty or json.")
    var progress = ProgressStyle.auto

    @Flag(name: .shortAndLong, help: "Print the digest and nothing else.")
    var quiet = false

    @Flag(help: "Check the Dockerfile, and build nothing.")
    var check = false

    @Option(help: "The folder of the store; $CORACLE_STORE or ~/.local/share/coracle by default.")
    var store: String?

    mutating func run() async throws {
        let environment = Environment.all
        if check {
            var command = try CheckCommand.parse([path] + (file.map { ["--file", $0] } ?? []))
            try command.run()
            return
        }
        var build = Build(
            DockerfileInput(file: file, path: path),
            store: try Workspace(store: store, environment: environment).path
        )
        flags.apply(to: &build)
        runFlags.apply(to: &build)
        (build.tags, build.outputs) = (tag, output)
        let view = progress.view(isQuiet: quiet)
        build.registries = registry.settings(base.settings(try access.access(azure))) { view.show($0) }
        let outcome = try await BuildCommand.run(build, environment, view)
        switch outcome {
        case .failed(let text, let code):
            Output.raw(text)
            throw ExitReason(code, "")
        case .built(let report):
            try report.write(iidfile: iidfile, metadata: metadataFile)
            if !quiet, !report.names.isEmpty { Output.note("built \(report.names.joined(separator: ", "))") }
            if !report.isStandardOutputTaken { try Output.result("\(report.digest)\n") }
        }
    }

    private static func run(
        _ build: Build,
        _ environment: [String: String],
        _ view: any ProgressView
    ) async throws -> Build.Outcome {
        defer { view.finish() }
        return try await build.run(environment: environment) { view.show($0) }
    }
}

/// The flags of a build that are the same for every way to start one.
struct BuildFlags: ParsableArguments {
    @Option(help: "The stage to build, by name or number; the last one by default.")
    var target: String?

    @Option(
        name: .customLong("build-arg"),
        help: "A build argument, NAME=value; NAME alone takes it from the environment."
    )
    var buildArguments: [String] = []

    @Option(
        name: .customLong("build-context"),
        help: "A further context, NAME=FOLDER or NAME=oci-layout://FOLDER[:TAG]."
    )
    var buildContexts: [String] = []

    @Option(help: "What the image runs on, for example linux/arm64; several with commas between make an index.")
    var platform: [String] = []

    @Option(help: "A label of the image, NAME=value.")
    var label: [String] = []

    @Option(
        help:
            "An annotation of the manifest, NAME=value; with manifest[PLATFORM]:, manifest-descriptor: or index: before it, of these."
    )
    var annotation: [String] = []

    @Option(help: "How layers are compressed: gzip[:1-12] or zstd[:1-19].")
    var compression: String?

    @Option(
        name: .customLong("unpack-limit"),
        help: "The most that archives and layers may unpack to in all, for example 20GB; 64GiB by default."
    )
    var unpackLimit: String?

    @Flag(name: .customLong("no-cache"), help: "Do every step again.")
    var ignoresCache = false

    @Option(name: .customLong("no-cache-filter"), help: "Do the steps of these stages again.")
    var ignoredStages: [String] = []

    func apply(to build: inout Build) {
        (build.settings.target, build.settings.buildArguments) = (target, buildArguments)
        (build.settings.buildContexts, build.platforms) = (buildContexts, platform)
        (build.labels, build.annotations, build.compression) = (label, annotation, compression)
        build.unpackLimit = unpackLimit
        (build.ignoresCache, build.ignoredStages) = (ignoresCache, ignoredStages)
    }
}
