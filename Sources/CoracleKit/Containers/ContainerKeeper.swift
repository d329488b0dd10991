// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store
internal import Synchronization

/// Runs a container from its layers to its end; it blocks.
struct ContainerKeeper {
    let plan: ContainerPlan
    let image: RunnableImage
    let folder: ContainerFolder
    let store: ImageStore
    /// Given up once the program runs.
    let lease: StoreLease

    /// The most bytes that the layers of an image may take on disk.
    private static let unpackLimit: Int64 = 64 << 30

    // MARK: Two ways to run

    /// Runs it with the caller's standard streams; gives the exit code.
    func runInForeground(_ note: @escaping (String) -> Void) throws -> Int32 {
        // A reader that goes away ends the container, not us before we have cleaned up.
        signal(SIGPIPE, SIG_IGN)
        let fault = OutputFault()
        let input: ProcessSpec.Input = plan.run.isInteractive ? .descriptor(0) : .null
        let code = try run(
            input: input,
            output: { stream, bytes in
                if fault.number != 0 { return }
                fault.take(StandardStream.write(bytes, to: stream == .output ? 1 : 2))
            },
            began: { relay, notes in
                fault.attach { relay.breakPipe() }
                for text in notes { note(text) }
            }
        )
        switch fault.number {
        case 0: return code
        case EPIPE: return 128 + SIGPIPE
        case let number:
            throw ExitReason(.step, "writing what the program says: \(String(cString: strerror(number)))")
        }
    }

    /// Runs it with a log in place of streams, and writes down how it ended.
    func runDetached(_ report: DetachedKeeper.Report) throws {
        let log = try ContainerLog(folder.logPath)
        var ends: [Int32] = [-1, -1]
        // Who asks for input has it open, though nobody ever writes.
        if plan.run.isInteractive { pipe(&ends) }
        for end in ends where end >= 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { for end in ends where end >= 0 { close(end) } }
        let code = try run(
            input: ends[0] >= 0 ? .descriptor(ends[0]) : .null,
            output: { log.write($0, $1) },
            began: { report.send($1) }
        )
        var state = ContainerFolder.State()
        (state.started, state.ended, state.code) = (report.time, Moment.now, code)
        state.fault = log.fault
        try folder.write(state)
    }

    // MARK: Running

    private func run(
        input: ProcessSpec.Input,
        output: @escaping SandboxedProcess.OutputHandler,
        began: (ContainerSignals, [String]) -> Void
    ) throws -> Int32 {
        let choice = try IsolationChoice.probe(.init(plan.run.options.isolation), scratch: store.root + "/tmp")
        let snapshots = try Snapshots(store, limit: ContainerKeeper.unpackLimit)
        let folders = try ExitReason.blaming(image.layers.map(\.descriptor), in: store) {
            try snapshots.directories(of: image.layers, cores: Build.cores)
        }
        let root: ContainerRoot =
            choice.mountsOverlays
            ? .overlay(try snapshots.begin(over: folders), folders) : .copy(try snapshots.copy(of: folders))
        defer {
            root.close()
            DiskFile.remove(folder.volumes)
        }
        var spec = try plan.spec(root.spec, image, folders, snapshots)
        spec.input = input
        let mounts = ContainerMounts(plan: plan, folder: folder.volumes, snapshots: snapshots, layers: folders)
        spec.mounts = try mounts.specs(of: image.config, mountsOverlays: choice.mountsOverlays)
        if case .oci = choice.isolation { try checkProgram(spec, snapshots, folders) }
        try folder.makeControl()
        let signals = ContainerSignals(
            stopSignal: ContainerSignals.number(of: image.config.stopSignal),
            isolation: choice.isolation,
            control: folder.controlPath
        )
        // From here on these layers are in use without the lease, which would keep others from pruning for days.
        if choice.mountsOverlays { try folder.write(layers: folders, of: store) }
        let process = try SandboxedProcess.start(spec, isolation: choice.isolation, output: output)
        lease.end()
        signals.attach(process)
        var state = ContainerFolder.State()
        (state.process, state.started) = (process.identifier, Moment.now)
        try? folder.write(state)
        began(signals, notes(choice) + process.notes)
        let status = try process.wait()
        let ending = signals.end()
        if status == .signaled(SIGKILL), let ending { return 128 + ending }
        return status.code
    }

    /// Says itself that a program is missing, as each runtime has another code and other words for that.
    private func checkProgram(_ spec: ProcessSpec, _ snapshots: Snapshots, _ folders: [String]) throws {
        let program = spec.arguments[0]
        // What is mounted, and what is relative, is for the runtime to find.
        guard spec.mounts.isEmpty, program.hasPrefix("/") || !program.contains("/") else { return }
        let search = spec.environment.last { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? ""
        let places = program.hasPrefix("/") ? [program] : search.split(separator: ":").map { "\($0)/\(program)" }
        for place in places where try snapshots.locate(Array(place.utf8), in: folders) != nil { return }
        throw RunFailure(
            ExitReason(
                .step,
                "running \"\(program)\": no such file in \(program.hasPrefix("/") ? "the image" : "any folder of the PATH")",
                hint: "coracle inspect shows what the image starts"
            ),
            status: 127
        )
    }

    /// What is not as people expect it.
    private func notes(_ choice: IsolationChoice) -> [String] {
        if choice.isolation == .namespaces, choice.mountsOverlays { return [] }
        let copies = choice.mountsOverlays ? "" : " on a full copy of its files, which is slower"
        return ["the program is isolated by \(choice.isolation)\(copies)"] + choice.reasons
    }
}

/// Keeps what is in a store from being removed, until it is ended.
///
/// A class, for it is ended by another thread than the one that began it.
final class StoreLease: Sendable {
    private let lock: Mutex<FileLock?>

    init(_ store: ImageStore) throws { lock = Mutex(try store.lease()) }

    func end() { lock.withLock { $0 = nil } }
}
