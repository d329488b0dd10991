// SPDX-License-Identifier: Apache-2.0
internal import CSeccomp
internal import Glibc

/// The configuration of a container: the same rights, masks and mounts as our own sandbox has.
///
/// Specification: OCI runtime-spec 1.0, `config.md` and `config-linux.md`.
struct RuntimeConfig {
    let spec: ProcessSpec
    let name: String
    let root: String
    let mounts: [JSONText]
    let limits: [ProcessSpec.Limit]
    let lacksGroups: Bool

    static func bind(_ source: String, _ target: String, isReadOnly: Bool) -> JSONText {
        mount("bind", source, target, ["rbind", "nodev", isReadOnly ? "ro" : "rw"])
    }

    static func tmpfs(_ target: String, size: Int64?, mode: UInt32) -> JSONText {
        let options = ["nosuid", "nodev", "mode=\(String(mode, radix: 8))"] + (size.map { ["size=\($0)"] } ?? [])
        return mount("tmpfs", "tmpfs", target, options)
    }

    private static func mount(_ type: String, _ source: String, _ target: String, _ options: [String]) -> JSONText {
        [
            "destination": .string(target), "type": .string(type), "source": .string(source),
            "options": .strings(options),
        ]
    }

    var json: JSONText {
        [
            "ociVersion": "1.0.2",
            "process": process,
            "root": ["path": .string(root), "readonly": .bool(spec.isRootReadOnly)],
            "hostname": .string(spec.hostname),
            "mounts": .array(systemMounts + mounts),
            "linux": linux,
        ]
    }

    private var capabilities: [String] {
        let bits = spec.isInsecure ? Capabilities.held() : Capabilities.standard
        // Without a filter of devices, who may make one may open any disk.
        return Capabilities.names(of: lacksGroups && !spec.isInsecure ? bits & ~Capabilities.bits(["MKNOD"]) : bits)
    }

    private var process: JSONText {
        let names = JSONText.strings(capabilities)
        let ambient = spec.isInsecure ? names : []
        var user: [(String, JSONText)] = [("uid", .number(spec.user.uid)), ("gid", .number(spec.user.gid))]
        if !spec.user.groups.isEmpty { user.append(("additionalGids", .array(spec.user.groups.map { .number($0) }))) }
        let values = limits.map { limit -> JSONText in
            let type = "RLIMIT_" + limit.name.uppercased()
            return ["type": .string(type), "soft": .number(limit.soft), "hard": .number(limit.hard)]
        }
        let directory = spec.workingDirectory.hasPrefix("/") ? spec.workingDirectory : "/" + spec.workingDirectory
        return [
            "terminal": .bool(spec.hasTerminal),
            "user": .object(user),
            "args": .strings(spec.arguments),
            "env": .strings(spec.environment),
            "cwd": .string(directory),
            "capabilities": [
                "bounding": names, "permitted": names, "effective": names, "inheritable": ambient, "ambient": ambient,
            ],
            "rlimits": .array(values),
            "noNewPrivileges": false,
        ]
    }

    private var systemMounts: [JSONText] {
        let quiet = ["nosuid", "noexec", "nodev"]
        let locked = quiet + (spec.isInsecure ? [] : ["ro"])
        let bindsSystem = UserNamespace.isInside && spec.network == .host
        let terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
        return [
            Self.mount("proc", "proc", "/proc", quiet),
            Self.mount("tmpfs", "tmpfs", "/dev", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Self.mount("devpts", "devpts", "/dev/pts", terminals + (UserNamespace.isMapped(gid: 5) ? ["gid=5"] : [])),
            Self.mount("tmpfs", "shm", "/dev/shm", quiet + ["mode=1777", "size=\(spec.sharedMemorySize)"]),
            Self.mount("mqueue", "mqueue", "/dev/mqueue", quiet),
            bindsSystem
                ? Self.mount("none", "/sys", "/sys", ["rbind"] + locked) : Self.mount("sysfs", "sysfs", "/sys", locked),
        ]
    }

    private var linux: JSONText {
        var namespaces = ["pid", "ipc", "uts", "mount"]
        if spec.network == .none { namespaces.append("network") }
        if ControlGroup.isUnified { namespaces.append("cgroup") }
        var members: [(String, JSONText)] = [
            ("namespaces", .array(namespaces.map { ["type": .string($0)] })),
            ("maskedPaths", .strings(spec.isInsecure ? [] : RootPlan.masked)),
            ("readonlyPaths", .strings(spec.isInsecure ? [] : RootPlan.readOnly)),
            ("resources", resources),
        ]
        if !UserNamespace.isInside { members.append(("cgroupsPath", .string("/coracle/" + name))) }
        let devices = spec.devices.compactMap(device)
        if !devices.isEmpty { members.append(("devices", .array(devices))) }
        if !spec.isInsecure { members.append(("seccomp", filter)) }
        return .object(members)
    }

    private func device(_ path: String) -> JSONText? {
        let name = path.hasPrefix("/dev/") ? path : "/dev/" + path
        var status = stat()
        guard stat(name, &status) == 0 else { return nil }
        let isBlock = status.st_mode & S_IFMT == S_IFBLK
        let (major, minor) = (status.st_rdev >> 8 & 0xFFF, status.st_rdev & 0xFF | status.st_rdev >> 12 & 0xFFF00)
        return [
            "path": .string(name), "type": isBlock ? "b" : "c", "major": .number(major), "minor": .number(minor),
            "fileMode": .number(status.st_mode & 0o777),
        ]
    }

    private var resources: JSONText {
        if lacksGroups { return .object([]) }
        let limits = spec.resources
        var members: [(String, JSONText)] = []
        if !spec.isInsecure { members.append(("devices", [["allow": false, "access": "rwm"]])) }
        var memory: [(String, JSONText)] = []
        if let value = limits.memory { memory.append(("limit", .number(value))) }
        if let value = limits.memoryAndSwap { memory.append(("swap", .number(value))) }
        if !memory.isEmpty { members.append(("memory", .object(memory))) }
        var cpu: [(String, JSONText)] = []
        if let value = limits.cpuShares { cpu.append(("shares", .number(value))) }
        if let value = limits.cpuQuota { cpu.append(("quota", .number(value))) }
        if let value = limits.cpuPeriod { cpu.append(("period", .number(value))) }
        if let value = limits.cpus { cpu.append(("cpus", .string(value))) }
        if let value = limits.memoryNodes { cpu.append(("mems", .string(value))) }
        if !cpu.isEmpty { members.append(("cpu", .object(cpu))) }
        if let value = limits.processes, !UserNamespace.isInside { members.append(("pids", ["limit": .number(value)])) }
        return .object(members)
    }

    private var filter: JSONText {
        let rules = SystemCallProfile.standard.rules.map { rule -> JSONText in
            var members: [(String, JSONText)] = [("names", .strings(rule.names))]
            members.append(("action", rule.error == nil ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO"))
            if let error = rule.error { members.append(("errnoRet", .number(error))) }
            if !rule.arguments.isEmpty {
                let arguments = rule.arguments.map { argument -> JSONText in
                    [
                        "index": .number(argument.index), "value": .number(argument.value),
                        "valueTwo": .number(argument.second), "op": .string(argument.name),
                    ]
                }
                members.append(("args", .array(arguments)))
            }
            return .object(members)
        }
        return [
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": .strings(SystemCallProfile.standard.architectures), "syscalls": .array(rules),
        ]
    }
}
