// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Store

/// A volume with a clone of a git repository, made by this machine's `git` when the group starts for the first time.
///
/// Specification: `GitRepoVolume` of Azure's published OpenAPI.
struct GitVolume {
    let repository: JSONValue
    /// The volume's folder.
    let path: String

    /// Clones; a volume that is filled stays as its containers left it.
    func fill() throws {
        let address = repository.member("repository")?.string ?? ""
        guard !address.isEmpty, !address.hasPrefix("-") else {
            throw EmulatorError(message: "the gitRepo volume names no repository")
        }
        let folder = repository.member("directory")?.string ?? ""
        guard !folder.split(separator: "/").contains(".."), !folder.hasPrefix("/"), !folder.hasPrefix("-") else {
            throw EmulatorError(message: "the directory '\(folder)' of the gitRepo volume is not below the volume")
        }
        guard access(path, F_OK) != 0 else { return }
        try DiskFile.makeFolder(path)
        do {
            // Without a folder of its own the repository lies in one that has its name.
            let last = address.split(separator: "/").last.map(String.init) ?? "repository"
            let name = last.hasSuffix(".git") ? String(last.dropLast(4)) : last
            let target = folder.isEmpty ? "\(path)/\(name)" : folder == "." ? path : "\(path)/\(folder)"
            try run(["clone", "--quiet", "--", address, target])
            if let revision = repository.member("revision")?.string, !revision.isEmpty {
                guard !revision.hasPrefix("-") else { throw EmulatorError(message: "there is no revision \(revision)") }
                try run(["-C", target, "checkout", "--quiet", "--detach", revision])
            }
        } catch {
            // The next start tries anew.
            DiskFile.remove(path)
            throw error
        }
    }

    /// Runs git, with no way to ask anybody for anything.
    private func run(_ words: [String]) throws {
        let log = path + ".log"
        defer { unlink(log) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let environment = [
            "PATH=\(getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin")", "HOME=/nonexistent",
            "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "GIT_ALLOW_PROTOCOL=file:git:http:https", "LC_ALL=C",
        ]
        var arguments = (["git", "-c", "safe.directory=*"] + words).map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { for pointer in arguments + variables { free(pointer) } }
        var process = pid_t()
        let code = posix_spawnp(&process, "git", &actions, nil, &arguments, &variables)
        guard code == 0 else { throw EmulatorError(message: "running git: \(String(cString: strerror(code)))") }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 { guard errno == EINTR else { break } }
        guard status == 0 else {
            let text = (try? DiskFile.read(log, limit: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            let last = text.split(whereSeparator: \.isNewline).last.map { String($0) } ?? "it says nothing"
            throw EmulatorError(message: "git \(words[0] == "-C" ? "checkout" : words[0]): \(last)")
        }
    }
}
