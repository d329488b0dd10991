// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store

/// What this process may do with owners and modes of files, found out once.
struct FileOwners: Sendable {
    /// Whether files can be given to others: an ordinary user, or root of one user alone, cannot.
    let canGive: Bool
    /// Where user and group numbers come from, as text; differs between user namespaces.
    let mapping: String
    /// Who new files belong to.
    let uid: UInt32
    let gid: UInt32
    /// Permissions that new files do not get.
    let umask: UInt32

    /// Asks the system.
    init() {
        (uid, gid) = (geteuid(), getegid())
        let maps = ["uid_map", "gid_map"].map { FileOwners.text("/proc/self/" + $0) }
        mapping = maps.map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }.joined(separator: "\n")
        // Lines of the first number inside, the first outside, and how many.
        let users = maps[0].split(separator: "\n").compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        canGive = uid == 0 && users.reduce(0, +) > 1
        let status = FileOwners.text("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("Umask:") }
        // Asking the system by a call would change it for other threads.
        umask = status.flatMap { UInt32($0.dropFirst(6).drop(while: \.isWhitespace), radix: 8) } ?? 0o777
    }

    /// Whether this is the namespace that the system began with.
    var isInitial: Bool { mapping.hasPrefix("0 0 4294967295") }

    static func text(_ path: String) -> String {
        let file = OpenFile(open(path, O_RDONLY | O_CLOEXEC))
        var bytes = [UInt8](repeating: 0, count: 16384)
        let count = file.isOpen ? read(file.descriptor, &bytes, bytes.count) : 0
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }
}
