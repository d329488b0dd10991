// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import HTTP

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
                let words = try ShellWords.split(program, flag: "--shell")
                var connection = ExecConnection()
                (connection.passesInput, connection.hasTerminal) = (true, true)
                return try await own.execute(words, connection) { write($1) }
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
    ///   - connection: How it is connected; on Container Instances a terminal is that of a shell alone.
    ///   - write: Takes what it writes, and whether that is to standard error, which only clusters keep apart.
    /// - Returns: Its exit code.
    /// - Throws: ``ExitReason`` where it cannot be run, or the connection ends before it.
    public func execute(
        _ words: [String],
        _ connection: ExecConnection = ExecConnection(),
        write: @escaping @Sendable (Bool, [UInt8]) -> Bool
    ) async throws -> Int32 {
        if let own = try await ExitReason.explaining({ try await onCluster() }) {
            var connection = connection
            if connection.hasTerminal, !RawTerminal.isThere {
                note("warning: standard input is no terminal, so that the command has none")
                connection.hasTerminal = false
            }
            return try await ExitReason.explaining { [connection] in
                let screen = connection.hasTerminal ? RawTerminal() : nil
                defer { screen?.restore() }
                return try await own.execute(words, connection, write: write)
            }
        }
        if connection.passesInput, connection.hasTerminal, words.count == 1 {
            return try await shell(words[0]) { write(false, $0) }
        }
        guard !connection.passesInput, !connection.hasTerminal else {
            throw ExitReason(
                .usage,
                "exec: on Container Instances a command has no input and no terminal of its own, only a shell has",
                hint: "coracle exec, or coracle exec -it /bin/sh"
            )
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
            let group = try await found(place)
            let container = try chosen(group, place)
            if let reason = stillness(of: container, group, place, hasFailed: false) { throw reason }
            let (rows, columns) = RawTerminal.size
            do {
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
            } catch  where !(error is CancellationError) {
                // A container that ended meanwhile is a better reason than a connection that did.
                guard let now = try? await place.service.find(place.name),
                    let reason = stillness(of: container, now, place, hasFailed: true)
                else { throw error }
                throw reason
            }
        }
    }

    /// Why a container runs nothing; `nil` where it runs, and, where something has failed in it, did so all the time.
    private func stillness(
        of name: String,
        _ group: ContainerGroup,
        _ place: Deployment.Place,
        hasFailed: Bool
    ) -> ExitReason? {
        guard let state = group.state.containers.first(where: { $0.name == name && !$0.isInit }) else { return nil }
        let isDown = state.state == "Terminated" || state.state == "Waiting" || group.state.state == "Stopped"
        guard isDown || (hasFailed && state.restarts > 0) else { return nil }
        var parts: [String] = []
        if let code = state.exitCode ?? state.previousExitCode {
            let detail = state.exitCode == nil ? state.previousDetail : state.detail
            parts.append("it ended with exit code \(code)" + (detail.isEmpty ? "" : " (\(detail))"))
        }
        if state.restarts > 0 { parts.append("was started again \(state.restarts) times") }
        if group.state.state == "Stopped" {
            parts = ["the deployment is stopped"]
        } else if parts.isEmpty {
            parts = ["it is \(state.state.lowercased())" + (state.detail.isEmpty ? "" : " (\(state.detail))")]
        }
        let several = group.containers.count > 1 ? " --container \(name)" : ""
        let deployment = "--resource-group \(place.service.resourceGroup) --name \(place.name)"
        return ExitReason(
            .cloud,
            "the container \(name) of \(place.name) does not run: " + parts.joined(separator: ", and "),
            hint: group.state.state == "Stopped"
                ? "coracle start \(deployment)" : "coracle logs \(deployment)\(several)"
        )
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
