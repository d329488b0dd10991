// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Says, step by step, what a process finds in its root.
///
/// Sources are opened as mounts before the root is changed, and hung up after it: so a target's links lead where they
/// lead inside, and nothing outside has to stay reachable.
struct RootPlan {
    let spec: ProcessSpec
    let plan: LaunchPlan
    /// Whether we are root of a user namespace only.
    let isInUserNamespace: Bool

    /// What is hung at a target later.
    private struct Hanging {
        var slot: Int32
        var target: String
        var flags: UInt32
        var words: String
    }

    /// A folder that is there and that the overlay, then the new root, may cover in the private mount table.
    private var place: String {
        switch spec.root {
        case .directory(let path): path
        case .overlay(_, let upper, _): upper
        }
    }

    /// Devices that every container has.
    static let devices = ["null", "zero", "full", "random", "urandom", "tty"]

    /// What a step is not to see; those of Docker and containerd together.
    static let masked = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]

    /// What a step is not to change.
    static let readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    /// Adds all steps for a process in namespaces.
    func add() {
        plan.add(.private, "making the sandbox's mounts private")
        let devices = cloneDevices()
        let system = cloneSystem()
        let hangings = cloneMounts()
        addRoot(with: hangings.files)
        addSystemFolders(system: system, devices: devices)
        for hanging in hangings.all { attach(hanging.value, recorded: true, tmpfs: hanging.tmpfs) }
        if !spec.isInsecure { addMasks() }
        plan.add(.hostname, "setting the host name to \"\(spec.hostname)\"") { $0.source = plan.text(spec.hostname) }
        if spec.network == .none { plan.add(.loopback, "bringing the loopback interface up") }
        plan.add(.workdir, "entering the working directory \(spec.workingDirectory)") {
            $0.target = plan.text(absolute(spec.workingDirectory))
            ($0.uid, $0.gid) = (spec.user.uid, spec.user.gid)
        }
        if spec.isRootReadOnly { plan.add(.rootReadOnly, "making the root read-only") }
    }

    private func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "/" + path }

    // MARK: Sources, before the root is changed

    private func clone(_ path: String, _ words: String, flags: UInt32 = 0) -> Int32 {
        let slot = plan.slot()
        plan.add(.clone, words, flags: flags) { step in
            step.source = plan.text(path)
            step.slot = slot
        }
        return slot
    }

    /// Devices are mounted one by one, as nothing else of the sandbox may hold devices that work: what the process
    /// makes with `mknod` goes into the layer, but leads nowhere.
    private func cloneDevices() -> [Hanging] {
        var names = Self.devices + spec.devices.map { $0.hasPrefix("/dev/") ? String($0.dropFirst(5)) : $0 }
        if spec.isInsecure {
            let more = ["kmsg", "cuse", "fuse", "kvm", "net/tun", "loop-control"] + (0..<8).map { "loop\($0)" }
            names += more.filter { access("/dev/" + $0, F_OK) == 0 && !names.contains($0) }
        }
        return names.map { name in
            let words = "mounting the device /dev/\(name)"
            let flags = (CLINUX_NOSUID | CLINUX_NOEXEC)
            return Hanging(slot: clone("/dev/" + name, words), target: "/dev/" + name, flags: flags, words: words)
        }
    }

    /// /proc, and /sys where that is ours to make.
    ///
    /// A new sysfs shows the network it is mounted from, so whoever does not own that network may only bind the old.
    private func cloneSystem() -> [Hanging] {
        let quiet = CLINUX_NOSUID | CLINUX_NODEV | CLINUX_NOEXEC
        var system = Hanging(slot: -1, target: "/sys", flags: quiet, words: "mounting sysfs at /sys")
        if !spec.isInsecure { system.flags |= CLINUX_RDONLY }
        if isInUserNamespace, spec.network == .host {
            system.flags |= CLINUX_RECURSIVE
            system.slot = clone("/sys", system.words, flags: CLINUX_RECURSIVE)
        } else {
            system.slot = make("sysfs", system.words)
        }
        let words = "mounting proc at /proc"
        return [Hanging(slot: make("proc", words), target: "/proc", flags: quiet, words: words), system]
    }

    private func make(_ type: String, _ words: String) -> Int32 {
        let slot = plan.slot()
        plan.add(.new, words) { step in
            step.source = plan.text(type)
            step.slot = slot
        }
        return slot
    }

    private struct Mounts {
        var all: [(value: Hanging, tmpfs: String?)] = []
        var files: [(slot: Int32, bytes: [UInt8], mode: UInt32, user: ProcessSpec.User, words: String)] = []
    }

    private func cloneMounts() -> Mounts {
        var mounts = Mounts()
        let files = EtcFile.all(for: spec).map { MountSpec(.file($0.bytes, mode: 0o644), at: $0.path) }
        for mount in files + spec.mounts {
            let target = absolute(mount.target)
            var hanging = Hanging(slot: -1, target: target, flags: CLINUX_NODEV, words: "mounting at \(target)")
            if spec.isInsecure { hanging.flags = 0 }
            var options: String?
            switch mount.source {
            case .bind(let path, let isReadOnly):
                hanging.words = "mounting \(path) at \(target)"
                hanging.flags |= CLINUX_RECURSIVE | (isReadOnly ? CLINUX_RDONLY : 0)
                hanging.slot = clone(path, hanging.words, flags: CLINUX_RECURSIVE)
            case .tmpfs(let size, let mode):
                hanging.words = "mounting a tmpfs at \(target)"
                hanging.flags |= CLINUX_NOSUID
                options = "mode=\(String(mode, radix: 8))" + (size.map { ",size=\($0)" } ?? "")
            case .overlay(let lower, let upper, let work, let isReadOnly):
                hanging.words = "mounting an overlay at \(target)"
                hanging.flags |= isReadOnly ? CLINUX_RDONLY : 0
                hanging.slot = overlay(lower, upper, work, place: upper, hanging.words)
            case .file(let bytes, let mode, let user, let isReadOnly):
                hanging.words = "mounting a file at \(target)"
                hanging.flags |= (CLINUX_NOSUID | CLINUX_NOEXEC) | (isReadOnly ? CLINUX_RDONLY : 0)
                hanging.slot = plan.slot()
                mounts.files.append((hanging.slot, bytes, mode, user, hanging.words))
            }
            mounts.all.append((hanging, options))
        }
        return mounts
    }

    private func overlay(
        _ lower: [String],
        _ upper: String,
        _ work: String,
        place: String,
        _ words: String
    ) -> Int32 {
        let slot = plan.slot()
        let flags = CLINUX_VOLATILE | (isInUserNamespace ? CLINUX_USERXATTR : 0)
        plan.add(.overlay, "\(words) of \(lower.count) layers, changes in \(upper)", flags: flags) { step in
            step.list = UnsafePointer(plan.list(lower.reversed()))
            step.count = lower.count
            step.source = plan.text(upper)
            step.data = plan.text(work)
            step.target = plan.text(place)
            step.slot = slot
        }
        return slot
    }

    // MARK: The root

    private func addRoot(
        with files: [(slot: Int32, bytes: [UInt8], mode: UInt32, user: ProcessSpec.User, words: String)]
    ) {
        let slot: Int32
        switch spec.root {
        case .directory(let path):
            slot = clone(path, "opening the root \(path)")
        case .overlay(let lower, let upper, let work):
            slot = overlay(lower, upper, work, place: upper, "mounting the root")
        }
        if !files.isEmpty {
            plan.add(.stage, "mounting a tmpfs for files of the sandbox") { step in
                step.target = plan.text(place)
                step.data = plan.text("mode=700")
            }
            for (index, file) in files.enumerated() {
                plan.add(.stagedFile, file.words) { step in
                    step.source = plan.text("\(place)/\(index)")
                    step.data = UnsafeRawPointer(plan.array(file.bytes)).assumingMemoryBound(to: CChar.self)
                    step.size = file.bytes.count
                    (step.mode, step.uid, step.gid) = (file.mode, file.user.uid, file.user.gid)
                    step.slot = file.slot
                }
            }
        }
        plan.add(.root, "entering the root", flags: spec.isInsecure ? 0 : CLINUX_NODEV) { step in
            step.slot = slot
            step.target = plan.text(place)
        }
    }

    // MARK: Inside the root

    private func mount(
        _ type: String,
        at target: String,
        options: String? = nil,
        flags: UInt32,
        isRecorded: Bool = false
    ) {
        plan.add(.mount, "mounting \(type) at \(target)", flags: flags) { step in
            step.source = plan.text(type)
            step.target = plan.text(target)
            if let options { step.data = plan.text(options) }
            if isRecorded { plan.record(&step) }
        }
    }

    private func attach(_ hanging: Hanging, recorded isRecorded: Bool, tmpfs options: String? = nil) {
        if let options {
            mount("tmpfs", at: hanging.target, options: options, flags: hanging.flags, isRecorded: isRecorded)
            return
        }
        plan.add(.attach, hanging.words, flags: hanging.flags) { step in
            step.slot = hanging.slot
            step.target = plan.text(hanging.target)
            if isRecorded { plan.record(&step) }
        }
    }

    private func link(_ path: String, to target: String) {
        plan.add(.link, "making the link \(path)") { step in
            step.source = plan.text(target)
            step.target = plan.text(path)
        }
    }

    private func addSystemFolders(system: [Hanging], devices: [Hanging]) {
        let quiet = CLINUX_NOSUID | CLINUX_NODEV | CLINUX_NOEXEC
        let locked = quiet | (spec.isInsecure ? 0 : CLINUX_RDONLY)
        for hanging in system { attach(hanging, recorded: true) }
        if ControlGroup.isUnified, (system.last?.flags ?? 0) & CLINUX_RECURSIVE == 0 {
            mount("cgroup2", at: "/sys/fs/cgroup", flags: locked | CLINUX_OPTIONAL)
        }
        let devFlags = CLINUX_NOSUID | (spec.isInsecure ? 0 : CLINUX_NODEV)
        mount("tmpfs", at: "/dev", options: "mode=755,size=65536k", flags: devFlags, isRecorded: true)
        for device in devices { attach(device, recorded: false) }
        let terminals = "newinstance,ptmxmode=0666,mode=0620"
        let hasTerminalGroup = UserNamespace.isMapped(gid: 5)
        mount(
            "devpts",
            at: "/dev/pts",
            options: hasTerminalGroup ? terminals + ",gid=5" : terminals,
            flags: (CLINUX_NOSUID | CLINUX_NOEXEC)
        )
        mount("tmpfs", at: "/dev/shm", options: "mode=1777,size=\(spec.sharedMemorySize)", flags: quiet)
        mount("mqueue", at: "/dev/mqueue", flags: quiet | CLINUX_OPTIONAL)
        link("/dev/ptmx", to: "pts/ptmx")
        link("/dev/fd", to: "/proc/self/fd")
        link("/dev/core", to: "/proc/kcore")
        for (index, name) in ["stdin", "stdout", "stderr"].enumerated() {
            link("/dev/" + name, to: "/proc/self/fd/\(index)")
        }
    }

    private func addMasks() {
        for path in Self.readOnly {
            let flags = (CLINUX_NOSUID | CLINUX_NODEV | CLINUX_NOEXEC)
            plan.add(.readOnly, "making \(path) read-only", flags: flags) { $0.target = plan.text(path) }
        }
        for path in Self.masked {
            plan.add(.mask, "hiding \(path)") { $0.target = plan.text(path) }
        }
    }
}
