// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import RegistryServer
internal import Rootfs
internal import Sandbox
internal import Store
internal import Synchronization

/// Runs one container of a group, again and again where its restart policy says so; it blocks.
final class ContainerKeeper: Sendable {
    let group: RunningGroup
    let name: String
    let properties: JSONValue
    let round: Int
    private let delay = Mutex(0.0)

    init(group: RunningGroup, name: String, properties: JSONValue, round: Int) {
        (self.group, self.name, self.properties, self.round) = (group, name, properties, round)
    }

    /// The most bytes that the layers of an image may take on disk.
    private static let unpackLimit: Int64 = 64 << 30

    /// Keeps the container running until its time is over; tells once, when it runs or has failed to.
    func keep(_ started: @escaping @Sendable () -> Void) {
        let isTold = Mutex(false)
        let tell: @Sendable () -> Void = {
            if isTold.withLock({ told in
                defer { told = true }
                return !told
            }) {
                started()
            }
        }
        defer { tell() }
        while group.isCurrent(round) {
            let code = runOnce(tell)
            tell()
            guard group.isCurrent(round) else { return }
            switch group.restartPolicy {
            case "never": return
            case "onfailure" where code == 0: return
            default: break
            }
            group.change(name) { $0.restarts += 1 }
            backOff()
        }
    }

    /// Waits before the next try, each time longer, at most ten seconds.
    func backOff() {
        let seconds = delay.withLock { delay in
            delay = min(10, max(0.25, delay * 2))
            return delay
        }
        group.change(name) { state in
            state.events.add("BackOff", "Back-off restarting failed container", isWarning: true)
        }
        let end = Moment.precise + seconds
        while group.isCurrent(round), Moment.precise < end { usleep(50_000) }
    }

    /// Runs the container once; gives its exit code.
    func runOnce(_ started: @escaping @Sendable () -> Void = {}) -> Int32 {
        do {
            return try run(started)
        } catch {
            let now = Moment.precise
            let text = (error as? SandboxError)?.message ?? "\(error)"
            group.change(name) { state in
                state.events.add("Failed", "Error: \(text)", isWarning: true)
                state.enter(.terminated(code: 128, since: now, until: now, detail: "Error"))
            }
            group.output(name).write(text + "\n")
            return 128
        }
    }

    private func run(_ started: () -> Void) throws -> Int32 {
        guard let image = group.state.withLock({ $0.images[name] }) else {
            throw EmulatorError(message: "there is no image for the container \(name)")
        }
        group.change(name) { state in
            state.events.add("Pulling", "pulling image \"\(image.name)\"")
            // What it ended with before is still seen.
            state.enter(.waiting("Pulling"))
        }
        let lease = try image.store.lease()
        let choice = try IsolationChoice.probe(scratch: image.store.root + "/tmp")
        let snapshots = try Snapshots(image.store, limit: ContainerKeeper.unpackLimit)
        let folders = try snapshots.directories(of: image.layers, cores: 2)
        let root: ContainerRoot =
            choice.mountsOverlays
            ? .overlay(try snapshots.begin(over: folders), folders) : .copy(try snapshots.copy(of: folders))
        defer {
            root.close()
            withExtendedLifetime(lease) {}
        }
        group.change(name) { $0.events.add("Pulled", "Successfully pulled image \"\(image.name)\"") }
        let spec = try ContainerSpec(keeper: self, image: image, folders: folders, snapshots: snapshots).spec(root.spec)
        let output = group.output(name)
        output.clear()
        let isolation = choice.isolation
        let process = try group.network.run {
            try SandboxedProcess.start(spec, isolation: isolation) { _, bytes in output.write(bytes) }
        }
        let since = Moment.precise
        let isWanted = group.state.withLock { state in
            guard state.round == round, !state.isStopped else { return false }
            state.processes[name] = process
            state.containers[name, default: ContainerState()].enter(.running(since: since))
            state.containers[name]?.events.add("Started", "Started container")
            return true
        }
        if !isWanted { process.terminate(grace: 0) }
        started()
        let probes = ProbeRunner(keeper: self, process: process)
        probes.start()
        let status = try process.wait()
        probes.end()
        group.state.withLock { state in
            // Another start of the group may have a process of this name by now.
            if state.processes[name] === process { state.processes[name] = nil }
        }
        let code = status.code
        group.change(name) { state in
            let detail = code == 0 ? "Completed" : "Error"
            state.enter(.terminated(code: code, since: since, until: Moment.precise, detail: detail))
        }
        return code
    }
}

extension ContainerOutput {
    /// Adds words of the emulator's own.
    func write(_ text: String) {
        var text = text
        text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
    }
}

/// The files that a container sees and changes; removed with the last reference.
enum ContainerRoot {
    /// The layers as they are, and a folder on top that takes what changes.
    case overlay(Snapshot, [String])
    /// A full copy of the layers, where nothing can be mounted.
    case copy(TreeCopy)

    /// How the sandbox comes to it.
    var spec: ProcessSpec.Root {
        switch self {
        case .overlay(let snapshot, let folders): .overlay(lower: folders, upper: snapshot.upper, work: snapshot.work)
        case .copy(let copy): .directory(copy.root)
        }
    }

    /// Removes it.
    func close() {
        switch self {
        case .overlay(let snapshot, _): snapshot.close()
        case .copy(let copy): copy.close()
        }
    }
}
