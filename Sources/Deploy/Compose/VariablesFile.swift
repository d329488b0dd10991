// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax

/// A file of variables, `.env` or what `env_file` names, in the form that Compose gives it.
///
/// A variable a line, `NAME=value`, `NAME` alone or `export NAME=value`; `#` begins a comment; what is in single quotes is
/// taken as it is, in double quotes backslashes mean something, and both may go over several lines; variables are
/// replaced where there are no single quotes.
///
/// Specification: compose-spec, `05-services.md`, "Env_file format".
public struct VariablesFile: Sendable {
    /// A variable of a file.
    public struct Variable: Hashable, Sendable {
        /// Its name.
        public let name: String
        /// Its value; `nil` where there is only a name.
        public let value: String?
        /// Where its name is in the text.
        public let range: SourceRange
    }

    /// The variables in their order; of several with one name, all.
    public private(set) var variables: [Variable] = []
    /// What is wrong with the file, pointing into it; what is here otherwise is not complete then.
    public private(set) var faults: [Diagnostic] = []
    private let bytes: [UInt8]
    private var at = 0

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - source: Its text.
    ///   - isRaw: Whether values are taken as they are: no quotes, no variables.
    ///   - value: Gives a variable of somebody else that a value names; those of the file itself come first.
    public init(_ source: SourceText, isRaw: Bool = false, value: @escaping (String) -> String?) {
        bytes = source.bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        while at < bytes.count {
            skip { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
            guard at < bytes.count else { return }
            if bytes[at] == UInt8(ascii: "#") {
                skip { $0 != 0x0A }
            } else {
                line(isRaw, value)
            }
        }
    }

    /// What a name has in the end; `nil` where it is not there, or has no value.
    ///
    /// - Parameter name: The name.
    /// - Returns: The value.
    public func value(_ name: String) -> String? { variables.last { $0.name == name }?.value }

    private mutating func skip(_ isSkipped: (UInt8) -> Bool) {
        while at < bytes.count, isSkipped(bytes[at]) { at += 1 }
    }

    private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || "_.-".utf8.contains(byte)
    }

    private mutating func line(_ isRaw: Bool, _ value: @escaping (String) -> String?) {
        let blank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        if bytes[at...].starts(with: "export ".utf8) {
            at += 7
            skip(blank)
        }
        let start = at
        skip(VariablesFile.isNamePart)
        let range = SourceRange(start, at)
        let name = text(start..<at)
        skip(blank)
        let isEnd = at == bytes.count || bytes[at] == 0x0A || bytes[at] == UInt8(ascii: "#")
        guard !name.isEmpty, isEnd || bytes[at] == UInt8(ascii: "=") else {
            skip { $0 != 0x0A }
            faults.append(Diagnostic(.error, "no variable: expected NAME=value", at: SourceRange(start, at)))
            return
        }
        if isEnd {
            skip { $0 != 0x0A }
            variables.append(Variable(name: name, value: nil, range: range))
            return
        }
        at += 1
        let isWanted: (String) -> String? = { [variables] wanted in
            variables.last { $0.name == wanted }?.value ?? value(wanted)
        }
        guard let found = isRaw ? raw() : read(isWanted, range) else { return }
        variables.append(Variable(name: name, value: found, range: range))
    }

    private mutating func raw() -> String {
        let start = at
        skip { $0 != 0x0A }
        let end = at > start && bytes[at - 1] == 0x0D ? at - 1 : at
        return text(start..<end)
    }

    private mutating func read(_ value: @escaping (String) -> String?, _ range: SourceRange) -> String? {
        skip { $0 == 0x20 || $0 == 0x09 }
        guard at < bytes.count else { return "" }
        let quote = bytes[at]
        guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
            var text = Substring(raw())
            // A comment needs a blank before it.
            var last: Character = " "
            for index in text.indices {
                if text[index] == "#", last == " " || last == "\t" {
                    text = text[..<index]
                    break
                }
                last = text[index]
            }
            while let end = text.last, end.isWhitespace { text.removeLast() }
            return replaced(String(text), value, range)
        }
        guard let inside = quoted(quote, range) else { return nil }
        skip { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
        if at < bytes.count, bytes[at] != 0x0A, bytes[at] != UInt8(ascii: "#") {
            let start = at
            skip { $0 != 0x0A }
            faults.append(Diagnostic(.error, "there is more after the closing quote", at: SourceRange(start, at)))
            return nil
        }
        skip { $0 != 0x0A }
        return quote == UInt8(ascii: "'") ? inside : replaced(inside, value, range)
    }

    /// What is up to the same quote.
    private mutating func quoted(_ quote: UInt8, _ range: SourceRange) -> String? {
        let start = at
        at += 1
        var result: [UInt8] = []
        while at < bytes.count, bytes[at] != quote {
            if bytes[at] == UInt8(ascii: "\\"), at + 1 < bytes.count {
                let next = bytes[at + 1]
                at += 2
                if next == quote {
                    result.append(quote)
                } else if quote == UInt8(ascii: "\""), let other = VariablesFile.escapes[next] {
                    result.append(other)
                } else {
                    result += [UInt8(ascii: "\\"), next]
                }
            } else {
                result.append(bytes[at])
                at += 1
            }
        }
        guard at < bytes.count else {
            faults.append(Diagnostic(.error, "the quote is not closed", at: SourceRange(start, start + 1)))
            return nil
        }
        at += 1
        return String(decoding: result, as: UTF8.self)
    }

    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09, UInt8(ascii: "\\"): 0x5C,
    ]

    private mutating func replaced(_ text: String, _ value: @escaping (String) -> String?, _ range: SourceRange)
        -> String?
    {
        do {
            return try ComposeVariables { value($0) }.replace(text).text
        } catch {
            faults.append(Diagnostic(.error, error.message, at: range))
            return nil
        }
    }
}
