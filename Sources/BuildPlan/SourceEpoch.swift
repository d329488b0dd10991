// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

extension SourceEpoch {
    /// Reads SOURCE_DATE_EPOCH from build arguments and global arguments; `nil` where it is not given.
    static func read(_ graph: StageGraph, _ diagnostics: inout [Diagnostic]) -> SourceEpoch? {
        let name = "SOURCE_DATE_EPOCH"
        guard let value = graph.epoch, !value.isEmpty else { return nil }
        if let seconds = Int64(value) { return .seconds(seconds) }
        if value == "context" { return .context }
        if graph.options.namedContexts.contains(value) { return .named(value) }
        guard let stage = graph.dockerfile.stages.last(where: { $0.name == value.lowercased() }) else {
            diagnostics.append(
                Diagnostic(
                    .error,
                    "SOURCE_DATE_EPOCH \"\(value)\" is neither a number of seconds, \"context\", a named context nor a stage",
                    at: place(graph, name)
                )
            )
            return nil
        }
        if let fault = fault(in: stage, graph) {
            diagnostics.append(Diagnostic(.error, fault, at: stage.from.range))
        }
        return .named(value.lowercased())
    }

    private static func place(_ graph: StageGraph, _ name: String) -> SourceRange {
        for case .arg(let declarations) in graph.dockerfile.globalArguments.map(\.content) {
            if let declaration = declarations.last(where: { $0.name.text == name }) { return declaration.name.range }
        }
        return graph.nodes.first?.stage.from.keyword.range ?? SourceRange(0, 0)
    }

    /// Such a stage does nothing but fetch one thing, so that its time is known before anything is built.
    private static func fault(in stage: Stage, _ graph: StageGraph) -> String? {
        let rule = "a stage for SOURCE_DATE_EPOCH has FROM scratch and one ADD of a URL or git repository"
        if case .from(let from) = stage.from.content, from.image.text != "scratch" { return rule }
        var adds = 0
        for instruction in stage.instructions {
            switch instruction.content {
            case .arg: break
            case .add(let add):
                adds += 1
                if add.sources.count != 1 { return rule }
            default: return "\(rule), not \(instruction.keyword.text)"
            }
        }
        return adds == 1 ? nil : rule
    }
}
