// SPDX-License-Identifier: Apache-2.0
internal import CoracleKit
internal import Glibc

/// Standard output for results, standard error for everything else.
enum Output {
    /// Writes a line to standard error.
    static func note(_ line: String) {
        write(line + "\n", to: 2)
    }

    /// Writes to standard error, as it is.
    static func raw(_ text: String) {
        write(text, to: 2)
    }

    /// Writes why a command ends, unless everything was said already.
    static func note(_ reason: ExitReason) {
        if !reason.message.isEmpty { note("coracle: error: \(reason.message)") }
        if let hint = reason.hint { note("   hint: \(hint)") }
    }

    /// Writes a result to standard output, as it is.
    static func result(_ text: String) {
        write(text, to: 1)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            // A reader that went away has seen enough.
            if count < 0, errno != EINTR { return }
            rest = rest.dropFirst(max(0, count))
        }
    }
}
