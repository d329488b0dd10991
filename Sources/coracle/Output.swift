// SPDX-License-Identifier: Apache-2.0
internal import CoracleKit
internal import Glibc
internal import Synchronization

/// Standard output for results, standard error for everything else.
enum Output {
    private static let isJSON = Mutex(false)

    /// From now on standard error is a line of JSON for each event, errors included.
    static func speakJSON() { isJSON.withLock { $0 = true } }

    /// Writes a line to standard error, which a terminal shows and does not obey.
    static func note(_ line: String) {
        _ = write(DiagnosticText.message(line) + "\n", to: 2)
    }

    /// Writes to standard error, as it is.
    static func raw(_ text: String) {
        _ = write(text, to: 2)
    }

    /// Writes why a command ends, unless everything was said already.
    static func note(_ reason: ExitReason) {
        if isJSON.withLock({ $0 }) {
            if !reason.message.isEmpty { note(reason.json) }
            return
        }
        if !reason.message.isEmpty { note("coracle: error: \(reason.message)") }
        if let hint = reason.hint { note("   hint: \(hint)") }
    }

    /// Writes what is wrong with a Dockerfile or a step, in lines for people, and gives the end that says no more.
    static func failure(_ text: String, _ code: ExitReason.Code) -> ExitReason {
        if isJSON.withLock({ $0 }) { return ExitReason(code, text.hasSuffix("\n") ? String(text.dropLast()) : text) }
        raw(text)
        return ExitReason(code, "")
    }

    /// Writes a result to standard output, as it is.
    ///
    /// A reader that went away has seen enough; any other failure ends the command.
    static func result(_ text: String) throws(ExitReason) {
        let fault = write(text, to: 1)
        if fault != 0, fault != EPIPE {
            throw ExitReason(.step, "writing standard output: \(String(cString: strerror(fault)))")
        }
    }

    /// Writes a piece of what another program wrote; gives whether anybody still reads.
    static func piece(_ bytes: [UInt8], isError: Bool) -> Bool { write(bytes[...], to: isError ? 2 : 1) == 0 }

    /// Gives the system's error number; 0 where everything was written.
    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        write(Array(text.utf8)[...], to: descriptor)
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Int32 {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno != EINTR { return errno }
            rest = rest.dropFirst(max(0, count))
        }
        return 0
    }
}
