// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// What a stage's base left behind by ONBUILD, to be run before the stage's own instructions.
struct Triggers {
    let instructions: [Instruction]
    /// What is wrong and what is doubtful in them, at the FROM that runs them.
    let diagnostics: [Diagnostic]

    /// No triggers.
    static let none = Triggers(instructions: [], diagnostics: [])

    private init(instructions: [Instruction], diagnostics: [Diagnostic]) {
        (self.instructions, self.diagnostics) = (instructions, diagnostics)
    }

    /// Reads the texts that ONBUILD stored; each is one instruction with the usual escape character.
    init(_ texts: [String], for stage: Stage) {
        var (instructions, diagnostics): ([Instruction], [Diagnostic]) = ([], [])
        for text in texts {
            let (file, faults) = Dockerfile.parse(SourceText("FROM scratch\n" + text, name: "ONBUILD"))
            let found = file.stages[0].instructions
            let errors = faults.filter { $0.severity == .error }
            let shown = text.prefix { !$0.isNewline }.prefix(60)
            diagnostics += errors.map { fault in
                Diagnostic(
                    .error,
                    "the base's trigger \"\(shown)\": \(fault.message)",
                    at: stage.from.range,
                    notes: fault.notes.map { .init($0.message) }
                )
            }
            if errors.isEmpty, found.count != 1 || file.stages.count != 1 {
                let message = "the base's trigger \"\(shown)\" is not one instruction that a stage may have"
                diagnostics.append(Diagnostic(.error, message, at: stage.from.range))
            }
            instructions += found
        }
        self.init(
            instructions: instructions,
            diagnostics: diagnostics + Linter.findings(inTriggers: instructions, of: stage)
        )
    }
}
