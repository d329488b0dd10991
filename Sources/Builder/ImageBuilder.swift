// SPDX-License-Identifier: Apache-2.0
internal import Archive
public import BuildPlan
internal import OCI
internal import Rootfs
internal import Sandbox
public import Store

/// Does the steps of a plan, and makes an image of the result.
///
/// Commands run at the same time where they do not need each other; everything else is done one after the other, each
/// of it on all cores. It blocks: run it on a thread of its own.
public final class ImageBuilder {
    let plan: Plan
    let store: ImageStore
    let sources: BuildSources
    let settings: BuildSettings
    private let events: @Sendable (BuildEvent) -> Void
    let content: FileContent
    let digests: FileDigests
    private let folders: FolderIndex?
    let cache: StepCache
    /// Made when the first command needs it.
    private var madeSnapshots: Snapshots?
    /// Made when the first command mounts files of a context.
    private var madeCopies: ContextCopies?
    /// Held by the thread that works on the members below.
    let turn = Turn()
    /// The commands that run now; stopping them ends the build.
    public let commands = RunningCommands()
    /// The layers that each step's result has, the lowest first.
    private var results: [Int: [Layer]] = [:]
    /// The file tree of the last step that was done, by its layers: the next step most often goes on with it.
    private var current: (layers: [Layer], tree: FileTree)?
    private var contextTree: FileTree?
    private var namedTrees: [String: FileTree] = [:]

    /// Prepares a build.
    ///
    /// - Parameters:
    ///   - plan: What is done; base images were asked for.
    ///   - store: Where layers go.
    ///   - sources: Where files come from.
    ///   - settings: What else the build depends on.
    ///   - events: Is told what happens, from several threads.
    public init(
        _ plan: Plan,
        in store: ImageStore,
        sources: BuildSources,
        settings: BuildSettings,
        events: @escaping @Sendable (BuildEvent) -> Void
    ) {
        (self.plan, self.store, self.sources, self.settings, self.events) = (plan, store, sources, settings, events)
        content = FileContent(store, limit: settings.unpackLimit, bring: sources.bring, mend: sources.mend)
        digests = FileDigests(store, folder: sources.folder, content)
        folders = sources.context.map { _ in FolderIndex(store, folder: sources.folder) }
        cache = StepCache(store, isElsewhere: sources.isElsewhere, used: sources.recorded)
    }

    /// Does all steps.
    ///
    /// - Returns: The manifest of the image, in the store, without a name.
    /// - Throws: ``BuildError`` where a step fails.
    public func build() throws -> BuiltImage {
        events(.planned(plan))
        let schedule = StepSchedule(plan.steps, turn) { try self.take($0) }
        try schedule.run(width: plan.hasCommands ? settings.run.width : 1)
        contextTree.take()?.letGo()
        current.take()?.tree.letGo()
        try digests.save()
        try folders?.save()
        let target = plan.stages[plan.target]
        let layers = target.result.flatMap { results[$0] } ?? []
        return try ImageAssembler(store: store, settings: settings).assemble(target.image, layers)
    }

    private func take(_ step: Step) throws {
        if commands.isStopped { throw BuildError.ended }
        do {
            results[step.index] = try result(of: step)
        } catch {
            // Whatever a step that was ended says is not what went wrong.
            if commands.isStopped {
                if step.action.isStarted { events(.canceled(step)) }
                throw BuildError.ended
            }
            // What else is running is for nothing now.
            commands.stop()
            let failure = BuildError.of(error, step, sources)
            events(.failed(step, failure.message))
            throw failure
        }
    }

    private func result(of step: Step) throws -> [Layer] {
        switch step.action {
        case .base(let base):
            if step.stage != nil, case .namedContext(let name) = base.origin, sources.namedContexts[name] != nil {
                throw BuildError(
                    "the build context \"\(name)\" is a folder, and a stage starts from an image",
                    at: step.range,
                    notes: ["write FROM scratch, and COPY --from=\(name) . /"]
                )
            }
            return try layers(of: base)
        case .config: return step.inputs.first.flatMap { results[$0] } ?? []
        case .run(let run): return try ran(step, run)
        case .copy, .directory: return try layered(step)
        }
    }

    private func layers(of base: BaseAction) throws -> [Layer] {
        if case .scratch = base.origin { return [] }
        // The files of a folder are looked at where they are copied.
        if case .namedContext(let name) = base.origin, sources.namedContexts[name] != nil { return [] }
        guard let found = sources.bases[base] else { throw BuildError("the image \(base.label) is not here") }
        for layer in found.layers { content.know(layer) }
        return zip(found.layers, found.diffIDs).map { Layer(descriptor: $0, diffID: $1, size: 0) }
    }

    /// Does a step that may make a layer, or finds what it made before.
    private func layered(_ step: Step) throws -> [Layer] {
        events(.started(step))
        let below = step.inputs.first.flatMap { results[$0] } ?? []
        let runner = StepRunner(self, step, below)
        let definition = runner.definition()
        if let known = try found(step, definition, { try runner.key(definition) }) { return below + [known] }
        // What a command after this needs unpacked is read once, not for its names first.
        if plan.runsCommands(after: step), !below.allSatisfy({ LayerIndex.isKept($0.descriptor.digest, in: store) }) {
            _ = try folders(of: below)
        }
        let tree = try tree(of: below, keeps: true)
        try runner.run(on: tree)
        let maker = LayerMaker(store, content, digests, settings) { [events] in events(.progress(step, bytes: $0)) }
        let layer = try maker.make(tree)
        try tree.forgetTouched()
        current = (below + [layer], tree)
        try keep(layer, step, definition, runner.key(definition))
        return below + [layer]
    }

    /// Runs a command, or finds what it made before; of several that would run the same, one does.
    private func ran(_ step: Step, _ run: RunAction) throws -> [Layer] {
        events(.started(step))
        let below = step.inputs.first.flatMap { results[$0] } ?? []
        let runner = RunStep(builder: self, step: step, run: run, below: below)
        let definition = runner.definition()
        if let known = try found(step, definition, { try runner.key(definition) }) { return below + [known] }
        let key = try runner.key(definition)
        let lock = try turn.away { try held("\(store.root)/locks/step-\(key.hex.prefix(3))") }
        defer { withExtendedLifetime(lock) {} }
        if let known = try found(step, definition, { key }) { return below + [known] }
        let layer = try runner.make(tell: events)
        // Files that it mounts may have changed before they were copied for it.
        try keep(layer, step, definition, runner.key(definition))
        return below + [layer]
    }

    /// Waits for a lock until the build is ended.
    func held(_ path: String, isShared: Bool = false) throws -> FileLock {
        do {
            return try FileLock(path, isShared: isShared) { commands.isStopped }
        } catch {
            throw commands.isStopped ? BuildError.ended : error
        }
    }

    /// What a step made before; `nil` where nothing is known, or nothing may be.
    private func found(_ step: Step, _ definition: Digest, _ key: () throws -> Digest) throws -> Layer? {
        let isRepeated = settings.ignoresCache || step.stage.map { isIgnored($0) } ?? false
        guard !isRepeated, cache.mayHave(definition: definition), let record = cache.find(try key()) else { return nil }
        events(.cached(step, layer: record.layer))
        content.know(record.layer)
        return Layer(descriptor: record.layer, diffID: record.diffID, size: record.size)
    }

    private func keep(_ layer: Layer, _ step: Step, _ definition: Digest, _ key: Digest) throws {
        content.know(layer.descriptor, isWhole: true)
        let record = StepCache.Record(layer: layer.descriptor, diffID: layer.diffID, size: layer.size)
        try cache.keep(record, key, definition: definition, text: step.text)
        events(.finished(step, layer: layer.descriptor, size: layer.size))
    }

    private func isIgnored(_ stage: Int) -> Bool {
        // BuildKit compares with `strings.EqualFold`.
        let names = [String(stage), plan.stages[stage].name?.lowercased()]
        return settings.ignoredStages.contains { names.contains($0.lowercased()) }
    }

    /// Unpacked layers; called by the thread that holds the turn.
    func snapshots() throws -> Snapshots {
        if let madeSnapshots { return madeSnapshots }
        let made = try Snapshots(store, limit: settings.unpackLimit)
        madeSnapshots = made
        return made
    }

    /// Files of contexts that commands mount; called by the thread that holds the turn.
    func contextCopies() throws -> ContextCopies {
        if let madeCopies { return madeCopies }
        let made = try ContextCopies(store, content)
        madeCopies = made
        return made
    }

    /// The folders of some layers, unpacked; others may have the turn meanwhile.
    func folders(of layers: [Layer]) throws -> [String] {
        let snapshots = try snapshots()
        return try turn.away {
            try sources.fetch(layers.map(\.descriptor))
            return try mending(layers.map(\.descriptor)) {
                try snapshots.directories(
                    of: layers.map { Snapshots.Layer($0.descriptor, diffID: $0.diffID) },
                    cores: settings.cores
                )
            }
        }
    }

    /// Does something with layers; where that fails and some of them are damaged, has these brought again, and goes on.
    private func mending<Result>(_ layers: [Descriptor], _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            // Layers are read for it only now that something is wrong.
            guard !commands.isStopped, try sources.mend(layers) else { throw error }
            return try body()
        }
    }

    func warn(_ step: Step, _ message: String) { events(.warning(step, message)) }

    func layers(ofStep index: Int) -> [Layer] { results[index] ?? [] }

    // MARK: Trees

    /// The files of some layers, the lowest first.
    ///
    /// With `keeps`, the tree is going to be changed, so that nobody else may have it.
    func tree(of layers: [Layer], keeps: Bool) throws -> FileTree {
        if keeps, let current, current.layers == layers {
            self.current = nil
            return current.tree
        }
        let tree = FileTree()
        for layer in layers {
            content.know(layer.descriptor)
            let entries = try mending([layer.descriptor]) {
                if !LayerIndex.isKnown(layer.descriptor.digest, in: store) { try sources.bring(layer.descriptor) }
                return try LayerIndex.entries(of: layer.descriptor, in: store)
            }
            try tree.add(entries, of: layer.descriptor.digest)
        }
        try tree.forgetTouched()
        return tree
    }

    /// The files that a COPY or ADD takes from.
    func tree(of origin: CopyAction.Origin) throws -> FileTree {
        switch origin {
        case .context:
            if let contextTree { return contextTree }
            guard let context = sources.context, let folders else { throw BuildError.noContext }
            let tree = try context.indexed(by: folders).tree()
            contextTree = tree
            return tree
        case .namedContext(let name):
            if let tree = namedTrees[name] { return tree }
            let tree = try namedTree(name)
            namedTrees[name] = tree
            return tree
        case .step(let index): return try tree(of: layers(ofStep: index), keeps: false)
        }
    }

    /// The layers that files come from; `nil` where they come from a folder.
    func layers(of origin: CopyAction.Origin) throws -> [Layer]? {
        switch origin {
        case .context: return nil
        case .namedContext(let name):
            if sources.namedContexts[name] != nil { return nil }
            return try layers(of: BaseAction(origin: .namedContext(name), platform: plan.platform))
        case .step(let index): return layers(ofStep: index)
        }
    }

    private func namedTree(_ name: String) throws -> FileTree {
        if let folder = sources.namedContexts[name] { return try folder.tree() }
        let base = BaseAction(origin: .namedContext(name), platform: plan.platform)
        guard sources.bases[base] != nil else { throw BuildError("the build context \"\(name)\" is not here") }
        return try tree(of: layers(of: base), keeps: false)
    }
}

extension Step.Action {
    /// Whether the step is one that ``BuildEvent/started(_:)`` tells of.
    fileprivate var isStarted: Bool {
        switch self {
        case .copy, .run, .directory: true
        case .base, .config: false
        }
    }
}

extension BuildError {
    /// The build was to end, which is no step's fault.
    static let ended = BuildError("the build was ended")

    /// What to say of an error that a step ended in.
    static func of(_ error: any Error, _ step: Step, _ sources: BuildSources) -> BuildError {
        switch error {
        case let error as BuildError:
            return BuildError(error.message, at: error.range ?? step.range, notes: error.notes, kind: error.kind)
        case CopyFault.missing(let path):
            let name = FileTree.text(path)
            var notes: [String] = []
            if case .copy(let copy) = step.action, copy.origin == .context { notes = sources.explain(name) }
            return BuildError("\(CopyFault.missing(path).message)", at: step.range, notes: notes)
        case let error as CopyFault: return BuildError(error.message, at: step.range)
        default: return BuildError("\(error)", at: step.range)
        }
    }
}
