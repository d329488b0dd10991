// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// The user namespace that this process is in.
public enum UserNamespace {
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
    static var isInside: Bool {
        ranges("/proc/self/uid_map") != [Range(inside: 0, outside: 0, count: .max)]
    }

    /// Whether a group has a meaning here.
    static func isMapped(gid: UInt32) -> Bool {
        ranges("/proc/self/gid_map").contains { $0.inside <= gid && gid - $0.inside < $0.count }
    }

    /// Whether the list of groups may be set here.
    static var canSetGroups: Bool { (try? TextFile.read("/proc/self/setgroups").hasPrefix("deny")) != true }

    static let mappingHint = """
        only some users can be had in a user namespace: install uidmap, and give this user ranges in /etc/subuid and \
        /etc/subgid (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER)
        """
}
