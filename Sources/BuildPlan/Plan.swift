// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax
public import OCI

/// What a build will do: steps in an order in which every input comes first.
public struct Plan: Sendable {
    /// The stages of the Dockerfile in order, those that are not needed included.
    public let stages: [PlannedStage]
    /// The stage whose image is wanted: its place in `stages`.
    public let target: Int
    /// The steps of all stages that are needed, inputs first.
    public let steps: [Step]
    /// What the image will run on.
    public let platform: Platform
    /// The value of SOURCE_DATE_EPOCH; `nil` where it is not given.
    public let epoch: SourceEpoch?
    /// What is doubtful in the options: build arguments that no ARG takes; lines without full stop, sorted.
    public let remarks: [String]
    /// Every change of a variable; see ``environment(of:)``.
    let assignments: [Assignment]

    /// The image's configuration, without layers: those are known only after building.
    public var image: ImageConfig { stages[target].image }

    /// Whether it runs any command.
    public var hasCommands: Bool { firstCommand != nil }

    /// The first step that runs a command; `nil` where none does.
    public var firstCommand: Step? { steps.first { if case .run = $0.action { true } else { false } } }

    /// Whether a command runs on what a step makes.
    ///
    /// - Parameter step: A step of this plan.
    /// - Returns: Whether one does, at once or after other steps.
    public func runsCommands(after step: Step) -> Bool {
        var above: Set<Int> = [step.index]
        for next in steps[step.index...].dropFirst() {
            guard let base = next.inputs.first, above.contains(base) else { continue }
            if case .run = next.action { return true }
            above.insert(next.index)
        }
        return false
    }

    /// How far each step is from a step without inputs; steps of one level may run at the same time.
    public var levels: [Int] {
        var levels: [Int] = []
        for step in steps {
            levels.append(1 + (step.inputs.map { levels[$0] }.max() ?? -1))
        }
        return levels
    }
}

/// Where the time of SOURCE_DATE_EPOCH comes from.
public enum SourceEpoch: Hashable, Sendable {
    /// Seconds since 1970.
    case seconds(Int64)
    /// The time of the build context's commit or download.
    case context
    /// The time of what a stage adds, or of a context given by name.
    case named(String)
}

/// A stage of a plan.
public struct PlannedStage: Sendable {
    /// What a stage builds on.
    public enum Base: Hashable, Sendable {
        /// An image, or nothing, or a context given by name.
        case external(BaseAction)
        /// Another stage: its place in ``Plan/stages``.
        case stage(Int)
    }

    /// Its place in the Dockerfile, counted from 0.
    public let index: Int
    /// The name after AS, in lower case; `nil` without one.
    public let name: String?
    /// What it builds on.
    public let base: Base
    /// What it runs on.
    public let platform: Platform
    /// Other stages it takes files from, its base not among them; in order, each once.
    public let sources: [Int]
    /// Whether the target needs it.
    public let isNeeded: Bool
    /// Its steps: places in ``Plan/steps``; empty where it is not needed.
    public let steps: [Int]
    /// The last step that changes files; `nil` where it is not needed.
    public let result: Int?
    /// The configuration at its end, as far as it is known: of a base that was not asked for, nothing is.
    public let image: ImageConfig
    /// Whether the base's own configuration was known.
    public let isBaseKnown: Bool
    /// The FROM instruction.
    public let range: SourceRange

    /// How messages call it: its name, else its index.
    public var label: String { name ?? String(index) }
}
