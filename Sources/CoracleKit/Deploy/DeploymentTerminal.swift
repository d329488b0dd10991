// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import Dispatch
internal import Glibc
internal import HTTP
internal import Synchronization

extension ManageDeployment {
    /// Opens a shell in a container, with this terminal before it.
    ///
    /// - Parameters:
    ///   - program: The shell: one program, as Azure takes no arguments.
    ///   - write: Takes what it writes; returns whether it wants more.
    /// - Returns: Its exit code; 0 where it is not known, as Azure does not say it.
    /// - Throws: ``ExitReason``.
    public func shell(_ program: String, write: @escaping @Sendable ([UInt8]) -> Bool) async throws -> Int32 {
        if let own = try await ExitReason.explaining({ try await onCluster() }) {
            return try await ExitReason.explaining {
                let screen = RawTerminal()
                defer { screen.restore() }
                let input = TerminalInput()
                defer { input.stop() }
                return try await own.shell(program, size: RawTerminal.size, keys: input.bytes, write: write)
            }
        }
        try await terminal(program) { socket in
            let screen = RawTerminal()
            defer { screen.restore() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let input = TerminalInput()
                    defer { input.stop() }
                    var keys = TypedText()
                    for await bytes in input.bytes {
                        let text = keys.take(bytes)
                        if !text.isEmpty { try await socket.send(.text(text)) }
                    }
                    // A shell whose input has ended waits for ever, unless its terminal says so at the begin of a line; a
                    // terminal that a shell takes over just then loses the sign, so it is given again.
                    if !keys.isAtLineStart { try await socket.send(.text("\n")) }
                    while true {
                        try await socket.send(.text("\u{4}"))
                        try await Task.sleep(for: .seconds(1))
                    }
                }
                defer { group.cancelAll() }
                while let message = try await socket.receive() { if !write(message.bytes) { break } }
            }
        }
        return 0
    }

    /// Runs a command in a container; on Container Instances by way of a shell there, as Azure takes no arguments and gives
    /// no exit code.
    ///
    /// - Parameters:
    ///   - words: The command and its arguments.
    ///   - write: Takes what it writes, and whether that is to standard error, which only clusters keep apart.
    /// - Returns: Its exit code.
    /// - Throws: ``ExitReason`` where it cannot be run, or the connection ends before it.
    public func execute(_ words: [String], write: @escaping @Sendable (Bool, [UInt8]) -> Bool) async throws -> Int32 {
        if let own = try await ExitReason.explaining({ try await onCluster() }) {
            return try await ExitReason.explaining { try await own.execute(words, write: write) }
        }
        var reader = MarkedOutput()
        let line = reader.line(for: words)
        guard line.utf8.count < 4000 else {
            throw ExitReason(.usage, "exec: a command of \(line.utf8.count) bytes is longer than a terminal's line")
        }
        return try await terminal("/bin/sh") { socket in
            try await socket.send(.text(line))
            while let message = try await socket.receive() {
                let output = reader.take(message.bytes)
                if !output.isEmpty, !write(false, output) { return 0 }
                if let code = reader.code { return code }
            }
            throw ExitReason(
                .cloud,
                "exec: the connection ended before the command did",
                hint: "the container needs a shell, /bin/sh; is it running? coracle ps"
            )
        }
    }

    private func terminal<Value: Sendable>(
        _ program: String,
        _ body: (WebSocket) async throws -> Value
    ) async throws -> Value {
        try await ExitReason.explaining {
            let place = try await place()
            let container = try chosen(try await found(place), place)
            let (rows, columns) = RawTerminal.size
            let terminal = try await place.service.execute(
                program,
                in: place.name,
                container: container,
                rows: rows,
                columns: columns
            )
            return try await WebSocket.open(terminal.url, settings: access.network(environment)) { socket in
                // The bridge wants this before anything else.
                try await socket.send(.text(terminal.password.value))
                return try await body(socket)
            }
        }
    }
}

/// Finds what a command writes, and its exit code, in what a shell's terminal shows.
struct MarkedOutput {
    private let mark = "coracle-\(UInt64.random(in: 1...UInt64.max))"
    private var pending: [UInt8] = []
    private var hasBegun = false
    private(set) var code: Int32?

    /// What is typed: the marks are in two parts, so that the terminal's echo of it has none.
    func line(for words: [String]) -> String {
        let command = words.map { "'" + $0.replacing("'", with: "'\\''") + "'" }.joined(separator: " ")
        let half = mark.prefix(12)
        let rest = mark.dropFirst(12)
        return " printf '%s%s\\n' '\(half)' '\(rest)'; \(command); printf '%s%s %d\\n' '\(half)' '\(rest)' $?; exit\n"
    }

    /// Takes what the terminal shows, and gives what of it the command wrote.
    mutating func take(_ bytes: [UInt8]) -> [UInt8] {
        // A terminal ends lines with both.
        pending += bytes.filter { $0 != 0x0D }
        if !hasBegun {
            let start = Array((mark + "\n").utf8)
            guard let range = pending.firstRange(of: start) else { return [] }
            hasBegun = true
            pending.removeSubrange(..<range.upperBound)
        }
        let end = Array((mark + " ").utf8)
        if let range = pending.firstRange(of: end) {
            guard let newline = pending[range.upperBound...].firstIndex(of: 0x0A) else {
                return flush(to: range.lowerBound)
            }
            let digits = String(decoding: pending[range.upperBound..<newline], as: UTF8.self)
            code = Int32(digits) ?? 0
            return flush(to: range.lowerBound)
        }
        // The beginning of the mark may be at the end.
        return flush(to: max(0, pending.count - end.count))
    }

    private mutating func flush(to index: Int) -> [UInt8] {
        defer { pending.removeSubrange(..<index) }
        return Array(pending[..<index])
    }
}

/// Text as it is typed; a letter of several bytes may come in parts.
struct TypedText {
    private var rest: [UInt8] = []
    /// Whether nothing was typed since the last line ended.
    private(set) var isAtLineStart = true

    /// Takes bytes, and gives the text that is whole.
    mutating func take(_ bytes: [UInt8]) -> String {
        rest += bytes
        if let last = bytes.last { isAtLineStart = last == 0x0A || last == 0x0D }
        var end = rest.count
        // Where the last letter begins, and how long it says that it is.
        if let start = rest.suffix(4).lastIndex(where: { $0 & 0xC0 != 0x80 }) {
            let length = rest[start] >= 0xF0 ? 4 : rest[start] >= 0xE0 ? 3 : rest[start] >= 0xC0 ? 2 : 1
            if rest.count - start < length { end = start }
        }
        defer { rest.removeFirst(end) }
        return String(decoding: rest[..<end], as: UTF8.self)
    }
}

/// The terminal before us, which passes each key on as it is typed while a shell elsewhere echoes it.
private struct RawTerminal {
    private let old: termios?

    init() {
        var state = termios()
        guard isatty(0) == 1, tcgetattr(0, &state) == 0 else {
            old = nil
            return
        }
        old = state
        cfmakeraw(&state)
        tcsetattr(0, TCSANOW, &state)
    }

    func restore() {
        guard var state = old else { return }
        tcsetattr(0, TCSANOW, &state)
    }

    /// Rows and columns; the usual ones where there is no terminal.
    static var size: (rows: Int, columns: Int) {
        var window = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &window) == 0, window.ws_row > 0, window.ws_col > 0 else { return (24, 80) }
        return (Int(window.ws_row), Int(window.ws_col))
    }
}

/// Standard input as it comes, read on a thread of its own until it is told to stop.
private final class TerminalInput: Sendable {
    let bytes: AsyncStream<[UInt8]>
    private let isStopped = Atomic(false)

    init() {
        let (bytes, sink) = AsyncStream.makeStream(of: [UInt8].self, bufferingPolicy: .bufferingOldest(1024))
        self.bytes = bytes
        DispatchQueue(label: "coracle.keys")
            .async { [self] in
                var buffer = [UInt8](repeating: 0, count: 4096)
                while !isStopped.load(ordering: .relaxed) {
                    var ready = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
                    guard poll(&ready, 1, 100) != 0 else { continue }
                    let count = read(0, &buffer, buffer.count)
                    if count <= 0 { break }
                    sink.yield(Array(buffer[..<count]))
                }
                sink.finish()
            }
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }
}
