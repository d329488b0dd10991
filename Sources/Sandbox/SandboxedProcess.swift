// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Dispatch
internal import Glibc
internal import Synchronization

/// A process that runs in a root of its own.
///
/// Every process has a thread that starts it, reads its output and waits for it: the kernel ends the process with the
/// thread that started it, so that nothing is left where this program is killed. The calls block; make them where
/// blocking is allowed.
public final class SandboxedProcess: Sendable {
    /// Takes what a process writes, in order within each stream, on the process's thread; at most 64 KiB at once.
    public typealias OutputHandler = @Sendable (ProcessStream, UnsafeRawBufferPointer) -> Void

    /// Mount points that were made in the root, for ``Stub/remove(_:from:)`` once the process has ended.
    public let stubs: [Stub]
    /// What of the specification could not be had, in sentences; may be empty.
    public let notes: [String]
    /// Its number in the machine's own process table; not to be signalled after ``wait()`` has returned.
    public let identifier: Int32
    private let run: ProcessRun

    private init(_ run: ProcessRun, _ launched: Launched) {
        (self.run, stubs, notes, identifier) = (run, launched.stubs, launched.notes, launched.pid)
    }

    /// Makes ready what all processes share, so that the first one starts as fast as the others: some milliseconds.
    ///
    /// Not needed; call it on another thread while the first root is being made.
    public static func prepare() {
        Warden.start()
        // Where it can't be made, the first process says why.
        _ = try? SystemCallFilter.standard()
    }

    /// Starts a process.
    ///
    /// - Parameters:
    ///   - spec: What to run, and where.
    ///   - isolation: How it is kept apart; see ``IsolationChoice``.
    ///   - output: Takes what it writes.
    /// - Returns: The process; its program runs.
    /// - Throws: ``SandboxError`` which says what kept it from running: a mount, a user, a missing program.
    public static func start(
        _ spec: ProcessSpec,
        isolation: Isolation,
        output: @escaping OutputHandler
    ) throws -> SandboxedProcess {
        let run = ProcessRun(spec: spec, isolation: isolation, output: output)
        return SandboxedProcess(run, try run.start())
    }

    /// Starts another process beside this one: it sees the same files, processes and network.
    ///
    /// It ends with this process at the latest.
    ///
    /// - Parameters:
    ///   - spec: What to run; its root, mounts and network are those of this process.
    ///   - output: Takes what it writes.
    /// - Returns: The process; its program runs.
    /// - Throws: ``SandboxError`` which says what kept it from running; always where an OCI runtime started this one.
    public func startBeside(_ spec: ProcessSpec, output: @escaping OutputHandler) throws -> SandboxedProcess {
        if case .oci(let runtime) = self.run.isolation {
            // The process that we know is the runtime's own, which is outside.
            throw SandboxError(.refused, "starting a process beside one that \(runtime) keeps")
        }
        let run = ProcessRun(spec: spec, isolation: self.run.isolation, output: output, neighbour: identifier)
        return SandboxedProcess(run, try run.start())
    }

    /// Waits until the process has ended and all it wrote was handed over; may be called more than once.
    ///
    /// - Returns: How it ended.
    /// - Throws: ``SandboxError`` where the system does not say how.
    public func wait() throws -> ExitStatus { try run.wait() }

    /// Ends the process and all that it started.
    ///
    /// Asks first (SIGTERM) where the program has a handler for that; one that has none is killed at once, for the
    /// kernel keeps signals without a handler from the first process of a namespace. Returns without waiting for the
    /// end.
    ///
    /// - Parameter grace: The seconds until it is killed.
    public func terminate(grace: Double = 1) { run.terminate(grace: grace) }

    /// Sends a signal to the process; nothing happens where it has ended.
    ///
    /// - Parameter signal: The signal's number.
    public func send(signal: Int32) { run.send(signal: signal) }
}

/// A process from start to end, shared by its thread and those who wait for it.
///
/// A class, for the state is under one lock, which several threads take.
final class ProcessRun: Sendable {
    private struct State {
        /// Set once, before `started` is signalled.
        var launched: Result<Launched, SandboxError>?
        /// Set once, before `ended` is signalled; from then on the process's descriptor is closed.
        var result: Result<ExitStatus, SandboxError>?

        var running: Launched? { result == nil ? try? launched?.get() : nil }
    }

    private let spec: ProcessSpec
    let isolation: Isolation
    private let output: SandboxedProcess.OutputHandler
    private let state = Mutex(State())
    private let started = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    /// The process that it is started beside; `nil` for one in a root of its own.
    private let neighbour: Int32?

    init(
        spec: ProcessSpec,
        isolation: Isolation,
        output: @escaping SandboxedProcess.OutputHandler,
        neighbour: Int32? = nil
    ) {
        (self.spec, self.isolation, self.output, self.neighbour) = (spec, isolation, output, neighbour)
    }

    func start() throws -> Launched {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let result = pthread_create(
            &thread,
            nil,
            { context in
                if let context { Unmanaged<ProcessRun>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            },
            context
        )
        guard result == 0 else {
            Unmanaged<ProcessRun>.fromOpaque(context).release()
            throw SandboxError("starting a thread for a process", errno: result)
        }
        pthread_detach(thread)
        started.wait()
        guard let launched = state.withLock({ $0.launched }) else {
            throw SandboxError(.system, "starting a process: its thread did not say what came of it")
        }
        return try launched.get()
    }

    func wait() throws -> ExitStatus {
        ended.wait()
        ended.signal()
        guard let result = state.withLock({ $0.result }) else {
            throw SandboxError(.system, "waiting for a process: its thread did not say how it ended")
        }
        return try result.get()
    }

    func send(signal: Int32) {
        state.withLock { state in
            if let launched = state.running { launched.send(signal) }
        }
    }

    func terminate(grace: Double) {
        let isAsked = state.withLock { state in
            guard let launched = state.running else { return false }
            let isHandled = grace > 0 && (launched.isGroup || Self.handlesTermination(launched.pid))
            launched.send(isHandled ? SIGTERM : SIGKILL)
            return isHandled
        }
        guard isAsked else { return }
        DispatchQueue.global().asyncAfter(deadline: .now() + grace) { [weak self] in self?.send(signal: SIGKILL) }
    }

    /// Whether a process catches SIGTERM, as /proc says it.
    private static func handlesTermination(_ pid: pid_t) -> Bool {
        let lines = (try? TextFile.read("/proc/\(pid)/status"))?.split(separator: "\n") ?? []
        let mask = lines.first { $0.hasPrefix("SigCgt:") }?.split(separator: "\t").last
            .flatMap { UInt64($0, radix: 16) }
        return (mask ?? 0) >> UInt64(SIGTERM - 1) & 1 == 1
    }

    // MARK: On the process's own thread

    private func body() {
        do {
            Warden.start()
            let streams = try ProcessStreams(spec)
            let launched: Launched
            do {
                let launcher = neighbour.map { NeighbourLauncher(process: $0) } ?? isolation.launcher
                launched = try launcher.launch(spec, streams: streams.childs, terminal: streams.socket)
            } catch {
                streams.close()
                throw error
            }
            streams.closeChilds()
            state.withLock { $0.launched = .success(launched) }
            started.signal()
            let result = finish(launched, streams)
            Warden.forget(launched.ward)
            state.withLock { state in
                state.result = result
                close(launched.descriptor)
            }
            ended.signal()
        } catch {
            let refusal = error as? SandboxError ?? SandboxError(.system, "\(error)")
            state.withLock { $0.launched = .failure(refusal) }
            started.signal()
        }
    }

    private func finish(_ launched: Launched, _ streams: ProcessStreams) -> Result<ExitStatus, SandboxError> {
        streams.relay(until: launched.descriptor, to: output) {
            // Its status is taken later, so its number stays its own until then.
            launched.afterExit()
        }
        var status: Int32 = 0
        while waitpid(launched.pid, &status, 0) < 0 {
            guard errno == EINTR else { return .failure(SandboxError("waiting for a process", errno: errno)) }
        }
        launched.afterWait()
        return .success(ExitStatus(waitStatus: status))
    }
}
