// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import Rootfs
internal import Store
internal import Synchronization

/// Fetches repositories with the `git` program, each commit into a folder of its own.
final class GitFetcher: GitFetching {
    private let store: ImageStore
    /// Made when the first repository is asked for.
    private let made = Mutex<String?>(nil)
    private let environment: [String: String]

    init(_ store: ImageStore, environment: [String: String]) {
        self.store = store
        var quiet = environment
        // Nobody sits there to type a password, and a person's own settings must not change what is built.
        quiet["GIT_TERMINAL_PROMPT"] = "0"
        quiet["GIT_ALLOW_PROTOCOL"] = environment["GIT_ALLOW_PROTOCOL"] ?? "file:git:http:https:ssh"
        self.environment = quiet
    }

    deinit {
        if let folder = made.withLock({ $0 }) { DiskFile.remove(folder) }
    }

    private func scratch() throws -> String {
        try made.withLock { made in
            if let made { return made }
            let folder = try store.temporaryFolder()
            made = folder
            return folder
        }
    }

    func commit(of source: GitSource) throws -> String {
        let isCommit = [40, 64].contains(source.ref.utf8.count) && source.ref.allSatisfy(\.isHexDigit)
        if isCommit { return source.ref.lowercased() }
        let ref = source.ref.isEmpty ? "HEAD" : source.ref
        let output = try git(["ls-remote", "--", source.remote, ref, ref + "^{}"], in: scratch())
        let lines = output.split(whereSeparator: \.isNewline).map { $0.split(separator: "\t").map(String.init) }
        // An annotated tag is an object of its own; with ^{} its commit is listed.
        let found = lines.last { $0.count == 2 && $0[1].hasSuffix("^{}") } ?? lines.first { $0.count == 2 }
        guard let commit = found?.first else {
            throw ExitReason(.step, "\(source.remote) has no branch, tag or commit \"\(ref)\"")
        }
        return commit
    }

    func fetch(_ source: GitSource, commit: String, keepsGitDirectory: Bool) throws -> DiskTree {
        DiskTree(try folder(source, commit: commit, keepsGitDirectory: keepsGitDirectory))
    }

    /// A folder with the files of a commit.
    func folder(_ source: GitSource, commit: String, keepsGitDirectory: Bool) throws -> String {
        let folder = try "\(scratch())/\(UInt64.random(in: 0...UInt64.max))"
        try DiskFile.makeFolder(folder)
        _ = try git(["init", "--quiet"], in: folder)
        _ = try git(["remote", "add", "origin", source.remote], in: folder)
        do {
            _ = try git(["fetch", "--quiet", "--depth", "1", "origin", commit], in: folder)
        } catch {
            // Some servers give out branches and tags only.
            _ = try git(["fetch", "--quiet", "--tags", "origin", source.ref.isEmpty ? "HEAD" : source.ref], in: folder)
        }
        _ = try git(["checkout", "--quiet", "--detach", commit], in: folder)
        if !source.skipsSubmodules {
            _ = try git(["submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1"], in: folder)
        }
        if !keepsGitDirectory { DiskFile.remove(folder + "/.git") }
        guard !source.subfolder.isEmpty else { return folder }
        let inner = "\(folder)/\(source.subfolder)"
        guard TextFile.isFolder(inner), !source.subfolder.split(separator: "/").contains("..") else {
            throw ExitReason(.step, "\(source.remote) has no folder \"\(source.subfolder)\" at \(commit.prefix(12))")
        }
        return inner
    }

    private func git(_ arguments: [String], in folder: String) throws -> String {
        let result = try ChildProcess.run(
            ["git", "-C", folder] + arguments,
            scratch: scratch(),
            environment: environment
        )
        guard result.status == 0 else {
            let reason = result.errors.split(whereSeparator: \.isNewline).last.map(String.init) ?? "it says nothing"
            throw ExitReason(.step, "git \(arguments[0]) ended with \(result.status): \(GitFetcher.masked(reason))")
        }
        return result.output
    }

    /// A message without the password of a URL.
    static func masked(_ text: String) -> String {
        text.replacing(/:\/\/[^\/@\s]+@/, with: "://***@")
    }
}
