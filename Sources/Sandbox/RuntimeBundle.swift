// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// What an OCI runtime is given: `config.json`, the root, and the files that are mounted in it, all in memory.
struct RuntimeBundle {
    let spec: ProcessSpec
    let plan: LaunchPlan
    let name: String
    let isCrun: Bool
    /// Whether the runtime makes no control groups, and so does not filter devices.
    let lacksGroups: Bool

    /// A folder that is there, and that the bundle covers in the runtime's own mount table.
    var place: String {
        switch spec.root {
        case .directory(let path): path
        case .overlay(_, let upper, _): upper
        }
    }

    private struct Hanging {
        var slot: Int32
        var target: String
    }

    /// Adds the steps before the runtime is executed.
    func add(limits: [ProcessSpec.Limit]) {
        plan.add(.private, "making the runtime's mounts private")
        var hangings = [Hanging(slot: rootSlot(), target: place + "/rootfs")]
        var mounts: [JSONText] = []
        var files: [(name: String, bytes: [UInt8], mode: UInt32, user: ProcessSpec.User)] = []
        let etc = EtcFile.all(for: spec).map { MountSpec(.file($0.bytes, mode: 0o644), at: $0.path) }
        for mount in etc + spec.mounts {
            let target = mount.target.hasPrefix("/") ? mount.target : "/" + mount.target
            let source = "\(place)/mount-\(mounts.count)"
            switch mount.source {
            case .bind(let path, let isReadOnly):
                let slot = plan.slot()
                plan.add(.clone, "mounting \(path) at \(target)", flags: CLINUX_RECURSIVE) { step in
                    step.source = plan.text(path)
                    step.slot = slot
                }
                hangings.append(Hanging(slot: slot, target: source))
                mounts.append(RuntimeConfig.bind(source, target, isReadOnly: isReadOnly))
            case .tmpfs(let size, let mode):
                mounts.append(RuntimeConfig.tmpfs(target, size: size, mode: mode))
            case .overlay(let lower, let upper, let work, let isReadOnly):
                hangings.append(Hanging(slot: overlay(lower, upper, work), target: source))
                mounts.append(RuntimeConfig.bind(source, target, isReadOnly: isReadOnly))
            case .file(let bytes, let mode, let user, let isReadOnly):
                files.append((source, bytes, mode, user))
                mounts.append(RuntimeConfig.bind(source, target, isReadOnly: isReadOnly))
            }
        }
        let config = RuntimeConfig(
            spec: spec,
            name: name,
            root: place + "/rootfs",
            mounts: mounts,
            limits: limits,
            lacksGroups: lacksGroups
        )
        files.append((place + "/config.json", Array(config.json.text.utf8), 0o600, .init()))
        addBundle(files, hangings)
    }

    private func addBundle(
        _ files: [(name: String, bytes: [UInt8], mode: UInt32, user: ProcessSpec.User)],
        _ hangings: [Hanging]
    ) {
        plan.add(.stage, "mounting a tmpfs for the runtime's bundle") { step in
            step.target = plan.text(place)
            step.data = plan.text("mode=700")
        }
        for file in files {
            plan.add(.stagedFile, "writing the runtime's files") { step in
                step.source = plan.text(file.name)
                step.data = UnsafeRawPointer(plan.array(file.bytes)).assumingMemoryBound(to: CChar.self)
                step.size = file.bytes.count
                (step.mode, step.uid, step.gid) = (file.mode, file.user.uid, file.user.gid)
                step.slot = plan.slot()
            }
        }
        for hanging in hangings {
            plan.add(.attach, "mounting the runtime's files at \(hanging.target)") { step in
                step.slot = hanging.slot
                step.target = plan.text(hanging.target)
            }
        }
        // The runtime looks at its own process by the number it has in its namespace.
        let slot = plan.slot()
        plan.add(.new, "mounting proc for the runtime") { step in
            step.source = plan.text("proc")
            step.slot = slot
        }
        plan.add(.attach, "mounting proc for the runtime") { step in
            step.slot = slot
            step.target = plan.text("/proc")
        }
        if !ControlGroup.isUnified, access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) == 0, isCrun {
            addUnifiedGroups()
        }
    }

    /// crun 1.8 knows hosts with the first or the second version of control groups, but not with both.
    private func addUnifiedGroups() {
        let slot = plan.slot()
        plan.add(.clone, "mounting control groups for the runtime") { step in
            step.source = plan.text("/sys/fs/cgroup/unified")
            step.slot = slot
        }
        plan.add(.attach, "mounting control groups for the runtime") { step in
            step.slot = slot
            step.target = plan.text("/sys/fs/cgroup")
        }
    }

    private func rootSlot() -> Int32 {
        switch spec.root {
        case .overlay(let lower, let upper, let work):
            return overlay(lower, upper, work)
        case .directory(let path):
            let slot = plan.slot()
            plan.add(.clone, "opening the root \(path)") { step in
                step.source = plan.text(path)
                step.slot = slot
            }
            return slot
        }
    }

    private func overlay(_ lower: [String], _ upper: String, _ work: String) -> Int32 {
        let slot = plan.slot()
        let flags = CLINUX_VOLATILE | (UserNamespace.isInside ? CLINUX_USERXATTR : 0)
        plan.add(.overlay, "mounting an overlay of \(lower.count) layers, changes in \(upper)", flags: flags) { step in
            step.list = UnsafePointer(plan.list(lower.reversed()))
            step.count = lower.count
            step.source = plan.text(upper)
            step.data = plan.text(work)
            step.target = plan.text(upper)
            step.slot = slot
        }
        return slot
    }

    /// The mount points that the runtime will have to make, by looking for what is there.
    ///
    /// Targets that lead through links are left out: the runtime's answer to those can't be known beforehand.
    func stubs() -> [Stub] {
        let folders: [String]
        switch spec.root {
        case .directory(let path): folders = [path]
        case .overlay(let lower, let upper, _): folders = [upper] + lower
        }
        let targets = ["/proc", "/sys", "/dev"] + EtcFile.all(for: spec).map(\.path) + spec.mounts.map(\.target)
        return targets.compactMap { target in
            var path = ""
            for name in target.split(separator: "/") {
                path += "/" + name
                var status = stat()
                let isThere = folders.contains { lstat($0 + path, &status) == 0 }
                if isThere, status.st_mode & S_IFMT == S_IFLNK { return nil }
                if !isThere {
                    let leaf = "/" + target.split(separator: "/").joined(separator: "/")
                    return Stub(top: path, leaf: leaf, before: timespec(), after: timespec())
                }
            }
            return nil
        }
    }
}
