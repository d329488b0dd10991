// SPDX-License-Identifier: Apache-2.0

/// A pattern of `.dockerignore` and of `--exclude`: `*` and `?` within a path component, `**` across them, `[a-z]`.
///
/// Paths are relative, with slashes, as bytes: file names need not be UTF-8. Matching takes time in proportion to
/// pattern times path at most, whatever the pattern.
///
/// Specification: Dockerfile reference, ".dockerignore file"; Go's `filepath.Match` with `**`.
public struct PathPattern: Hashable, Sendable {
    private enum Token: Hashable {
        case literal(UInt32)
        /// One character other than a slash.
        case any
        /// Any number of characters other than a slash.
        case star
        /// Nothing, or anything that ends in a slash.
        case folders
        /// Anything.
        case rest
        case set([ClosedRange<UInt32>], isNegated: Bool)
    }

    private enum Matcher: Hashable {
        case exact
        case prefix([UInt8])
        case suffix([UInt8])
        case tokens([Token])
    }

    /// The pattern in its shortest form, as messages show it.
    public let text: String
    private let bytes: [UInt8]
    private let matcher: Matcher

    /// Reads a pattern.
    ///
    /// - Parameter text: A relative path, cleaned: no `.`, no double or final slashes.
    /// - Throws: ``PatternError`` for a bracket that is not closed, an empty or reversed range, and a final backslash.
    public init(_ text: String) throws(PatternError) {
        self.text = text
        bytes = Array(text.utf8)
        let tokens = try PathPattern.tokens(text)
        // Most patterns need no tokens: names, folders with `/**`, endings after `**`.
        let hasMeta = { (part: Substring) in part.contains { "*?[\\".contains($0) } }
        if !hasMeta(text[...]) {
            matcher = .exact
        } else if text.hasPrefix("**"), !hasMeta(text.dropFirst(2)), !text.hasSuffix("]") {
            matcher = .suffix(Array(text.utf8.dropFirst(2)))
        } else if text.hasSuffix("**"), !hasMeta(text.dropLast(2)) {
            matcher = .prefix(Array(text.utf8.dropLast(2)))
        } else {
            matcher = .tokens(tokens)
        }
    }

    /// Whether the whole of a path matches.
    ///
    /// - Parameter path: A relative path.
    /// - Returns: Whether it matches; parents are not looked at.
    public func matches(_ path: some BidirectionalCollection<UInt8>) -> Bool {
        switch matcher {
        case .exact: return path.elementsEqual(bytes)
        case .prefix(let prefix): return path.starts(with: prefix)
        case .suffix(let suffix):
            if path.reversed().starts(with: suffix.reversed()) { return true }
            return suffix.first == UInt8(ascii: "/") && path.elementsEqual(suffix.dropFirst())
        case .tokens(let tokens): return PathPattern.matches(tokens, PathPattern.characters(path))
        }
    }

    /// How many components the pattern has.
    var depth: Int { bytes.count { $0 == UInt8(ascii: "/") } + 1 }

    /// Whether something below a folder could match, judged by names without wildcards alone.
    func couldMatch(below folder: some Collection<UInt8>) -> Bool {
        let components = bytes.split(separator: UInt8(ascii: "/"))
        for (pattern, name) in zip(components, folder.split(separator: UInt8(ascii: "/"))) {
            if pattern.contains(where: { "*?[\\".utf8.contains($0) }) { return true }
            if !pattern.elementsEqual(name) { return false }
        }
        return true
    }

    // MARK: Reading

    private static func tokens(_ text: String) throws(PatternError) -> [Token] {
        var scalars = text.unicodeScalars.map(\.value)[...]
        var tokens: [Token] = []
        let slash = UInt32(UInt8(ascii: "/"))
        while let scalar = scalars.popFirst() {
            switch Unicode.Scalar(scalar) {
            case "*" where scalars.first == UInt32(UInt8(ascii: "*")):
                scalars.removeFirst()
                if scalars.first == slash { scalars.removeFirst() }
                tokens.append(scalars.isEmpty ? .rest : .folders)
            case "*": tokens.append(.star)
            case "?": tokens.append(.any)
            case "[": tokens.append(try set(&scalars, text))
            case "\\":
                guard let escaped = scalars.popFirst() else {
                    throw PatternError(message: "pattern \"\(text)\" ends in a backslash that escapes nothing")
                }
                tokens.append(.literal(escaped))
            default: tokens.append(.literal(scalar))
            }
        }
        return tokens
    }

    private static func set(_ scalars: inout ArraySlice<UInt32>, _ text: String) throws(PatternError) -> Token {
        let isNegated = scalars.first == UInt32(UInt8(ascii: "^"))
        if isNegated { scalars.removeFirst() }
        var ranges: [ClosedRange<UInt32>] = []
        while scalars.first != UInt32(UInt8(ascii: "]")) || ranges.isEmpty {
            let low = try member(&scalars, text)
            var high = low
            if scalars.first == UInt32(UInt8(ascii: "-")) {
                scalars.removeFirst()
                high = try member(&scalars, text)
            }
            guard low <= high else {
                throw PatternError(message: "pattern \"\(text)\" has a range that runs backwards")
            }
            ranges.append(low...high)
        }
        scalars.removeFirst()
        return .set(ranges, isNegated: isNegated)
    }

    private static func member(_ scalars: inout ArraySlice<UInt32>, _ text: String) throws(PatternError) -> UInt32 {
        let fault = PatternError(message: "pattern \"\(text)\" has a \"[\" that is not closed, or with nothing in it")
        guard let first = scalars.popFirst(), first != UInt32(UInt8(ascii: "]")), first != UInt32(UInt8(ascii: "-"))
        else { throw fault }
        guard first == UInt32(UInt8(ascii: "\\")) else {
            if scalars.isEmpty { throw fault }
            return first
        }
        guard let escaped = scalars.popFirst(), !scalars.isEmpty else { throw fault }
        return escaped
    }

    // MARK: Matching

    /// The characters of a path; a byte that is not UTF-8 is a character that no pattern can write.
    private static func characters(_ path: some Collection<UInt8>) -> [UInt32] {
        var characters: [UInt32] = []
        characters.reserveCapacity(path.count)
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = path.makeIterator()
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .valid(let encoded): characters.append(Unicode.UTF8.decode(encoded).value)
            case .error(let length): characters += [UInt32](repeating: 0xDC00, count: length)
            case .emptyInput: return characters
            }
        }
    }

    /// Follows all ways through the tokens at once.
    ///
    /// Even states stand before a token, odd ones inside `folders`.
    private static func matches(_ tokens: [Token], _ path: [UInt32]) -> Bool {
        var states = closure([0], tokens)
        for character in path {
            if states.isEmpty { return false }
            var next: [Int] = []
            for state in states {
                step(state, character, tokens, &next)
            }
            states = closure(next, tokens)
        }
        return states.contains(tokens.count * 2)
    }

    private static func step(_ state: Int, _ character: UInt32, _ tokens: [Token], _ next: inout [Int]) {
        let index = state / 2
        guard index < tokens.count else { return }
        let isSlash = character == UInt32(UInt8(ascii: "/"))
        switch tokens[index] {
        case .literal(let wanted):
            if character == wanted { next.append(state + 2) }
        case .any:
            if !isSlash { next.append(state + 2) }
        case .star:
            if !isSlash { next.append(state) }
        case .rest: next.append(state)
        case .folders:
            next.append(index * 2 + 1)
            if isSlash { next.append(index * 2 + 2) }
        case .set(let ranges, let isNegated):
            if ranges.contains(where: { $0.contains(character) }) != isNegated { next.append(state + 2) }
        }
    }

    /// The states and those behind tokens that match nothing, sorted, each once.
    private static func closure(_ states: [Int], _ tokens: [Token]) -> [Int] {
        var result: Set<Int> = []
        for state in states {
            var state = state
            while result.insert(state).inserted, state % 2 == 0, state / 2 < tokens.count {
                switch tokens[state / 2] {
                case .star, .rest, .folders: state += 2
                default: continue
                }
            }
        }
        return result.sorted()
    }
}

/// A pattern that cannot be read.
public struct PatternError: Error, Hashable, Sendable {
    /// One line, no full stop.
    public let message: String
}
