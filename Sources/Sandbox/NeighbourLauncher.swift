// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Starts a process beside another one, in its namespaces, or in its root where it has none of its own.
struct NeighbourLauncher: Launcher {
    let process: Int32

    func launch(_ spec: ProcessSpec, streams: [Int32], terminal: Int32) throws -> Launched {
        let plan = LaunchPlan()
        var descriptor: Int32 = -1
        defer { if descriptor >= 0 { close(descriptor) } }
        if hasOwnMounts {
            descriptor = clinux_join_processes(process)
            guard descriptor >= 0 else { throw SandboxError("joining the process \(process)", errno: errno) }
            let joined = descriptor
            plan.add(CLINUX_JOIN, "joining the process \(process)") { $0.size = Int(joined) }
        } else {
            let root = plan.text("/proc/\(process)/root")
            plan.add(CLINUX_CHROOT, "entering the root of the process \(process)") { $0.target = root }
        }
        let folder = plan.text(spec.workingDirectory)
        plan.add(CLINUX_WORKDIR, "entering \(spec.workingDirectory)") { step in
            (step.target, step.uid, step.gid, step.mode) = (folder, spec.user.uid, spec.user.gid, 0o755)
        }
        var call = ProcessCall(spec: spec, plan: plan)
        (call.streams, call.terminal) = (streams, terminal)
        let (pid, own, ward) = try call.start(in: 0)
        return Launched(pid: pid, descriptor: own, ward: ward)
    }

    private var hasOwnMounts: Bool {
        func name(_ process: String) -> [CChar] {
            var buffer = [CChar](repeating: 0, count: 64)
            readlink("/proc/\(process)/ns/mnt", &buffer, buffer.count - 1)
            return buffer
        }
        return name("\(process)") != name("self")
    }
}
