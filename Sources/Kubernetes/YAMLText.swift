// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Single values of YAML, such that parsers of 1.1 and of 1.2 read the same.
enum YAMLText {
    /// A text: as it is where that cannot be taken for anything else, else in double quotes.
    static func plain(_ text: String) -> String { isPlain(text) ? text : quoted(text) }

    /// A value in one line.
    static func flow(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): plain(text)
        case .array(let elements):
            "[" + elements.map { $0.string.map { flowText($0) } ?? flow($0) }.joined(separator: ", ") + "]"
        case .object(let members) where members.isEmpty: "{}"
        default: value.canonical
        }
    }

    /// Whether people would write an array in one line: few short texts or numbers.
    static func isShort(_ elements: [JSONValue]) -> Bool {
        guard !elements.isEmpty else { return false }
        let lengths = elements.map { element -> Int in
            switch element {
            case .string(let text): text.contains("\n") ? 1000 : flowText(text).count
            case .int, .bool: 6
            default: 1000
            }
        }
        return lengths.reduce(2 * lengths.count, +) <= 72
    }

    /// Within brackets, some more letters mean something.
    private static func flowText(_ text: String) -> String {
        text.contains { "[]{},".contains($0) } ? quoted(text) : plain(text)
    }

    /// Several lines, as `|` has them; `nil` where that cannot hold the text.
    static func block(_ text: String, indent: Int) -> String? {
        guard text.dropLast().contains("\n"), !text.hasPrefix("\n"), !text.hasPrefix(" "), !text.hasPrefix("\t"),
            text.unicodeScalars.allSatisfy({ $0 == "\n" || $0 == "\t" || isPrintable($0) }), !text.contains("\r")
        else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        // A line of white space alone may be read as an empty one.
        guard lines.allSatisfy({ $0.isEmpty || $0.contains { $0 != " " && $0 != "\t" } }) else { return nil }
        let ends = lines.reversed().prefix { $0.isEmpty }.count
        let chomping = ends == 0 ? "-" : ends == 1 ? "" : "+"
        let padding = String(repeating: " ", count: indent)
        let body = lines.dropLast(ends == 0 ? 0 : 1).map { $0.isEmpty ? "" : padding + $0 }
        return "|\(chomping)\n" + body.joined(separator: "\n") + "\n"
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return false }
        guard text.unicodeScalars.allSatisfy({ isPrintable($0) }), first != " ", last != " ", last != ":" else {
            return false
        }
        if "-?:,[]{}#&*!|>'\"%@`=<~".unicodeScalars.contains(first) {
            // A dash may begin a word, not stand alone or look like a document's edge.
            guard first == "-", text.utf8.count > 1, !text.hasPrefix("---"), !text.hasPrefix("- ") else { return false }
        }
        if text.contains(": ") || text.contains(" #") || text.hasPrefix("...") { return false }
        return !isWord(text) && !isNumber(text)
    }

    /// What 1.1 or 1.2 takes for something else than a text.
    private static func isWord(_ text: String) -> Bool {
        ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nil", "~", ".inf", ".nan", "+.inf", "-.inf"]
            .contains(text.lowercased())
    }

    /// Whether it could be a number, a date or a time: those begin with a digit, a sign or a dot, and have few letters.
    private static func isNumber(_ text: String) -> Bool {
        guard let first = text.utf8.first, (0x30...0x39).contains(first) || [0x2B, 0x2D, 0x2E].contains(first) else {
            return false
        }
        // 0x1F, 0o17, 0b1, 1_000, 1e3, 1:30, 2001-12-14t21:59:43Z
        return text.utf8.contains { (0x30...0x39).contains($0) }
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || "+-._:eExXoObBaAcCdDfFtTzZ ".utf8.contains($0)
            }
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E, 0xA0...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF:
            // Line ends of Unicode, and the mark of byte order, are not what they look like.
            ![0x2028, 0x2029, 0xFEFF].contains(scalar.value)
        default: false
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isPrintable(scalar): result.unicodeScalars.append(scalar)
            default:
                let hex = String(scalar.value, radix: 16, uppercase: true)
                let (mark, width) = scalar.value <= 0xFF ? ("x", 2) : scalar.value <= 0xFFFF ? ("u", 4) : ("U", 8)
                result += "\\" + mark + String(repeating: "0", count: width - hex.count) + hex
            }
        }
        return result + "\""
    }
}
