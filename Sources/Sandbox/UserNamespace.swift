// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// The user namespace that this process is in, or enters.
///
/// An ordinary user is root in a user namespace of their own: there overlays can be mounted and files be given to
/// other users, all of which stand for users that `/etc/subuid` and `/etc/subgid` set aside for the caller.
public enum UserNamespace {
    /// What came of entering.
    public enum Outcome: Sendable, Equatable {
        /// Nothing was done: this process may do what is needed as it is.
        case notNeeded
        /// This process is root in its own namespace, with a range of users and groups.
        case mapped
        /// This process is root in its own namespace, where there is no user or group but root.
        case single(reason: String)
        /// There is no namespace to be had; nothing has changed.
        case refused(reason: String)
    }

    /// What came of entering, and who called.
    public struct Entry: Sendable, Equatable {
        /// What came of entering.
        public let outcome: Outcome
        /// The user that started this program, as the machine knows them.
        public let uid: UInt32
        /// Their group.
        public let gid: UInt32
        /// What does not work now, and what to do about it, in one sentence; `nil` where everything does.
        public let note: String?
    }

    /// Enters a user namespace where that is needed; call it first in `main`, while there is one thread.
    ///
    /// Root that may mount goes on as it is. Others become root in a namespace of their own, which the kernel ends with
    /// this process. Two small programs of the system (`newuidmap`, `newgidmap`) map users; without them, or without
    /// ranges for the caller, only one user and one group can be had.
    ///
    /// - Returns: What came of it. Never fails: where nothing can be had, nothing has changed.
    public static func enter() -> Entry {
        let (uid, gid) = (getuid(), getgid())
        let capabilities = Capabilities.held()
        let administers = Capabilities.bits(["SYS_ADMIN"])
        guard geteuid() != 0 || capabilities & administers == 0 else {
            return Entry(outcome: .notNeeded, uid: uid, gid: gid, note: nil)
        }
        let mapping = UserMapping(uid: uid, gid: gid, capabilities: capabilities)
        let (result, error) = mapping.enter()
        switch result {
        case CLINUX_ENTERED:
            return Entry(outcome: .mapped, uid: uid, gid: gid, note: nil)
        case CLINUX_ENTERED_SINGLE:
            let reason = mapping.reason ?? "newuidmap and newgidmap could not map users: \(SandboxError.text(error))"
            let note = "files can belong to root alone, so chown to others and USER fail: \(reason); \(mappingHint)"
            return Entry(outcome: .single(reason: reason), uid: uid, gid: gid, note: note)
        default:
            let reason = Self.reason(result, error)
            return Entry(outcome: .refused(reason: reason), uid: uid, gid: gid, note: reason + unblocking)
        }
    }

    private static func reason(_ outcome: clinux_entry, _ error: Int32) -> String {
        let text = SandboxError.text(error)
        return switch outcome {
        case CLINUX_ENTRY_UNSHARE: "the kernel makes no user namespace: \(text)"
        case CLINUX_ENTRY_MAP: "the kernel maps no user: \(text)"
        default: "root in a user namespace may not mount here: \(text)"
        }
    }

    /// The command that lets an ordinary user have namespaces, by the setting that is in the way.
    private static var unblocking: String {
        blockingSetting.map { "; to allow it: sudo sysctl -w \($0)" } ?? ""
    }

    /// The setting that keeps user namespaces from being made, with the value that allows them.
    static var blockingSetting: String? {
        let settings = [
            ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
            ("kernel.unprivileged_userns_clone", "0", "1"),
            ("user.max_user_namespaces", "0", "15000"),
        ]
        for (name, blocking, better) in settings {
            let path = "/proc/sys/" + name.split(separator: ".").joined(separator: "/")
            let value = (try? TextFile.read(path))?.split(separator: "\n").first.map(String.init)
            if value == blocking { return "\(name)=\(better)" }
        }
        return nil
    }

    /// A run of users or groups: `count` of them from `inside` on stand for those from `outside` on.
    struct Range: Equatable {
        let inside: UInt32
        let outside: UInt32
        let count: UInt32
    }

    /// What `/proc/self/uid_map` or `gid_map` says.
    static func ranges(_ file: String) -> [Range] {
        let text = (try? TextFile.read(file)) ?? ""
        return text.split(separator: "\n")
            .compactMap { line in
                let numbers = line.split(separator: " ").compactMap { UInt32($0) }
                return numbers.count == 3 ? Range(inside: numbers[0], outside: numbers[1], count: numbers[2]) : nil
            }
    }

    /// Whether this process is in a user namespace of its own, not in the machine's.
    public static var isInside: Bool {
        ranges("/proc/self/uid_map") != [Range(inside: 0, outside: 0, count: .max)]
    }

    /// Whether a group has a meaning here.
    static func isMapped(gid: UInt32) -> Bool {
        ranges("/proc/self/gid_map").contains { $0.inside <= gid && gid - $0.inside < $0.count }
    }

    /// Whether the list of groups may be set here.
    static var canSetGroups: Bool { (try? TextFile.read("/proc/self/setgroups").hasPrefix("deny")) != true }

    static let mappingHint = """
        to have more, install uidmap and set ranges aside: \
        sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER
        """
}
