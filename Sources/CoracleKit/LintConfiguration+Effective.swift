// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import DockerfileSyntax

extension LintConfiguration {
    /// The file's own configuration, or the one given as a build argument as BuildKit takes it, and its faults.
    static func effective(
        _ dockerfile: Dockerfile,
        _ options: PlanOptions
    ) throws(ExitReason) -> (LintConfiguration, [Diagnostic]) {
        guard let text = options.buildArguments["BUILDKIT_DOCKERFILE_CHECK"] else { return of(dockerfile) }
        do {
            return (try LintConfiguration(directive: Word(text, at: SourceRange(0, 0))), [])
        } catch {
            throw ExitReason(.usage, "--build-arg BUILDKIT_DOCKERFILE_CHECK: \(error.diagnostic.message)")
        }
    }

    /// The diagnostics that are let through, findings as errors where that is asked for; in the order of the file.
    func apply(to diagnostics: [Diagnostic], in dockerfile: Dockerfile) -> [Diagnostic] {
        let left = filter(diagnostics, in: dockerfile).sorted { $0.range.start < $1.range.start }
        guard failsOnWarning else { return left }
        return left.map { found in
            guard let rule = found.rule else { return found }
            return Diagnostic(.error, found.message, at: found.range, rule: rule, notes: found.notes)
        }
    }
}
