// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store

/// An SSH agent for a build, as `--ssh` names it: `ID[=SOCKET|KEY[,KEY…]]`.
///
/// Keys are given to an agent of our own, the `ssh-agent` program, which ends with the build, however that ends.
final class AgentOption {
    /// What `RUN --mount=type=ssh` calls it.
    let id: String
    /// The agent's socket.
    let socket: String
    private let folder: String?
    private let agent: HeldProcess?
    /// The folder, where its path is too long for a socket; -1 where it is not.
    private var descriptor: Int32 = -1

    /// Reads a flag, and starts an agent where it names keys.
    init(_ text: String, environment: [String: String], in store: ImageStore) throws {
        let equals = text.firstIndex(of: "=")
        id = String(text[..<(equals ?? text.endIndex)])
        guard !id.isEmpty else { throw ExitReason(.usage, "--ssh \"\(text)\" has no id", hint: "--ssh default") }
        let paths = equals.map { text[text.index(after: $0)...].split(separator: ",").map(String.init) } ?? []
        if paths.isEmpty {
            guard let path = environment["SSH_AUTH_SOCK"], !path.isEmpty else {
                throw ExitReason(
                    .usage,
                    "--ssh \(id): no SSH agent is running, as SSH_AUTH_SOCK is not set",
                    hint: "eval $(ssh-agent) && ssh-add, or --ssh \(id)=KEYFILE"
                )
            }
            (socket, folder, agent) = (path, nil, nil)
            try AgentOption.check(socket, id)
            return
        }
        var status = stat()
        if paths.count == 1, stat(paths[0], &status) == 0, status.st_mode & S_IFMT == S_IFSOCK {
            (socket, folder, agent) = (paths[0], nil, nil)
            return
        }
        for path in paths where access(path, R_OK) != 0 {
            throw ExitReason(.usage, "--ssh \(id): reading the key \(path): \(String(cString: strerror(errno)))")
        }
        let scratch = try store.temporaryFolder()
        chmod(scratch, 0o700)
        folder = scratch
        // A socket's address has 108 bytes, and a store may lie deeper than that.
        descriptor = scratch.utf8.count < 100 ? -1 : open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        socket = (descriptor < 0 ? scratch : "/proc/\(getpid())/fd/\(descriptor)") + "/a"
        // The agent runs beside a shell that waits for us to go.
        let wait = "trap '' HUP INT TERM; echo begun; read -r end; kill \"$SSH_AGENT_PID\""
        let command = ["ssh-agent", "-a", socket, "/bin/sh", "-c", wait]
        do {
            agent = try HeldProcess(command, scratch: scratch, environment: environment)
        } catch {
            DiskFile.remove(scratch)
            throw error
        }
        var variables = environment
        variables["SSH_AUTH_SOCK"] = socket
        // A key with a passphrase must not ask for it on a terminal.
        variables["SSH_ASKPASS"] = "/bin/false"
        variables["DISPLAY"] = nil
        let added = try ChildProcess.run(["ssh-add"] + paths, scratch: scratch, environment: variables)
        guard added.status == 0 else {
            let reason = added.errors.split(whereSeparator: \.isNewline).first ?? "it was refused"
            throw ExitReason(.usage, "--ssh \(id): adding the key to an agent: \(reason)")
        }
    }

    private static func check(_ socket: String, _ id: String) throws(ExitReason) {
        var status = stat()
        guard stat(socket, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
            throw ExitReason(.usage, "--ssh \(id): \(socket) is no socket of an SSH agent")
        }
    }

    deinit {
        agent?.end()
        if descriptor >= 0 { close(descriptor) }
        if let folder { DiskFile.remove(folder) }
    }
}
