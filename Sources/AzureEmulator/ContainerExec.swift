// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Sandbox
internal import Synchronization

/// Runs commands in a container that runs.
struct ContainerExec {
    let group: RunningGroup
    let container: String

    /// The process of the container; throws in the words of Container Instances where it does not run.
    func process() throws(ARMFault) -> SandboxedProcess {
        guard let process = group.state.withLock({ $0.processes[container] }) else {
            throw ARMFault(
                409,
                "ContainerNotRunning",
                "The container '\(container)' in container group '\(group.name)' is not running."
            )
        }
        return process
    }

    private func spec(_ command: [String], _ process: SandboxedProcess) -> ProcessSpec {
        var spec = ProcessSpec(root: .directory("/"), arguments: command)
        let text = TextOfSystem.read("/proc/\(process.identifier)/environ")
        spec.environment = text.split(separator: "\0").map(String.init)
        return spec
    }

    /// Runs a command to its end; gives its exit code.
    func status(_ command: [String], timeout: Double) throws -> Int32 {
        let process = try process()
        let child = try process.startBeside(spec(command, process)) { _, _ in }
        let isDone = Mutex(false)
        Thread.start {
            let end = Moment.precise + timeout
            while Moment.precise < end {
                if isDone.withLock({ $0 }) { return }
                usleep(20_000)
            }
            child.send(signal: SIGKILL)
        }
        defer { isDone.withLock { $0 = true } }
        return try child.wait().code
    }

    /// Starts a command with a terminal; what is written to the descriptor is typed there.
    func open(
        _ command: String,
        rows: UInt16,
        columns: UInt16,
        keys: Int32,
        output: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
    ) throws -> SandboxedProcess {
        let process = try process()
        // One program and no arguments: what has a space in it is a program that is not there.
        var spec = spec([command], process)
        (spec.hasTerminal, spec.keys, spec.passesKeys) = (true, keys, false)
        spec.terminalSize = (rows, columns)
        if !spec.environment.contains(where: { $0.hasPrefix("TERM=") }) { spec.environment.append("TERM=xterm") }
        return try process.startBeside(spec) { _, bytes in output(bytes) }
    }
}

/// Files of the system, which have no size.
enum TextOfSystem {
    static func read(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            guard count > 0, bytes.count < 1 << 20 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
