// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import OCI
internal import Sandbox
internal import Store
internal import Synchronization

/// A container group whose containers run on this machine.
///
/// Every container has a thread that starts it, waits for it, and starts it again where the restart policy says so. A
/// lock guards what others see.
final class RunningGroup: Sendable {
    struct State {
        var body: JSONValue
        var provisioning = "Pending"
        var containers: [String: ContainerState] = [:]
        var events = EventList()
        var processes: [String: SandboxedProcess] = [:]
        /// Counts starts: what belongs to an earlier one ends.
        var round = 0
        var isStopped = false
        /// Whether the group is gone: nothing starts any more.
        var isRemoved = false
        var images: [String: GroupImage] = [:]
    }

    let id: String
    let name: String
    let world: World
    let network: GroupNetwork
    /// Where volumes are.
    let folder: String
    let state: Mutex<State>
    private let outputs = Mutex<[String: ContainerOutput]>([:])
    private let threads = DispatchGroup()
    /// Starts and stops come one after the other, as they were asked for.
    private let turns = DispatchQueue(label: "coracle.azure-emulator.group")

    init(_ id: String, _ name: String, _ body: JSONValue, _ world: World) throws {
        (self.id, self.name, self.world) = (id, name, world)
        network = GroupNetwork(world)
        folder = "\(world.options.folder)/groups/\(Identifier.random())"
        try DiskFile.makeFolder(folder)
        state = Mutex(State(body: body))
    }

    func output(_ container: String) -> ContainerOutput {
        outputs.withLock { outputs in
            if let found = outputs[container] { return found }
            let made = ContainerOutput()
            outputs[container] = made
            return made
        }
    }

    // MARK: What is asked for

    var body: JSONValue { state.withLock { $0.body } }

    /// The containers of the group by name, or its init containers.
    func containers(_ kind: String = "containers") -> [(name: String, properties: JSONValue)] {
        (body[path: "properties", kind]?.array ?? [])
            .map { ($0.member("name")?.string ?? "", $0.member("properties") ?? [:]) }
    }

    var restartPolicy: String { (body[path: "properties", "restartPolicy"]?.string ?? "Always").lowercased() }

    var publicPorts: [Int] {
        (body[path: "properties", "ipAddress", "ports"]?.array ?? [])
            .compactMap { $0.member("port")?.int.map { Int($0) } }
    }

    /// Whether the group is in a subnet, and reached there only.
    var isPrivate: Bool {
        body[path: "properties", "ipAddress", "type"]?.string?.lowercased() == "private"
    }

    /// Whether a change would come in the middle of another.
    var isTransitioning: Bool {
        state.withLock { ["Pending", "Creating", "Updating", "Repairing", "Stopping"].contains($0.provisioning) }
    }

    func isCurrent(_ round: Int) -> Bool { state.withLock { $0.round == round && !$0.isStopped } }

    func change(_ container: String, _ body: (inout ContainerState) -> Void) {
        state.withLock { body(&$0.containers[container, default: ContainerState()]) }
    }

    // MARK: Starting and stopping

    /// Starts all containers of a body, in place of those that run; says when they do, or why not.
    func start(_ body: JSONValue, _ images: [String: GroupImage], then done: @escaping @Sendable (ARMFault?) -> Void) {
        let began = Moment.precise
        turns.async { [self] in
            end()
            let round = state.withLock { state -> Int? in
                guard !state.isRemoved else { return nil }
                state.body = body
                state.images = images
                state.provisioning = "Creating"
                state.round += 1
                state.isStopped = false
                state.containers = [:]
                return state.round
            }
            guard let round else { return done(nil) }
            for (name, _) in containers() + containers("initContainers") { change(name) { $0.current = .waiting("") } }
            for text in network.open(publicPorts, alsoAtLoopback: !isPrivate) {
                world.options.note("\(name): \(text)")
                state.withLock { $0.events.add("PortUnreachable", text, isWarning: true) }
            }
            let fault = runInitContainers(round) ?? startContainers(round)
            let rest = began + world.options.operationSeconds - Moment.precise
            if rest > 0 { usleep(UInt32(rest * 1e6)) }
            state.withLock { state in
                if state.round == round { state.provisioning = fault == nil ? "Succeeded" : "Failed" }
            }
            done(fault)
        }
    }

    private func runInitContainers(_ round: Int) -> ARMFault? {
        for (name, properties) in containers("initContainers") {
            let keeper = ContainerKeeper(group: self, name: name, properties: properties, round: round)
            while isCurrent(round) {
                let code = keeper.runOnce()
                if code == 0 { break }
                guard restartPolicy != "never", isCurrent(round) else {
                    return ARMFault(
                        400,
                        "ContainerGroupInitContainerFailed",
                        "The init container '\(name)' in container group '\(self.name)' ended with exit code \(code)."
                    )
                }
                change(name) { $0.restarts += 1 }
                keeper.backOff()
            }
        }
        return nil
    }

    private func startContainers(_ round: Int) -> ARMFault? {
        let started = DispatchGroup()
        for (name, properties) in containers() {
            let keeper = ContainerKeeper(group: self, name: name, properties: properties, round: round)
            started.enter()
            threads.enter()
            Thread.start { [self] in
                keeper.keep { started.leave() }
                threads.leave()
            }
        }
        // A container that cannot even begin is tried again and again, and the group is there all the same.
        _ = started.wait(timeout: .now() + 60)
        return nil
    }

    /// Ends all containers, and waits until they have ended.
    private func end() {
        endProcesses()
        threads.wait()
        network.close()
    }

    /// Asks what runs to end; nothing that was on its way starts any more.
    private func endProcesses() {
        let processes = state.withLock { state in
            state.round += 1
            return state.processes
        }
        for (name, process) in processes {
            change(name) { $0.events.add("Killing", "Killing container with id \(process.identifier).") }
            process.terminate(grace: 5)
        }
    }

    /// Stops the group: nothing runs, and nothing of what ran is left but its last words.
    func stop(then done: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.isStopped = true
            state.provisioning = "Stopping"
        }
        endProcesses()
        turns.async { [self] in
            state.withLock { $0.isStopped = true }
            end()
            state.withLock { $0.provisioning = "Succeeded" }
            done()
        }
    }

    /// Removes the group from the machine; blocks until it is gone.
    func remove() {
        state.withLock { ($0.isStopped, $0.isRemoved) = (true, true) }
        endProcesses()
        turns.sync {
            end()
            DiskFile.remove(folder)
        }
    }

    // MARK: What is seen

    /// The state of the group.
    var groupState: String {
        state.withLock { state in
            if state.isStopped { return state.provisioning == "Stopping" ? "Running" : "Stopped" }
            if state.provisioning == "Failed" { return "Failed" }
            let all = (state.body[path: "properties", "containers"]?.array ?? [])
                .compactMap { $0.member("name")?.string.flatMap { state.containers[$0]?.current } }
            if all.isEmpty { return "Pending" }
            if all.contains(where: \.isRunning) { return "Running" }
            let policy = (state.body[path: "properties", "restartPolicy"]?.string ?? "Always").lowercased()
            let codes = all.compactMap(\.exitCode)
            guard codes.count == all.count else { return "Pending" }
            if policy == "always" { return "Running" }
            if codes.allSatisfy({ $0 == 0 }) { return "Succeeded" }
            return policy == "never" ? "Failed" : "Running"
        }
    }
}
