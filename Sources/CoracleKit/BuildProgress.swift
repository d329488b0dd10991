// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import DockerfileSyntax
internal import OCI
internal import Synchronization

/// One thing a build tells while it runs, in words.
public struct BuildProgress: Sendable {
    /// What happened.
    public enum Kind: String, Sendable {
        /// A lint rule found something in the Dockerfile; told before the plan is.
        case lint
        /// The plan is made.
        case planned
        /// A step starts.
        case started
        /// A step wrote so many bytes.
        case progress
        /// A step's command wrote something.
        case output
        /// A step was done before.
        case cached
        /// A step is done.
        case finished
        /// A shell opens in the state before a step that failed.
        case shell
        /// Something is probably not what was meant.
        case warning
        /// A step failed.
        case failed
        /// A step was ended, as another failed or the build was to end.
        case canceled
    }

    /// What happened.
    public let kind: Kind
    /// The step's place in the plan; -1 where it is about no step.
    public let step: Int
    /// The step as people know it: `[build 2/5] COPY . /app`; one line.
    public let title: String
    /// Bytes before compression; 0 where there are none.
    public let bytes: Int64
    /// Bytes of the finished layer; `nil` where there is none.
    public let layerSize: Int64?
    /// What is wrong, or what the command wrote; of `lint`, with rule and line; empty where there is nothing.
    public let message: String
    /// The same as one line of JSON, which docs/formats.md describes.
    public let json: String
}

/// Puts the events of a build into words.
final class ProgressTeller: Sendable {
    private let names = Mutex<[Int: String]>([:])
    /// What was told of the Dockerfile: the plans of several platforms have the same to say.
    private let told = Mutex<Set<Diagnostic>>([])
    private let toldRemarks = Mutex<Set<String>>([])
    private let tell: @Sendable (BuildProgress) -> Void

    init(_ tell: @escaping @Sendable (BuildProgress) -> Void) {
        self.tell = tell
    }

    func take(_ event: BuildEvent) {
        switch event {
        case .planned(let plan):
            names.withLock { $0 = ProgressTeller.names(plan) }
            let members: [String: JSONValue] = [
                "event": "planned", "platform": .string(plan.platform.description),
                "steps": .int(Int64(plan.steps.count { $0.makesLayer })),
            ]
            tell(BuildProgress(.planned, members))
        case .started(let step): tell(.started, step)
        case .progress(let step, let bytes): tell(.progress, step, bytes: bytes)
        case .output(let step, let bytes): tell(.output, step, message: String(decoding: bytes, as: UTF8.self))
        case .cached(let step, let layer): tell(.cached, step, layer: layer)
        case .finished(let step, let layer, let size): tell(.finished, step, bytes: size, layer: layer)
        case .shell(let step): tell(.shell, step)
        case .warning(let step, let message): tell(.warning, step, message: message)
        case .failed(let step, let message): tell(.failed, step, message: message)
        case .canceled(let step): tell(.canceled, step)
        }
    }

    /// Tells what was found in a Dockerfile, each finding once.
    func take(_ warnings: [Diagnostic], in source: SourceText) {
        for warning in warnings where told.withLock({ $0.insert(warning).inserted }) {
            var members = CheckFormat.members(warning, source)
            (members["event"], members["path"]) = ("lint", .string(source.name))
            tell(BuildProgress(.lint, members, message: DiagnosticText.line(warning, in: source)))
        }
    }

    /// Tells what is doubtful in the flags, each remark once.
    func take(remarks: [String]) {
        for remark in remarks where toldRemarks.withLock({ $0.insert(remark).inserted }) {
            let members: [String: JSONValue] = ["event": "warning", "message": .string(remark)]
            tell(BuildProgress(.warning, members, message: remark))
        }
    }

    private func tell(
        _ kind: BuildProgress.Kind,
        _ step: Step,
        bytes: Int64 = 0,
        layer: Descriptor? = nil,
        message: String = ""
    ) {
        var members: [String: JSONValue] = [
            "event": .string(kind.rawValue), "step": .int(Int64(step.index)), "text": .string(step.text),
        ]
        if bytes > 0 { members["bytes"] = .int(bytes) }
        if !message.isEmpty { members["message"] = .string(message) }
        members["layer"] = layer?.json
        tell(
            BuildProgress(
                kind: kind,
                step: step.index,
                title: names.withLock { $0[step.index] } ?? ProgressTeller.oneLine(step.text),
                bytes: bytes,
                layerSize: layer?.size,
                message: message,
                json: JSONValue.object(members).canonical
            )
        )
    }

    private static func names(_ plan: Plan) -> [Int: String] {
        var names: [Int: String] = [:]
        for stage in plan.stages where stage.isNeeded {
            let layered = stage.steps.filter { plan.steps[$0].makesLayer }
            let label = plan.stages.count == 1 ? "" : stage.label + " "
            for (number, step) in layered.enumerated() {
                names[step] = "[\(label)\(number + 1)/\(layered.count)] \(oneLine(plan.steps[step].text))"
            }
        }
        return names
    }

    private static func oneLine(_ text: String) -> String {
        let line = DiagnosticText.visible(text.split(whereSeparator: \.isNewline).joined(separator: " "))
        return line.count > 200 ? line.prefix(199) + "…" : line
    }
}

extension BuildProgress {
    /// An event that is about no step.
    fileprivate init(_ kind: Kind, _ members: [String: JSONValue], message: String = "") {
        (self.kind, step, title, bytes, layerSize) = (kind, -1, "", 0, nil)
        (self.message, json) = (message, JSONValue.object(members).canonical)
    }
}

/// Byte counts for people.
public enum ByteCount {
    /// A size in decimal units: `1.4 MB`.
    ///
    /// - Parameter bytes: The size.
    /// - Returns: At most three digits and a unit.
    public static func text(_ bytes: Int64) -> String {
        if bytes < 1000 { return "\(bytes) B" }
        var (value, unit) = (Double(bytes) / 1000, 0)
        let units = ["kB", "MB", "GB", "TB"]
        while value >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10) \(units[unit])" : "\(Int(value.rounded())) \(units[unit])"
    }
}
