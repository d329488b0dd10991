// SPDX-License-Identifier: Apache-2.0

/// A pattern of `${x#p}`, `${x%p}` and `${x/p/w}`: `*` is any text without a line break, `?` one such character.
///
/// Matching takes time in proportion to pattern times text at most, whatever the pattern.
struct ShellPattern {
    private enum Token: Equatable {
        case literal(Unicode.Scalar)
        case any
        case star
    }

    /// The longest pattern, in characters.
    private static let longest = 4096

    private let tokens: [Token]

    /// Reads a pattern.
    ///
    /// - Returns: `nil` where a backslash escapes something other than `* ? \ / }`, or the pattern is too long.
    init?(_ pattern: Substring) {
        var tokens: [Token] = []
        var scalars = Array(pattern.unicodeScalars)[...]
        guard scalars.count <= ShellPattern.longest else { return nil }
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "*": tokens.append(.star)
            case "?": tokens.append(.any)
            case "\\":
                guard let escaped = scalars.first else { return nil }
                // "/" and "}" are escaped for the braces around the pattern, not for the pattern.
                if escaped == "/" || escaped == "}" { continue }
                guard escaped == "*" || escaped == "?" || escaped == "\\" else { return nil }
                tokens.append(.literal(escaped))
                scalars.removeFirst()
            default: tokens.append(.literal(scalar))
            }
        }
        self.tokens = tokens
    }

    private init(tokens: [Token]) {
        self.tokens = tokens
    }

    /// The value without what matches at its start or end: the most of it if greedy, else the least.
    func trimming(_ value: String, isSuffix: Bool, isGreedy: Bool) -> String {
        var scalars = Array(value.unicodeScalars)
        if isSuffix { scalars.reverse() }
        let pattern = isSuffix ? ShellPattern(tokens: tokens.reversed()) : self
        guard let end = pattern.end(in: scalars, from: 0, isGreedy: isGreedy) else { return value }
        var rest = Array(scalars[end...])
        if isSuffix { rest.reverse() }
        return ShellPattern.string(rest)
    }

    /// The value with the first match, or all, replaced.
    func replacing(_ value: String, with replacement: String, all: Bool) -> String {
        let scalars = Array(value.unicodeScalars)
        var result = String.UnicodeScalarView()
        var index = 0
        var lastEnd = -1
        while index <= scalars.count {
            // A match of nothing right after a match does not count.
            if let end = end(in: scalars, from: index, isGreedy: true), !(end == index && index == lastEnd) {
                let match = scalars[index..<end]
                let text = all ? ShellPattern.filled(replacement, match) : replacement
                result.append(contentsOf: text.unicodeScalars)
                lastEnd = end
                if !all { return String(result) + ShellPattern.string(scalars[end...]) }
                if end > index {
                    index = end
                    continue
                }
            }
            if index < scalars.count { result.append(scalars[index]) }
            index += 1
        }
        return String(result)
    }

    /// Where the longest or shortest match that starts at an index ends; `nil` where none does.
    private func end(in text: [Unicode.Scalar], from start: Int, isGreedy: Bool) -> Int? {
        if let first = tokens.first, first != .star, start >= text.count { return nil }
        // The states that can be reached: how many tokens are behind us.
        var states = closure([0])
        var best: Int?
        var index = start
        while !states.isEmpty {
            if states.contains(tokens.count) {
                best = index
                if !isGreedy { return best }
            }
            guard index < text.count else { break }
            states = step(states, text[index])
            index += 1
        }
        return best
    }

    private func step(_ states: [Int], _ scalar: Unicode.Scalar) -> [Int] {
        var next: [Int] = []
        for state in states where state < tokens.count {
            switch tokens[state] {
            case .literal(let wanted):
                if wanted == scalar { next.append(state + 1) }
            case .any:
                if scalar != "\n" { next.append(state + 1) }
            case .star:
                if scalar != "\n" { next.append(state) }
            }
        }
        return closure(next)
    }

    /// The states and those behind stars that match nothing, in rising order, each once.
    private func closure(_ states: [Int]) -> [Int] {
        var result: [Int] = []
        for state in states {
            var state = state
            while true {
                if result.last.map({ $0 < state }) ?? true { result.append(state) }
                guard state < tokens.count, tokens[state] == .star else { break }
                state += 1
            }
        }
        return result
    }

    /// A replacement with `$0` standing for the match, as the regular expressions of BuildKit's language have it.
    private static func filled(_ replacement: String, _ match: ArraySlice<Unicode.Scalar>) -> String {
        guard replacement.unicodeScalars.contains("$") else { return replacement }
        var result = String.UnicodeScalarView()
        var rest = Array(replacement.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            guard scalar == "$" else {
                result.append(scalar)
                continue
            }
            if rest.first == "$" {
                rest.removeFirst()
                result.append("$")
                continue
            }
            let isBraced = rest.first == "{"
            let name = (isBraced ? rest.dropFirst() : rest)
                .prefix { $0 == "_" || $0.properties.isAlphabetic || $0.properties.numericType == .decimal }
            let isClosed = !isBraced || (name.endIndex < rest.endIndex && rest[name.endIndex] == "}")
            guard !name.isEmpty, isClosed else {
                result.append("$")
                continue
            }
            rest = rest[(name.endIndex + (isBraced ? 1 : 0))...]
            if name.elementsEqual(["0"]) { result.append(contentsOf: match) }
        }
        return String(result)
    }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
