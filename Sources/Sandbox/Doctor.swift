// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What this machine allows, what is chosen because of that, and what would allow more.
public struct Doctor: Sendable {
    /// One thing that was looked at.
    public struct Finding: Sendable {
        /// What was looked at.
        public let subject: String
        /// Whether it is as it should be.
        public let isGood: Bool
        /// What was found, in a sentence without a full stop.
        public let detail: String
        /// The command or setting that would put it right, where one is known.
        public let remedy: String?

        init(_ subject: String, _ isGood: Bool, _ detail: String, remedy: String? = nil) {
            (self.subject, self.isGood, self.detail, self.remedy) = (subject, isGood, detail, remedy)
        }
    }

    /// In the order in which they depend on each other.
    public let findings: [Finding]
    /// What builds will use; `nil` where RUN can't work here.
    public let choice: IsolationChoice?

    /// Looks at this machine by trying; takes a tenth of a second.
    ///
    /// - Parameters:
    ///   - entry: What ``UserNamespace/enter()`` gave at the start of the program.
    ///   - scratch: A folder on the file system where layers lie.
    public init(entry: UserNamespace.Entry, scratch: String) {
        var findings = [Self.kernel(), Self.user(entry)]
        let choice: IsolationChoice?
        do {
            let found = try IsolationChoice.probe(scratch: scratch)
            choice = found
            let isBest = found.isolation == .namespaces
            let why = found.reasons.isEmpty ? "" : ": " + found.reasons.joined(separator: "; ")
            findings.append(
                Finding("isolation", isBest, "\(found.isolation) is used\(why)", remedy: isBest ? nil : Self.remedy())
            )
            if found.isolation == .chroot {
                findings.append(Finding("separation", false, "with chroot, " + ChrootLauncher.weaknesses))
            }
            let overlays =
                found.mountsOverlays
                ? "overlays can be mounted in \(scratch)" : "no overlay can be mounted in \(scratch): roots are copied"
            let move = "set CORACLE_STORE to a folder on ext4, xfs or tmpfs"
            findings.append(
                Finding("overlay", found.mountsOverlays, overlays, remedy: found.mountsOverlays ? nil : move)
            )
        } catch {
            choice = nil
            let text = (error as? SandboxError)?.message ?? "\(error)"
            findings.append(Finding("isolation", false, text, remedy: Self.remedy()))
        }
        findings += [Self.filter(), Self.groups(), Self.runtimes(scratch), Self.emulators()]
        (self.findings, self.choice) = (findings, choice)
    }

    private static func kernel() -> Finding {
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        let isNew = numbers.count == 2 && (numbers[0], numbers[1]) >= (5, 4)
        let remedy = isNew ? nil : "use Linux 5.4 or later"
        return Finding("kernel", isNew, "Linux \(release)", remedy: remedy)
    }

    private static func user(_ entry: UserNamespace.Entry) -> Finding {
        switch entry.outcome {
        case .notNeeded: return Finding("user", true, "root, with the right to mount")
        case .mapped:
            let count = UserNamespace.ranges("/proc/self/uid_map").reduce(0) { $0 + Int($1.count) }
            return Finding("user", true, "uid \(entry.uid), root in a user namespace of \(count) users")
        case .single(let reason):
            let detail =
                "uid \(entry.uid), root in a user namespace of one user: chown to others and USER fail (\(reason))"
            let install = "sudo apt-get install uidmap; "
            let ranges = "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER"
            return Finding("user", false, detail, remedy: (reason.contains("not installed") ? install : "") + ranges)
        case .refused(let reason): return Finding("user", false, "uid \(entry.uid): \(reason)", remedy: remedy())
        }
    }

    /// What would allow namespaces, by the setting that is in the way.
    private static func remedy() -> String {
        let setting = UserNamespace.blockingSetting
        if let setting { return "sudo sysctl -w \(setting)" }
        if access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 {
            let options = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
            return "start this container with \(options), or with --privileged"
        }
        if getenv("KUBERNETES_SERVICE_HOST") != nil {
            return "give the pod securityContext.seccompProfile.type: Unconfined, and hostUsers: false or SYS_ADMIN"
        }
        return "run as root, or have user namespaces allowed on this machine"
    }

    private static func filter() -> Finding {
        let actions = (try? TextFile.read("/proc/sys/kernel/seccomp/actions_avail")) ?? ""
        let works = actions.contains("errno")
        do {
            let count = try SystemCallFilter.standard().instructions.count
            let detail = works ? "Docker's default profile, \(count) instructions" : "the kernel has no seccomp"
            return Finding(
                "system calls",
                works,
                detail,
                remedy: works ? nil : "use a kernel with CONFIG_SECCOMP_FILTER"
            )
        } catch { return Finding("system calls", false, "\(error)") }
    }

    private static func groups() -> Finding {
        var resources = ProcessSpec.Resources()
        resources.memory = 1 << 30
        resources.cpuQuota = 100_000
        let group = ControlGroup(resources)
        group.closeDescriptors()
        group.remove()
        let works = group.notes.isEmpty
        let detail = works ? "memory and processor limits can be set" : group.notes.joined(separator: "; ")
        let scope = "systemd-run --user --scope -p Delegate=yes coracle …"
        return Finding("control groups", works, detail, remedy: works ? nil : scope)
    }

    private static func runtimes(_ scratch: String) -> Finding {
        let found = ["crun", "runc"].compactMap(Program.path(of:))
        let detail = found.isEmpty ? "none: --isolation oci can't be used" : found.joined(separator: ", ")
        return Finding("OCI runtimes", !found.isEmpty, detail, remedy: found.isEmpty ? "apt-get install crun" : nil)
    }

    private static func emulators() -> Finding {
        let found = Emulator.names.keys.sorted().filter { Emulator.fault(for: $0) == nil }
        let others = found.filter { $0 != ElfHeader.native }
        let detail = "programs for \(found.joined(separator: ", ")) run here"
        let remedy = others.count > 1 ? nil : "apt-get install qemu-user-static binfmt-support"
        return Finding("other architectures", others.count > 1, detail, remedy: remedy)
    }
}
