// SPDX-License-Identifier: Apache-2.0

/// Who runs a command, as numbers.
///
/// Reads `USER[:GROUP]` as BuildKit does: names are looked up in the image's own files, a number that they do not have
/// is taken as it is, with group 0.
public struct RunUser: Hashable, Sendable {
    /// The user.
    public private(set) var uid: UInt32 = 0
    /// The group.
    public private(set) var gid: UInt32 = 0
    /// Further groups.
    public private(set) var groups: [UInt32] = []
    /// The home directory; `/` where it is not known.
    public private(set) var home = "/"

    /// Looks a user up.
    ///
    /// - Parameters:
    ///   - text: `USER[:GROUP]`; empty for root.
    ///   - read: Gives a file of the image; `nil` where there is none.
    /// - Throws: ``BuildError`` where a name is not in the image's files; what `read` throws.
    public init(_ text: String, read: (String) throws -> [UInt8]?) throws {
        let parts = (text.isEmpty ? "0" : text)
            .split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            .map(String.init)
        let users = RunUser.lines(try read("/etc/passwd"))
        let number = parts[0] == "root" ? 0 : UInt32(parts[0])
        let entry = users.first { $0[0] == parts[0] } ?? users.first { $0.count > 2 && UInt32($0[2]) == number }
        if let entry, number != nil || entry.count > 3 {
            (uid, gid) = (number ?? RunUser.number(entry, 2), RunUser.number(entry, 3))
            if entry.count > 5, !entry[5].isEmpty { home = String(entry[5]) }
        } else if let number {
            uid = number
        } else if !parts[0].isEmpty {
            throw BuildError("the user \"\(parts[0])\" is not in the image's /etc/passwd")
        }
        if parts.count == 2, !parts[1].isEmpty {
            try setGroup(parts[1], RunUser.lines(try read("/etc/group")))
        } else if let name = entry?.first {
            let members = RunUser.lines(try read("/etc/group"))
                .filter { $0.count > 3 && $0[3].split(separator: ",").contains(name) }
            groups = members.map { RunUser.number($0, 2) }
        }
    }

    private mutating func setGroup(_ name: String, _ lines: [[Substring]]) throws {
        if let number = name == "root" ? 0 : UInt32(name) {
            gid = number
        } else if let entry = lines.first(where: { String($0[0]) == name }) {
            gid = RunUser.number(entry, 2)
        } else {
            throw BuildError("the group \"\(name)\" is not in the image's /etc/group")
        }
    }

    private static func lines(_ file: [UInt8]?) -> [[Substring]] {
        String(decoding: file ?? [], as: UTF8.self).split(whereSeparator: \.isNewline)
            .map { $0.split(separator: ":", omittingEmptySubsequences: false) }
    }

    private static func number(_ fields: [Substring], _ place: Int) -> UInt32 {
        fields.count > place ? UInt32(fields[place]) ?? 0 : 0
    }
}
