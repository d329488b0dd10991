// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Synchronization

/// How a command in a container is connected with whoever runs it.
public struct ExecConnection: Sendable {
    /// Whether it reads our standard input.
    public var passesInput = false
    /// Whether it has a terminal, where we have one.
    public var hasTerminal = false

    /// It is only heard.
    public init() {}
}

/// The terminal before us, which passes each key on as it is typed while a shell elsewhere echoes it.
struct RawTerminal {
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

    /// Whether somebody sits before our standard input.
    static var isThere: Bool { isatty(0) == 1 }

    /// Rows and columns; the usual ones where there is no terminal.
    static var size: (rows: Int, columns: Int) {
        var window = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &window) == 0, window.ws_row > 0, window.ws_col > 0 else { return (24, 80) }
        return (Int(window.ws_row), Int(window.ws_col))
    }
}

/// Standard input, read only as fast as somebody takes it, on a thread of its own until it is told to stop.
final class TerminalInput: Sendable {
    private let isStopped = Atomic(false)
    private let queue = DispatchQueue(label: "coracle.keys")

    /// What comes, at most 32 KiB at a time; it ends where the input does, or where whoever reads is cancelled.
    var bytes: AsyncStream<[UInt8]> {
        AsyncStream {
            await withTaskCancellationHandler {
                await withCheckedContinuation { done in
                    self.queue.async { done.resume(returning: self.next()) }
                }
            } onCancel: {
                self.stop()
            }
        }
    }

    private func next() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        while !isStopped.load(ordering: .relaxed) {
            var ready = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 100) != 0 else { continue }
            let count = read(0, &buffer, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            return count > 0 ? Array(buffer[..<count]) : nil
        }
        return nil
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }
}
