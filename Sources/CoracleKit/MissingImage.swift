// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import DockerfileSyntax
internal import OCI

/// An image that a Dockerfile names and that is not to be had.
struct MissingImage: Error {
    let reason: ExitReason
    /// Where the Dockerfile names it.
    let range: SourceRange
    /// What the Dockerfile calls it, where that may have been meant for a stage.
    let name: String
    /// The stages that may have been meant.
    let stages: [String]

    init(_ reason: ExitReason, _ request: BaseImageRequest) {
        (self.reason, range, stages) = (reason, request.range, request.stages)
        name = String(request.base.label.prefix { $0 != ":" })
    }

    /// The same as a fault of the Dockerfile.
    var diagnostic: Diagnostic {
        var notes = reason.hint.map { [Diagnostic.Note($0)] } ?? []
        if !stages.isEmpty {
            let near = Suggestion.nearest(to: name, among: stages).map { "did you mean the stage \"\($0)\"? " } ?? ""
            notes.append(Diagnostic.Note("\(near)stages: \(stages.joined(separator: ", "))"))
        }
        return Diagnostic(.error, reason.message, at: range, notes: notes)
    }
}

extension Step {
    /// The images that it starts from or takes files from; contexts given by name are among them, folders too.
    func images(on platform: Platform) -> [BaseAction] {
        switch action {
        case .base(let base): base.origin == .scratch ? [] : [base]
        case .copy, .run: contexts.map { BaseAction(origin: .namedContext($0), platform: platform) }
        case .directory, .config: []
        }
    }

    /// The contexts given by name that it starts from or takes files from.
    var contexts: [String] {
        switch action {
        case .base(let base): if case .namedContext(let name) = base.origin { [name] } else { [] }
        case .copy(let copy): if case .namedContext(let name) = copy.origin { [name] } else { [] }
        case .run(let run):
            run.mounts.compactMap { if case .namedContext(let name) = $0.origin { name } else { nil } }
        case .directory, .config: []
        }
    }
}
