// SPDX-License-Identifier: Apache-2.0

/// The user and the password that somebody wrote into an address: `https://user:password@host/…`.
///
/// They are for the host of that address only, and are shown to nobody.
///
/// Specification: RFC 3986, section 3.2.1.
public struct RemoteLogin: Hashable, Sendable, CustomStringConvertible {
    /// The user; may be empty.
    public let user: String
    /// The password; `nil` where there is only a user.
    public let password: String?

    /// Says nothing of what it holds.
    public var description: String { "***" }

    /// Takes user and password out of an address.
    ///
    /// - Parameter address: A URL, or any other text, which stays as it is.
    /// - Returns: The address without a password, and for `http` and `https` without a user; of these also what was
    ///   taken out, `nil` where there was nothing. Of other schemes the user stays, as `ssh` needs to be told.
    public static func split(_ address: String) -> (address: String, login: RemoteLogin?) {
        guard let scheme = address.firstRange(of: "://") else { return (address, nil) }
        let authority = address[scheme.upperBound...].prefix { !"/?#".contains($0) }
        guard let at = authority.lastIndex(of: "@") else { return (address, nil) }
        let parts = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let rest = address[authority.index(after: at)...]
        let start = address[..<scheme.upperBound]
        guard ["http://", "https://"].contains(start.lowercased()) else {
            return (start + parts[0] + "@" + rest, nil)
        }
        let texts = parts.map { PercentEncoding.decoded($0) ?? String($0) }
        let login = RemoteLogin(user: texts[0], password: texts.count > 1 ? texts[1] : nil)
        return (String(start + rest), authority.startIndex == at ? nil : login)
    }

    /// Text as it may be shown: `***` in the place of what addresses in it have before their host.
    ///
    /// - Parameter text: Any text.
    /// - Returns: The text; a user without a password stays where the scheme is neither `http` nor `https`.
    public static func masked(_ text: String) -> String {
        var (result, rest) = ("", text[...])
        for range in secrets(in: text) {
            result += rest[..<range.lowerBound] + "***"
            rest = rest[range.upperBound...]
        }
        return result + rest
    }

    /// The same, with as many `*` as there were characters, for text that something is written below.
    ///
    /// - Parameter text: Any text.
    /// - Returns: The text, as long as before.
    public static func covered(_ text: String) -> String {
        var (result, rest) = ("", text[...])
        for range in secrets(in: text) {
            let count = text.unicodeScalars[range].count
            result += rest[..<range.lowerBound] + String(repeating: "*", count: count)
            rest = rest[range.upperBound...]
        }
        return result + rest
    }

    private static func secrets(in text: String) -> [Range<String.Index>] {
        var (found, rest) = ([Range<String.Index>](), text[...])
        while let scheme = rest.firstRange(of: "://") {
            let isOpen = ["ssh", "git"].contains { rest[..<scheme.lowerBound].lowercased().hasSuffix($0) }
            rest = rest[scheme.upperBound...]
            let authority = rest.prefix { !"/?#\"' \t".contains($0) && !$0.isNewline }
            guard let at = authority.lastIndex(of: "@"), at != authority.startIndex else { continue }
            if isOpen, !authority[..<at].contains(":") { continue }
            found.append(authority.startIndex..<at)
            rest = rest[at...]
        }
        return found
    }
}
