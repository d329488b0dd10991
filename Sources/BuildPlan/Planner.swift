// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax
internal import OCI

extension Plan {
    /// Plans a build.
    ///
    /// All faults are found at once; with an error among them there is no plan.
    ///
    /// - Parameters:
    ///   - dockerfile: A file that was read without errors.
    ///   - options: What the plan depends on besides the file.
    ///   - resolver: Knows base images; asked once for each that is needed.
    /// - Returns: The plan, and errors and lint findings in the order of the file, unfiltered.
    /// - Throws: What the resolver throws.
    public static func make(
        _ dockerfile: Dockerfile,
        options: PlanOptions,
        resolver: some BaseImageResolver
    ) async throws -> (plan: Plan?, diagnostics: [Diagnostic]) {
        let graph = StageGraph(dockerfile, options)
        var bases: [BaseAction: BaseImage?] = [:]
        while true {
            var builder = PlanBuilder(graph, bases: bases)
            let missing = builder.missingBases
            if missing.isEmpty {
                var (plan, diagnostics) = builder.build()
                let others = plan?.images.filter { bases[$0.base] == nil } ?? []
                try await check(others, resolver, &diagnostics)
                return (plan, diagnostics)
            }
            for request in missing {
                bases[request.base] = .some(try await resolver.resolve(request))
            }
        }
    }

    /// Looks at the platforms of images that only files are taken from.
    private static func check(
        _ images: [BaseImageRequest],
        _ resolver: some BaseImageResolver,
        _ diagnostics: inout [Diagnostic]
    ) async throws {
        if images.isEmpty { return }
        for request in images {
            guard let image = try await resolver.resolve(request),
                let fault = PlanBuilder.mismatch(image.config, request.base, at: request.range)
            else { continue }
            diagnostics.append(fault)
        }
        diagnostics.sort { $0.range.start < $1.range.start }
    }

    /// The images that only files are taken from, where the Dockerfile first names each.
    private var images: [BaseImageRequest] {
        steps.compactMap { step -> BaseImageRequest? in
            guard step.stage == nil, case .base(let base) = step.action, base.origin != .scratch else { return nil }
            var request = BaseImageRequest(base: base, range: step.range)
            if base.origin.canBeStage { request.stages = stages.compactMap(\.name) }
            return request
        }
    }

    /// Plans a build without asking anyone about base images.
    ///
    /// - Parameters:
    ///   - dockerfile: A file that was read without errors.
    ///   - options: What the plan depends on besides the file.
    /// - Returns: The plan, and errors and lint findings in the order of the file, unfiltered.
    public static func make(_ dockerfile: Dockerfile, options: PlanOptions) -> (plan: Plan?, diagnostics: [Diagnostic])
    {
        var builder = PlanBuilder(StageGraph(dockerfile, options), bases: nil)
        return builder.build()
    }

    /// The stages that a plan evaluates, as far as it is known without asking about base images.
    ///
    /// - Parameters:
    ///   - dockerfile: Any file.
    ///   - options: What the plan depends on besides the file.
    /// - Returns: Their places in the Dockerfile.
    public static func stagesEvaluated(in dockerfile: Dockerfile, options: PlanOptions) -> Set<Int> {
        PlanBuilder(StageGraph(dockerfile, options), bases: nil).needed
    }
}

/// Makes the steps of a plan, stage by stage.
struct PlanBuilder {
    let graph: StageGraph
    /// What is known of bases; `nil` where nobody is asked.
    private let bases: [BaseAction: BaseImage?]?
    /// The stages that are evaluated.
    let needed: Set<Int>
    /// The triggers of every stage that the target reaches.
    private let triggers: [Int: Triggers]
    private(set) var steps: [Step] = []
    private(set) var states: [Int: StageState] = [:]
    private let log = AssignmentLog()
    private var ranges: [Int: Range<Int>] = [:]
    private var externals: [BaseAction: Int] = [:]
    var diagnostics: [Diagnostic] = []
    /// UTF-8 bytes that expansion has made so far.
    var expandedBytes = 0
    let expander: WordExpander

    init(_ graph: StageGraph, bases: [BaseAction: BaseImage?]?) {
        (self.graph, self.bases) = (graph, bases)
        expander = WordExpander(escape: graph.dockerfile.escape)
        // A trigger may need further stages, and those may have triggers of their own.
        var (triggers, extra): ([Int: Triggers], [Int: [Int]]) = ([:], [:])
        var reached = graph.reached([:])
        while true {
            for index in reached where triggers[index] == nil {
                let found = PlanBuilder.triggers(of: index, graph, bases)
                triggers[index] = found
                extra[index] = found.instructions.flatMap { StageGraph.references(in: $0) }
                    .compactMap { word in
                        guard case .stage(let source)? = graph.reference(word, isCopy: true) else { return nil }
                        return source
                    }
            }
            let more = graph.reached(extra)
            if more == reached { break }
            reached = more
        }
        needed = graph.evaluatesAll ? Set(graph.nodes.indices) : reached
        self.triggers = triggers
        diagnostics = graph.diagnostics
    }

    /// The bases of needed stages that were not asked for yet.
    var missingBases: [BaseImageRequest] {
        guard let bases else { return [] }
        var seen: Set<BaseAction> = []
        return graph.nodes.filter { needed.contains($0.stage.index) }
            .compactMap { node -> BaseImageRequest? in
                guard case .external(let action) = node.base, action.origin != .scratch, bases[action] == nil,
                    seen.insert(action).inserted
                else { return nil }
                var request = BaseImageRequest(base: action, range: node.stage.from.range)
                if case .from(let from) = node.stage.from.content { request.range = from.image.range }
                request.stages = graph.stages(insteadOf: action, before: node.stage.index)
                return request
            }
    }

    private static func triggers(
        of index: Int,
        _ graph: StageGraph,
        _ bases: [BaseAction: BaseImage?]?
    ) -> Triggers {
        var texts: [String] = []
        switch graph.nodes[index].base {
        case .external(let action): texts = (bases?[action] ?? nil)?.config.onBuild ?? []
        case .stage(let base):
            for instruction in graph.nodes[base].stage.instructions where instruction.kind == .onbuild {
                if case .onbuild(_, let text) = instruction.content { texts.append(text) }
            }
        }
        return texts.isEmpty ? .none : Triggers(texts, for: graph.nodes[index].stage)
    }

    /// Makes the plan; errors leave none.
    mutating func build() -> (plan: Plan?, diagnostics: [Diagnostic]) {
        steps.reserveCapacity(graph.nodes.reduce(0) { $0 + $1.stage.instructions.count + 1 })
        for node in graph.nodes where needed.contains(node.stage.index) {
            evaluate(node)
        }
        let epoch = SourceEpoch.read(graph, &diagnostics)
        let sorted = diagnostics.sorted { $0.range.start < $1.range.start }
        guard !sorted.contains(where: { $0.severity == .error }), !graph.nodes.isEmpty else { return (nil, sorted) }
        let stages = graph.nodes.map { planned($0) }
        let plan = Plan(
            stages: stages,
            target: graph.target,
            steps: steps,
            platform: graph.platform,
            epoch: epoch,
            remarks: remarks,
            assignments: log.entries
        )
        return (plan, sorted)
    }

    /// Build arguments that no ARG takes, in whatever stage, and that the build itself knows nothing of.
    private var remarks: [String] {
        let given = graph.options.buildArguments.keys
        if given.isEmpty { return [] }
        var taken = graph.declared
        for instruction in graph.nodes.flatMap(\.stage.instructions) + triggers.values.flatMap(\.instructions) {
            if case .arg(let declarations) = instruction.content { taken.formUnion(declarations.map(\.name.text)) }
        }
        let known = Set(graph.globals.names)
            .union(ArgumentScope.proxies(graph.options.buildArguments).map { Variables.split($0).name })
        return
            given.filter { name in
                !taken.contains(name) && !known.contains(name) && !name.hasPrefix("BUILDKIT_")
                    && name != "SOURCE_DATE_EPOCH"
            }
            .sorted()
            .map { "--build-arg \($0) is taken by no ARG" + Suggestion.phrase(for: $0, among: taken.sorted()) }
    }

    private func planned(_ node: StageGraph.Node) -> PlannedStage {
        let index = node.stage.index
        let state = states[index]
        var image = state?.image ?? ImageConfig(platform: node.platform ?? graph.platform)
        if index == graph.target {
            image.labels.merge(graph.options.labels) { $1 }
            if graph.options.platform != nil { image.platform = graph.platform }
        }
        return PlannedStage(
            index: index,
            name: node.stage.name,
            base: node.base,
            platform: state?.platform ?? node.platform ?? graph.platform,
            sources: node.sources,
            isNeeded: state != nil,
            steps: ranges[index].map(Array.init) ?? [],
            result: state?.filesystem,
            image: image,
            isBaseKnown: state?.isBaseKnown ?? false,
            range: node.stage.from.range
        )
    }

    // MARK: One stage

    private mutating func evaluate(_ node: StageGraph.Node) {
        // What a stage takes from images comes before its own steps, so that these stay together.
        let triggers = triggers[node.stage.index] ?? .none
        diagnostics += triggers.diagnostics
        for instruction in triggers.instructions where StageGraph.mayRefer(instruction) {
            // The words of a trigger are in no Dockerfile that anybody sees.
            addExternals(of: instruction) { _ in node.stage.from.range }
        }
        for instruction in node.stage.instructions where StageGraph.mayRefer(instruction) {
            addExternals(of: instruction, at: \.range)
        }
        let first = steps.count
        let scope = StageScope(node: node, state: start(node))
        scope.override = node.stage.from.range
        for trigger in triggers.instructions {
            evaluate(trigger, in: scope)
        }
        scope.override = nil
        for instruction in node.stage.instructions {
            evaluate(instruction, in: scope)
        }
        states[node.stage.index] = scope.state
        ranges[node.stage.index] = first..<steps.count
    }

    private mutating func addExternals(of instruction: Instruction, at place: (Word) -> SourceRange) {
        for word in StageGraph.references(in: instruction) {
            if case .external(let action)? = graph.reference(word, isCopy: instruction.kind == .copy) {
                _ = step(of: action, at: place(word))
            }
        }
    }

    /// The state a stage starts with, after its base.
    private mutating func start(_ node: StageGraph.Node) -> StageState {
        switch node.base {
        case .stage(let base):
            guard var state = states[base] else { return StageState(platform: graph.platform, log: log) }
            state.image.onBuild = []
            state.setsCommand = false
            return state
        case .external(let action):
            let known = bases?[action] ?? nil
            var state = StageState(platform: action.platform, log: log)
            if let config = known?.config {
                state.image = config
                if let fault = PlanBuilder.mismatch(config, action, at: node.stage.from.range) {
                    diagnostics.append(PlanBuilder.refusal(of: fault, config, action))
                }
                if node.platform == nil, graph.options.platform == nil { state.platform = config.platform }
                state.image.onBuild = []
            } else if action.origin == .scratch {
                state.image.workingDirectory = action.platform.os == "windows" ? "\\" : "/"
            }
            state.isBaseKnown = known != nil || action.origin == .scratch
            state.filesystem = add(
                .base(pinned(action, known?.reference)),
                text: "FROM \(action.label)",
                inputs: [],
                stage: node.stage.index,
                range: node.stage.from.range,
                makesLayer: false
            )
            state.readImage()
            return state
        }
    }

    /// What to say of an image that is for another platform than the one wanted; `nil` of the right one.
    static func mismatch(_ config: ImageConfig, _ action: BaseAction, at range: SourceRange) -> Diagnostic? {
        let (found, wanted) = (config.platform, action.platform)
        guard found.os != wanted.os || found.architecture != wanted.architecture else { return nil }
        return Diagnostic(
            .warning,
            "base image \(action.label) is for \(found), and \(wanted) is wanted",
            at: range,
            rule: .invalidBaseImagePlatform
        )
    }

    /// The same as an error where Windows is wanted: its images are made on those of Windows, or on none.
    private static func refusal(of fault: Diagnostic, _ config: ImageConfig, _ action: BaseAction) -> Diagnostic {
        guard action.platform.os == "windows", config.platform.os != "windows" else { return fault }
        let note =
            "start from a Windows image, or FROM scratch; FROM --platform=$BUILDPLATFORM is for stages that only build"
        return Diagnostic(.error, fault.message, at: fault.range, notes: [.init(note)])
    }

    private func pinned(_ action: BaseAction, _ reference: ImageReference?) -> BaseAction {
        guard let reference, case .image = action.origin else { return action }
        return BaseAction(origin: .image(reference), platform: action.platform)
    }

    // MARK: Steps

    /// The step that provides an image's files to COPY and mounts.
    mutating func step(of action: BaseAction, at range: SourceRange) -> Int {
        if let step = externals[action] { return step }
        let text = "FROM \(action.label)"
        let step = add(.base(action), text: text, inputs: [], stage: nil, range: range, makesLayer: false)
        externals[action] = step
        return step
    }

    /// Adds a step.
    mutating func add(
        _ action: Step.Action,
        text: String,
        inputs: [Int],
        stage: Int?,
        range: SourceRange,
        makesLayer: Bool
    ) -> Int {
        let step = Step(
            index: steps.count,
            stage: stage,
            action: action,
            text: text,
            inputs: inputs,
            range: range,
            makesLayer: makesLayer
        )
        steps.append(step)
        return step.index
    }
}

extension BaseAction {
    /// How messages and plans call it.
    public var label: String {
        switch origin {
        case .scratch: "scratch"
        case .image(let reference): reference.familiar
        case .namedContext(let name): name
        }
    }
}
