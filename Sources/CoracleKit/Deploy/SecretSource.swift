// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Azure

/// Where a secret comes from: `env:VARIABLE`, `file:PATH`.
enum SecretSource {
    /// Reads a secret; `what` says in messages what it is for.
    static func read(
        _ source: String,
        for what: String,
        _ environment: [String: String]
    ) throws(ExitReason) -> [UInt8] {
        if let name = source.suffix(after: "env:") {
            guard let value = environment[name] else {
                throw ExitReason(.usage, "\(what): the environment has no variable \(name)", hint: "export \(name)")
            }
            return Array(value.utf8)
        }
        try check(source, for: what)
        let path = source.suffix(after: "file:") ?? source
        guard let bytes = try TextFile.read(path) else { throw ExitReason(.usage, "\(what): there is no file \(path)") }
        return bytes
    }

    /// Whether a secret is named; it need not be there.
    static func check(_ source: String, for what: String) throws(ExitReason) {
        guard isSource(source) else {
            throw ExitReason(.usage, "\(what): a secret is named, not written", hint: "env:VARIABLE or file:PATH")
        }
    }

    /// A secret that is a text; a line end at the end of a file is not part of it.
    static func text(
        _ source: String,
        for what: String,
        _ environment: [String: String]
    ) throws(ExitReason) -> SecureText {
        var bytes = try read(source, for: what, environment)
        if source.hasPrefix("file:"), bytes.last == 0x0A { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ExitReason(.usage, "\(what): \(source) is no text in UTF-8")
        }
        return SecureText(text)
    }

    /// `--secure-env`: `NAME`, `NAME=env:VARIABLE`, `NAME=file:PATH` or `NAME=value`.
    static func variable(
        _ text: String,
        _ environment: [String: String]
    ) throws(ExitReason) -> (name: String, value: SecureText) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let what = "--secure-env \(parts[0])"
        guard parts.count == 2 else { return (parts[0], try self.text("env:\(parts[0])", for: what, environment)) }
        guard isSource(parts[1]) else { return (parts[0], SecureText(parts[1])) }
        return (parts[0], try self.text(parts[1], for: what, environment))
    }

    static func isSource(_ text: String) -> Bool { text.hasPrefix("env:") || text.hasPrefix("file:") }

    /// Whether `--secure-env` says where the value is, and not what it is.
    static func isReference(_ text: String) -> Bool {
        guard let equals = text.firstIndex(of: "=") else { return true }
        return isSource(String(text[text.index(after: equals)...]))
    }

    /// `--secure-env` without the value: it is asked of the environment the next time.
    static func reference(_ text: String) -> String { isReference(text) ? text : String(text.prefix { $0 != "=" }) }

    /// Whether a variable that everybody can read has a name as secrets have, or a password in the URL that it holds.
    static func looksSecret(_ variable: String) -> Bool {
        let name = variable.prefix { $0 != "=" }.uppercased()
        guard let equals = variable.firstIndex(of: "=") else { return false }
        if hasPassword(variable[variable.index(after: equals)...]) { return true }
        return ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY", "CONNECTION_STRING"]
            .contains { name.contains($0) }
    }

    /// Whether a text is a URL of the form `scheme://user:password@host`.
    private static func hasPassword(_ text: Substring) -> Bool {
        guard let scheme = text.firstRange(of: "://") else { return false }
        let authority = text[scheme.upperBound...].prefix { !"/?#".contains($0) }
        guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else {
            return false
        }
        return authority.index(after: colon) < at
    }
}
