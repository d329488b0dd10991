// SPDX-License-Identifier: Apache-2.0

/// One pass over a word.
struct ExpansionRun {
    /// `${a:-${b:-…}}` nested deeper than this is an error.
    private static let deepest = 64

    private let scalars: [Unicode.Scalar]
    private let escape: Unicode.Scalar
    private let options: WordExpander.Options
    /// Whether the words of the result are wanted.
    private let splits: Bool
    private var index = 0
    private(set) var matched: [String] = []
    private(set) var unmatched: [String] = []

    init(_ word: String, escape: Unicode.Scalar, options: WordExpander.Options, splits: Bool) {
        (scalars, self.escape, self.options) = (Array(word.unicodeScalars), escape, options)
        self.splits = splits
    }

    private var peek: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

    private mutating func next() -> Unicode.Scalar? {
        guard index < scalars.count else { return nil }
        defer { index += 1 }
        return scalars[index]
    }

    private func error(_ message: String) -> ExpansionError {
        ExpansionError(message: message, offset: index)
    }

    // MARK: Text

    /// Reads up to a closing character, which is consumed, or to the end.
    mutating func read(
        until stop: Unicode.Scalar?,
        keepsEscapes: Bool,
        depth: Int,
        _ lookup: (String) -> String?
    ) throws(ExpansionError) -> (text: String, words: [String]) {
        guard depth <= ExpansionRun.deepest else { throw error("variables are nested more than 64 deep") }
        var output = ExpansionOutput(splits: depth == 0 && splits)
        while let scalar = peek {
            if scalar == stop {
                index += 1
                return output.finish()
            }
            switch scalar {
            case "$": output.add(try readDollar(keepsEscapes: keepsEscapes, depth: depth, lookup), isSplit: true)
            case "<": output.add(readHeredocMark(), isSplit: false)
            case "'" where !options.contains(.skipQuotes): output.add(try readSingleQuotes(), isSplit: false)
            case "\"" where !options.contains(.skipQuotes):
                output.add(try readDoubleQuotes(keepsEscapes: keepsEscapes, depth: depth, lookup), isSplit: false)
            default: readPlain(into: &output, keepsEscapes: keepsEscapes)
            }
            if output.size > WordExpander.longestResult { throw error("the result is longer than 8 MiB") }
        }
        if let stop { throw error("\"\(stop)\" is missing at the end of \"\(excerpt)\"") }
        return output.finish()
    }

    /// The word, cut to a length fit for messages.
    private var excerpt: String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars.prefix(60))
        return String(text) + (scalars.count > 60 ? "…" : "")
    }

    private mutating func readPlain(into output: inout ExpansionOutput, keepsEscapes: Bool) {
        guard let scalar = next() else { return }
        guard scalar == escape else {
            output.add(scalar, isSplit: true)
            return
        }
        if keepsEscapes { output.add(scalar, isSplit: false) }
        if let escaped = next() { output.add(escaped, isSplit: false) }
    }

    private mutating func readSingleQuotes() throws(ExpansionError) -> String {
        var text = ExpansionOutput(splits: false)
        index += 1
        if options.contains(.rawQuotes) { text.add("'", isSplit: false) }
        while let scalar = next() {
            if scalar == "'" {
                if options.contains(.rawQuotes) { text.add("'", isSplit: false) }
                return text.finish().text
            }
            text.add(scalar, isSplit: false)
        }
        throw error("a single quote is not closed in \"\(excerpt)\"")
    }

    private mutating func readDoubleQuotes(
        keepsEscapes: Bool,
        depth: Int,
        _ lookup: (String) -> String?
    ) throws(ExpansionError) -> String {
        var text = ExpansionOutput(splits: false)
        index += 1
        if options.contains(.rawQuotes) { text.add("\"", isSplit: false) }
        while let scalar = peek {
            if scalar == "$" {
                text.add(try readDollar(keepsEscapes: keepsEscapes, depth: depth, lookup), isSplit: false)
                continue
            }
            index += 1
            if scalar == "\"" {
                if options.contains(.rawQuotes) { text.add("\"", isSplit: false) }
                return text.finish().text
            }
            guard scalar == escape else {
                text.add(scalar, isSplit: false)
                continue
            }
            if keepsEscapes { text.add(scalar, isSplit: false) }
            // Only these can be escaped; before anything else the escape character is itself.
            if let escaped = peek, escaped == "\"" || escaped == "$" || escaped == escape {
                text.add(escaped, isSplit: false)
                index += 1
            } else if peek != nil {
                text.add(scalar, isSplit: false)
            }
        }
        throw error("a double quote is not closed in \"\(excerpt)\"")
    }

    /// Reads `<`, or `<<` with the blanks after it, so that a heredoc's delimiter stays one word.
    private mutating func readHeredocMark() -> String {
        index += 1
        guard peek == "<" else { return "<" }
        index += 1
        var text = "<<"
        while let scalar = peek, scalar == " " || scalar == "\t" || scalar == "\r" {
            text.unicodeScalars.append(scalar)
            index += 1
        }
        return text
    }

    // MARK: Variables

    private mutating func value(of name: String, _ lookup: (String) -> String?) -> String? {
        let value = lookup(name)
        if value != nil {
            if !matched.contains(name) { matched.append(name) }
        } else if !unmatched.contains(name) {
            unmatched.append(name)
        }
        return value
    }

    private mutating func readName() -> String {
        guard let first = peek else { return "" }
        var name = String.UnicodeScalarView()
        if ExpansionRun.isDigit(first) {
            while let scalar = peek, ExpansionRun.isDigit(scalar) {
                name.append(scalar)
                index += 1
            }
            return String(name)
        }
        switch first {
        case "@", "*", "#", "?", "-", "$", "!":
            index += 1
            return String(first)
        default: break
        }
        while let scalar = peek, ExpansionRun.isNameScalar(scalar) {
            name.append(scalar)
            index += 1
        }
        return String(name)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII ? "0"..."9" ~= scalar : scalar.properties.numericType == .decimal
    }

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            switch scalar {
            case "_", "a"..."z", "A"..."Z", "0"..."9": return true
            default: return false
            }
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber:
            return true
        default: return false
        }
    }

    private mutating func readDollar(
        keepsEscapes: Bool,
        depth: Int,
        _ lookup: (String) -> String?
    ) throws(ExpansionError) -> String {
        index += 1
        guard peek == "{" else {
            let name = readName()
            if name.isEmpty { return "$" }
            return value(of: name, lookup) ?? (options.contains(.keepUnset) ? "$" + name : "")
        }
        index += 1
        switch peek {
        case nil: throw error("\"}\" is missing at the end of \"\(excerpt)\"")
        case "{", "}", ":": throw error("\"${\" is not followed by a name in \"\(excerpt)\"")
        default: break
        }
        let name = readName()
        switch next() {
        case nil: throw error("\"}\" is missing at the end of \"\(excerpt)\"")
        case "}": return value(of: name, lookup) ?? (options.contains(.keepUnset) ? "${\(name)}" : "")
        case ":": return try readModifier(name, next(), isColon: true, depth: depth, lookup)
        case "/": return try readReplacement(name, depth: depth, lookup)
        case let scalar: return try readModifier(name, scalar, isColon: false, depth: depth, lookup)
        }
    }

    /// Reads `-w}`, `+w}`, `?w}`, `#p}`, `%p}` after a name, with or without a colon before.
    private mutating func readModifier(
        _ name: String,
        _ modifier: Unicode.Scalar?,
        isColon: Bool,
        depth: Int,
        _ lookup: (String) -> String?
    ) throws(ExpansionError) -> String {
        guard let modifier else { throw error("\"}\" is missing at the end of \"\(excerpt)\"") }
        let isPattern = modifier == "#" || modifier == "%"
        guard isPattern ? !isColon : "-+?".unicodeScalars.contains(modifier) else {
            let shown = (isColon ? ":" : "") + String(modifier)
            throw error("\"\(shown)\" after \"${\(name)\" is no modifier in \"\(excerpt)\"")
        }
        let word = try read(until: "}", keepsEscapes: isPattern, depth: depth + 1, lookup).text
        let value = value(of: name, lookup)
        if value == nil, options.contains(.keepUnset) {
            return "${\(name)\(isColon ? ":" : "")\(modifier)\(word)}"
        }
        let isSet = value != nil && !(isColon && value == "")
        switch modifier {
        case "-": return isSet ? value ?? "" : word
        case "+": return isSet ? word : ""
        case "?":
            if isSet { return value ?? "" }
            let reason = word.isEmpty ? "it must be \(isColon ? "set and not empty" : "set")" : word
            throw error("variable \"\(name)\" is \(value == nil ? "not set" : "empty"): \(reason)")
        default: return try trim(value ?? "", word, isSuffix: modifier == "%")
        }
    }

    private func trim(_ value: String, _ word: String, isSuffix: Bool) throws(ExpansionError) -> String {
        var pattern = word[...]
        let isGreedy = pattern.hasPrefix(isSuffix ? "%" : "#")
        if isGreedy { pattern.removeFirst() }
        guard let compiled = ShellPattern(pattern) else { throw badPattern(pattern) }
        return compiled.trimming(value, isSuffix: isSuffix, isGreedy: isGreedy)
    }

    private func badPattern(_ pattern: Substring) -> ExpansionError {
        error(
            "\"\(pattern.prefix(60))\" is no pattern: only * ? \\ / and } can be escaped, and it is at most 4,096 long"
        )
    }

    /// Reads `p/w}` or `/p/w}` after a name and a slash.
    private mutating func readReplacement(
        _ name: String,
        depth: Int,
        _ lookup: (String) -> String?
    ) throws(ExpansionError) -> String {
        let replacesAll = peek == "/"
        if replacesAll { index += 1 }
        let pattern = try read(until: "/", keepsEscapes: true, depth: depth + 1, lookup).text
        let replacement = try read(until: "}", keepsEscapes: true, depth: depth + 1, lookup).text
        let value = value(of: name, lookup)
        if value == nil, options.contains(.keepUnset) { return "${\(name)/\(pattern)/\(replacement)}" }
        guard let compiled = ShellPattern(pattern[...]) else { throw badPattern(pattern[...]) }
        return compiled.replacing(value ?? "", with: replacement, all: replacesAll)
    }
}

/// Collects a result, and the words it falls into where they are asked for.
struct ExpansionOutput {
    private var text: [UInt8] = []
    private var words: [String] = []
    private var word: [UInt8] = []
    private let splits: Bool

    init(splits: Bool) {
        self.splits = splits
    }

    /// How many UTF-8 bytes the result has so far.
    var size: Int { text.count }

    /// Adds a character; with `isSplit`, white space ends a word.
    mutating func add(_ scalar: Unicode.Scalar, isSplit: Bool) {
        ExpansionOutput.append(scalar, to: &text)
        guard splits else { return }
        if isSplit, scalar.properties.isWhitespace {
            endWord()
        } else {
            ExpansionOutput.append(scalar, to: &word)
        }
    }

    /// Adds a text; with `isSplit`, white space in it ends words.
    mutating func add(_ string: String, isSplit: Bool) {
        if isSplit, splits {
            for scalar in string.unicodeScalars {
                add(scalar, isSplit: true)
            }
        } else {
            text.append(contentsOf: string.utf8)
            if splits { word.append(contentsOf: string.utf8) }
        }
    }

    private static func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        if scalar.isASCII {
            bytes.append(UInt8(truncatingIfNeeded: scalar.value))
        } else {
            bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }

    private mutating func endWord() {
        if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
        word = []
    }

    /// The whole text, and its words.
    mutating func finish() -> (text: String, words: [String]) {
        endWord()
        return (String(decoding: text, as: UTF8.self), words)
    }
}
