// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan

/// Who owns what a step makes, as numbers.
struct Owner: Hashable {
    var uid: UInt32 = 0
    var gid: UInt32 = 0

    /// Reads `USER[:GROUP]`, names looked up in the image's own files.
    ///
    /// A number alone is the group's number too. `read` gives the content of a file of the image. A name that the
    /// files do not have is 0, as it is to BuildKit; `unknown` is told of it.
    init(_ text: String, read: (String) throws -> [UInt8]?, unknown: (String) -> Void) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if let number = UInt32(parts[0]) {
            (uid, gid) = (number, number)
        } else if !parts[0].isEmpty {
            if let entry = try Owner.entry(parts[0], in: read("/etc/passwd")), entry.count > 3 {
                (uid, gid) = (UInt32(entry[2]) ?? 0, UInt32(entry[3]) ?? 0)
            } else {
                unknown(parts[0])
            }
        }
        guard parts.count == 2, !parts[1].isEmpty else { return }
        if let number = UInt32(parts[1]) {
            gid = number
        } else if let entry = try Owner.entry(parts[1], in: read("/etc/group")), entry.count > 2 {
            gid = UInt32(entry[2]) ?? 0
        } else {
            unknown(parts[1])
        }
    }

    private static func entry(_ name: String, in file: [UInt8]?) -> [Substring]? {
        String(decoding: file ?? [], as: UTF8.self).split(whereSeparator: \.isNewline)
            .map { $0.split(separator: ":", omittingEmptySubsequences: false) }
            .first { $0.first.map(String.init) == name }
    }
}

extension FileMode {
    /// The permissions of a file after the change.
    ///
    /// Specification: POSIX `chmod`, with a umask of 0.
    func applied(to mode: UInt32, isDirectory: Bool) -> UInt32 {
        switch self {
        case .octal(let number): number
        case .symbolic(let text):
            text.split(separator: ",").reduce(mode) { FileMode.apply(String($1), to: $0, isDirectory: isDirectory) }
        }
    }

    private static func apply(_ clause: String, to mode: UInt32, isDirectory: Bool) -> UInt32 {
        let who = clause.prefix { "ugoa".contains($0) }
        let classes = who.isEmpty || who.contains("a") ? "ugo" : String(who)
        var result = mode
        var rest = clause.dropFirst(who.count)
        while let sign = rest.popFirst() {
            let permissions = rest.prefix { !"+-=".contains($0) }
            rest = rest.dropFirst(permissions.count)
            let bits = bits(String(permissions), of: result, isDirectory: isDirectory)
            let mask = mask(classes)
            switch sign {
            case "+": result |= bits & mask
            case "-": result &= ~(bits & mask)
            default:
                // A folder keeps its set-ID bits unless they are named.
                result = (result & ~(mask & 0o777)) | (bits & mask)
                if !isDirectory { result = (result & ~(mask & 0o7000)) | (bits & mask) }
            }
        }
        return result
    }

    private static func mask(_ classes: String) -> UInt32 {
        var mask: UInt32 = 0
        if classes.contains("u") { mask |= 0o4700 }
        if classes.contains("g") { mask |= 0o2070 }
        if classes.contains("o") { mask |= 0o0007 }
        return mask | 0o1000
    }

    private static func bits(_ permissions: String, of mode: UInt32, isDirectory: Bool) -> UInt32 {
        var bits: UInt32 = 0
        for letter in permissions {
            switch letter {
            case "r": bits |= 0o444
            case "w": bits |= 0o222
            case "x": bits |= 0o111
            case "X": if isDirectory || mode & 0o111 != 0 { bits |= 0o111 }
            case "s": bits |= 0o6000
            case "t": bits |= 0o1000
            case "u": bits |= (mode >> 6 & 7) * 0o111
            case "g": bits |= (mode >> 3 & 7) * 0o111
            default: bits |= (mode & 7) * 0o111
            }
        }
        return bits
    }
}
