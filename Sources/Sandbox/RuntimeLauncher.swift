// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Synchronization

/// Has an OCI runtime (runc, crun) start a process.
///
/// The runtime runs as the first process of a process namespace, in a mount namespace where its bundle and its state
/// lie in memory: so they are gone with it, and its container too, whatever ends it.
///
/// Specification: OCI runtime-spec 1.0.
struct RuntimeLauncher: Launcher {
    let runtime: String

    private static let count = Atomic<Int>(0)

    func launch(_ spec: ProcessSpec, streams: [Int32], terminal: Int32) throws -> Launched {
        guard access(runtime, X_OK) == 0 else {
            let hint = "install one: apt-get install crun"
            throw SandboxError(.refused, "the OCI runtime \(runtime): \(SandboxError.text(errno))", hint: hint)
        }
        let plan = LaunchPlan()
        let name = "coracle-\(getpid())-\(Self.count.add(1, ordering: .relaxed).newValue)"
        let bundle = RuntimeBundle(spec: spec, plan: plan, name: name, isCrun: isCrun, lacksGroups: lacksGroups)
        let stubs = bundle.stubs()
        let limits = try spec.limits.map { limit in
            _ = try ResourceLimit.value(of: limit)
            return limit
        }
        bundle.add(limits: limits)
        var outer = ProcessSpec(root: spec.root, arguments: arguments(bundle.place, name))
        outer.environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        outer.isInsecure = true
        var call = ProcessCall(spec: outer, plan: plan)
        (call.streams, call.terminal, call.isLenient) = (streams, terminal, true)
        let (pid, descriptor) = try call.start(in: clinux_namespaces(0, 0))
        return Launched(
            pid: pid,
            descriptor: descriptor,
            stubs: stubs,
            notes: lacksGroups
                ? ["crun has no control groups here (CAP_SYS_RESOURCE is missing): no limits, no mknod"] : [],
            afterWait: { Self.removeGroups(name) }
        )
    }

    private func arguments(_ place: String, _ name: String) -> [String] {
        let groups = lacksGroups ? ["--cgroup-manager=disabled"] : []
        return [runtime, "--root", place + "/state"] + groups + ["run", "--bundle", place, name]
    }

    private var isCrun: Bool { runtime.split(separator: "/").last?.hasPrefix("crun") == true }

    /// crun raises the limit of locked memory for its filter of devices, which not every root may.
    private var lacksGroups: Bool {
        isCrun && !UserNamespace.isInside && Capabilities.held() & Capabilities.bits(["SYS_RESOURCE"]) == 0
    }

    /// A runtime that was killed leaves its control groups behind.
    private static func removeGroups(_ name: String) {
        guard let folder = opendir("/sys/fs/cgroup") else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let controller = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if controller == ".." || controller.hasPrefix("cgroup.") { continue }
            rmdir("/sys/fs/cgroup/\(controller)/coracle/\(name)")
        }
    }
}
