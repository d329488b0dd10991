// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Synchronization

/// A short-lived program that is told something on standard input, and answers on standard output.
///
/// Both are pipes, so that a secret is never in a file or in an argument. The program has no other open file of ours.
public enum HelperProcess {
    /// What came of a program.
    public enum Outcome: Sendable {
        /// It ended: its status, what it wrote to standard output, and to standard error as far as that was asked for.
        case ended(status: Int32, output: [UInt8], errors: [UInt8] = [])
        /// There is no such program.
        case absent
        /// It could not be run, or did not end in time: one line.
        case failed(String)
    }

    /// No answer of a helper is longer.
    private static let longest = 1 << 20
    private static let starting = Mutex(())

    /// Runs a program on a thread that may wait.
    ///
    /// - Parameters:
    ///   - arguments: The program, looked up in the environment's `PATH`, and what it is told.
    ///   - input: What it reads.
    ///   - environment: Its environment.
    ///   - seconds: How long it may take.
    ///   - keepsErrors: Whether what it writes to standard error is kept; else it goes nowhere.
    ///   - hears: Is given what is kept of standard error as it comes.
    /// - Returns: What came of it.
    public static func run(
        _ arguments: [String],
        input: [UInt8],
        environment: [String: String],
        seconds: Int = 120,
        keepsErrors: Bool = false,
        hears: @escaping @Sendable ([UInt8]) -> Void = { _ in }
    ) async -> Outcome {
        await withCheckedContinuation { continuation in
            DispatchQueue.global()
                .async {
                    continuation.resume(
                        returning: blocking(arguments, input, environment, seconds, keepsErrors, hears)
                    )
                }
        }
    }

    private static func blocking(
        _ arguments: [String],
        _ input: [UInt8],
        _ environment: [String: String],
        _ seconds: Int,
        _ keepsErrors: Bool,
        _ hears: ([UInt8]) -> Void
    ) -> Outcome {
        guard let path = find(arguments[0], environment["PATH"]) else { return .absent }
        var (toChild, fromChild, errors): ([Int32], [Int32], [Int32]) = ([-1, -1], [-1, -1], [-1, -1])
        defer { for end in toChild + fromChild + errors where end >= 0 { close(end) } }
        var child: pid_t = 0
        // One at a time, so that no helper holds an end of another's pipe.
        let fault = starting.withLock { _ in
            guard pipe(&toChild) == 0, pipe(&fromChild) == 0, !keepsErrors || pipe(&errors) == 0 else { return errno }
            for end in toChild + fromChild + errors where end >= 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return spawn(&child, path, arguments, environment, [toChild[0], fromChild[1], errors[1]])
        }
        guard fault == 0 else { return fault == ENOENT ? .absent : .failed(reason(fault)) }
        close(toChild[0])
        close(fromChild[1])
        (toChild[0], fromChild[1]) = (-1, -1)
        if errors[1] >= 0 { close(errors[1]) }
        errors[1] = -1
        write(input, to: toChild[1])
        close(toChild[1])
        toChild[1] = -1
        let deadline = ContinuousClock.now + .seconds(seconds)
        let answer = read([fromChild[0], errors[0]].filter { $0 >= 0 }, deadline, hears)
        // It may have closed both, and go on.
        let hasEnded = answer.isWhole && hasEnded(child, before: deadline)
        if !hasEnded { kill(child, SIGKILL) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard answer.texts[0].count <= longest else { return .failed("it says more than \(longest) bytes") }
        guard answer.isWhole else { return .failed("it did not answer in \(seconds) s") }
        guard hasEnded else { return .failed("it did not end in \(seconds) s") }
        return .ended(
            status: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F,
            output: answer.texts[0],
            errors: answer.texts.count > 1 ? answer.texts[1] : []
        )
    }

    /// Whether a child ends in time; how it did is still to be asked.
    private static func hasEnded(_ child: pid_t, before deadline: ContinuousClock.Instant) -> Bool {
        var pause: UInt32 = 100
        while true {
            var information = siginfo_t()
            let found = waitid(P_PID, id_t(child), &information, WEXITED | WNOHANG | WNOWAIT)
            if found == 0, information.si_signo == SIGCHLD { return true }
            // Where nobody wants to know how children end, the kernel keeps none.
            if found < 0, errno == ECHILD { return true }
            guard ContinuousClock.now < deadline else { return false }
            usleep(pause)
            pause = min(2 * pause, 20_000)
        }
    }

    private static func spawn(
        _ child: inout pid_t,
        _ path: String,
        _ arguments: [String],
        _ environment: [String: String],
        _ files: [Int32]
    ) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (place, file) in files.enumerated() where file >= 0 {
            posix_spawn_file_actions_adddup2(&actions, file, Int32(place))
        }
        if files[2] < 0 { posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) }
        closeOthers(&actions)
        // A reader that is gone must not end us, and it must not ignore what we ignore.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // Threads of queues block most signals, and shells wait for SIGCHLD.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        return strings(arguments) { argv in
            strings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                var fault = posix_spawn(&child, path, &actions, &attributes, argv, envp)
                // A program that was just written is still open in a process that was started meanwhile, until that has
                // executed its own.
                for _ in 0..<200 where fault == ETXTBSY {
                    usleep(10_000)
                    fault = posix_spawn(&child, path, &actions, &attributes, argv, envp)
                }
                return fault
            }
        }
    }

    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// Has the child close everything but its three standard files.
    private static func closeOthers(_ actions: inout posix_spawn_file_actions_t) {
        // In glibc since 2.34, which the toolchain's module does not show; it sees what other threads open meanwhile.
        if let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") {
            _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
            return
        }
        for descriptor in openFiles() where descriptor > 2 {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
    }

    /// The descriptors of this process.
    private static func openFiles() -> [Int32] {
        guard let folder = opendir("/proc/self/fd") else { return [] }
        defer { closedir(folder) }
        var found: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let descriptor = Int32(name) { found.append(descriptor) }
        }
        return found
    }

    /// Where a program is, as a shell finds it with the environment's own `PATH`.
    private static func find(_ name: String, _ path: String?) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        for folder in (path ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
            let candidate = "\(folder)/\(name)"
            var status = stat()
            if stat(candidate, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(candidate, X_OK) == 0 {
                return candidate
            }
        }
        return nil
    }

    /// Writes what fits into the pipe, which is all there is: helpers are told little.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        // A helper that ends without reading closes the pipe; that must be an error and no signal.
        var (blocked, old) = (sigset_t(), sigset_t())
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &blocked, &old)
        defer {
            var now = timespec(tv_sec: 0, tv_nsec: 0)
            while sigtimedwait(&blocked, nil, &now) > 0 {}
            pthread_sigmask(SIG_SETMASK, &old, nil)
        }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno != EINTR { return }
            rest = rest.dropFirst(max(0, count))
        }
    }

    /// Reads the answer and what else is said, to the ends of both or until the answer is too long or too late.
    private static func read(
        _ descriptors: [Int32],
        _ deadline: ContinuousClock.Instant,
        _ hears: ([UInt8]) -> Void
    ) -> (texts: [[UInt8]], isWhole: Bool) {
        var texts = descriptors.map { _ in [UInt8]() }
        var open = Array(descriptors.indices)
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while !open.isEmpty {
            let left = Int32(clamping: Int((deadline - ContinuousClock.now) / .milliseconds(1)))
            var events = open.map { pollfd(fd: descriptors[$0], events: Int16(POLLIN), revents: 0) }
            let ready = left > 0 ? poll(&events, nfds_t(events.count), left) : 0
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { return (texts, false) }
            for (index, event) in zip(open, events) where event.revents != 0 {
                let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptors[index], $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                if count > 0, index == 1 { hears(Array(buffer[..<count])) }
                // What it complains of is read on, for it would wait for that.
                let room = index == 0 ? count : min(count, longest - texts[1].count)
                if room > 0 { texts[index] += buffer[..<room] }
                if texts[0].count > longest { return (texts, false) }
                if count <= 0 { open.removeAll { $0 == index } }
            }
        }
        return (texts, true)
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)).lowercased() }

    private static func strings<Result>(
        _ texts: [String],
        _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}
