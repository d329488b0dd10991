// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax

/// A tree without places, to compare what two texts mean.
func shape(of dockerfile: Dockerfile) -> [String] {
    let directives = dockerfile.directives.map { "# \($0.name.rawValue)=\($0.value.text)" }
    let stages = dockerfile.stages.map { "stage \($0.index) \($0.name ?? "-")" }
    let instructions = dockerfile.instructions.map { instruction in
        [
            instruction.text, instruction.keyword.text, instruction.arguments.text,
            instruction.flags.map(\.raw.text).joined(separator: "|"),
            instruction.comments.map(\.text).joined(separator: "|"),
            instruction.heredocs.map { "\($0.name) \($0.expands) \($0.stripsTabs) \($0.content)" }.joined(),
            withoutPlaces(String(reflecting: instruction.content)),
        ]
        .joined(separator: "\n")
    }
    return directives + stages + instructions
}

/// The printed form of a value, its ranges taken out.
private func withoutPlaces(_ text: String) -> String {
    text.replacing(/SourceRange\(start: \d+, end: \d+\)/, with: "_")
}

/// The messages of all faults of a text.
func faults(_ text: String) -> [String] {
    Dockerfile.parse(SourceText(text, name: "Dockerfile")).diagnostics.filter { $0.severity == .error }.map(\.message)
}

/// The faults of a text with their places: `line:column message`.
func placed(_ text: String) -> [String] {
    let source = SourceText(text, name: "Dockerfile")
    return Dockerfile.parse(source).diagnostics
        .map { diagnostic in
            let place = source.position(of: diagnostic.range.start)
            return "\(place.line):\(place.column) \(diagnostic.message)"
        }
}
