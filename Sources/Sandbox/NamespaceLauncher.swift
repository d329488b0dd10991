// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// A process that was started, and what is left to do when it has ended.
struct Launched: Sendable {
    let pid: pid_t
    let descriptor: Int32
    /// Its number at the warden.
    let ward: UInt64
    var stubs: [Stub] = []
    var notes: [String] = []
    /// Whether the process is not alone in a namespace of processes: signals go to its group.
    var isGroup = false
    /// Runs once the process has ended, before the rest of its output is read.
    var afterExit: @Sendable () -> Void = {}
    /// Runs once the system has forgotten the process.
    var afterWait: @Sendable () -> Void = {}

    /// Sends a signal, while the process has not been waited for.
    func send(_ signal: Int32) {
        if isGroup { kill(-pid, signal) } else { clinux_signal(descriptor, signal) }
    }
}

/// Starts processes; one conformer for each isolation.
protocol Launcher {
    /// Starts a process; called on the thread that later waits for it.
    func launch(_ spec: ProcessSpec, streams: [Int32], terminal: Int32) throws -> Launched
}

/// Starts a process in mount, pid, ipc, uts and, where asked, network namespaces.
struct NamespaceLauncher: Launcher {
    func launch(_ spec: ProcessSpec, streams: [Int32], terminal: Int32) throws -> Launched {
        let isInUserNamespace = UserNamespace.isInside
        let plan = LaunchPlan()
        RootPlan(spec: spec, plan: plan, isInUserNamespace: isInUserNamespace).add()
        let group = ControlGroup(spec.resources)
        var call = ProcessCall(spec: spec, plan: plan)
        call.isLenient = false
        call.streams = streams
        call.terminal = terminal
        call.joined = group.descriptors
        defer { group.closeDescriptors() }
        do {
            let namespaces = clinux_namespaces(spec.network == .none ? 1 : 0, ControlGroup.isUnified ? 1 : 0)
            let (pid, descriptor, ward) = try call.start(in: namespaces)
            return Launched(
                pid: pid,
                descriptor: descriptor,
                ward: ward,
                stubs: plan.stubs(),
                notes: group.notes,
                afterWait: { group.remove() }
            )
        } catch {
            group.remove()
            throw error
        }
    }
}

/// A process that runs: its number, its descriptor, and its number at the warden.
typealias Started = (pid: pid_t, descriptor: Int32, ward: UInt64)

/// The call that starts a process, and its errors in words.
struct ProcessCall {
    let spec: ProcessSpec
    let plan: LaunchPlan
    var streams: [Int32] = [0, 1, 2]
    var terminal: Int32 = -1
    var joined: [Int32] = []
    /// Whether rights that can't be given up are kept.
    var isLenient = false
    var hasFilter = true
    var hasNoNewPrivileges = false

    /// Starts the process.
    func start(in namespaces: UInt) throws -> Started {
        try check()
        var launch = clinux_launch()
        launch.namespaces = namespaces
        launch.steps = plan.array(plan.steps)
        launch.step_count = plan.steps.count
        launch.slots = plan.array([Int32](repeating: -1, count: Int(plan.slotCount)))
        launch.streams = (streams[0], streams[1], streams[2])
        launch.terminal = terminal
        launch.groups_to_join = UnsafePointer(plan.array(joined))
        launch.group_count = joined.count
        launch.candidates = UnsafePointer(plan.list(candidates()))
        launch.arguments = plan.mutableList(spec.arguments)
        launch.environment = plan.mutableList(spec.environment)
        launch.program = plan.room(for: CChar.self, count: Int(CLINUX_PATH))
        launch.header = plan.room(for: CChar.self, count: Int(CLINUX_HEADER))
        try setIdentity(&launch)
        let limits = try spec.limits.map { try ResourceLimit.value(of: $0) }
        launch.limits = UnsafePointer(plan.array(limits))
        launch.limit_count = limits.count
        let ticket = Warden.ticket()
        (launch.warden, launch.ward) = (ticket.socket, ticket.number)
        let error = clinux_launch(&launch)
        // What the call points at lives in the plan.
        withExtendedLifetime(plan) {}
        guard error == 0 else {
            Warden.forget(ticket.number)
            throw LaunchFailure(spec: spec, plan: plan, launch: launch, error: error).error
        }
        return (launch.pid, launch.pidfd, ticket.number)
    }

    private func setIdentity(_ launch: inout clinux_launch) throws {
        (launch.uid, launch.gid) = (spec.user.uid, spec.user.gid)
        let groups = spec.user.groups
        launch.groups = UnsafePointer(plan.array(groups))
        // Where groups may not be set at all, those that are asked for can't be had, and none need not be.
        launch.groups_count = groups.isEmpty && !UserNamespace.canSetGroups ? -1 : Int32(groups.count)
        launch.capabilities = spec.isInsecure ? Capabilities.held() : Capabilities.standard
        launch.keeps_ambient = spec.isInsecure ? 1 : 0
        launch.is_lenient = isLenient ? 1 : 0
        launch.no_new_privileges = hasNoNewPrivileges ? 1 : 0
        guard !spec.isInsecure, hasFilter else { return }
        let filter = try SystemCallFilter.standard()
        launch.filter = UnsafeRawPointer(plan.array(filter.instructions))
        launch.filter_length = UInt16(filter.instructions.count)
    }

    /// A null byte would end a text early, and mean another path or variable than the one written.
    private func check() throws {
        guard !spec.arguments.isEmpty else { throw SandboxError(.specification, "there is no program to run") }
        let texts = spec.arguments + spec.environment + [spec.workingDirectory] + spec.mounts.map(\.target)
        if let bad = texts.first(where: { $0.utf8.contains(0) }) {
            throw SandboxError(.specification, "\"\(bad.prefix { $0 != "\0" })…\" has a null byte in it")
        }
    }

    /// Where the program may lie: as named, or in the folders of the step's own PATH.
    private func candidates() -> [String] {
        let program = spec.arguments[0]
        if program.contains("/") { return [program] }
        if program.isEmpty { return [] }
        return searchPath.split(separator: ":", omittingEmptySubsequences: false)
            .map { folder in
                folder.isEmpty ? "./" + program : folder + "/" + program
            }
    }

    private var searchPath: String {
        spec.environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) }
            ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    }
}
