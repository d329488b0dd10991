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

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Where the image goes besides the store: type=TYPE,dest=PATH; may be given several times.",
            discussion:
                "oci is an OCI image layout, docker what docker load takes, each in an archive; tar=false writes a folder. "
                + "tar is an archive of the image's files, local a folder of them. FOLDER alone is type=local, and - "
                + "type=tar to standard output; dest=- is standard output too. image is the store alone, registry or "
                + "image,name=NAME,push=true pushes, cacheonly makes no image. Of the image in all of them: "
                + "oci-mediatypes=false has manifests in Docker's words, compression=, compression-level= and "
                + "annotation.NAME=value do what the flags do.",
            valueName: "output"
        )
    )
    var output: [String] = []

    @Option(help: "Write the image's digest to a file.")
    var iidfile: String?

    @Option(name: .customLong("metadata-file"), help: "Write what was built to a file, as JSON.")
    var metadataFile: String?

    @Option(help: "How to show progress: auto, plain, tty, json or quiet.", transform: BuildProgressStyle.init(_:))
    var progress = BuildProgressStyle()

    @Flag(name: .shortAndLong, help: "Print the digest and nothing else.")
    var quiet = false

    @Flag(help: "Check the Dockerfile, and build nothing.")
    var check = false

    @OptionGroup(title: "Of docker build") var docker: DockerFlags

    @Option(help: "The folder of the store; $CORACLE_STORE or ~/.local/share/coracle by default.")
    var store: String?

    mutating func run() async throws {
        let environment = Environment.all
        let method = try docker.method(checks: check)
        if method != .build { return try call(method) }
        var build = Build(
            DockerfileInput(file: file, path: path),
            store: try Workspace(store: store, environment: environment).path
        )
        flags.apply(to: &build)
        runFlags.apply(to: &build)
        (build.tags, build.outputs) = (tag, output)
        let isQuiet = quiet || progress.isQuiet
        let view = progress.style.view(isQuiet: isQuiet)
        build.registries = registry.settings(base.settings(try access.access(azure))) { view.show($0) }
        try BuildReport.prepare(iidfile: iidfile, metadata: metadataFile)
        let outcome = try await BuildCommand.run(build, environment, view)
        switch outcome {
        case .failed(let text, let code): throw Output.failure(text, code)
        case .built(let report):
            try report.write(iidfile: iidfile, metadata: metadataFile)
            if !isQuiet { view.show(report) }
            if !report.isStandardOutputTaken { try Output.result("\(report.digest)\n") }
        }
    }

    /// Says something of the Dockerfile instead of building.
    private func call(_ method: BuildCall) throws {
        switch method {
        case .build: return
        case .check(let format):
            var command = try CheckCommand.parse([path] + (file.map { ["--file", $0] } ?? []))
            command.format = format
            command.flags.target = flags.target
            command.flags.buildArguments = flags.buildArguments
            command.flags.buildContexts = flags.buildContexts
            try command.run()
        case .targets(let format):
            switch try ListTargets(DockerfileInput(file: file, path: path)).run(format) {
            case .listed(let text): try Output.result(text)
            case .failed(let text): throw Output.failure(text, .usage)
            }
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
        help: ArgumentHelp(
            "A further context for FROM, COPY --from and mounts, NAME=LOCATION.",
            discussion:
                "A folder, a tar archive, a git URL, the URL of an archive or file, oci-layout://FOLDER[:TAG] or "
                + "docker-image://REFERENCE."
        )
    )
    var buildContexts: [String] = []

    @Option(help: "What the image runs on, for example linux/arm64; several with commas between make an index.")
    var platform: [String] = []

    @Option(help: "A label of the image, NAME=value.")
    var label: [String] = []

    @Option(name: .customLong("label-file"), help: "A file with labels, NAME=value on each line.")
    var labelFile: [String] = []

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
        build.labelFiles = labelFile
        build.unpackLimit = unpackLimit
        (build.ignoresCache, build.ignoredStages) = (ignoresCache, ignoredStages)
    }
}
