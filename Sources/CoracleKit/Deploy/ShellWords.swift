// SPDX-License-Identifier: Apache-2.0

/// Words of a command line, taken apart as a shell does: quotes and backslashes, no variables.
enum ShellWords {
    static func split(_ text: String, flag: String) throws(ExitReason) -> [String] {
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
        guard quote == nil, !isEscaped else {
            throw ExitReason(.usage, "\(flag) \"\(text)\" ends within quotes, or with a backslash")
        }
        if let done = word { words.append(done) }
        return words
    }
}

/// `KEY=VALUE,KEY=VALUE,…`, as `--volume` and `--container` have it; a comma within double quotes is none.
struct KeyedValues {
    private(set) var pairs: [(key: String, value: String)] = []
    let flag: String
    let text: String

    init(_ text: String, flag: String) throws(ExitReason) {
        (self.text, self.flag) = (text, flag)
        var part = ""
        var isQuoted = false
        for letter in text + "," {
            if letter == "\"" {
                isQuoted.toggle()
            } else if letter == ",", !isQuoted {
                if !part.isEmpty {
                    let (key, value) = PlanSettings.split(part)
                    pairs.append((key, value ?? "true"))
                }
                part = ""
            } else {
                part.append(letter)
            }
        }
        guard !isQuoted else { throw ExitReason(.usage, "\(flag) \"\(text)\" ends within quotes") }
    }

    /// The value of a key; `nil` where it is not there.
    subscript(_ key: String) -> String? { pairs.last { $0.key == key }?.value }

    /// All values of a key.
    func all(_ key: String) -> [String] { pairs.filter { $0.key == key }.map(\.value) }

    func required(_ key: String) throws(ExitReason) -> String {
        guard let value = self[key], !value.isEmpty else {
            throw ExitReason(.usage, "\(flag) \"\(text)\" has no \(key)=…")
        }
        return value
    }

    /// Refuses keys that mean nothing.
    func allow(_ keys: [String]) throws(ExitReason) {
        for (key, _) in pairs where !keys.contains(key) {
            throw ExitReason(
                .usage,
                "\(flag): there is no \"\(key)\"" + Near.phrase(for: key, among: keys),
                hint: keys.joined(separator: ", ")
            )
        }
    }
}
