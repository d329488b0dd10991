// SPDX-License-Identifier: Apache-2.0
public import BuildPlan
public import DockerfileSyntax
internal import OCI

/// The forms in which `coracle plan` shows a plan.
public enum PlanFormat: String, CaseIterable, Sendable {
    /// For people.
    case text
    /// One JSON document: `docs/formats.md`.
    case json
    /// A Mermaid flow chart.
    case mermaid

    /// Writes a plan.
    ///
    /// - Parameters:
    ///   - plan: The plan.
    ///   - source: The Dockerfile, for line numbers.
    ///   - warnings: What is probably not meant as it is; in ``json`` only.
    /// - Returns: The whole text, with a final line break.
    public func write(_ plan: Plan, of source: SourceText, warnings: [Diagnostic] = []) -> String {
        switch self {
        case .text: PlanText(plan: plan, source: source).write()
        case .json: PlanJSON(plan: plan, source: source, warnings: warnings).value.pretty + "\n"
        case .mermaid: PlanMermaid(plan: plan).write()
        }
    }
}

/// A plan for people.
struct PlanText {
    let plan: Plan
    let source: SourceText
    private let keys: [StepKey]

    init(plan: Plan, source: SourceText) {
        (self.plan, self.source, keys) = (plan, source, plan.definitionKeys())
    }

    func write() -> String {
        let needed = plan.stages.filter(\.isNeeded)
        var text = "\(source.name): \(plan.steps.count) steps in \(needed.count) of \(plan.stages.count) stages"
        text += ", target \(plan.stages[plan.target].label), \(plan.platform)\n"
        for stage in plan.stages {
            text += "\n" + header(stage)
            for step in stage.steps {
                text += line(plan.steps[step])
            }
        }
        let images = plan.steps.filter { $0.stage == nil }
        if !images.isEmpty {
            text += "\nimages that only files are taken from\n"
            for step in images { text += line(step) }
        }
        return text + parallel()
    }

    private func header(_ stage: PlannedStage) -> String {
        var text = "stage \(stage.label)"
        switch stage.base {
        case .external(let base): text += "  from \(base.label)"
        case .stage(let index): text += "  from stage \(plan.stages[index].label)"
        }
        if stage.platform != plan.platform { text += "  on \(stage.platform)" }
        let sources = stage.sources.map { plan.stages[$0].label }
        if !sources.isEmpty { text += "  takes files from \(sources.joined(separator: ", "))" }
        return text + (stage.isNeeded ? "\n" : "  — not needed, left out\n")
    }

    private func line(_ step: Step) -> String {
        let number = String(step.index)
        let pad = String(repeating: " ", count: max(0, 4 - number.utf8.count))
        let inputs = step.inputs.isEmpty ? "" : "  ← \(step.inputs.map(String.init).joined(separator: ", "))"
        let text = step.text.split(whereSeparator: \.isNewline).joined(separator: " ")
        let short = text.count > 90 ? text.prefix(89) + "…" : text[...]
        return "\(pad)\(number)  \(keys[step.index].short)  \(DiagnosticText.visible(String(short)))\(inputs)\n"
    }

    /// Which stages can be worked on at the same time: those that do not need each other.
    private func parallel() -> String {
        let work = plan.steps.filter { if case .config = $0.action { false } else { true } }
        let levels = plan.levels
        var widest: [Int: [Int]] = [:]
        for step in work { widest[levels[step.index], default: []].append(step.index) }
        let together = widest.filter { $0.value.count > 1 }.sorted { $0.key < $1.key }
        guard !together.isEmpty else { return "\nnothing runs in parallel: every step needs the one before it\n" }
        let lines = together.map { "  \($0.value.map(String.init).joined(separator: ", "))\n" }
        return "\nin parallel\n" + lines.joined()
    }
}
