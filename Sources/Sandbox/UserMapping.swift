// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// How users and groups are mapped into a user namespace.
struct UserMapping {
    /// `newuidmap` and `newgidmap` with their arguments; empty where there are none, or no ranges for the caller.
    private var commands: (uid: [String], gid: [String]) = ([], [])
    /// What is written to `uid_map` and `gid_map` instead, by root that may; empty for nothing.
    private var texts: (uid: String, gid: String) = ("", "")
    private let single: (uid: String, gid: String)
    /// Why there is nothing but one user, where that is known beforehand.
    private(set) var reason: String?
    /// Whether it is tried in a child before this process changes.
    private var isTriedFirst: Bool

    /// The best way for a caller.
    init(uid: UInt32, gid: UInt32, capabilities: UInt64) {
        single = ("0 \(uid) 1", "0 \(gid) 1")
        isTriedFirst = Self.isRestricted
        let identity = Capabilities.bits(["SETUID", "SETGID"])
        if uid == 0, capabilities & identity == identity {
            let same = { (file: String) in
                UserNamespace.ranges(file).map { "\($0.inside) \($0.inside) \($0.count)" }.joined(separator: "\n")
            }
            texts = (same("/proc/self/uid_map"), same("/proc/self/gid_map"))
            return
        }
        let programs = ["newuidmap", "newgidmap"]
            .map { name in
                ["/usr/bin/", "/bin/", "/usr/local/bin/", "/sbin/"].map { $0 + name }.first { access($0, X_OK) == 0 }
            }
        guard let uidProgram = programs[0], let gidProgram = programs[1] else {
            reason = "newuidmap and newgidmap are not installed"
            return
        }
        let name = Self.userName(uid)
        let users = Self.ranges(of: name, id: uid, in: "/etc/subuid")
        let groups = Self.ranges(of: name, id: uid, in: "/etc/subgid")
        guard !users.isEmpty, !groups.isEmpty else {
            reason = "\(users.isEmpty ? "/etc/subuid" : "/etc/subgid") has no range for \(name ?? "uid \(uid)")"
            return
        }
        commands = (
            uid: [uidProgram, "PROCESS"] + Self.arguments(own: uid, ranges: users),
            gid: [gidProgram, "PROCESS"] + Self.arguments(own: gid, ranges: groups)
        )
    }

    /// Where AppArmor takes the rights away from user namespaces, it does so after they were made.
    private static var isRestricted: Bool {
        (try? TextFile.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").hasPrefix("1")) == true
    }

    /// Ourselves as root, then the ranges from 1 on.
    private static func arguments(own: UInt32, ranges: [(start: UInt32, count: UInt32)]) -> [String] {
        var arguments = ["0", String(own), "1"]
        var next: UInt64 = 1
        for range in ranges where next + UInt64(range.count) <= UInt64(UInt32.max) {
            arguments += [String(next), String(range.start), String(range.count)]
            next += UInt64(range.count)
        }
        return arguments
    }

    /// The ranges that a file sets aside for a user, by name or number.
    ///
    /// Specification: `subuid(5)`.
    static func ranges(of name: String?, id: UInt32, in file: String) -> [(start: UInt32, count: UInt32)] {
        let text = (try? TextFile.read(file)) ?? ""
        return text.split(separator: "\n")
            .compactMap { line in
                let fields = line.split(separator: ":", omittingEmptySubsequences: false)
                guard fields.count == 3, fields[0] == name ?? "" || fields[0] == String(id) else { return nil }
                guard let start = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0 else { return nil }
                return (start, count)
            }
    }

    private static func userName(_ uid: UInt32) -> String? {
        getpwuid(uid).flatMap { $0.pointee.pw_name }.map { String(cString: $0) }
    }

    /// Enters, where a child has shown that it works if that is in doubt.
    func enter() -> (clinux_entry, Int32) {
        let plan = LaunchPlan()
        var mapping = clinux_mapping()
        if !commands.uid.isEmpty {
            mapping.uid_command = plan.mutableList(commands.uid)
            mapping.gid_command = plan.mutableList(commands.gid)
        }
        if !texts.uid.isEmpty {
            mapping.uid_text = plan.text(texts.uid)
            mapping.gid_text = plan.text(texts.gid)
        }
        mapping.single_uid = plan.text(single.uid)
        mapping.single_gid = plan.text(single.gid)
        defer { withExtendedLifetime(plan) {} }
        if isTriedFirst {
            let result = clinux_try_user_namespace(&mapping)
            guard result == CLINUX_ENTERED || result == CLINUX_ENTERED_SINGLE else { return (result, errno) }
        }
        let result = clinux_enter_user_namespace(&mapping)
        return (result, errno)
    }
}
