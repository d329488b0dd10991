// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan

/// A plan as a Mermaid flow chart: a box per stage, a node per step.
///
/// A stage that is based on another one starts with a node of its own for that, so that there is a node to point at
/// where it adds nothing.
struct PlanMermaid {
    let plan: Plan

    func write() -> String {
        var lines = ["flowchart TD"]
        for stage in plan.stages {
            lines += box(stage)
        }
        for step in plan.steps where step.stage == nil {
            lines.append("  n\(step.index)[(\"\(PlanMermaid.quoted(step.text))\")]")
        }
        for stage in plan.stages where stage.isNeeded {
            guard case .stage(let base) = stage.base else { continue }
            lines.append("  \(end(of: plan.stages[base])) -- FROM --> f\(stage.index)")
        }
        for step in plan.steps {
            lines += edges(to: step)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func box(_ stage: PlannedStage) -> [String] {
        var lines = ["  subgraph s\(stage.index)[\"\(PlanMermaid.quoted(stage.label))\"]"]
        if !stage.isNeeded {
            lines.append("    p\(stage.index)([\"not needed\"])")
        } else if case .stage(let base) = stage.base {
            lines.append("    f\(stage.index)[\"\(PlanMermaid.quoted("FROM " + plan.stages[base].label))\"]")
        }
        for step in stage.steps {
            lines.append("    n\(step)[\"\(PlanMermaid.quoted(plan.steps[step].text))\"]")
        }
        return lines + ["  end"]
    }

    /// The first input is what a step builds on, and the others are what it takes files from.
    private func edges(to step: Step) -> [String] {
        guard let stage = step.stage else { return [] }
        return step.inputs.enumerated()
            .map { position, input in
                guard position == 0 else { return "  \(source(input, plan.stages[stage])) -. files .-> n\(step.index)" }
                let from = plan.steps[input].stage == stage ? "n\(input)" : "f\(stage)"
                return "  \(from) --> n\(step.index)"
            }
    }

    /// The node that stands for what a stage is at its end.
    private func end(of stage: PlannedStage) -> String {
        guard let result = stage.result, plan.steps[result].stage == stage.index else { return "f\(stage.index)" }
        return "n\(result)"
    }

    /// The node of a step that files are taken from, or of the stage that was named and adds nothing to it.
    private func source(_ input: Int, _ stage: PlannedStage) -> String {
        let named = stage.sources.filter { plan.stages[$0].result == input }
        if named.isEmpty || named.contains(where: { $0 == plan.steps[input].stage }) { return "n\(input)" }
        return end(of: plan.stages[named[0]])
    }

    /// A label on one line, short enough to draw, with nothing in it that ends the label.
    private static func quoted(_ text: String) -> String {
        let line = DiagnosticText.visible(text.split(whereSeparator: \.isNewline).joined(separator: " "))
        let short = line.count > 72 ? line.prefix(71) + "…" : line[...]
        let escapes: [Character: String] = ["\"": "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;"]
        return short.map { escapes[$0] ?? String($0) }.joined()
    }
}
