// SPDX-License-Identifier: Apache-2.0

/// A Swift source file with comments and the text of literals blanked, so that words in them are not taken for code.
struct SourceScan {
    /// The lines, comments and literals replaced by spaces.
    let code: [String]

    init(_ text: String) {
        var blanker = Blanker(Array(text.unicodeScalars))
        code = blanker.blank().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The modules a file imports, in order.
    var imports: [String] {
        code.compactMap { line in
            let words = line.split(separator: " ")
            guard let place = words.firstIndex(of: "import"), place + 1 < words.count,
                words[..<place].allSatisfy({ SourceScan.importModifiers.contains(String($0)) })
            else { return nil }
            let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
            let name = kinds.contains(String(words[place + 1])) ? words.last : words[place + 1]
            return name.map { String($0.prefix { $0 != "." }) }
        }
    }

    private static let importModifiers = [
        "public", "internal", "private", "package", "fileprivate", "@testable", "@preconcurrency", "@_exported",
    ]

    /// The names of the types a file declares.
    var types: [String] {
        let kinds: Set<Substring> = ["struct", "class", "enum", "actor", "protocol", "typealias"]
        return code.flatMap { line in
            let words = line.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" })
            return zip(words, words.dropFirst()).filter { kinds.contains($0.0) }.map { String($0.1) }
        }
    }

    /// The functions and initializers of a file: the line each starts on, and how many lines it has.
    var functions: [(line: Int, length: Int)] {
        var found: [(line: Int, length: Int)] = []
        for (index, line) in code.enumerated() where SourceScan.startsFunction(line) {
            if let end = endOfBody(from: index) { found.append((index + 1, end - index + 1)) }
        }
        return found
    }

    private static func startsFunction(_ line: String) -> Bool {
        let words = line.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" })
        if words.contains("func") { return true }
        let trimmed = line.drop { $0 == " " }
        guard let place = words.firstIndex(of: "init") else { return false }
        let before = words[..<place]
        let modifiers: Set<Substring> = ["public", "private", "fileprivate", "internal", "convenience", "required"]
        return before.allSatisfy { modifiers.contains($0) } && !trimmed.hasPrefix(".")
    }

    /// The line that closes the first brace after a line; `nil` where the declaration has no body.
    private func endOfBody(from start: Int) -> Int? {
        var (braces, parentheses) = (0, 0)
        for index in start..<code.count {
            for character in code[index] {
                switch character {
                case "(": parentheses += 1
                case ")": parentheses -= 1
                case "{" where parentheses == 0 || braces > 0: braces += 1
                case "}":
                    if braces == 0 { return nil }
                    braces -= 1
                    if braces == 0, parentheses == 0 { return index }
                default: break
                }
            }
            let isNext = index > start && braces == 0 && SourceScan.startsFunction(code[index])
            if isNext { return nil }
        }
        return nil
    }
}

/// Replaces what is not code by spaces; line endings stay.
private struct Blanker {
    private let text: [Unicode.Scalar]
    private var index = 0
    private var output = String.UnicodeScalarView()

    init(_ text: [Unicode.Scalar]) {
        self.text = text
    }

    mutating func blank() -> String {
        while index < text.count { step(stopsAtParenthesis: false) }
        return String(output)
    }

    private func starts(_ literal: String) -> Bool {
        text[index...].starts(with: literal.unicodeScalars)
    }

    private mutating func skip(_ count: Int) {
        for _ in 0..<count where index < text.count {
            output.append(text[index] == "\n" ? "\n" : " ")
            index += 1
        }
    }

    private mutating func step(stopsAtParenthesis: Bool) {
        if starts("//") {
            while index < text.count, text[index] != "\n" { skip(1) }
        } else if starts("/*") {
            while index < text.count, !starts("*/") { skip(1) }
            skip(2)
        } else if let hashes = hashesOfLiteral() {
            literal(hashes)
        } else {
            output.append(text[index])
            index += 1
        }
    }

    /// The number of `#` before the quote of a literal that starts here; `nil` where none does.
    private func hashesOfLiteral() -> Int? {
        var end = index
        while end < text.count, text[end] == "#" { end += 1 }
        return end < text.count && text[end] == "\"" ? end - index : nil
    }

    private mutating func literal(_ hashes: Int) {
        let pounds = String(repeating: "#", count: hashes)
        skip(hashes)
        let quote = starts("\"\"\"") ? "\"\"\"" : "\""
        skip(quote.count)
        while index < text.count, !starts(quote + pounds) {
            if starts("\\" + pounds + "(") {
                skip(2 + hashes)
                interpolation()
            } else if starts("\\" + pounds) {
                skip(2 + hashes)
            } else {
                skip(1)
            }
        }
        skip(quote.count + hashes)
    }

    /// Code within a literal; it is blanked too, but its own literals and parentheses are followed.
    private mutating func interpolation() {
        var depth = 1
        while index < text.count, depth > 0 {
            if let hashes = hashesOfLiteral() {
                literal(hashes)
                continue
            }
            if text[index] == "(" { depth += 1 }
            if text[index] == ")" { depth -= 1 }
            skip(1)
        }
    }
}
