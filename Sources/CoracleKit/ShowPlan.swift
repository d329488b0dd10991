// SPDX-License-Identifier: Apache-2.0
public import BuildPlan
public import DockerfileSyntax
internal import OCI
internal import Store

/// `coracle plan`: what a build would do, without doing any of it.
public struct ShowPlan: Sendable {
    /// The Dockerfile and its context.
    public var input: DockerfileInput
    /// Flags that decide what is built.
    public var settings = PlanSettings()
    /// How base images are looked for in registries.
    public var registries = BuildRegistries()

    /// Plans one input.
    ///
    /// - Parameter input: The Dockerfile and its context.
    public init(_ input: DockerfileInput) {
        self.input = input
    }

    /// A plan, or the faults that prevent it.
    public struct Outcome: Sendable {
        /// The Dockerfile.
        public let source: SourceText
        /// The plan; `nil` where there are errors.
        public let plan: Plan?
        /// The errors of the Dockerfile, and those of the ignore file where it has some.
        public let errors: [Check.Findings]
        /// How a command ends that shows the errors: wrong usage, or why an image is not to be had.
        public let code: ExitReason.Code
        /// What can be built and is probably not what was meant, in the order of the file; empty where there are errors.
        public let warnings: [Diagnostic]

        /// The warnings for people, as a build shows them at its end; empty where there are none.
        public var summary: String { DiagnosticText.summary(of: warnings.map { DiagnosticText.line($0, in: source) }) }
    }

    /// Makes the plan.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - resolver: Knows base images.
    /// - Returns: The plan, or what is wrong.
    /// - Throws: ``ExitReason`` where there is no Dockerfile or a flag is malformed; what the resolver throws.
    public func run(
        environment: [String: String],
        resolver: some BaseImageResolver = NoBaseImages()
    ) async throws -> Outcome {
        var settings = settings
        // Where it names several, as a build for all of them takes it, this is the plan for the first.
        if settings.platform == nil { settings.platform = PlanSettings.defaultPlatforms(environment).first }
        return try await run(input.read(), settings.options(environment: environment), resolver: resolver)
    }

    /// Makes the plan of files that were read.
    func run(
        _ files: DockerfileInput.Files,
        _ options: PlanOptions,
        resolver: some BaseImageResolver
    ) async throws -> Outcome {
        var options = options
        var errors: [Check.Findings] = []
        if let source = files.ignoreFile {
            let (file, faults) = IgnoreFile.parse(source)
            options.ignoreFile = file
            if !faults.isEmpty { errors.append(Check.Findings(source: source, diagnostics: faults)) }
        }
        let source = files.dockerfile
        var (plan, found, code): (Plan?, [Diagnostic], ExitReason.Code) = (nil, [], .usage)
        do {
            (plan, found) = try await self.plan(source, options, resolver)
        } catch let fault as MissingImage {
            (found, code) = ([fault.diagnostic], fault.reason.code)
        }
        let faults = found.filter { $0.severity == .error }
        if !faults.isEmpty { errors.insert(Check.Findings(source: source, diagnostics: faults), at: 0) }
        guard errors.isEmpty else {
            return Outcome(source: source, plan: nil, errors: errors, code: code, warnings: [])
        }
        return Outcome(source: source, plan: plan, errors: [], code: code, warnings: found)
    }

    /// The plan, and what is wrong or doubtful in the Dockerfile.
    private func plan(
        _ source: SourceText,
        _ options: PlanOptions,
        _ resolver: some BaseImageResolver
    ) async throws -> (Plan?, [Diagnostic]) {
        let (dockerfile, faults) = Dockerfile.parse(source)
        let (configuration, configurationFaults) = try LintConfiguration.effective(dockerfile, options)
        var (all, plan) = (faults + configurationFaults, Plan?.none)
        if !faults.contains(where: { $0.severity == .error }) {
            let (made, found) = try await Plan.make(dockerfile, options: options, resolver: resolver)
            (plan, all) = (made, all + found)
        }
        if let plan {
            let built = Set(plan.stages.filter(\.isNeeded).map(\.index))
            all += Linter.findings(in: dockerfile, built: built) + ForeignSyntax.diagnostics(in: dockerfile)
        }
        return (plan, all.isEmpty ? [] : configuration.apply(to: all, in: dockerfile))
    }

    /// Makes the plan with what base images say of themselves: their variables, user, directory and triggers.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - workspace: Where images are looked for, besides the image layouts that flags name.
    /// - Returns: The plan, or what is wrong.
    /// - Throws: ``ExitReason`` as ``run(environment:resolver:)``, and where an image is not here.
    public func resolved(environment: [String: String], in workspace: Workspace) async throws -> Outcome {
        do {
            let remote = try registries.images(workspace, environment: environment)
            let images = LocalImages(try workspace.store(), contexts: settings.contexts, remote: remote)
            return try await run(environment: environment, resolver: images)
        } catch let error as ContentError {
            throw ExitReason(.step, error.message)
        } catch {
            throw ExitReason.of(error)
        }
    }

    /// How long reading and planning take.
    public struct Timing: Sendable {
        /// Milliseconds of reading, the median of all rounds.
        public let parse: Double
        /// Milliseconds of planning, the median of all rounds.
        public let plan: Double
        /// Milliseconds of the keys that are shown, the median of all rounds; a build needs none of them.
        public let keys: Double
    }

    /// Measures reading and planning.
    ///
    /// - Parameters:
    ///   - rounds: How often; at least once.
    ///   - environment: The environment of the process.
    /// - Returns: The medians.
    /// - Throws: ``ExitReason`` as ``run(environment:resolver:)``.
    public func measure(rounds: Int, environment: [String: String]) throws(ExitReason) -> Timing {
        let source = try input.read().dockerfile
        let options = try settings.options(environment: environment)
        let clock = ContinuousClock()
        var (parses, plans, keys): ([Duration], [Duration], [Duration]) = ([], [], [])
        for _ in 0..<max(1, rounds) {
            let start = clock.now
            let dockerfile = Dockerfile.parse(source).dockerfile
            let middle = clock.now
            let plan = Plan.make(dockerfile, options: options).plan
            let end = clock.now
            _ = plan?.definitionKeys()
            parses.append(middle - start)
            plans.append(end - middle)
            keys.append(clock.now - end)
        }
        let median = { (times: [Duration]) in times.sorted()[times.count / 2] / .milliseconds(1) }
        return Timing(parse: median(parses), plan: median(plans), keys: median(keys))
    }
}
