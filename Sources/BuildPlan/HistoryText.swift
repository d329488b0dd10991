// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// The texts of an image's history, in the forms that Docker's tools write and others read.
enum HistoryText {
    /// Pairs as `A=1 B=2`.
    static func pairs(_ pairs: [(String, String)]) -> String {
        pairs.map { "\($0)=\($1)" }.joined(separator: " ")
    }

    /// Words as `[a b]`.
    static func list(_ words: [String]) -> String {
        "[\(words.joined(separator: " "))]"
    }

    /// Words as `["a" "b"]`.
    static func quoted(_ words: [String]) -> String {
        "[\(words.map(quoted).joined(separator: " "))]"
    }

    /// A text in double quotes with Go's escapes.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{07}": result += "\\a"
            case "\u{08}": result += "\\b"
            case "\u{0C}": result += "\\f"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{0B}": result += "\\v"
            case _ where isPrintable(scalar): result.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x80: result += "\\x" + hex(scalar.value, 2)
            case _ where scalar.value < 0x10000: result += "\\u" + hex(scalar.value, 4)
            default: result += "\\U" + hex(scalar.value, 8)
            }
        }
        return result + "\""
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x80 { return scalar.value >= 0x20 && scalar.value < 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator,
            .paragraphSeparator:
            return false
        default: return true
        }
    }

    private static func hex(_ value: UInt32, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// A check as `{Test:[CMD-SHELL true] Interval:5s …}`.
    static func healthcheck(_ check: ImageConfig.Healthcheck) -> String {
        "{Test:\(list(check.test)) Interval:\(duration(check.interval)) Timeout:\(duration(check.timeout)) "
            + "StartPeriod:\(duration(check.startPeriod)) StartInterval:\(duration(check.startInterval)) "
            + "Retries:\(check.retries)}"
    }

    /// Nanoseconds as Go writes them: `0s`, `300ms`, `1m30s`.
    static func duration(_ nanoseconds: Int64) -> String {
        if nanoseconds == 0 { return "0s" }
        if nanoseconds < 1_000_000_000 { return fraction(nanoseconds, 1_000_000) + "ms" }
        let seconds = nanoseconds / 1_000_000_000
        var text = ""
        if seconds >= 3600 { text += "\(seconds / 3600)h" }
        if seconds >= 60 { text += "\(seconds / 60 % 60)m" }
        let rest = (seconds % 60) * 1_000_000_000 + nanoseconds % 1_000_000_000
        return text + fraction(rest, 1_000_000_000) + "s"
    }

    private static func fraction(_ value: Int64, _ unit: Int64) -> String {
        let (whole, rest) = (value / unit, value % unit)
        guard rest > 0 else { return String(whole) }
        var digits = String(rest)
        digits = String(repeating: "0", count: String(unit).count - 1 - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(whole).\(digits)"
    }

    /// The exec form of a simple command, for advice.
    static func suggestedArray(_ command: String) -> String {
        let words = command.split(separator: " ").map(String.init)
        let isSimple = !command.contains { "\"'$`\\|&;<>()*?[]{}~#".contains($0) }
        guard isSimple, !words.isEmpty else { return "[\"program\", \"argument\"]" }
        return "[" + words.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
    }
}
