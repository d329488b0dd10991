// SPDX-License-Identifier: Apache-2.0

/// Which lint rules apply, and whether a warning is an error.
///
/// Read from `# check=skip=A,B;error=true;experimental=C`, at the top of the file for all of it or in a comment right
/// above an instruction for that one, and from the command line.
///
/// Specification: Dockerfile reference, "check".
public struct LintConfiguration: Hashable, Sendable {
    /// Whether all rules are off.
    public var skipsAll = false
    /// The names of rules that are off.
    public var skipped: Set<String> = []
    /// Whether rules that are off by default are on.
    public var enablesAll = false
    /// The names of rules that are off by default and on here.
    public var enabled: Set<String> = []
    /// Whether a warning makes the check fail.
    public var failsOnWarning = false

    /// All rules that are on by default; warnings are no errors.
    public init() {}

    /// Reads the value of a `check` directive.
    ///
    /// - Parameter value: The text after `check=`; what follows white space is ignored.
    /// - Throws: ``SyntaxError`` for options and rules that do not exist.
    public init(directive value: Word) throws(SyntaxError) {
        let text = value.text.split(whereSeparator: \.isWhitespace).first ?? ""
        for option in text.split(separator: ";") {
            guard let equals = option.firstIndex(of: "=") else {
                throw SyntaxError("check option \"\(option)\" has no value: skip=…, error=…", at: value.range)
            }
            try read(option[..<equals], option[option.index(after: equals)...], at: value.range)
        }
    }

    private mutating func read(
        _ key: Substring,
        _ text: Substring,
        at range: SourceRange
    ) throws(SyntaxError) {
        let names = text == "all" ? [] : text.split(separator: ",").map(String.init)
        switch key {
        case "skip":
            if text == "all" { skipsAll = true }
            skipped.formUnion(names)
        case "experimental":
            if text == "all" { enablesAll = true }
            enabled.formUnion(names)
        case "error":
            guard let isError = GoBool.read(String(text)) else {
                throw SyntaxError("check option error=\(text) is neither true nor false", at: range)
            }
            failsOnWarning = isError
        default:
            let near = Suggestion.phrase(for: String(key), among: ["skip", "error", "experimental"])
            throw SyntaxError("there is no check option \"\(key)\"\(near)", at: range)
        }
    }

    /// Adds what another configuration skips and enables.
    ///
    /// - Parameter other: The configuration to add.
    public mutating func merge(_ other: LintConfiguration) {
        skipsAll = skipsAll || other.skipsAll
        skipped.formUnion(other.skipped)
        enablesAll = enablesAll || other.enablesAll
        enabled.formUnion(other.enabled)
        failsOnWarning = failsOnWarning || other.failsOnWarning
    }

    /// Whether a rule applies.
    ///
    /// - Parameter rule: The rule.
    /// - Returns: Whether its findings are shown.
    public func isActive(_ rule: LintRule) -> Bool {
        let isOn = rule.isDefault ? !skipsAll : enablesAll || enabled.contains(rule.name)
        return isOn && !skipped.contains(rule.name)
    }
}

extension LintConfiguration {
    /// The configuration of a file's `check` directive, and what is wrong with it.
    ///
    /// - Parameter dockerfile: The file.
    /// - Returns: The default configuration where there is no directive or it has a fault.
    public static func of(_ dockerfile: Dockerfile) -> (configuration: LintConfiguration, diagnostics: [Diagnostic]) {
        guard let directive = dockerfile.directives.first(where: { $0.name == .check }) else {
            return (LintConfiguration(), [])
        }
        do {
            let configuration = try LintConfiguration(directive: directive.value)
            return (configuration, configuration.unknownRules(at: directive.value.range))
        } catch {
            return (LintConfiguration(), [error.diagnostic])
        }
    }

    /// A warning for each name that no rule has; such a name skips nothing, which its writer should know.
    private func unknownRules(at range: SourceRange) -> [Diagnostic] {
        skipped.union(enabled).subtracting(LintRule.all.map(\.name)).sorted()
            .map { name in
                let near = Suggestion.phrase(for: name, among: LintRule.all.map(\.name))
                return Diagnostic(.warning, "there is no lint rule \"\(name)\"\(near)", at: range)
            }
    }

    /// The findings that this configuration and the comments above each instruction let through.
    ///
    /// - Parameters:
    ///   - diagnostics: Any diagnostics; those without a rule always stay.
    ///   - dockerfile: The file they are about.
    /// - Returns: What is left, in the same order.
    public func filter(_ diagnostics: [Diagnostic], in dockerfile: Dockerfile) -> [Diagnostic] {
        guard diagnostics.contains(where: { $0.rule != nil }) else { return diagnostics }
        let local = dockerfile.instructions.compactMap { instruction -> (SourceRange, LintConfiguration)? in
            LintConfiguration.inComments(of: instruction).map { (instruction.range, $0) }
        }
        return diagnostics.filter { diagnostic in
            guard let rule = diagnostic.rule else { return true }
            var configuration = self
            for (range, extra) in local
            where range.start <= diagnostic.range.start && diagnostic.range.start <= range.end {
                configuration.merge(extra)
            }
            return configuration.isActive(rule)
        }
    }

    /// The configuration in a comment `check=…` right above an instruction.
    private static func inComments(of instruction: Instruction) -> LintConfiguration? {
        for comment in instruction.comments {
            let parts = comment.text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].filter({ !$0.isWhitespace }).lowercased() == "check" else { continue }
            let value = String(parts[1].drop(while: \.isWhitespace))
            return try? LintConfiguration(directive: Word(value, at: comment.range))
        }
        return nil
    }
}
