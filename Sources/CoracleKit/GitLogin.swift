// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import OCI

/// What `git` shows a server over HTTP: in variables, as everybody may read the arguments of a program.
///
/// What a URL says comes first; then the secrets of a build, in BuildKit's order: `GIT_AUTH_HEADER.HOST`,
/// `GIT_AUTH_TOKEN.HOST`, `GIT_AUTH_HEADER`, `GIT_AUTH_TOKEN`.
///
/// Specification: docker build reference, "Git authentication"; gitcredentials(7), "Custom helpers".
struct GitLogin {
    /// Gives a secret of the build; `nil` where there is none of that name.
    typealias Secrets = @Sendable (_ id: String) throws -> [UInt8]?

    private var settings: [(name: String, value: String)] = []
    private var variables: [String: String] = [:]

    init(_ source: GitSource, _ secrets: Secrets) throws {
        let parts = source.remote.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count > 2, ["http:", "https:"].contains(parts[0].lowercased()), parts[1].isEmpty else { return }
        let host = String(parts[2])
        let origin = "\(parts[0].lowercased())//\(host)"
        if let login = source.login, let password = login.password {
            show(login.user, password, to: origin)
            return
        }
        for suffix in ["." + host, ""] {
            if let header = try GitLogin.text("GIT_AUTH_HEADER" + suffix, secrets) {
                add(header: header, to: source.remote)
                return
            }
            if let token = try GitLogin.text("GIT_AUTH_TOKEN" + suffix, secrets) {
                show("x-access-token", token, to: origin)
                return
            }
        }
        // A user alone is whom the user's own helpers are asked for; some servers take a token as the user.
        guard let user = source.login?.user else { return }
        settings.append(("credential.\(origin).username", user))
        help(user, "", at: origin)
    }

    /// The variables that `git` is run with.
    func adding(to environment: [String: String]) -> [String: String] {
        guard !settings.isEmpty else { return environment }
        var result = environment.merging(variables) { $1 }
        result["GIT_CONFIG_COUNT"] = String(settings.count)
        for (index, setting) in settings.enumerated() {
            result["GIT_CONFIG_KEY_\(index)"] = setting.name
            result["GIT_CONFIG_VALUE_\(index)"] = setting.value
        }
        return result
    }

    /// Answers where that server asks, and no other that it redirects to; no helper of the user's is asked.
    private mutating func show(_ user: String, _ password: String, to origin: String) {
        settings.append(("credential.\(origin).helper", ""))
        help(user, password, at: origin)
    }

    private mutating func help(_ user: String, _ password: String, at origin: String) {
        let answer = #"printf 'username=%s\npassword=%s\n' "$CORACLE_GIT_USER" "$CORACLE_GIT_PASSWORD""#
        settings.append(("credential.\(origin).helper", #"!f() { test "$1" = get && \#(answer); }; f"#))
        (variables["CORACLE_GIT_USER"], variables["CORACLE_GIT_PASSWORD"]) = (user, password)
    }

    /// A header goes wherever the server leads, so that it must not lead elsewhere.
    private mutating func add(header: String, to remote: String) {
        // A token for one repository is good for the others there, as submodules are.
        let scope = ["https://github.com/", "https://www.github.com/"].first { remote.hasPrefix($0) } ?? remote
        settings.append(("http.\(scope).extraHeader", "Authorization: \(header)"))
        settings.append(("http.\(scope).followRedirects", "false"))
    }

    private static func text(_ id: String, _ secrets: Secrets) throws -> String? {
        guard let bytes = try secrets(id) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        // Files end with a line feed.
        let line = String(text.reversed().drop { $0.isWhitespace }.reversed())
        guard !line.isEmpty, !line.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw ExitReason(.usage, "the secret \"\(id)\" is empty, or has more than one line")
        }
        return line
    }
}
