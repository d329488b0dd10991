// SPDX-License-Identifier: Apache-2.0
public import Foundation
public import Glibc

/// A program that runs beside a test, and that is killed with all it started where it does not end.
///
/// Foundation's `Process` hears of every end on one thread, by a socket that whatever the child starts holds as well; a
/// run of all tests was seen to wait for ever. This one waits for the process itself, on a thread of its own.
public final class Child: Sendable {
    /// How a program ended.
    public enum Ending: Equatable, Sendable {
        /// By itself, with a status.
        case exited(Int32)
        /// By a signal.
        case killed(Int32)
    }

    /// Where one of the three standard files leads.
    public enum Stream: Sendable {
        /// To `/dev/null`.
        case nothing
        /// To a file, which is emptied first where it is written to.
        case file(URL)
        /// To what this process has open.
        case descriptor(Int32)
    }

    /// Its number, which is that of its process group, too.
    public let processIdentifier: pid_t
    private let words: [String]
    private let state: State

    /// Starts a program that has the variables of the test, and none of its open files.
    ///
    /// - Parameters:
    ///   - arguments: Its arguments, in order.
    ///   - program: Its file.
    ///   - folder: Where it runs; the project's root by default.
    ///   - environment: Variables to set, besides those of the test.
    ///   - input: Its standard input.
    ///   - output: Its standard output.
    ///   - errors: Its standard error, which may be the same file as its output.
    /// - Throws: ``ServerFault`` where it cannot be started.
    public init(
        _ arguments: [String],
        of program: URL = Program.coracle,
        in folder: URL = ConformanceData.projectRoot,
        environment: [String: String] = [:],
        input: Stream = .nothing,
        output: Stream = .nothing,
        errors: Stream = .nothing
    ) throws {
        words = [program.path] + arguments
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Glibc has had both for longer than Swift has shown them.
        typealias ChangeFolder = @convention(c) (UnsafeMutableRawPointer, UnsafePointer<CChar>) -> Int32
        typealias CloseFrom = @convention(c) (UnsafeMutableRawPointer, Int32) -> Int32
        let change = unsafeBitCast(dlsym(nil, "posix_spawn_file_actions_addchdir_np"), to: ChangeFolder.self)
        let closeFrom = unsafeBitCast(dlsym(nil, "posix_spawn_file_actions_addclosefrom_np"), to: CloseFrom.self)
        Self.add(input, at: 0, O_RDONLY, &actions)
        Self.add(output, at: 1, O_WRONLY | O_CREAT | O_TRUNC, &actions)
        if case .file(let one) = output, case .file(one) = errors {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            Self.add(errors, at: 2, O_WRONLY | O_CREAT | O_TRUNC, &actions)
        }
        _ = closeFrom(&actions, 3)
        _ = folder.path.withCString { change(&actions, $0) }

        // What a terminal would start: no signal is blocked, as on threads of queues, or ignored, as servers want it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, defaults) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigemptyset(&defaults)
        for signal in [SIGHUP, SIGINT, SIGPIPE] { sigaddset(&defaults, signal) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))

        // Whoever started the tests may ignore the ends of children, and the kernel would not tell us how one ended.
        signal(SIGCHLD, SIG_DFL)
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        var process: pid_t = 0
        let fault = Self.withStrings(words) { arguments in
            Self.withStrings(variables.map { "\($0.key)=\($0.value)" }) { variables in
                posix_spawn(&process, program.path, &actions, &attributes, arguments, variables)
            }
        }
        guard fault == 0 else { throw ServerFault(message: "starting \(words): \(String(cString: strerror(fault)))") }
        processIdentifier = process
        let state = State()
        self.state = state
        Thread.detachNewThread { [processIdentifier] in state.wait(for: processIdentifier) }
    }

    /// Whether it has not ended yet.
    public var isRunning: Bool { state.ending(before: .distantPast) == nil }

    /// Waits for its end, and keeps its thread meanwhile.
    ///
    /// - Parameter seconds: How long; it is killed then with all of its process group.
    /// - Returns: How it ended.
    /// - Throws: ``ServerFault`` where it did not end in time, with the processes that it was.
    @discardableResult
    public func wait(upTo seconds: Double = 600) throws -> Ending {
        if let ending = state.ending(before: Date(timeIntervalSinceNow: seconds)) { return ending }
        let group = ProcessGroup(processIdentifier).description
        state.whileItIs { kill(-processIdentifier, SIGKILL) }
        throw ServerFault(message: "\(words) did not end in \(seconds) s, and was killed:\n\(group)")
    }

    /// Sends it a signal, unless it has ended.
    ///
    /// - Parameter signal: The signal's number.
    public func send(_ signal: Int32) { state.whileItIs { kill(processIdentifier, signal) } }

    private static func add(
        _ stream: Stream,
        at place: Int32,
        _ flags: Int32,
        _ actions: inout posix_spawn_file_actions_t
    ) {
        switch stream {
        case .nothing: posix_spawn_file_actions_addopen(&actions, place, "/dev/null", O_RDWR, 0)
        case .file(let file): posix_spawn_file_actions_addopen(&actions, place, file.path, flags, 0o644)
        case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, place)
        }
    }

    private static func withStrings<Result>(
        _ texts: [String],
        _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}

/// How a program ended, once it has.
private final class State: @unchecked Sendable {
    // SAFETY: the condition guards the ending.
    private let condition = NSCondition()
    private var ending: Child.Ending?

    func wait(for process: pid_t) {
        // Its number stays its own until it is asked how it ended, which nobody does who sends it a signal.
        var information = siginfo_t()
        while waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        condition.lock()
        defer { condition.unlock() }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        ending = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .killed(status & 0x7F)
        condition.broadcast()
    }

    func ending(before date: Date) -> Child.Ending? {
        condition.lock()
        defer { condition.unlock() }
        while ending == nil, condition.wait(until: date) {}
        return ending
    }

    func whileItIs(_ body: () -> Void) {
        condition.lock()
        defer { condition.unlock() }
        if ending == nil { body() }
    }
}

/// The processes of a group, for a test that waited for one of them in vain.
private struct ProcessGroup: CustomStringConvertible {
    private let group: pid_t

    init(_ group: pid_t) { self.group = group }

    /// A line for each thread: its process, its state, what it waits for in the kernel, and the command.
    var description: String {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { getpgid($0) == group }.sorted().map(threads).joined()
    }

    private func threads(_ process: pid_t) -> String {
        let place = "/proc/\(process)"
        let command = text("\(place)/cmdline").replacing("\0", with: " ")
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: place + "/task")) ?? []
        return
            tasks.map { task in
                let facts = text("\(place)/task/\(task)/status").split(separator: "\n").first { $0.hasPrefix("State:") }
                return "\(process) \(facts ?? "") in \(text("\(place)/task/\(task)/wchan")) \(command)\n"
            }
            .joined()
    }

    private func text(_ file: String) -> String {
        String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
    }
}
