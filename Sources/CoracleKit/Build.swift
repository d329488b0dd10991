// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import Builder
internal import Dispatch
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Registry
internal import Rootfs
internal import Store

/// `coracle build`: a Dockerfile and its context become an image in the store.
public struct Build: Sendable {
    /// The Dockerfile and its context.
    public var input: DockerfileInput
    /// Flags that decide what is built.
    public var settings = PlanSettings()
    /// `--platform`, as it was typed: one or several with commas between.
    public var platforms: [String] = []
    /// `--tag`.
    public var tags: [String] = []
    /// `--label`: `NAME=value`.
    public var labels: [String] = []
    /// `--label-file`: files with labels, which `--label` overrides.
    public var labelFiles: [String] = []
    /// `--annotation`: `[PLACE:]NAME=value`; places are `manifest`, `manifest-descriptor`, both also with `[PLATFORM]`,
    /// and `index`.
    public var annotations: [String] = []
    /// `--output`.
    public var outputs: [String] = []
    /// `--compression`.
    public var compression: String?
    /// `--unpack-limit`: bytes that archives and layers may unpack to, as `20GB`.
    public var unpackLimit: String?
    /// `--no-cache`.
    public var ignoresCache = false
    /// `--no-cache-filter`.
    public var ignoredStages: [String] = []
    /// What commands are given, and what they are allowed.
    public var run = RunOptions()
    /// `--push`, `--pull` and how registries are reached.
    public var registries = BuildRegistries()
    /// The folder of the store.
    public var store: String
    /// Whether the layers of base images are compressed again.
    var recompresses = false
    /// What ``outputs`` say.
    var targets: [ImageOutput] = []

    /// Builds one input.
    ///
    /// - Parameters:
    ///   - input: The Dockerfile and its context.
    ///   - store: The folder of the store.
    public init(_ input: DockerfileInput, store: String) {
        (self.input, self.store) = (input, store)
    }

    /// What came of a build.
    public enum Outcome: Sendable {
        /// The image: a manifest, or an index where there are several platforms; and its names.
        case built(BuildReport)
        /// The Dockerfile has faults, or a step failed: lines for people, and the exit code.
        case failed(String, ExitReason.Code)
    }

    /// Builds.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - events: Is told what happens, from one thread.
    /// - Returns: The image, or what is wrong.
    /// - Throws: ``ExitReason`` for malformed flags, missing files and images, and a store that cannot be used.
    public func run(
        environment: [String: String],
        events: @escaping @Sendable (BuildProgress) -> Void
    ) async throws -> Outcome {
        let teller = ProgressTeller(events)
        do {
            return try await settled(environment).checked(environment, teller)
        } catch let error as ContentError {
            throw ExitReason(.step, error.message)
        } catch {
            throw ExitReason.of(error)
        }
    }

    private func checked(
        _ environment: [String: String],
        _ teller: ProgressTeller
    ) async throws -> Outcome {
        let names = try tags.map { try Build.name($0) }
        let annotations = try ImageAnnotations(annotations)
        try annotations.check(platforms: wantedPlatforms())
        let store = try Workspace(store: store, environment: environment).store()
        for target in targets { try target.checkPlace() }
        store.removeLeftovers()
        let lease = try store.lease()
        let secrets = try run.secretValues(environment)
        let git = GitFetcher(store, environment: environment, secrets: secrets)
        let place = BuildContext.Place(store: store, limit: try bytesToUnpack())
        let workspace = try Workspace(store: store.root, environment: environment)
        let remote = try registries.images(workspace, names, environment: environment)
        let downloads = Downloads(store: store, session: remote.registries.session)
        var input = input
        try await BuildContext.downloadDockerfile(&input, downloads)
        let fetched = try await BuildContext.download(input.path, downloads)
        let context = try BuildContext(input, place, git, fetched, environment: environment)
        defer { withExtendedLifetime((lease, context)) {} }
        let common = Common(
            context: context,
            files: try context.input.read(),
            store: store,
            git: git,
            named: try NamedContexts(settings.contexts, place, git, downloads, environment: environment),
            remote: remote,
            downloads: downloads,
            commands: try CommandPlace(run, secrets, environment: environment, in: store),
            environment: environment,
            teller: teller
        )
        defer { common.commands.close() }
        let cache = try RegistryCache(registries, remote, store, events: registries.fetched)
        let image: Descriptor
        let config: Descriptor?
        switch try await build(common, names, annotations, cache) {
        case .failed(let outcome): return outcome
        case .image(let made, let ofImage): (image, config) = (made, ofImage)
        }
        await cache.save(image)
        for target in targets { try target.write(image, names, from: store) }
        try await remote.nameAll()
        // A name says that everything went well.
        let tags = hasNames ? names : []
        for name in tags { try store.tag(image, as: name) }
        let report = BuildReport(
            image: image,
            config: config,
            names: tags.map(\.familiar),
            isStandardOutputTaken: targets.contains(where: \.takesStandardOutput)
        )
        return .built(report)
    }

    /// What the images of all platforms are made from.
    private struct Common {
        let context: BuildContext
        let files: DockerfileInput.Files
        let store: ImageStore
        let git: GitFetcher
        let named: NamedContexts
        let remote: RemoteImages
        let downloads: Downloads
        let commands: CommandPlace
        let environment: [String: String]
        let teller: ProgressTeller
    }

    /// What goes on beside the build.
    private struct Helpers {
        let loader: LayerLoader
        let cache: RegistryCache
        let session: PushSession?
    }

    /// What came of one platform.
    private enum Part {
        case image(BuiltImage)
        case failed(Outcome)
    }

    /// Builds for all platforms, and pushes where that is wanted.
    private func build(
        _ common: Common,
        _ names: [ImageReference],
        _ annotations: ImageAnnotations,
        _ cache: RegistryCache
    ) async throws -> BuildMade {
        let (store, remote) = (common.store, common.remote)
        let push = try BuildPush(registries, names, store, remote.registries)
        return try await LayerLoader.run(store, remote, events: registries.fetched) { loader in
            await cache.load(loader)
            return try await BuildPush.run(push) { session in
                var built: [BuiltImage] = []
                let helpers = Helpers(loader: loader, cache: cache, session: session)
                for platform in try wantedPlatforms() {
                    switch try await part(platform, common, helpers) {
                    case .image(let image): built.append(image)
                    case .failed(let outcome): return .failed(outcome)
                    }
                }
                var image = try join(try await manifests(built, remote, store), annotations, store)
                if let docker = targets.first(where: { $0.kind == .image && !$0.usesOCITypes }) {
                    image = try docker.docker(image, store)
                }
                if !isPushedOnly { try await remote.complete(image, events: registries.fetched) }
                return .image(image, config: built.count == 1 ? built[0].config : nil)
            }
        }
    }

    /// Builds for one platform, and says of images that are not there where the Dockerfile names them.
    private func part(_ platform: Platform?, _ common: Common, _ helpers: Helpers) async throws -> Part {
        do {
            return try await build(platform, common, helpers)
        } catch let fault as MissingImage {
            let text = DiagnosticText.write([fault.diagnostic], in: common.files.dockerfile)
            return .failed(.failed(text, fault.reason.code))
        }
    }

    /// Builds for one platform.
    private func build(_ platform: Platform?, _ common: Common, _ helpers: Helpers) async throws -> Part {
        let isForSeveral = try wantedPlatforms().count > 1
        let images = LocalImages(
            common.store,
            contexts: settings.contexts,
            remote: common.remote,
            isForSeveral: isForSeveral
        )
        let options = try options(platform, common.environment)
        let outcome = try await ShowPlan(common.context.input).run(common.files, options, resolver: images)
        guard let plan = outcome.plan else {
            return .failed(.failed(CheckFormat.text.write(outcome.errors), outcome.code))
        }
        let teller = common.teller
        teller.take(outcome.warnings, in: outcome.source)
        teller.take(remarks: plan.remarks)
        do {
            try common.commands.check(plan)
        } catch {
            return .failed(.failed(DiagnosticText.write(error, in: common.files.dockerfile), .step))
        }
        let runs = plan.hasCommands
        // What is pushed and not written elsewhere need not be here: a step that is not done again needs no files.
        let isLazy = isPushedOnly
        let loader = helpers.loader
        // What a command needs unpacked is verified by unpacking it.
        let known = runs || isLazy ? loader : nil
        try await images.resolve(imagesOf: plan, loader: known, isLazy: isLazy, events: registries.fetched)
        var sources = try sources(common.files, common.context.folder, images)
        sources.namedContexts = try await common.named.trees(of: plan)
        sources.git = common.git
        sources.recorded = helpers.cache.record
        // What is compressed again is sent when that is done.
        let early = recompresses ? nil : helpers.session.map { EarlyLayers($0) }
        // What a command is going to need is fetched once, and sent from here.
        early?.begin(plan, images.layers, waitsFor: { runs && !common.store.has($0) })
        loader.serve(&sources, isLazy: isLazy || !runs, early)
        var settings = try buildSettings(plan)
        if runs {
            settings.run = try common.commands.settings()
            // Plans of two platforms number their steps alike.
            if isForSeveral { settings.run.logs += "/" + plan.platform.description.replacing("/", with: "-") }
            settings.run.hostname = options.buildArguments["BUILDKIT_SANDBOX_HOSTNAME"]
        }
        do {
            sources.downloads = try await common.downloads.fetch(plan)
            let image = try await Build.run(plan, common.store, sources, settings) { event in
                early?.take(event)
                teller.take(event)
            }
            if runs { try loader.verifyRest() }
            return .image(image)
        } catch let error as BuildError {
            if let failure = loader.failure { throw failure }
            return .failed(
                .failed(DiagnosticText.write(error, in: common.files.dockerfile), ExitReason.Code(error.kind))
            )
        }
    }

    /// Runs the builder on a thread of its own, as it blocks.
    private static func run(
        _ plan: Plan,
        _ store: ImageStore,
        _ sources: BuildSources,
        _ settings: BuildSettings,
        _ events: @escaping @Sendable (BuildEvent) -> Void
    ) async throws -> BuiltImage {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "coracle.build")
                .async {
                    // The builder and its files are gone before anyone hears of the result.
                    let result = Result { try Build.blocking(plan, store, sources, settings, events) }
                    continuation.resume(with: result)
                }
        }
    }

    private static func blocking(
        _ plan: Plan,
        _ store: ImageStore,
        _ sources: BuildSources,
        _ settings: BuildSettings,
        _ events: @escaping @Sendable (BuildEvent) -> Void
    ) throws -> BuiltImage {
        let builder = ImageBuilder(plan, in: store, sources: sources, settings: settings, events: events)
        let interruption = Interruption { [commands = builder.commands] in commands.stop() }
        defer { interruption.end() }
        return try builder.build()
    }

    // MARK: Flags

    static func reference(_ text: String, _ flag: String) throws(ExitReason) -> ImageReference {
        do {
            return try ImageReference(text)
        } catch {
            throw ExitReason(.usage, "\(flag) \(error.message)")
        }
    }

    private static func name(_ text: String) throws(ExitReason) -> ImageReference {
        let name = try reference(text, "--tag")
        guard name.digest == nil else {
            throw ExitReason(.usage, "--tag \"\(text)\" has a digest: an image is given a name and a tag")
        }
        return name
    }

    /// Whether the image is sent to registries and wanted nowhere else.
    private var isPushedOnly: Bool { registries.pushes && targets.allSatisfy(\.image.pushes) }

    /// Whether the image gets its names in the store.
    private var hasNames: Bool {
        !registries.setsNoTags && (targets.isEmpty || targets.contains { $0.kind != .cacheonly })
    }

    func wantedPlatforms() throws(ExitReason) -> [Platform?] {
        var wanted: [Platform?] = []
        for text in platforms.flatMap({ $0.split(separator: ",") }) {
            do {
                wanted.append(try Platform(String(text)))
            } catch {
                throw ExitReason(.usage, "--platform \(error.message)")
            }
        }
        return wanted.isEmpty ? [nil] : wanted
    }

    func options(_ platform: Platform?, _ environment: [String: String]) throws(ExitReason) -> PlanOptions {
        var options = try settings.options(environment: environment)
        options.platform = platform
        for file in labelFiles {
            for label in try LabelFile.read(file) { options.labels[label.name] = label.value }
        }
        for label in labels {
            guard let equals = label.firstIndex(of: "=") else {
                throw ExitReason(.usage, "--label \"\(label)\" is not NAME=value")
            }
            options.labels[String(label[..<equals])] = String(label[label.index(after: equals)...])
        }
        let epoch = "SOURCE_DATE_EPOCH"
        if options.buildArguments[epoch] == nil, let value = environment[epoch] {
            options.buildArguments[epoch] = value
        }
        return options
    }

    private func bytesToUnpack() throws(ExitReason) -> Int64 {
        guard let unpackLimit else { return BuildSettings().unpackLimit }
        do {
            return try DataSize(unpackLimit).bytes
        } catch {
            throw ExitReason(.usage, "--unpack-limit \(error.message)")
        }
    }

    func wantedCompression() throws(ExitReason) -> Compression {
        guard let compression else { return .standard }
        do {
            return try Compression(compression)
        } catch {
            throw ExitReason(.usage, "--compression \(error.message)")
        }
    }

    private func buildSettings(_ plan: Plan) throws(ExitReason) -> BuildSettings {
        var result = BuildSettings()
        result.cores = Build.cores
        result.ignoresCache = ignoresCache
        result.ignoredStages = Set(ignoredStages.flatMap { $0.split(separator: ",").map(String.init) })
        result.unpackLimit = try bytesToUnpack()
        result.compression = try wantedCompression()
        switch plan.epoch {
        case nil: break
        case .seconds(let seconds):
            // RFC 3339, which configurations are bound to, has four digits for the year.
            guard (-30_610_224_000...253_402_300_799).contains(seconds) else {
                throw ExitReason(.usage, "SOURCE_DATE_EPOCH \(seconds) is not between the years 1000 and 9999")
            }
            result.epoch = seconds
        case .context, .named:
            throw ExitReason(.usage, "SOURCE_DATE_EPOCH is not a number of seconds, which it must be here")
        }
        return result
    }

    /// How many processors this process may use.
    static var cores: Int {
        let status = String(decoding: (try? TextFile.read("/proc/self/status")) ?? [], as: UTF8.self)
        let line = status.split(whereSeparator: \.isNewline).first { $0.hasPrefix("Cpus_allowed:") } ?? ""
        return max(1, line.dropFirst(13).compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount })
    }

    // MARK: Files

    private func sources(
        _ files: DockerfileInput.Files,
        _ context: String?,
        _ images: LocalImages
    ) throws -> BuildSources {
        var sources = BuildSources()
        sources.bases = images.layers
        guard let context else { return sources }
        let ignore = files.ignoreFile.map { IgnoreFile.parse($0) }
        if let fault = ignore?.diagnostics.first, let file = files.ignoreFile {
            throw ExitReason(.usage, "\(file.name):\(file.line(at: fault.range.start)): \(fault.message)")
        }
        let folder = ContextFolder(
            path: context,
            ignoreFile: ignore?.file,
            ignoreName: files.ignoreFile?.name ?? ".dockerignore"
        )
        sources.context = folder.tree
        sources.folder = SHA256.digest(Array(folder.absolute.utf8)).hex
        sources.explain = { folder.explain($0) }
        return sources
    }

    // MARK: Results

    /// The manifests of what was built, with all layers compressed alike where that is wanted.
    private func manifests(
        _ built: [BuiltImage],
        _ remote: RemoteImages,
        _ store: ImageStore
    ) async throws -> [Descriptor] {
        guard recompresses else { return built.map(\.manifest) }
        let recompression = Recompression(store: store, compression: try wantedCompression(), cores: Build.cores)
        var manifests: [Descriptor] = []
        for image in built {
            try await remote.complete(image.manifest, events: registries.fetched)
            manifests.append(try await recompression.run(image.manifest))
        }
        return manifests
    }

    /// Annotates what was built, and joins several platforms.
    private func join(
        _ built: [Descriptor],
        _ annotations: ImageAnnotations,
        _ store: ImageStore
    ) throws -> Descriptor {
        try annotations.check(platforms: built.map(\.platform))
        var manifests: [Descriptor] = []
        for image in built {
            let platform = image.platform
            var descriptor = image
            let ofManifest = annotations.ofManifest(platform)
            if !ofManifest.isEmpty {
                var manifest = try Manifest(parsing: store.read(descriptor.digest))
                manifest.annotations = ofManifest
                descriptor = try store.put(manifest.document, .manifest)
                descriptor.platform = platform
            }
            descriptor.annotations.merge(annotations.ofDescriptor(platform)) { $1 }
            manifests.append(descriptor)
        }
        guard manifests.count > 1 else { return manifests[0] }
        var index = ImageIndex(manifests: manifests)
        index.annotations = annotations.ofIndex
        return try store.put(index.document, .index)
    }
}

extension PlanSettings {
    /// The contexts given by name; flags that are malformed are left out here and refused by ``options(environment:)``.
    var contexts: [String: String] {
        var contexts: [String: String] = [:]
        for context in buildContexts {
            guard let equals = context.firstIndex(of: "=") else { continue }
            contexts[String(context[..<equals])] = String(context[context.index(after: equals)...])
        }
        return contexts
    }
}
