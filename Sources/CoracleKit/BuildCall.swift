// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

/// `--call`: what is asked of a build instead of the image.
public enum BuildCall: Equatable, Sendable {
    /// The image after all.
    case build
    /// What is wrong or doubtful in the Dockerfile.
    case check(CheckFormat)
    /// The stages that `--target` can name.
    case targets(OutputFormat)

    /// Reads `METHOD[,format=text|json]`.
    ///
    /// - Parameter text: The value of `--call`.
    /// - Throws: ``ExitReason`` for a method that is not known.
    public init(_ text: String) throws(ExitReason) {
        let forms = "expected build, check, or targets, the last two with ,format=json for programs"
        let fields = CSVFields.read(text) ?? []
        var format = OutputFormat.text
        for field in fields.dropFirst() {
            switch field {
            case "format=json": format = .json
            case "format=text": format = .text
            default: throw ExitReason(.usage, "--call \"\(text)\": \"\(field)\" is not known; \(forms)")
            }
        }
        switch fields.first {
        case "build" where fields.count == 1: self = .build
        case "check", "lint": self = .check(format == .json ? .json : .text)
        case "targets": self = .targets(format)
        case "outline":
            throw ExitReason(
                .usage,
                "--call outline is not there: which arguments, secrets and agents a stage takes is in its plan",
                hint: "coracle plan --target NAME, with --format json for programs"
            )
        default: throw ExitReason(.usage, "--call \"\(text)\" is not known; \(forms)")
        }
    }
}

/// `coracle build --call targets`: the stages of a Dockerfile, as BuildKit lists them.
public struct ListTargets: Sendable {
    private let input: DockerfileInput

    /// Lists the stages of one input.
    ///
    /// - Parameter input: The Dockerfile and its context.
    public init(_ input: DockerfileInput) {
        self.input = input
    }

    /// The list, or why there is none.
    public enum Outcome: Sendable {
        /// A table, or JSON with the members that BuildKit writes.
        case listed(String)
        /// The faults of the Dockerfile, as lines for people.
        case failed(String)
    }

    /// Lists the stages.
    ///
    /// - Parameter format: For whom.
    /// - Returns: The list, or the faults of the Dockerfile.
    /// - Throws: ``ExitReason`` where there is no Dockerfile.
    public func run(_ format: OutputFormat) throws(ExitReason) -> Outcome {
        let source = try input.read().dockerfile
        let (dockerfile, faults) = Dockerfile.parse(source)
        let errors = faults.filter { $0.severity == .error }
        guard errors.isEmpty else { return .failed(DiagnosticText.write(errors, in: source)) }
        let list = TargetList(stages: dockerfile.stages, source: source)
        return .listed(list.formatted(format))
    }
}

/// The stages in the order of the file.
private struct TargetList: Writable {
    let stages: [Stage]
    let source: SourceText

    /// The comment above a FROM that begins with the stage's name.
    private func description(_ stage: Stage) -> String? { stage.name.flatMap { stage.from.documentation(of: $0) } }

    private func isDefault(_ stage: Stage) -> Bool { stage.index == stages.count - 1 }

    var text: String {
        let rows = stages.map { stage in
            let mark = isDefault(stage) ? "(default)" : ""
            let name = [stage.name ?? "", mark].filter { !$0.isEmpty }.joined(separator: " ")
            return [name, description(stage) ?? ""]
        }
        return TextTable.write([["TARGET", "DESCRIPTION"]] + rows)
    }

    var json: JSONValue {
        let targets = stages.map { stage in
            var members: [String: JSONValue] = [:]
            members["name"] = stage.name.map { .string($0) }
            if isDefault(stage) { members["default"] = true }
            members["description"] = description(stage).map { .string($0) }
            if case .from(let from) = stage.from.content {
                members["base"] = .string(from.image.text)
                members["platform"] = from.platform.map { .string($0.text) }
            }
            let lines = (source.line(at: stage.from.range.start), source.line(at: max(0, stage.from.range.end - 1)))
            let range: JSONValue = [
                "start": ["line": .int(Int64(lines.0))], "end": ["line": .int(Int64(lines.1))],
            ]
            members["location"] = ["ranges": [range]]
            return JSONValue.object(members)
        }
        return ["targets": .array(targets), "sources": [.string(Base64Text.encode(source.bytes))]]
    }
}
