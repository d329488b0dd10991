// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// A control group for one process, where the machine lets us make one.
///
/// Specification: Linux `admin-guide/cgroup-v2.rst`, `admin-guide/cgroup-v1/`.
struct ControlGroup: Sendable {
    private static let mountPoint = "/sys/fs/cgroup"
    private static let count = Atomic<Int>(0)

    /// Whether the machine has the second version alone, as systemd mounts it.
    static let isUnified = access(mountPoint + "/cgroup.controllers", F_OK) == 0

    /// Open `cgroup.procs` files, for the process to join.
    private(set) var descriptors: [Int32] = []
    /// What could not be limited, in sentences.
    private(set) var notes: [String] = []
    private var folders: [String] = []

    /// One file of a group and what is written to it.
    private struct Setting {
        let controller: String
        let file: String
        let value: String
        /// What a note calls it.
        let name: String
    }

    /// Makes groups for what is limited; what can't be had is noted.
    init(_ resources: ProcessSpec.Resources) {
        let settings = Self.isUnified ? Self.unified(resources) : Self.classic(resources)
        let name = "coracle-\(getpid())-\(Self.count.add(1, ordering: .relaxed).newValue)"
        var groups: [String: String] = [:]
        for setting in settings {
            let key = Self.isUnified ? "" : setting.controller
            let folder = groups[key] ?? Self.makeFolder(name, for: Self.isUnified ? settings.map(\.controller) : [key])
            groups[key] = folder
            let error = folder.isEmpty ? EACCES : TextFile.write(setting.value, to: folder + "/" + setting.file)
            // The bound on processes is ours; a machine that has none is not worth a word in every build.
            if error != 0, setting.controller != "pids" {
                notes.append(
                    "\(setting.name) is not limited: no control group can be had (\(SandboxError.text(error)))"
                )
            }
        }
        for folder in groups.values.sorted() where !folder.isEmpty {
            folders.append(folder)
            let descriptor = open(folder + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
            if descriptor >= 0 { descriptors.append(descriptor) }
        }
    }

    func closeDescriptors() { for descriptor in descriptors { close(descriptor) } }

    /// Removes the groups, once no process is in them.
    func remove() {
        for folder in folders {
            // The kernel may take a moment to see that the last process is gone.
            var attempts = 500
            while rmdir(folder) != 0, errno == EBUSY, attempts > 0 {
                attempts -= 1
                usleep(1_000)
            }
        }
    }

    private static func unified(_ resources: ProcessSpec.Resources) -> [Setting] {
        var settings: [Setting] = []
        let add = { (controller: String, file: String, value: String?, name: String) in
            guard let value else { return }
            settings.append(Setting(controller: controller, file: controller + "." + file, value: value, name: name))
        }
        add("pids", "max", resources.processes.map { String($0) }, "the number of processes")
        add("memory", "max", resources.memory.map { String($0) }, "memory")
        if let all = resources.memoryAndSwap {
            let swap = all < 0 ? "max" : String(max(0, all - (resources.memory ?? 0)))
            add("memory", "swap.max", swap, "swap")
        }
        if resources.cpuQuota != nil || resources.cpuPeriod != nil {
            let quota = resources.cpuQuota.map { $0 > 0 ? String($0) : "max" } ?? "max"
            add("cpu", "max", "\(quota) \(resources.cpuPeriod ?? 100_000)", "processor time")
        }
        // Shares from 2 to 262,144 become weights from 1 to 10,000, as runc does it.
        add(
            "cpu",
            "weight",
            resources.cpuShares.map { String(1 + (max(2, $0) - 2) * 9_999 / 262_142) },
            "processor share"
        )
        add("cpuset", "cpus", resources.cpus, "the set of processors")
        add("cpuset", "mems", resources.memoryNodes, "the set of memory nodes")
        return settings
    }

    private static func classic(_ resources: ProcessSpec.Resources) -> [Setting] {
        var settings: [Setting] = []
        let add = { (controller: String, file: String, value: String?, name: String) in
            guard let value else { return }
            settings.append(Setting(controller: controller, file: controller + "." + file, value: value, name: name))
        }
        add("pids", "max", resources.processes.map { String($0) }, "the number of processes")
        add("memory", "limit_in_bytes", resources.memory.map { String($0) }, "memory")
        add("memory", "memsw.limit_in_bytes", resources.memoryAndSwap.map { String($0) }, "swap")
        add("cpu", "cfs_period_us", resources.cpuPeriod.map { String($0) }, "processor time")
        add("cpu", "cfs_quota_us", resources.cpuQuota.map { String($0) }, "processor time")
        add("cpu", "shares", resources.cpuShares.map { String($0) }, "processor share")
        if resources.cpus != nil || resources.memoryNodes != nil {
            let all = { (file: String) in
                (try? TextFile.read(mountPoint + "/cpuset/cpuset." + file))?.split(separator: "\n").first
                    .map(String.init)
            }
            // Neither may be empty when a process joins.
            add("cpuset", "cpus", resources.cpus ?? all("cpus"), "the set of processors")
            add("cpuset", "mems", resources.memoryNodes ?? all("mems"), "the set of memory nodes")
        }
        return settings
    }

    /// Makes a folder in the group this process is in; an empty text where that is not allowed.
    private static func makeFolder(_ name: String, for controllers: [String]) -> String {
        let parent: String
        if isUnified {
            parent = unifiedParent(for: Set(controllers).sorted()) ?? ""
        } else {
            parent = mountPoint + "/" + controllers[0] + (ownPath(of: controllers[0]) ?? "")
        }
        guard !parent.isEmpty else { return "" }
        removeLeftovers(in: parent)
        let folder = parent + (parent.hasSuffix("/") ? "" : "/") + name
        return mkdir(folder, 0o755) == 0 ? folder : ""
    }

    private static func ownPath(of controller: String) -> String? {
        let text = (try? TextFile.read("/proc/self/cgroup")) ?? ""
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            if fields.count == 3,
                fields[1].split(separator: ",").contains(Substring(controller)) || fields[1] == controller
            {
                return String(fields[2])
            }
        }
        return nil
    }

    /// A group that has no processes of its own and hands the controllers on: ours beneath the root, or the one that
    /// was delegated to us, with this process moved to a leaf.
    private static func unifiedParent(for controllers: [String]) -> String? {
        let enabling = controllers.map { "+" + $0 }.joined(separator: " ")
        let own = mountPoint + (ownPath(of: "") ?? "/")
        if geteuid() == 0, !UserNamespace.isInside {
            _ = TextFile.write(enabling, to: mountPoint + "/cgroup.subtree_control")
            let ours = mountPoint + "/coracle"
            if mkdir(ours, 0o755) == 0 || errno == EEXIST {
                if TextFile.write(enabling, to: ours + "/cgroup.subtree_control") == 0 { return ours }
            }
        }
        if TextFile.write(enabling, to: own + "/cgroup.subtree_control") == 0 { return own }
        guard mkdir(own + "/coracle", 0o755) == 0 || errno == EEXIST else { return nil }
        _ = TextFile.write("0", to: own + "/coracle/cgroup.procs")
        return TextFile.write(enabling, to: own + "/cgroup.subtree_control") == 0 ? own : nil
    }

    private static let swept = Mutex<Set<String>>([])

    /// Removes groups of programs that were killed; once for each folder.
    private static func removeLeftovers(in parent: String) {
        guard swept.withLock({ $0.insert(parent).inserted }), let folder = opendir(parent) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let fields = name.split(separator: "-")
            guard fields.count == 3, fields[0] == "coracle", let process = Int32(fields[1]) else { continue }
            if kill(process, 0) != 0, errno == ESRCH { rmdir(parent + "/" + name) }
        }
    }
}
