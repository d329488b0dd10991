// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
public import DockerfileSyntax

/// `coracle check`: everything that is wrong or doubtful in a Dockerfile, at once.
public struct Check: Sendable {
    /// The Dockerfile and its context.
    public var input: DockerfileInput
    /// Flags that decide what is built.
    public var settings = PlanSettings()
    /// Rules that are off, by name; `all` for all of them.
    public var skipped: [String] = []
    /// Rules that are off by default and wanted, by name; `all` for all of them.
    public var enabled: [String] = []
    /// Whether findings of lint rules are errors.
    public var failsOnWarning = false

    /// Checks one input.
    ///
    /// - Parameter input: The Dockerfile and its context.
    public init(_ input: DockerfileInput) {
        self.input = input
    }

    /// Diagnostics and the text they are about.
    public struct Findings: Sendable {
        /// The text.
        public let source: SourceText
        /// In the order of the text.
        public let diagnostics: [Diagnostic]
    }

    /// What a check found.
    public struct Report: Sendable {
        /// The Dockerfile's, and those of the ignore file where it has faults.
        public let findings: [Findings]
        /// Whether the check fails.
        public let isFailure: Bool
        /// Whether it is about compose files, which are one project.
        var isProject = false
    }

    /// Runs the check.
    ///
    /// - Parameter environment: The environment of the process.
    /// - Returns: The findings.
    /// - Throws: ``ExitReason`` where there is nothing to check, or a flag is malformed.
    public func run(environment: [String: String]) throws(ExitReason) -> Report {
        let files = try input.read()
        var options = try settings.options(environment: environment)
        options.includesAllStages = true
        var findings: [Findings] = []
        if let source = files.ignoreFile {
            let (file, faults) = IgnoreFile.parse(source)
            options.ignoreFile = file
            if !faults.isEmpty { findings.append(Findings(source: source, diagnostics: faults)) }
        }
        let (dockerfile, faults) = Dockerfile.parse(files.dockerfile)
        var (configuration, configurationFaults) = try LintConfiguration.effective(dockerfile, options)
        try addFlags(to: &configuration)
        let built = options.target.map { _ in Plan.stagesEvaluated(in: dockerfile, options: options) }
        var all = faults + configurationFaults + Linter.findings(in: dockerfile, built: built)
        all += ForeignSyntax.diagnostics(in: dockerfile)
        all += Plan.make(dockerfile, options: options).diagnostics
        all = configuration.apply(to: all, in: dockerfile)
        findings.insert(Findings(source: files.dockerfile, diagnostics: all), at: 0)
        let isFailure = findings.flatMap(\.diagnostics).contains { $0.severity == .error }
        return Report(findings: findings, isFailure: isFailure)
    }

    private func addFlags(to configuration: inout LintConfiguration) throws(ExitReason) {
        configuration.failsOnWarning = configuration.failsOnWarning || failsOnWarning
        for name in try Check.rules(skipped, flag: "--skip") {
            if name == "all" { configuration.skipsAll = true } else { configuration.skipped.insert(name) }
        }
        for name in try Check.rules(enabled, flag: "--enable") {
            if name == "all" { configuration.enablesAll = true } else { configuration.enabled.insert(name) }
        }
    }

    private static func rules(_ names: [String], flag: String) throws(ExitReason) -> [String] {
        let all = names.flatMap { $0.split(separator: ",").map(String.init) }
        for name in all where name != "all" && LintRule.named(name) == nil {
            let near = Suggestion.phrase(for: name, among: LintRule.all.map(\.name))
            throw ExitReason(
                .usage,
                "\(flag): there is no lint rule \"\(name)\"\(near)",
                hint: "coracle check --list-rules"
            )
        }
        return all
    }
}

/// A `# syntax=` line that names a front end other than Docker's own.
enum ForeignSyntax {
    static func diagnostics(in dockerfile: Dockerfile) -> [Diagnostic] {
        guard let directive = dockerfile.directives.first(where: { $0.name == .syntax }) else { return [] }
        let image = directive.value.text.split(separator: " ").first.map(String.init) ?? ""
        var name = image[...]
        for prefix in ["docker.io/", "index.docker.io/"] where name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
        let repository = name.prefix { $0 != ":" && $0 != "@" }
        if repository == "docker/dockerfile" || repository == "docker/dockerfile-upstream" { return [] }
        return [
            Diagnostic(
                .warning,
                "front end \"\(image)\" is not run; the file is read as a Dockerfile",
                at: directive.value.range,
                notes: [.init("what that front end adds to the language is unknown here")]
            )
        ]
    }
}
