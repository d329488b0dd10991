// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import Dispatch
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store

/// Does one RUN: a command in a place of its own, and a layer of what it changed.
struct RunStep {
    let builder: ImageBuilder
    let step: Step
    let run: RunAction
    /// The layers it builds on.
    let below: [Layer]

    // MARK: Keys

    /// The step without the content of what it mounts.
    func definition() -> Digest {
        var key = KeyHasher("run-1 \(TarHeader.version)")
        key.add(builder.plan.ownKey(of: step).description)
        key.add(builder.settings.compression.identity)
        key.add(builder.settings.epoch.map { String($0) } ?? "")
        key.add(network)
        key.add(builder.settings.run.hostname ?? "")
        // Addresses change from day to day; names are what the command was written for.
        for host in builder.settings.run.hosts { key.add(host.name) }
        for layer in below { key.add(layer.diffID.description) }
        return key.finish()
    }

    /// The network it gets.
    var network: String { run.network == "default" ? builder.settings.run.network : run.network }

    /// The step with the content of what it mounts.
    func key(_ definition: Digest) throws -> Digest {
        guard run.mounts.contains(where: { $0.origin != .none }) else { return definition }
        var key = KeyHasher("mounts-2")
        key.add(definition.description)
        for mount in run.mounts where mount.origin != .none {
            guard let origin = CopyAction.Origin(mount.origin) else { continue }
            let tree = try builder.tree(of: origin)
            let names = try tree.resolve(FileTree.names(mount.mount.source.utf8))
            guard let node = try tree.node(at: names) else { throw missing(mount) }
            try builder.digests.describe(node, CopyRules(), into: &key)
        }
        return key.finish()
    }

    /// What to say of a mount whose source is not there.
    func missing(_ mount: RunMount) -> BuildError {
        let source = mount.mount.source.isEmpty ? "/" : mount.mount.source
        let place: String
        var notes: [String] = []
        switch mount.origin {
        case .context:
            place = "the build context"
            notes = builder.sources.explain(FileTree.text(FileTree.names(source.utf8)))
        case .namedContext(let name): place = "the build context \"\(name)\""
        case .step: place = "\"\(mount.mount.from)\""
        case .none: place = "the cache \"\(mount.id)\""
        }
        return BuildError("\"\(source)\", to be mounted at \(mount.target), is not in \(place)", notes: notes)
    }

    // MARK: Doing

    /// Runs the command and makes a layer of what it changed; called by the thread that holds the turn.
    func make(tell: @escaping (BuildEvent) -> Void) throws -> Layer {
        let settings = builder.settings.run
        guard let findPlace = settings.place else {
            throw BuildError("this build runs no commands", at: step.range)
        }
        try settings.check(run, step)
        // Layers are unpacked meanwhile.
        DispatchQueue.global().async { _ = try? findPlace(nil) }
        let scratch = try Scratch(builder.store)
        let snapshots = try builder.snapshots()
        let folders = try roots(scratch)
        let (place, root) = try builder.turn.away {
            let place = try findPlace { tell(.warning(step, $0)) }
            return (place, try StepRoot(over: folders, in: snapshots, mounts: place.mountsOverlays))
        }
        let mounts = RunMounts(self, scratch)
        var spec = try spec(root.spec(over: folders), folders)
        spec.mounts = try mounts.specs()
        spec.environment += mounts.environment
        let log = try StepLog(logPath(), hiding: mounts.secretValues) { tell(.output(step, $0)) }
        let status = try builder.turn.away {
            defer { mounts.finish() }
            let status = try execute(&spec, place, root, scratch, snapshots, log, keeps: mounts.caches, tell)
            if !status.isSuccess, settings.opensShell { try openShell(spec, place, folders, snapshots, tell) }
            return status
        }
        guard status.isSuccess else { throw failure(status, log) }
        return try builder.turn.away {
            let layer = try LayerMaker.write(
                root.changes(over: folders, in: snapshots),
                in: builder.store,
                builder.settings
            ) { tell(.progress(step, bytes: $0)) }
            try root.adopt(in: snapshots, as: layer.diffID, over: below.map(\.diffID))
            return layer
        }
    }

    /// The folders that the root is made of; of an image without layers, an empty one.
    private func roots(_ scratch: Scratch) throws -> [String] {
        if !below.isEmpty { return try builder.folders(of: below) }
        try DiskFile.makeFolder(scratch.path + "/nothing")
        return [scratch.path + "/nothing"]
    }

    /// Runs the command, and takes away what was put into its root for it.
    private func execute(
        _ spec: inout ProcessSpec,
        _ place: RunPlace,
        _ root: StepRoot,
        _ scratch: Scratch,
        _ snapshots: Snapshots,
        _ log: StepLog,
        keeps caches: Set<String>,
        _ tell: (BuildEvent) -> Void
    ) throws -> ExitStatus {
        let standIns = MountStandIns(in: root.folder, scratch, snapshots)
        if place.isolation == .chroot {
            try standIns.place(spec.mounts, keeps: caches)
            spec.mounts = []
        }
        let told = builder.settings.run.told
        let (status, stubs) = try builder.commands.run(spec, place.isolation, log) { note in
            // What one command could not have, all others cannot either.
            if told.isNew(note) { tell(.warning(step, note)) }
        }
        try standIns.remove()
        Stub.remove(stubs, from: root.folder)
        return status
    }

    /// Opens a shell in the state before the step, for a person to find out what is wrong.
    private func openShell(
        _ spec: ProcessSpec,
        _ place: RunPlace,
        _ folders: [String],
        _ snapshots: Snapshots,
        _ tell: (BuildEvent) -> Void
    ) throws {
        tell(.shell(step))
        let root = try StepRoot(over: folders, in: snapshots, mounts: place.mountsOverlays)
        var spec = spec
        spec.root = root.spec(over: folders)
        spec.arguments = [RunStep.shell(of: run.arguments)]
        spec.hasTerminal = true
        let shell = try SandboxedProcess.start(spec, isolation: place.isolation) { _, bytes in
            var rest = bytes
            while !rest.isEmpty {
                let count = write(STDOUT_FILENO, rest.baseAddress, rest.count)
                if count < 0, errno != EINTR { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[max(0, count)...])
            }
        }
        _ = try shell.wait()
    }

    /// The shell that a command was for, else the one that most images have.
    static func shell(of arguments: [String]) -> String {
        let name = arguments.first?.split(separator: "/").last.map(String.init) ?? ""
        return ["sh", "bash", "ash", "dash", "zsh", "ksh", "fish"].contains(name) ? arguments[0] : "/bin/sh"
    }

    /// Who runs what, where and with what around it.
    private func spec(_ root: ProcessSpec.Root, _ folders: [String]) throws -> ProcessSpec {
        let settings = builder.settings.run
        let snapshots = try builder.snapshots()
        let user = try RunUser(run.user) { try snapshots.read(Array($0.utf8), in: folders, limit: 10 << 20) }
        var spec = ProcessSpec(root: root, arguments: run.arguments)
        spec.user = ProcessSpec.User(uid: user.uid, gid: user.gid, groups: user.groups)
        spec.workingDirectory = run.workingDirectory
        var environment = builder.plan.environment(of: run)
        let has = { (name: String) in environment.contains { $0.hasPrefix(name + "=") } }
        if !has("PATH") { environment.append("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") }
        for proxy in run.proxies where !has(String(proxy.prefix { $0 != "=" })) { environment.append(proxy) }
        if !has("HOME") { environment.append("HOME=\(user.home)") }
        spec.environment = environment
        spec.network = network == "none" ? .none : .host
        spec.isInsecure = run.security == "insecure"
        spec.hosts = settings.hosts
        if let hostname = settings.hostname { spec.hostname = hostname }
        (spec.sharedMemorySize, spec.limits) = (settings.sharedMemory, settings.limits)
        spec.resources = settings.resources
        return spec
    }

    private func logPath() throws -> String {
        let folder = builder.settings.run.logs
        try DiskFile.makeFolder(folder)
        return "\(folder)/step-\(step.index).log"
    }

    // MARK: Results

    private func failure(_ status: ExitStatus, _ log: StepLog) -> BuildError {
        let reason: String
        switch status {
        case .exited(let code): reason = "the command ended with exit code \(code)"
        case .signaled(let number):
            // The kernel's own way to end what takes too much memory.
            let hint = number == 9 ? ", as when memory runs out" : ""
            reason = "the command was ended by signal \(number) (\(String(cString: strsignal(number))))\(hint)"
        }
        var notes: [String] = []
        let lines = log.lastLines(30)
        if !lines.isEmpty { notes.append((["the last it wrote:"] + lines.map { "    " + $0 }).joined(separator: "\n")) }
        notes.append("it was run as: \(RunStep.quoted(run.arguments))")
        notes.append("everything it wrote is in \(log.path)")
        return BuildError(reason, at: step.range, notes: notes)
    }

    /// A command as a shell would take it.
    static func quoted(_ arguments: [String]) -> String {
        let plain = { (text: String) in
            !text.isEmpty
                && text.utf8.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                        || "_-./:=,+@%".utf8.contains(byte)
                }
        }
        return arguments.map { plain($0) ? $0 : "'" + $0.replacing("'", with: "'\\''") + "'" }.joined(separator: " ")
    }
}

extension CopyAction.Origin {
    /// Where a mount's files come from; `nil` from nowhere.
    init?(_ origin: RunMount.Origin) {
        switch origin {
        case .none: return nil
        case .context: self = .context
        case .namedContext(let name): self = .namedContext(name)
        case .step(let index): self = .step(index)
        }
    }
}

/// A folder of a step's own for a while.
///
/// It is named and locked as roots of steps are, so that a build clears what a killed one left.
final class Scratch {
    let path: String
    private let lockPath: String
    private let lock: FileLock

    init(_ store: ImageStore) throws {
        let name = "step-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        (path, lockPath) = ("\(store.root)/tmp/\(name)", "\(store.root)/locks/\(name)")
        lock = try FileLock(lockPath)
        try DiskFile.makeFolder(path)
    }

    deinit {
        DiskFile.remove(path)
        unlink(lockPath)
        withExtendedLifetime(lock) {}
    }
}
