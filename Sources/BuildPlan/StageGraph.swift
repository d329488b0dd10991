// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

/// The stages of a Dockerfile with their bases expanded and their references to each other resolved.
struct StageGraph {
    /// What a name in COPY --from or a mount means.
    enum Reference: Hashable {
        case stage(Int)
        case external(BaseAction)
    }

    /// A stage and what it refers to.
    struct Node {
        let stage: Stage
        var base: PlannedStage.Base
        /// The platform of `--platform`; `nil` without it.
        var platform: Platform?
        /// The stages it takes files from, in order.
        var sources: [Int] = []
    }

    /// No file written by people has more; it bounds the memory of a plan.
    static let mostInstructions = 10_000

    let dockerfile: Dockerfile
    let options: PlanOptions
    let platform: Platform
    /// The proxies that every RUN is given.
    let proxies: [String]
    private(set) var nodes: [Node] = []
    /// Global arguments with their values.
    private(set) var globals: Variables
    /// Build arguments with their values.
    private(set) var arguments: [String: String]
    /// What SOURCE_DATE_EPOCH was given as, before a name in it was replaced by its time.
    private(set) var epoch: String?
    /// The names that ARG declares before the first FROM, with a value or without.
    private(set) var declared: Set<String> = []
    private(set) var target = 0
    private(set) var diagnostics: [Diagnostic] = []
    private var lastByName: [String: Int] = [:]
    private let expander: WordExpander

    init(_ dockerfile: Dockerfile, _ options: PlanOptions) {
        (self.dockerfile, self.options, globals) = (dockerfile, options, Variables())
        arguments = options.buildArguments
        proxies = ArgumentScope.proxies(options.buildArguments)
        platform = options.platform ?? options.buildPlatform
        expander = WordExpander(escape: dockerfile.escape)
        let count = dockerfile.stages.reduce(dockerfile.globalArguments.count) { $0 + $1.instructions.count + 1 }
        if count > StageGraph.mostInstructions {
            fail("\(count) instructions, over the limit of \(StageGraph.mostInstructions)", at: SourceRange(0, 0))
            return
        }
        let stage = options.target ?? dockerfile.stages.last?.name ?? ""
        globals = ArgumentScope.predefined(options, platform: platform, targetStage: stage.isEmpty ? "default" : stage)
        checkDefaults()
        readGlobals()
        readEpoch()
        for stage in dockerfile.stages {
            add(stage)
        }
        findTarget()
        for index in nodes.indices {
            addSources(of: index)
        }
        refuseCycles()
    }

    private mutating func fail(_ message: String, at range: SourceRange, notes: [Diagnostic.Note] = []) {
        diagnostics.append(Diagnostic(.error, message, at: range, notes: notes))
    }

    private mutating func warn(_ rule: LintRule?, _ message: String, at range: SourceRange) {
        diagnostics.append(Diagnostic(.warning, message, at: range, rule: rule))
    }

    // MARK: Global arguments

    private mutating func readGlobals() {
        let (scope, faults) = StageGraph.globals(
            globals,
            dockerfile.globalArguments,
            options.buildArguments,
            expander
        )
        globals = scope
        diagnostics += faults
        for case .arg(let declarations) in dockerfile.globalArguments.map(\.content) {
            declared.formUnion(declarations.map(\.name.text))
        }
    }

    /// Replaces a name in SOURCE_DATE_EPOCH by its time, or by nothing while that is not known.
    private mutating func readEpoch() {
        let name = "SOURCE_DATE_EPOCH"
        epoch = arguments[name] ?? globals[name]
        guard let value = epoch, Int64(value) == nil else { return }
        let time = options.resolvedEpoch.map { String($0) }
        if arguments[name] != nil { arguments[name] = time }
        if globals[name] != nil { globals.set(name, time) }
    }

    private static func globals(
        _ scope: Variables,
        _ instructions: [Instruction],
        _ arguments: [String: String],
        _ expander: WordExpander
    ) -> (Variables, [Diagnostic]) {
        var (scope, faults) = (scope, [Diagnostic]())
        for case .arg(let declarations) in instructions.map(\.content) {
            for declaration in declarations {
                let name = declaration.name.text
                if let value = arguments[name] {
                    scope.set(name, value)
                } else if let word = declaration.value {
                    do {
                        scope.set(name, try expander.expand(word.text) { scope[$0] }.text)
                    } catch {
                        faults.append(Diagnostic(.error, error.message, at: word.range))
                    }
                }
            }
        }
        return (scope, faults)
    }

    /// Looks at every base as it would be without build arguments.
    private mutating func checkDefaults() {
        let (scope, faults) = StageGraph.globals(globals, dockerfile.globalArguments, [:], expander)
        guard faults.isEmpty else { return }
        for stage in dockerfile.stages {
            guard case .from(let from) = stage.from.content,
                let name = try? expander.expand(from.image.text, with: { scope[$0] }).text
            else { continue }
            if (try? ImageReference(name)) == nil {
                warn(
                    .invalidDefaultArgInFrom,
                    "without build arguments the base image is \"\(name)\", which is no image's name",
                    at: from.image.range
                )
            }
        }
    }

    // MARK: Bases

    private mutating func add(_ stage: Stage) {
        var node = Node(stage: stage, base: .external(BaseAction(origin: .scratch, platform: platform)))
        if case .from(let from) = stage.from.content {
            node.platform = from.platform.flatMap { explicitPlatform($0, of: stage) }
            if let base = base(from, node.platform ?? platform, of: stage) { node.base = base }
        }
        nodes.append(node)
        if let name = stage.name { lastByName[name] = stage.index }
    }

    /// A global word expanded, its undeclared variables reported.
    private mutating func expandGlobal(_ word: Word) -> Expansion? {
        do {
            let expansion = try expander.expand(word.text) { globals[$0] }
            for name in expansion.unmatched where !declared.contains(name) {
                let near = Suggestion.phrase(for: name, among: globals.names + declared.sorted())
                warn(
                    .undefinedArgInFrom,
                    "\"\(name)\" is not declared by ARG before the first FROM\(near)",
                    at: word.range
                )
            }
            return expansion
        } catch {
            fail(error.message, at: word.range)
            return nil
        }
    }

    private mutating func base(_ from: FromContent, _ platform: Platform, of stage: Stage) -> PlannedStage.Base? {
        guard let name = expandGlobal(from.image)?.text else { return nil }
        if name.isEmpty {
            fail("the base image \"\(from.image.text)\" expands to nothing", at: from.image.range)
            return nil
        }
        if let context = stage.name, options.namedContexts.contains(context) {
            return .external(options.action(ofContext: context, platform))
        }
        if let index = lastByName[name] { return .stage(index) }
        guard let action = external(name, platform, at: from.image.range) else { return nil }
        if case .image(let reference) = action.origin {
            checkPinned(reference, at: from.image.range)
            warnIfNearStage(name, at: from.image.range)
        }
        return .external(action)
    }

    private mutating func checkPinned(_ reference: ImageReference, at range: SourceRange) {
        guard reference.digest == nil else { return }
        let what = reference.tag == "latest" ? "has the tag latest" : "has no digest"
        warn(.unpinnedBaseImage, "base image \(reference.familiar) \(what), so builds may differ", at: range)
    }

    /// What a name that is no stage means; `nil` after a fault.
    private mutating func external(_ name: String, _ platform: Platform, at range: SourceRange) -> BaseAction? {
        if name == "scratch" { return BaseAction(origin: .scratch, platform: platform) }
        if let context = options.context(named: name) {
            return options.action(ofContext: context, platform)
        }
        do {
            return BaseAction(origin: .image(try ImageReference(name)), platform: platform)
        } catch {
            let stage = lastByName[name.lowercased()].map { _ in ", and stages are named in lower case" } ?? ""
            fail(error.message + stage, at: range)
            return nil
        }
    }

    private mutating func warnIfNearStage(_ name: String, at range: SourceRange) {
        guard !name.contains("/"), !name.contains(":"), !name.contains("."), !name.contains("@"),
            let near = Suggestion.nearest(to: name, among: nodes.compactMap(\.stage.name))
        else { return }
        warn(nil, "stage \"\(name)\" does not exist, did you mean \"\(near)\"? (it is taken as an image)", at: range)
    }

    private mutating func explicitPlatform(_ word: Word, of stage: Stage) -> Platform? {
        guard let expansion = expandGlobal(word) else { return nil }
        let near =
            expansion.unmatched.first.map { Suggestion.phrase(for: $0, among: globals.names) } ?? ""
        guard !expansion.text.isEmpty else {
            fail("the platform \"\(word.text)\" expands to nothing\(near)", at: word.range)
            return nil
        }
        do {
            let parsed = try Platform(expansion.text)
            checkPlatform(word, expansion, parsed, of: stage)
            return parsed
        } catch {
            fail(error.message + near, at: word.range)
            return nil
        }
    }

    private mutating func checkPlatform(_ word: Word, _ expansion: Expansion, _ parsed: Platform, of stage: Stage) {
        if expansion.matched == ["TARGETPLATFORM"], expansion.unmatched.isEmpty,
            expansion.text == globals["TARGETPLATFORM"]
        {
            warn(.redundantTargetPlatform, "the platform is \(word.text) anyway", at: word.range)
        }
        guard expansion.matched.isEmpty, expansion.unmatched.isEmpty else { return }
        let name = stage.name ?? ""
        if !name.contains(parsed.os), !name.contains(parsed.architecture) {
            warn(
                .fromPlatformFlagConstDisallowed,
                "the platform is always \(expansion.text), whatever --platform says",
                at: word.range
            )
        }
    }

    // MARK: Target and sources

    private mutating func findTarget() {
        target = max(0, nodes.count - 1)
        guard let wanted = options.target else { return }
        if let index = lastByName[wanted.lowercased()] {
            target = index
        } else if let index = Int(wanted), nodes.indices.contains(index) {
            target = index
        } else {
            let names = nodes.compactMap(\.stage.name)
            let near = Suggestion.phrase(for: wanted, among: names)
            let list = names.isEmpty ? "no stage has a name" : "stages: \(names.joined(separator: ", "))"
            fail(
                "target stage \"\(wanted)\" does not exist\(near)",
                at: nodes.last?.stage.from.range ?? SourceRange(0, 0),
                notes: near.isEmpty ? [.init(list)] : []
            )
        }
    }

    private mutating func addSources(of index: Int) {
        for instruction in nodes[index].stage.instructions where StageGraph.mayRefer(instruction) {
            for word in StageGraph.references(in: instruction) {
                guard case .stage(let source)? = reference(word, isCopy: instruction.kind == .copy) else { continue }
                if !nodes[index].sources.contains(source) { nodes[index].sources.append(source) }
            }
        }
    }

    /// Whether an instruction may name a stage or an image; costs no copy of its content.
    static func mayRefer(_ instruction: Instruction) -> Bool {
        (instruction.kind == .copy || instruction.kind == .run) && !instruction.flags.isEmpty
    }

    /// The words of an instruction that name a stage or an image.
    static func references(in instruction: Instruction) -> [Word] {
        switch instruction.content {
        case .copy(let copy): copy.from.map { [$0] } ?? []
        case .run(let run): run.mountSources
        default: []
        }
    }

    /// What a name in COPY --from or a mount means; `nil` where it means nothing.
    func reference(_ word: Word, isCopy: Bool) -> Reference? {
        if let index = lastByName[word.text.lowercased()] { return .stage(index) }
        if isCopy, let index = Int(word.text) { return nodes.indices.contains(index) ? .stage(index) : nil }
        if word.text == "scratch" { return .external(BaseAction(origin: .scratch, platform: platform)) }
        if let context = options.context(named: word.text) {
            return .external(options.action(ofContext: context, platform))
        }
        return (try? ImageReference(word.text))
            .map {
                .external(BaseAction(origin: .image($0), platform: platform))
            }
    }

    /// The names of all stages, for suggestions.
    var stageNames: [String] { nodes.compactMap(\.stage.name) }

    /// The stages before one that the name of an image may have been meant for.
    func stages(insteadOf action: BaseAction, before index: Int) -> [String] {
        action.origin.canBeStage ? nodes[..<index].compactMap(\.stage.name) : []
    }

    private mutating func refuseCycles() {
        var state = [Int](repeating: 0, count: nodes.count)
        for root in nodes.indices where state[root] == 0 {
            // Depth first without recursion: as deep as there are stages.
            var path = [(node: root, next: 0)]
            state[root] = 1
            while let (node, next) = path.last {
                guard next < nodes[node].sources.count else {
                    state[node] = 2
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let source = nodes[node].sources[next]
                if state[source] == 1 {
                    let start = path.firstIndex { $0.node == source } ?? 0
                    let names = path[start...].map { nodes[$0.node].stage.label } + [nodes[source].stage.label]
                    fail(
                        "stages need each other in a circle: \(names.joined(separator: " → "))",
                        at: nodes[source].stage.from.range
                    )
                    return
                }
                if state[source] == 0 {
                    state[source] = 1
                    path.append((source, 0))
                }
            }
        }
    }

    /// Whether stages that the target does not need are evaluated too.
    var evaluatesAll: Bool { options.includesAllStages && options.target == nil }

    /// The stages that the target needs, extra sources of ONBUILD triggers included.
    func reached(_ extra: [Int: [Int]]) -> Set<Int> {
        guard !nodes.isEmpty else { return [] }
        var (found, open): (Set<Int>, [Int]) = ([target], [target])
        while let index = open.popLast() {
            var next = nodes[index].sources + (extra[index] ?? [])
            if case .stage(let base) = nodes[index].base { next.append(base) }
            for stage in next where found.insert(stage).inserted {
                open.append(stage)
            }
        }
        return found
    }
}
