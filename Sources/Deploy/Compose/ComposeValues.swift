// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// Numbers, sizes, times and words as compose files write them; what is none of these is told to the report.
struct ComposeValues {
    let report: ComposeReport

    func integer(_ node: ComposeNode?, _ range: ClosedRange<Int> = 0...Int(Int32.max)) -> Int? {
        guard let node, let text = node.text else { return nil }
        if let number = Int(text), range.contains(number) { return number }
        report.error("\(node.path) \"\(text)\" is not a whole number from \(range.lowerBound)", at: node.place)
        return nil
    }

    func decimal(_ node: ComposeNode?) -> Double? {
        guard let node, let text = node.text else { return nil }
        guard let number = Double(text), number >= 0, number < 100_000 else {
            report.error("\(node.path) \"\(text)\" is not a number, as 0.5", at: node.place)
            return nil
        }
        // 0 is no limit.
        return number == 0 ? nil : number
    }

    /// Bytes; units are powers of 1024.
    ///
    /// Specification: compose-spec, `11-extension.md`, "Specifying byte values".
    func bytes(_ node: ComposeNode?) -> Double? {
        guard let node, let text = node.text else { return nil }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        let factors: [String: Double] = [
            "": 1, "b": 1, "k": 1024, "kb": 1024, "kib": 1024, "m": 1_048_576, "mb": 1_048_576, "mib": 1_048_576,
            "g": 1_073_741_824, "gb": 1_073_741_824, "gib": 1_073_741_824, "t": 1_099_511_627_776,
            "tb": 1_099_511_627_776, "tib": 1_099_511_627_776,
        ]
        guard let number = Double(digits), let factor = factors[unit], number * factor < 9e15 else {
            report.error("\(node.path) \"\(text)\" is not a size, as 512m or 2gb", at: node.place)
            return nil
        }
        return number == 0 ? nil : number * factor
    }

    /// Seconds, rounded up.
    func seconds(_ node: ComposeNode?) -> Int? {
        guard let node, let text = node.text else { return nil }
        guard let time = GoDuration.nanoseconds(text), time >= 0 else {
            report.error("\(node.path) \"\(text)\" is not a length of time, as 1m30s", at: node.place)
            return nil
        }
        return Int((time + 999_999_999) / 1_000_000_000)
    }

    /// Words of a command: a list as it is, a text taken apart as a shell does; `nil` where nothing is said.
    func words(_ node: ComposeNode?) -> [String]? {
        guard let node, !node.isNull else { return nil }
        if let list = node.list { return list.compactMap(\.text) }
        guard let text = node.text else { return nil }
        if let words = CommandWords.split(text) { return words }
        report.error("\(node.path) ends within quotes, or with a backslash", at: node.place)
        return nil
    }
}

/// Words of a command line, taken apart as a shell does: quotes and backslashes, no variables.
public enum CommandWords {
    /// Takes a text apart.
    ///
    /// - Parameter text: The text.
    /// - Returns: Its words; `nil` where it ends within quotes, or with a backslash.
    public static func split(_ text: String) -> [String]? {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for letter in text {
            if isEscaped {
                // Within double quotes a backslash stands for itself before most letters.
                if quote == "\"", !"\\\"$`".contains(letter) { word = (word ?? "") + "\\" }
                word = (word ?? "") + String(letter)
                isEscaped = false
            } else if letter == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if letter == open { quote = nil } else { word = (word ?? "") + String(letter) }
            } else if letter == "'" || letter == "\"" {
                quote = letter
                word = word ?? ""
            } else if letter.isWhitespace {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(letter)
            }
        }
        guard quote == nil, !isEscaped else { return nil }
        if let done = word { words.append(done) }
        return words
    }
}
