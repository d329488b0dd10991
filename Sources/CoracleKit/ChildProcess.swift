// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store

/// A program that is run to its end.
enum ChildProcess {
    /// Runs a program.
    ///
    /// Its output goes to files in a folder, so that no pipe can fill up.
    static func run(
        _ arguments: [String],
        scratch: String,
        environment: [String: String]
    ) throws -> (status: Int32, output: String, errors: String) {
        let (out, err) = (scratch + "/stdout", scratch + "/stderr")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var child: pid_t = 0
        let result = strings(arguments) { argv in
            strings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                posix_spawnp(&child, arguments[0], &actions, nil, argv, envp)
            }
        }
        guard result == 0 else {
            let hint = result == ENOENT ? "install it: apt-get install \(arguments[0])" : nil
            throw ExitReason(.step, "running \(arguments[0]): \(String(cString: strerror(result)))", hint: hint)
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        let text = { (path: String) in String(decoding: try DiskFile.read(path, limit: 16 << 20) ?? [], as: UTF8.self) }
        let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
        return (code, try text(out), try text(err))
    }

    private static func strings<Result>(
        _ texts: [String],
        _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
