// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// The lint rules as a table for people.
public enum RuleList {
    /// One line a rule: name, whether it is on by default, what it asks for.
    public static var text: String {
        let width = LintRule.all.map(\.name.count).max() ?? 0
        return LintRule.all
            .map { rule in
                let pad = String(repeating: " ", count: width - rule.name.count)
                return "\(rule.name)\(pad)  \(rule.isDefault ? "on " : "off")  \(rule.summary)\n"
            }
            .joined()
    }
}

extension Check {
    /// One line that counts what was found.
    ///
    /// - Parameter reports: The reports of all inputs.
    /// - Returns: No line break at the end.
    public static func summary(of reports: [Report]) -> String {
        let all = reports.flatMap(\.findings).flatMap(\.diagnostics)
        let (errors, warnings) = (all.count { $0.severity == .error }, all.count { $0.severity == .warning })
        let (projects, dockerfiles) = (reports.count { $0.isProject }, reports.count { !$0.isProject })
        let files = [
            dockerfiles == 0 ? nil : dockerfiles == 1 ? "1 Dockerfile" : "\(dockerfiles) Dockerfiles",
            projects == 0 ? nil : "1 compose project",
        ]
        .compactMap { $0 }.joined(separator: " and ")
        if errors + warnings == 0 { return "checked \(files): nothing to complain about" }
        let counts = [
            errors == 0 ? nil : errors == 1 ? "1 error" : "\(errors) errors",
            warnings == 0 ? nil : warnings == 1 ? "1 warning" : "\(warnings) warnings",
        ]
        return "checked \(files): \(counts.compactMap { $0 }.joined(separator: ", "))"
    }
}
