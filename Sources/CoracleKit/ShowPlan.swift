// SPDX-License-Identifier: Apache-2.0
public import BuildPlan
public import DockerfileSyntax

/// `coracle plan`: what a build would do, without doing any of it.
public struct ShowPlan: Sendable {
    /// The Dockerfile and its context.
    public var input: DockerfileInput
    /// Flags that decide what is built.
    public var settings = PlanSettings()

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
        /// The errors; lint findings are for ``Check``.
        public let errors: [Diagnostic]
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
        let source = try input.read().dockerfile
        let options = try settings.options(environment: environment)
        let (dockerfile, faults) = Dockerfile.parse(source)
        let errors = faults.filter { $0.severity == .error }
        guard errors.isEmpty else { return Outcome(source: source, plan: nil, errors: errors) }
        let (plan, diagnostics) = try await Plan.make(dockerfile, options: options, resolver: resolver)
        return Outcome(source: source, plan: plan, errors: diagnostics.filter { $0.severity == .error })
    }

    /// How long reading and planning take.
    public struct Timing: Sendable {
        /// Milliseconds of reading, the median of all rounds.
        public let parse: Double
        /// Milliseconds of planning, the median of all rounds.
        public let plan: Double
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
        var (parses, plans): ([Duration], [Duration]) = ([], [])
        for _ in 0..<max(1, rounds) {
            let start = clock.now
            let dockerfile = Dockerfile.parse(source).dockerfile
            let middle = clock.now
            _ = Plan.make(dockerfile, options: options)
            parses.append(middle - start)
            plans.append(clock.now - middle)
        }
        let median = { (times: [Duration]) in times.sorted()[times.count / 2] / .milliseconds(1) }
        return Timing(parse: median(parses), plan: median(plans))
    }
}
