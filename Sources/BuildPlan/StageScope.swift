// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

/// A stage while its instructions are evaluated.
///
/// A class, because it is handed through every step of the evaluation and as a value would be copied each time;
/// it belongs to one evaluation on one thread.
final class StageScope {
    let node: StageGraph.Node
    var state: StageState
    /// Where diagnostics point while triggers of a base are evaluated, whose text is not in the file.
    var override: SourceRange?

    init(node: StageGraph.Node, state: StageState) {
        (self.node, self.state) = (node, state)
    }

    /// Where a diagnostic points.
    func place(_ range: SourceRange) -> SourceRange { override ?? range }
}

extension PlanBuilder {
    /// All expansion of a plan may make this many bytes; a file that doubles its variables is stopped here.
    private static let mostExpandedBytes = 64 << 20
    /// More than this no program could be started with.
    private static let mostEnvironmentBytes = 1 << 20

    mutating func fail(
        _ message: String,
        at range: SourceRange,
        in scope: StageScope,
        notes: [Diagnostic.Note] = []
    ) {
        diagnostics.append(Diagnostic(.error, message, at: scope.place(range), notes: notes))
    }

    mutating func warn(
        _ rule: LintRule,
        _ message: String,
        at range: SourceRange,
        in scope: StageScope,
        notes: [Diagnostic.Note] = []
    ) {
        diagnostics.append(Diagnostic(.warning, message, at: scope.place(range), rule: rule, notes: notes))
    }

    /// Expands a word with the variables of a stage; `nil` after a fault.
    mutating func expand(_ word: Word, in scope: StageScope) -> String? {
        expand(word, with: expander, in: scope)
    }

    /// Expands a word in a given way; `nil` after a fault.
    mutating func expand(_ word: Word, with expander: WordExpander, in scope: StageScope) -> String? {
        do {
            let expansion = try expander.expand(word.text) { scope.state.variables[$0] }
            reportUnset(expansion.unmatched, at: word.range, in: scope)
            guard spend(expansion.text.utf8.count, at: word.range, in: scope) else { return nil }
            return expansion.text
        } catch {
            fail(error.message, at: word.range, in: scope)
            return nil
        }
    }

    /// Counts bytes that expansion made; `false` where they are too many, with one diagnostic.
    mutating func spend(_ bytes: Int, at range: SourceRange, in scope: StageScope) -> Bool {
        let before = expandedBytes
        expandedBytes += bytes
        guard expandedBytes > PlanBuilder.mostExpandedBytes else { return true }
        if before <= PlanBuilder.mostExpandedBytes {
            fail("variables expand to more than 64 MiB in all", at: range, in: scope)
        }
        return false
    }

    mutating func reportUnset(_ names: [String], at range: SourceRange, in scope: StageScope) {
        for name in names where !ArgumentScope.hidden.contains(name) {
            if scope.state.declares(name) { continue }
            let near = Suggestion.phrase(for: name, among: scope.state.variables.names)
            warn(.undefinedVar, "variable \"\(name)\" is not defined\(near)", at: range, in: scope)
        }
    }

    /// Sets a variable, unless the environment has grown past all use.
    mutating func checkEnvironment(at range: SourceRange, in scope: StageScope) {
        if scope.state.variables.size > PlanBuilder.mostEnvironmentBytes {
            fail("the environment is over 1 MiB; no program can be started with it", at: range, in: scope)
        }
    }

    /// Adds an entry to the image's history.
    func note(_ text: String, emptyLayer: Bool, in scope: StageScope) {
        scope.state.image.history.append(
            ImageConfig.History(createdBy: text, comment: "coracle", isEmptyLayer: emptyLayer)
        )
    }

    /// Adds a step that changes files.
    mutating func addLayer(
        _ action: Step.Action,
        text: String,
        extra: [Int],
        at range: SourceRange,
        in scope: StageScope
    ) {
        let inputs = (scope.state.filesystem.map { [$0] } ?? []) + extra
        scope.state.filesystem = add(
            action,
            text: text,
            inputs: inputs,
            stage: scope.node.stage.index,
            range: scope.place(range),
            makesLayer: true
        )
    }

    /// Adds a step that changes configuration only, with its history.
    mutating func addConfig(_ text: String, at range: SourceRange, in scope: StageScope) {
        note(text, emptyLayer: true, in: scope)
        _ = add(
            .config,
            text: text,
            inputs: scope.state.filesystem.map { [$0] } ?? [],
            stage: scope.node.stage.index,
            range: scope.place(range),
            makesLayer: false
        )
    }

    /// Evaluates one instruction.
    mutating func evaluate(_ instruction: Instruction, in scope: StageScope) {
        let range = instruction.range
        switch instruction.content {
        case .run(let run): evaluateRun(run, instruction, in: scope)
        case .copy(let copy), .add(let copy): evaluateTransfer(copy, instruction, in: scope)
        case .env(let pairs): evaluateEnv(pairs, at: range, in: scope)
        case .label(let pairs): evaluateLabel(pairs, at: range, in: scope)
        case .arg(let declarations): evaluateArg(declarations, at: range, in: scope)
        case .expose(let ports): evaluateExpose(ports, at: range, in: scope)
        case .user(let word): evaluateUser(word, at: range, in: scope)
        case .workdir(let word): evaluateWorkdir(word, at: range, in: scope)
        case .volume(let words): evaluateVolume(words, at: range, in: scope)
        case .stopsignal(let word): evaluateStopSignal(word, at: range, in: scope)
        case .shell(let words): evaluateShell(words, at: range, in: scope)
        case .cmd(let form): evaluateCommand(form, instruction, in: scope)
        case .entrypoint(let form): evaluateEntrypoint(form, instruction, in: scope)
        case .healthcheck(let check): evaluateHealthcheck(check, at: range, in: scope)
        case .maintainer(let word):
            scope.state.image.author = word.text
            addConfig("MAINTAINER \(word.text)", at: range, in: scope)
        case .onbuild(_, let text): scope.state.image.onBuild.append(text)
        case .from, .invalid: break
        }
    }
}
