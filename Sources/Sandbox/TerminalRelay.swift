// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Ties the caller's terminal to the one in a sandbox.
///
/// A class, for the caller's terminal has to be set back once.
final class TerminalRelay {
    /// What is read from the caller; -1 for nothing, and once that has ended.
    private(set) var input: Int32
    private let sandbox: Int32
    private var original: termios?
    private var size = winsize()
    /// Whether it is tied to something else than the caller's terminal.
    private let isForeign: Bool

    /// Puts the caller's terminal, if it is one, in a state that passes every key on.
    init(sandbox: Int32, passesKeys: Bool) {
        (self.sandbox, input, isForeign) = (sandbox, passesKeys ? 0 : -1, false)
        var settings = termios()
        if passesKeys, tcgetattr(0, &settings) == 0 {
            original = settings
            cfmakeraw(&settings)
            tcsetattr(0, TCSADRAIN, &settings)
        }
        followSize()
    }

    /// Ties the terminal to a descriptor, which is closed with it.
    init(sandbox: Int32, keys: Int32, rows: UInt16, columns: UInt16) {
        (self.sandbox, input, isForeign) = (sandbox, keys, true)
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(sandbox, UInt(TIOCSWINSZ), &size)
    }

    deinit { if isForeign, input >= 0 { close(input) } }

    /// Gives the sandbox's terminal the caller's size, where that has changed.
    func followSize() {
        guard !isForeign else { return }
        var current = winsize()
        guard ioctl(0, UInt(TIOCGWINSZ), &current) == 0 else { return }
        guard current.ws_row != size.ws_row || current.ws_col != size.ws_col else { return }
        size = current
        _ = ioctl(sandbox, UInt(TIOCSWINSZ), &current)
    }

    /// Passes on what the caller typed.
    func passInput(_ buffer: UnsafeMutableRawBufferPointer) {
        let count = read(input, buffer.baseAddress, 4_096)
        if count < 0, errno == EINTR || errno == EAGAIN { return }
        guard count > 0 else {
            if isForeign { close(input) }
            input = -1
            // The terminal's own sign for an end of input.
            _ = write(sandbox, [4 as UInt8], 1)
            return
        }
        var written = 0
        while written < count {
            let step = write(sandbox, buffer.baseAddress?.advanced(by: written), count - written)
            if step > 0 { written += step } else if errno != EINTR { return }
        }
    }

    /// Sets the caller's terminal back.
    func restore() {
        guard var settings = original else { return }
        tcsetattr(0, TCSADRAIN, &settings)
        original = nil
    }
}
