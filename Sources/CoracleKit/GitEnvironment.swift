// SPDX-License-Identifier: Apache-2.0

/// What of a user's environment and settings `git` hears: how to reach repositories, and nothing that changes files.
enum GitEnvironment {
    /// Variables about access, which cannot lead to a repository of the user or change what is in a file.
    ///
    /// All other `GIT_` variables are left out. A hook runs with `GIT_DIR`, `GIT_INDEX_FILE` and others that would
    /// make `git` write to the repository of the hook; settings given in variables (`GIT_CONFIG_COUNT`,
    /// `GIT_CONFIG_PARAMETERS`) pass through ``accessSettings(_:)`` as those of files do.
    private static let harmless: Set<String> = [
        "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_PROXY_COMMAND", "GIT_ALLOW_PROTOCOL",
        "GIT_PROTOCOL_FROM_USER", "GIT_EXEC_PATH", "GIT_HTTP_USER_AGENT", "GIT_HTTP_PROXY_AUTHMETHOD",
        "GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME", "GIT_HTTP_MAX_REQUESTS",
    ]

    /// Settings given on each command, which versions of git before 2.32 need, as they know no `GIT_CONFIG_GLOBAL`.
    ///
    /// Files are left as they were committed, where the repository's own attributes do not say otherwise.
    static let neutral = [
        "core.autocrlf=false", "core.eol=lf", "core.attributesFile=/dev/null", "core.hooksPath=/dev/null",
        "init.templateDir=", "gc.auto=0", "maintenance.auto=false", "pack.threads=1",
    ]

    /// An environment for `git`.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - folder: Where `git` works; repositories above it are not looked for.
    ///   - settings: The only file of settings; `nil` for those of the user.
    /// - Returns: All variables that `git` is run with.
    static func make(_ environment: [String: String], folder: String, settings: String?) -> [String: String] {
        var result = environment.filter { name, _ in
            !name.hasPrefix("GIT_") || harmless.contains(name) || name.hasPrefix("GIT_SSL_")
                || settings == nil && name.hasPrefix("GIT_CONFIG")
        }
        // Nobody sits there to type a password.
        result["GIT_TERMINAL_PROMPT"] = "0"
        result["GIT_ALLOW_PROTOCOL"] = environment["GIT_ALLOW_PROTOCOL"] ?? "file:git:http:https:ssh"
        result["GIT_ATTR_NOSYSTEM"] = "1"
        if let slash = folder.lastIndex(of: "/") { result["GIT_CEILING_DIRECTORIES"] = String(folder[..<slash]) }
        if let settings {
            result["GIT_CONFIG_NOSYSTEM"] = "1"
            result["GIT_CONFIG_GLOBAL"] = settings
        } else {
            // GIT_CONFIG is the file that `git config` alone looks at.
            result["GIT_CONFIG"] = nil
        }
        return result
    }

    /// A file of settings with those of a user's that are about access: credentials, proxies, other URLs.
    ///
    /// - Parameter listing: What `git config --list -z` writes: name, line feed, value; each ended by a zero byte.
    /// - Returns: The file's text; empty where there are no such settings.
    static func accessSettings(_ listing: String) -> String {
        var text = ""
        for line in listing.split(separator: "\0") {
            let (name, value) = cut(line, at: line.firstIndex(of: "\n"))
            guard isAccess(name), let dot = name.firstIndex(of: "."), let last = name.lastIndex(of: ".") else {
                continue
            }
            let inner = dot == last ? "" : " \(quoted(name[name.index(after: dot)..<last]))"
            // Without a value, a setting is true.
            text += "[\(name[..<dot])\(inner)]\n\t\(name[name.index(after: last)...])"
            text += value.map { " = \(quoted($0))" } ?? ""
            text += "\n"
        }
        return text
    }

    private static func isAccess(_ name: Substring) -> Bool {
        ["core.sshcommand", "core.askpass", "core.gitproxy"].contains(name.lowercased())
            || ["credential.", "http.", "url.", "protocol.", "ssh.", "safe."].contains { name.hasPrefix($0) }
    }

    private static func cut(_ line: Substring, at index: Substring.Index?) -> (Substring, Substring?) {
        guard let index else { return (line, nil) }
        return (line[..<index], line[line.index(after: index)...])
    }

    private static func quoted(_ text: Substring) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        return "\"\(escaped)\""
    }
}
