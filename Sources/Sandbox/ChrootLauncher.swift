// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Starts a process that has another root, but the machine's processes, network and users.
struct ChrootLauncher: Launcher {
    /// What is not kept apart, for people.
    static let weaknesses = """
        the process sees other processes' signals, the network and the host's name, has no /proc and /sys, and its \
        limits are those of this program
        """

    func launch(_ spec: ProcessSpec, streams: [Int32], terminal: Int32) throws -> Launched {
        guard case .directory(let root) = spec.root else {
            throw SandboxError(.refused, "chroot: an overlay can't be mounted here; the root has to be a folder")
        }
        if let mount = spec.mounts.first {
            let hint = "coracle doctor says what keeps namespaces from being used"
            throw SandboxError(.refused, "chroot: nothing can be mounted at \(mount.target) here", hint: hint)
        }
        if spec.network == .none {
            throw SandboxError(.refused, "chroot: the network can't be taken away here (--network=none)")
        }
        let plan = LaunchPlan()
        plan.add(.chroot, "changing the root to \(root)") { $0.target = plan.text(root) }
        plan.add(.workdir, "entering the working directory \(spec.workingDirectory)") { step in
            let path = spec.workingDirectory
            step.target = plan.text(path.hasPrefix("/") ? path : "/" + path)
            (step.uid, step.gid) = (spec.user.uid, spec.user.gid)
        }
        let mayFilter = Capabilities.held() & Capabilities.bits(["SYS_ADMIN"]) != 0
        var call = ProcessCall(spec: spec, plan: plan)
        (call.streams, call.terminal, call.isLenient) = (streams, terminal, true)
        // Without the right to filter, a filter may be had only by one who will never gain rights.
        call.hasNoNewPrivileges = !mayFilter && !spec.isInsecure
        let furniture = try RootFurniture(root: root, files: EtcFile.all(for: spec))
        do {
            let (pid, descriptor) = try call.start(in: 0)
            return Launched(
                pid: pid,
                descriptor: descriptor,
                notes: ["chroot only: " + Self.weaknesses] + furniture.notes,
                isGroup: true,
                afterExit: { Self.endAll(in: root, group: pid) },
                afterWait: { furniture.remove() }
            )
        } catch {
            furniture.remove()
            throw error
        }
    }

    /// Kills what the process left behind: its group, and whatever has the same root.
    private static func endAll(in root: String, group: pid_t) {
        kill(-group, SIGKILL)
        guard let resolved = realpath(root, nil) else { return }
        defer { free(resolved) }
        let path = String(cString: resolved)
        // What is being started while we look is found the next time.
        var attempts = 100
        while Self.endProcesses(in: path) > 0, attempts > 0 {
            attempts -= 1
            usleep(2_000)
        }
    }

    private static func endProcesses(in root: String) -> Int {
        guard root != "/", let folder = opendir("/proc") else { return 0 }
        defer { closedir(folder) }
        var found = 0
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let process = pid_t(name), process != getpid() else { continue }
            guard TextFile.link("/proc/\(name)/root") == root else { continue }
            if kill(process, SIGKILL) == 0 { found += 1 }
        }
        return found
    }
}

/// A file of /etc that belongs to the machine, not to the image.
struct EtcFile {
    let path: String
    let bytes: [UInt8]

    /// The files for a process, those left out that the specification mounts itself.
    static func all(for spec: ProcessSpec) -> [EtcFile] {
        var hosts = "127.0.0.1\tlocalhost \(spec.hostname)\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        for host in spec.hosts { hosts += "\(host.address)\t\(host.name)\n" }
        var files = [
            EtcFile(path: "/etc/resolv.conf", bytes: (try? TextFile.bytes("/etc/resolv.conf")) ?? []),
            EtcFile(path: "/etc/hosts", bytes: Array(hosts.utf8)),
        ]
        if spec.hasHostnameFile {
            files.append(EtcFile(path: "/etc/hostname", bytes: Array((spec.hostname + "\n").utf8)))
        }
        let taken = Set(spec.mounts.map { $0.target.hasPrefix("/") ? $0.target : "/" + $0.target })
        return files.filter { !taken.contains($0.path) }
    }
}
