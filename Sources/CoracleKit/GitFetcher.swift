// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import Glibc
internal import Rootfs
internal import Store
internal import Synchronization

/// Fetches repositories with the `git` program, each commit into a folder of its own.
///
/// Protects the folder it works in, and what names were found to mean.
final class GitFetcher: GitFetching {
    private let store: ImageStore
    /// Made when the first repository is asked for.
    private let made = Mutex<Place?>(nil)
    /// What was asked once stays as it is for the build, so that keys and files are of one commit.
    private let found = Mutex<[Name: Found]>([:])
    private let environment: [String: String]
    private let secrets: GitLogin.Secrets

    /// Where the fetcher works.
    private struct Place {
        let folder: String
        let environment: [String: String]
        /// What `git` speaks with; for messages.
        var source: GitSource?
    }

    private struct Name: Hashable {
        let remote, ref: String
    }

    /// What a name means: a full name, `nil` for a commit, and the commit.
    struct Found {
        let ref: String?
        let commit: String
    }

    /// `secrets` gives those of the build, which may be about repositories.
    init(_ store: ImageStore, environment: [String: String], secrets: @escaping GitLogin.Secrets = { _ in nil }) {
        (self.store, self.environment, self.secrets) = (store, environment, secrets)
    }

    deinit {
        if let place = made.withLock({ $0 }) { DiskFile.remove(place.folder) }
    }

    private func place() throws -> Place {
        try made.withLock { made in
            if let made { return made }
            let folder = try GitFetcher.absolute(store.temporaryFolder())
            // Settings and remotes may have passwords in them.
            chmod(folder, 0o700)
            let personal = GitEnvironment.make(environment, folder: folder, settings: nil)
            let reader = Place(folder: folder, environment: personal)
            let settings = GitEnvironment.accessSettings(try GitFetcher.git(["config", "--list", "-z"], reader))
            let file = folder + "/settings"
            try DiskFile.write(Array(settings.utf8), to: file, isSynced: false)
            let place = Place(
                folder: folder,
                environment: GitEnvironment.make(environment, folder: folder, settings: file)
            )
            made = place
            return place
        }
    }

    /// The same, where `git` speaks with a source.
    private func place(_ source: GitSource) throws -> Place {
        let place = try place()
        let environment = try GitLogin(source, secrets).adding(to: place.environment)
        return Place(folder: place.folder, environment: environment, source: source)
    }

    private static func absolute(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    func commit(of source: GitSource) throws -> String { try GitFetcher.asStep { try find(source).commit } }

    /// What a source means, asked for once in a build.
    func find(_ source: GitSource) throws -> Found {
        let name = Name(remote: source.remote, ref: source.ref)
        return try found.withLock { found in
            if let known = found[name] { return known }
            let new = try ask(source)
            found[name] = new
            return new
        }
    }

    private func ask(_ source: GitSource) throws -> Found {
        let isCommit = [40, 64].contains(source.ref.utf8.count) && source.ref.allSatisfy(\.isHexDigit)
        if isCommit { return Found(ref: nil, commit: source.ref.lowercased()) }
        let ref = source.ref.isEmpty ? "HEAD" : source.ref
        let output = try GitFetcher.git(["ls-remote", "--", source.remote, ref, ref + "^{}"], place(source))
        var commits: [String: String] = [:]
        for line in output.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "\t", maxSplits: 1)
            if parts.count == 2 { commits[String(parts[1])] = String(parts[0]) }
        }
        // `git ls-remote` lists all names that end so, "feature/main" for "main".
        for name in GitFetcher.names(ref) {
            // An annotated tag is an object of its own; with ^{} its commit is listed.
            if let commit = commits[name + "^{}"] ?? commits[name] { return Found(ref: name, commit: commit) }
        }
        let remote = GitFetcher.masked(source.remote)
        throw ExitReason(.step, "\(remote) has no branch, tag or commit \"\(ref)\"")
    }

    /// The full names that a name may mean, in BuildKit's order: as it is, a branch, a tag.
    static func names(_ ref: String) -> [String] {
        let full = ref.hasPrefix("refs/") ? ref : "refs/" + ref
        return (ref == "HEAD" ? ["HEAD"] : []) + [full, "refs/heads/" + ref, "refs/tags/" + ref]
    }

    func fetch(_ source: GitSource, commit: String, keepsGitDirectory: Bool) throws -> DiskTree {
        try GitFetcher.asStep {
            DiskTree(try folder(source, commit: commit, keepsGitDirectory: keepsGitDirectory))
        }
    }

    /// The builder knows no reasons to exit, and would print one as a debugger does.
    private static func asStep<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let reason as ExitReason {
            throw BuildError(reason)
        }
    }

    /// A folder with the files of a commit.
    func folder(_ source: GitSource, commit: String, keepsGitDirectory: Bool) throws -> String {
        let place = try place(source)
        let folder = "\(place.folder)/\(UInt64.random(in: 0...UInt64.max))"
        try DiskFile.makeFolder(folder)
        let git = { (arguments: [String]) in _ = try GitFetcher.git(arguments, place, in: folder) }
        try git(["init", "--quiet"])
        try git(["remote", "add", "origin", source.remote])
        do {
            try git(["fetch", "--quiet", "--depth", "1", "origin", commit])
        } catch {
            // Some servers give out branches and tags only.
            try git(["fetch", "--quiet", "--tags", "origin"] + (find(source).ref.map { [$0] } ?? []))
        }
        try git(["checkout", "--quiet", "--detach", commit])
        if !source.skipsSubmodules {
            // A repository must not name folders of this machine as its submodules.
            var strict = place.environment
            if environment["GIT_ALLOW_PROTOCOL"] == nil { strict["GIT_ALLOW_PROTOCOL"] = "git:http:https:ssh" }
            let update = ["submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1"]
            _ = try GitFetcher.git(update, Place(folder: place.folder, environment: strict, source: source), in: folder)
        }
        if keepsGitDirectory {
            try GitFetcher.settle(folder + "/.git", place)
        } else {
            DiskFile.remove(folder + "/.git")
        }
        return try GitFetcher.inner(folder, source, commit)
    }

    /// Leaves in a repository what its commit makes, and nothing of when, where and by whom it was fetched.
    private static func settle(_ directory: String, _ place: Place) throws {
        for name in ["logs", "FETCH_HEAD", "ORIG_HEAD", "index"] { DiskFile.remove("\(directory)/\(name)") }
        var environment = place.environment
        environment["GIT_DIR"] = directory
        let here = Place(folder: place.folder, environment: environment)
        // An index that was read from a tree knows neither times nor inodes.
        _ = try git(["read-tree", "HEAD"], here)
        // Packs that servers send are not always the same.
        _ = try git(["repack", "-a", "-d", "-F", "-n", "-q"], here)
        for module in repositories(below: directory + "/modules") { try settle(module, place) }
    }

    /// Those of submodules, whose names may have slashes.
    private static func repositories(below folder: String) -> [String] {
        DiskFile.names(in: folder).map { "\(folder)/\($0)" }
            .flatMap { TextFile.isFolder($0 + "/objects") ? [$0] : repositories(below: $0) }
    }

    /// The folder that was asked for; a link on the way may lead out of the repository, and is none.
    private static func inner(_ folder: String, _ source: GitSource, _ commit: String) throws -> String {
        var inner = folder
        for part in source.subfolder.split(separator: "/") {
            inner += "/\(part)"
            var status = stat()
            let fault: String
            if part == ".." || lstat(inner, &status) != 0 {
                fault = "has no folder \"\(source.subfolder)\""
            } else if status.st_mode & S_IFMT == S_IFDIR {
                continue
            } else {
                let name = inner.dropFirst(folder.count + 1)
                let kind = status.st_mode & S_IFMT == S_IFLNK ? "a link" : "a file"
                fault = "has no folder \"\(source.subfolder)\": \"\(name)\" is \(kind)"
            }
            throw ExitReason(.step, "\(masked(source.remote)) \(fault), at \(commit.prefix(12))")
        }
        return inner
    }

    private static func git(_ arguments: [String], _ place: Place, in folder: String? = nil) throws -> String {
        let result = try ChildProcess.run(
            ["git", "-C", folder ?? place.folder] + GitEnvironment.neutral.flatMap { ["-c", $0] } + arguments,
            scratch: place.folder,
            environment: place.environment
        )
        guard result.status == 0 else {
            let fault = GitFault(result.errors)
            var reason = fault.reason
            for folder in [folder, place.folder] {
                if let folder { reason = reason.replacing(folder + "/", with: "").replacing(folder, with: ".") }
            }
            // A server's words may come with control characters, which errors of builds leave out.
            let message = BuildError("git \(arguments[0]) ended with \(result.status): \(masked(reason))").message
            throw ExitReason(fault.code, message, hint: fault.hint(place.source))
        }
        return result.output
    }

    /// A message without the password of a URL.
    static func masked(_ text: String) -> String {
        RemoteLogin.masked(text)
    }
}
