// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Store
internal import Synchronization

/// Starts a process of this program that keeps a detached container, and hears from it.
///
/// It is given three open files: the container's lock, what it is to do, and a pipe to tell how the start went. What it
/// is to do is no argument of the process, as everybody may read those.
struct DetachedKeeper {
    let folder: ContainerFolder
    let store: ImageStore
    /// Its environment.
    let environment: [String: String]

    /// The open files that it is given.
    static let lock: Int32 = 3
    private static let arguments: Int32 = 4
    private static let report: Int32 = 5

    // MARK: Here

    /// Starts it, and waits until the program runs; gives what the person should know.
    func start(_ lock: FileLock, _ arguments: [String]) throws -> [String] {
        do {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw StoreError("making a pipe", errno: errno) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            defer { close(ends[0]) }
            let given = try writeArguments(arguments)
            defer { close(given) }
            do {
                defer { close(ends[1]) }
                try lock.withDescriptor { try spawn([$0, given, ends[1]]) }
            }
            return try read(ends[0])
        } catch {
            folder.remove()
            throw error
        }
    }

    /// An open file that has no name any more.
    private func writeArguments(_ arguments: [String]) throws -> Int32 {
        let path = folder.path + "/arguments"
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreError("creating \(path)", errno: errno) }
        unlink(path)
        let bytes = Array(arguments.joined(separator: "\0").utf8)
        let code = bytes.withUnsafeBytes { StandardStream.write($0, to: file) }
        guard code == 0, lseek(file, 0, SEEK_SET) == 0 else {
            close(file)
            throw StoreError("writing \(path)", errno: code)
        }
        return file
    }

    private func spawn(_ given: [Int32]) throws {
        // None of them may lie where another one goes.
        let moved = given.map { fcntl($0, F_DUPFD_CLOEXEC, 10) }
        defer { for descriptor in moved where descriptor >= 0 { close(descriptor) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_addopen(&actions, 2, folder.path + "/keeper", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        for (target, descriptor) in zip([Self.lock, Self.arguments, Self.report], moved) {
            posix_spawn_file_actions_adddup2(&actions, descriptor, target)
        }
        // Whoever waits for the end of a pipe or socket that we were given would wait for the container.
        for name in DiskFile.names(in: "/proc/self/fd") {
            if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // POSIX_SPAWN_SETSID: it outlives the terminal it was started from.
        posix_spawnattr_setflags(&attributes, 0x80)
        let id = folder.path.split(separator: "/").last.map(String.init) ?? ""
        let command: [String] = ["coracle", "run", "--kept", id]
        let words = command.map { strdup($0) }
        defer { for word in words { free(word) } }
        var process: pid_t = 0
        // The caller's: this process may have changed its own.
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for variable in variables { free(variable) } }
        let result = posix_spawn(
            &process,
            "/proc/self/exe",
            &actions,
            &attributes,
            words + [nil],
            variables + [nil]
        )
        guard result == 0 else { throw StoreError("starting a process to keep the container", errno: result) }
    }

    private func read(_ pipe: Int32) throws -> [String] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(pipe, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += buffer[..<count]
        }
        guard let json = try? JSONValue(parsing: bytes) else {
            let said = (try? DiskFile.read(folder.path + "/keeper", limit: 1 << 20)) ?? []
            let line = String(decoding: said, as: UTF8.self).split(separator: "\n").first ?? "it said nothing"
            throw ExitReason(.internalFault, "the process that keeps the container ended at its start: \(line)")
        }
        if let message = json["message"]?.string {
            let reason = ExitReason(.step, message, hint: json["hint"]?.string)
            throw RunFailure(reason, status: Int32(truncatingIfNeeded: json["status"]?.int ?? 125))
        }
        return json["notes"]?.texts ?? []
    }

    // MARK: There

    /// What it is to do.
    static func readArguments() throws -> [String] {
        for descriptor in [lock, arguments, report] {
            guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
                throw ExitReason(.usage, "--kept is for coracle itself", hint: "coracle run -d IMAGE")
            }
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(arguments, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes += buffer[..<count]
        }
        close(arguments)
        return bytes.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Tells once how the start went.
    ///
    /// A class, for it is told on one thread and asked on another.
    final class Report: Sendable {
        private let sent = Mutex<Int64?>(nil)

        /// Whether it was told.
        var isSent: Bool { sent.withLock { $0 != nil } }
        /// When it was told; seconds since 1970.
        var time: Int64 { sent.withLock { $0 ?? 0 } }

        /// The program runs.
        func send(_ notes: [String]) { send(["notes": JSONValue(notes)]) }

        /// The program does not run.
        func send(_ failure: RunFailure) {
            var members: [String: JSONValue] = [
                "message": .string(failure.reason.message), "status": .int(Int64(failure.status)),
            ]
            members["hint"] = failure.reason.hint.map { .string($0) }
            send(members)
        }

        private func send(_ members: [String: JSONValue]) {
            sent.withLock { sent in
                if sent != nil { return }
                sent = Moment.now
                let bytes = Array(JSONValue.object(members).canonical.utf8)
                _ = bytes.withUnsafeBytes { StandardStream.write($0, to: DetachedKeeper.report) }
                close(DetachedKeeper.report)
            }
        }
    }
}
