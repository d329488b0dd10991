// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import DockerfileSyntax

/// Why `git` failed, in one line, and whose fault it is.
struct GitFault {
    let reason: String
    private let text: String

    /// Reads what `git` wrote to standard error.
    init(_ errors: String) {
        let lines = errors.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            .map { $0.trimmingSpaces }
        var words: [String] = []
        for (index, line) in lines.enumerated() where line.hasPrefix("fatal: ") {
            var line = line
            // What cannot be read is said by ssh, or by the server, before git says it.
            if line.hasPrefix("fatal: Could not read from remote repository") {
                words += lines[..<index].filter { GitFault.isReason($0) }.suffix(2)
            } else {
                words += lines[..<index].filter { $0.hasPrefix("remote: ") }.suffix(2)
            }
            // An address is followed by a line of its own.
            if line.hasSuffix(":"), index + 1 < lines.count { line += " " + lines[index + 1] }
            words.append(line)
        }
        var seen: Set<String> = []
        words = words.filter { seen.insert($0).inserted }.suffix(4)
        if words.isEmpty { words = [lines.last { !$0.isEmpty } ?? "it says nothing"] }
        (reason, text) = (words.joined(separator: "; "), errors.lowercased())
    }

    private static func isReason(_ line: String) -> Bool {
        !line.isEmpty && !["fatal: ", "warning: ", "hint: "].contains { line.hasPrefix($0) }
    }

    /// The exit code.
    var code: ExitReason.Code {
        if GitFault.refusals.contains(where: { text.contains($0) }) { return .credentials }
        return GitFault.troubles.contains { text.contains($0) } ? .registry : .step
    }

    /// What to try.
    func hint(_ source: GitSource?) -> String? {
        guard let source else { return nil }
        switch code {
        case .credentials where source.remote.lowercased().hasPrefix("http"):
            return "--secret id=GIT_AUTH_TOKEN,env=VARIABLE gives git a token"
        case .credentials: return "ssh-add KEY, or GIT_SSH_COMMAND, says who you are"
        case .registry: return "git ls-remote \(RemoteLogin.masked(source.remote)) asks the same"
        default: return nil
        }
    }

    private static let refusals = [
        "permission denied", "authentication failed", "could not read username", "could not read password",
        "host key verification failed", "access denied", "returned error: 401", "returned error: 403",
    ]

    private static let troubles = [
        "unable to connect", "failed to connect", "couldn't connect", "connection refused", "timed out",
        "could not resolve", "unable to look up", "connection reset", "connection closed", "hung up",
        "network is unreachable", "no route to host", "unable to access", "rpc failed", "repository not found",
        "/' not found", ".git' not found",
    ]
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}

extension BuildError {
    /// What a step says where something else had a reason to exit.
    init(_ reason: ExitReason, doing what: String = "", at range: SourceRange? = nil) {
        let kinds: [ExitReason.Code: Kind] = [.registry: .network, .credentials: .credentials]
        self.init(
            what + reason.message,
            at: range,
            notes: reason.hint.map { [$0] } ?? [],
            kind: kinds[reason.code] ?? .step
        )
    }
}

extension ExitReason.Code {
    /// How a build ends that a step ended.
    init(_ kind: BuildError.Kind) {
        switch kind {
        case .step: self = .step
        case .usage: self = .usage
        case .network: self = .registry
        case .credentials: self = .credentials
        }
    }
}
