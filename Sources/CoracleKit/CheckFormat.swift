// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

/// The forms in which `coracle check` reports.
public enum CheckFormat: String, CaseIterable, Sendable {
    /// For people.
    case text
    /// One JSON document: `docs/formats.md`.
    case json
    /// SARIF 2.1.0, which code hosts show beside the lines.
    case sarif
    /// Workflow commands of GitHub Actions.
    case github
    /// Logging commands of Azure Pipelines.
    case azure

    /// Writes findings.
    ///
    /// - Parameter findings: Of any number of files.
    /// - Returns: The whole report, with a final line break; empty where nothing is to be said.
    public func write(_ findings: [Check.Findings]) -> String {
        switch self {
        case .text: findings.map { DiagnosticText.write($0.diagnostics, in: $0.source) }.joined()
        case .json: CheckFormat.json(findings).pretty + "\n"
        case .sarif: CheckFormat.sarif(findings).pretty + "\n"
        case .github: CheckFormat.lines(findings, CheckFormat.github)
        case .azure: CheckFormat.lines(findings, CheckFormat.azure)
        }
    }

    private static func lines(
        _ findings: [Check.Findings],
        _ line: (Diagnostic, SourceText) -> String
    ) -> String {
        findings.flatMap { file in file.diagnostics.map { line($0, file.source) + "\n" } }.joined()
    }

    // MARK: JSON

    private static func json(_ findings: [Check.Findings]) -> JSONValue {
        let all = findings.flatMap(\.diagnostics)
        return [
            "version": 1,
            "errors": .int(Int64(all.count { $0.severity == .error })),
            "warnings": .int(Int64(all.count { $0.severity == .warning })),
            "files": .array(
                findings.map { file in
                    [
                        "path": .string(file.source.name),
                        "diagnostics": .array(file.diagnostics.map { .object(members($0, file.source)) }),
                    ]
                }
            ),
        ]
    }

    /// A diagnostic as `docs/formats.md` has it.
    static func members(_ diagnostic: Diagnostic, _ source: SourceText) -> [String: JSONValue] {
        var members: [String: JSONValue] = [
            "severity": .string(diagnostic.severity.rawValue), "message": .string(diagnostic.message),
            "notes": .array(diagnostic.notes.map { .string($0.message) }),
        ]
        members.merge(region(diagnostic.range, source, ["line", "column", "endLine", "endColumn"])) { $1 }
        if let rule = diagnostic.rule {
            members["rule"] = .string(rule.name)
            members["url"] = rule.url.map { .string($0) }
        }
        return members
    }

    private static func region(_ range: SourceRange, _ source: SourceText, _ names: [String]) -> [String: JSONValue] {
        let (start, end) = (source.position(of: range.start), source.position(of: range.end))
        let numbers = [start.line, start.column, end.line, end.column]
        return Dictionary(zip(names, numbers.map { .int(Int64($0)) })) { $1 }
    }

    // MARK: SARIF

    private static func sarif(_ findings: [Check.Findings]) -> JSONValue {
        let used = Set(findings.flatMap(\.diagnostics).compactMap(\.rule))
        let rules = LintRule.all.filter(used.contains)
            .map { rule -> JSONValue in
                var members: [String: JSONValue] = [
                    "id": .string(rule.name), "shortDescription": ["text": .string(rule.summary)],
                ]
                members["helpUri"] = rule.url.map { .string($0) }
                return .object(members)
            }
        let results = findings.flatMap { file in file.diagnostics.map { sarif($0, file.source) } }
        return [
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                [
                    "tool": [
                        "driver": [
                            "name": "coracle", "version": .string(CoracleVersion.number), "rules": .array(rules),
                        ]
                    ],
                    "results": .array(results),
                ]
            ],
        ]
    }

    private static func sarif(_ diagnostic: Diagnostic, _ source: SourceText) -> JSONValue {
        let notes = diagnostic.notes.map { "\n" + $0.message }.joined()
        let region = region(diagnostic.range, source, ["startLine", "startColumn", "endLine", "endColumn"])
        return [
            "ruleId": .string(diagnostic.rule?.name ?? "syntax"),
            "level": .string(diagnostic.severity.rawValue),
            "message": ["text": .string(diagnostic.message + notes)],
            "locations": [
                [
                    "physicalLocation": [
                        "artifactLocation": ["uri": .string(uri(source.name))],
                        "region": .object(region),
                    ]
                ]
            ],
        ]
    }

    /// A path as a relative reference of a URI.
    private static func uri(_ path: String) -> String {
        path.utf8
            .map { byte in
                let isPlain =
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || "/-._~".utf8.contains(byte)
                let hex = String(byte, radix: 16, uppercase: true)
                return isPlain ? String(Unicode.Scalar(byte)) : "%" + (hex.count == 1 ? "0" : "") + hex
            }
            .joined()
    }

    // MARK: Pipelines

    private static func github(_ diagnostic: Diagnostic, _ source: SourceText) -> String {
        let (start, end) = (source.position(of: diagnostic.range.start), source.position(of: diagnostic.range.end))
        var properties = [
            "file=\(escaped(source.name, github: true))", "line=\(start.line)", "endLine=\(end.line)",
            "col=\(start.column)",
        ]
        if start.line == end.line { properties.append("endColumn=\(end.column)") }
        if let rule = diagnostic.rule { properties.append("title=\(rule.name)") }
        return "::\(diagnostic.severity.rawValue) \(properties.joined(separator: ","))::"
            + escaped(message(diagnostic), github: false)
    }

    private static func azure(_ diagnostic: Diagnostic, _ source: SourceText) -> String {
        let start = source.position(of: diagnostic.range.start)
        let code = diagnostic.rule.map { "code=\($0.name);" } ?? ""
        let path = azureEscaped(source.name)
        return "##vso[task.logissue type=\(diagnostic.severity.rawValue);sourcepath=\(path);"
            + "linenumber=\(start.line);columnnumber=\(start.column);\(code)]" + azureEscaped(message(diagnostic))
    }

    private static func message(_ diagnostic: Diagnostic) -> String {
        diagnostic.message + diagnostic.notes.map { "\n\($0.message)" }.joined()
    }

    /// What a workflow command would take as its own end is written with percent signs.
    private static func escaped(_ text: String, github isProperty: Bool) -> String {
        var escapes: [Character: String] = ["%": "%25", "\r": "%0D", "\n": "%0A", "\r\n": "%0D%0A"]
        if isProperty { escapes.merge([":": "%3A", ",": "%2C"]) { $1 } }
        return text.map { escapes[$0] ?? String($0) }.joined()
    }

    private static func azureEscaped(_ text: String) -> String {
        let escapes: [Character: String] = [
            "%": "%AZP25", "\r": "%0D", "\n": "%0A", "\r\n": "%0D%0A", "]": "%5D", ";": "%3B",
        ]
        return text.map { escapes[$0] ?? String($0) }.joined()
    }
}

/// What this build of Coracle calls itself.
public enum CoracleVersion {
    /// The version, as semantic versioning has it.
    public static let number = "0.1.0"
}
