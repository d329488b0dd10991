// SPDX-License-Identifier: Apache-2.0
internal import Deploy

/// Words of a command line, taken apart as a shell does: quotes and backslashes, no variables.
enum ShellWords {
    static func split(_ text: String, flag: String) throws(ExitReason) -> [String] {
        guard let words = CommandWords.split(text) else {
            throw ExitReason(.usage, "\(flag) \"\(text)\" ends within quotes, or with a backslash")
        }
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
