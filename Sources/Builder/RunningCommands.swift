// SPDX-License-Identifier: Apache-2.0
internal import Sandbox
internal import Synchronization

/// The commands that run now, to be ended together.
public final class RunningCommands: Sendable {
    private struct State {
        var next = 0
        var running: [Int: SandboxedProcess] = [:]
        var isStopped = false
    }

    private let state = Mutex(State())

    /// Whether commands were ended, and none may begin.
    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Runs a command to its end; what could not be had is given to `note`.
    func run(
        _ spec: ProcessSpec,
        _ isolation: Isolation,
        _ log: StepLog,
        note: (String) -> Void
    ) throws -> (status: ExitStatus, stubs: [Stub]) {
        if isStopped { throw BuildError.ended }
        let process = try SandboxedProcess.start(spec, isolation: isolation) { log.write($1) }
        let number = state.withLock { state in
            state.running[state.next] = process
            state.next += 1
            return state.next - 1
        }
        // It may have been too late for this one.
        if isStopped { process.terminate() }
        defer { state.withLock { _ = $0.running.removeValue(forKey: number) } }
        for text in process.notes { note(text) }
        let status = try process.wait()
        log.finish()
        if isStopped { throw BuildError.ended }
        return (status, process.stubs)
    }

    /// Ends all of them, and the build soon after.
    public func stop() {
        let processes = state.withLock { state in
            state.isStopped = true
            return Array(state.running.values)
        }
        for process in processes { process.terminate() }
    }
}
