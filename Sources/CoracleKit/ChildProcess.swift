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
        let result = spawn(&child, arguments, &actions, environment)
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

    /// Starts a program with no signal blocked, as our own threads have most of them; gives the system's error number.
    fileprivate static func spawn(
        _ child: inout pid_t,
        _ arguments: [String],
        _ actions: inout posix_spawn_file_actions_t,
        _ environment: [String: String]
    ) -> Int32 {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        return strings(arguments) { argv in
            strings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                posix_spawnp(&child, arguments[0], &actions, &attributes, argv, envp)
            }
        }
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

/// A program that runs until it is told to end, or we end: its standard input is closed then.
final class HeldProcess {
    private let process: pid_t
    private var input: Int32

    /// Starts a program, and waits until it says something on its standard output.
    init(_ arguments: [String], scratch: String, environment: [String: String]) throws {
        var (inputs, outputs): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        guard pipe(&inputs) == 0, pipe(&outputs) == 0 else {
            throw StoreError("making a pipe for \(arguments[0])", errno: errno)
        }
        for descriptor in inputs + outputs { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        defer { for descriptor in [inputs[0], outputs[0], outputs[1]] where descriptor >= 0 { close(descriptor) } }
        input = inputs[1]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let errors = scratch + "/stderr"
        posix_spawn_file_actions_adddup2(&actions, inputs[0], 0)
        posix_spawn_file_actions_adddup2(&actions, outputs[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var child: pid_t = 0
        let result = ChildProcess.spawn(&child, arguments, &actions, environment)
        process = child
        guard result == 0 else {
            close(input)
            let hint = result == ENOENT ? "install it: apt-get install openssh-client" : nil
            throw ExitReason(.step, "running \(arguments[0]): \(String(cString: strerror(result)))", hint: hint)
        }
        close(outputs[1])
        outputs[1] = -1
        var byte: UInt8 = 0
        var count = read(outputs[0], &byte, 1)
        while count < 0, errno == EINTR { count = read(outputs[0], &byte, 1) }
        guard count == 1 else {
            end()
            let said = String(decoding: (try? DiskFile.read(errors, limit: 64 << 10)) ?? [], as: UTF8.self)
            let reason = said.split(whereSeparator: \.isNewline).first ?? "it ended at once"
            throw ExitReason(.step, "starting \(arguments[0]): \(reason)")
        }
    }

    /// Ends it, and waits until it has ended.
    func end() {
        if input < 0 { return }
        close(input)
        input = -1
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }
}
