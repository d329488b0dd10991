// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// What is wrong with a query: one line without the source's name.
struct QueryFault: Error {
    let message: String
}

// Specification: Dockerfile reference, "ADD", "Adding files from a Git repository", "Git URL query".
extension GitSource {
    /// Takes over a query; what it says twice must be the same.
    mutating func read(_ query: String) throws(QueryFault) {
        var (tag, branch) = ("", "")
        for (key, values) in GitSource.pairs(query) {
            guard values.count == 1 else {
                throw QueryFault(message: "query \"\(key)\" is given \(values.count) times")
            }
            switch key {
            case "tag": tag = try GitSource.value(key, values[0])
            case "branch": branch = try GitSource.value(key, values[0])
            default: try read(key, values[0])
            }
        }
        if !tag.isEmpty, !branch.isEmpty {
            throw QueryFault(message: "branch \"\(branch)\" and tag \"\(tag)\" cannot both be wanted")
        }
        if !tag.isEmpty { try setReference(GitSource.full(tag, "refs/tags/")) }
        if !branch.isEmpty { try setReference(GitSource.full(branch, "refs/heads/")) }
    }

    private mutating func read(_ key: String, _ text: String) throws(QueryFault) {
        switch key {
        case "ref": try setReference(GitSource.value(key, text))
        case "subdir":
            let folder = try GitSource.value(key, text)
            guard subfolder.isEmpty || subfolder == folder else {
                throw QueryFault(message: "two folders are named: \"\(subfolder)\" and \"\(folder)\"")
            }
            subfolder = folder
        case "checksum", "commit": commit = try GitSource.value(key, text)
        case "keep-git-dir": keepsGitDirectory = try GitSource.toggle(key, text)
        case "submodules": skipsSubmodules = try !GitSource.toggle(key, text)
        case "fetch-by-commit": fetchesByCommit = try GitSource.toggle(key, text)
        case "mtime":
            // ADD takes the time of the checkout whatever this says; only its form is looked at.
            guard ["checkout", "commit"].contains(try GitSource.value(key, text)) else {
                throw QueryFault(message: "query \"mtime=\(text)\" is neither checkout nor commit")
            }
        default:
            let near = Suggestion.phrase(for: key, among: GitSource.queries)
            throw QueryFault(message: "a git source has no query \"\(key)\"\(near)")
        }
    }

    private static let queries = [
        "ref", "tag", "branch", "subdir", "checksum", "commit", "keep-git-dir", "submodules", "mtime",
        "fetch-by-commit",
    ]

    private mutating func setReference(_ wanted: String) throws(QueryFault) {
        guard ref.isEmpty || ref == wanted else {
            throw QueryFault(message: "two references are named: \"\(ref)\" and \"\(wanted)\"")
        }
        ref = wanted
    }

    private static func full(_ name: String, _ prefix: String) -> String {
        name.hasPrefix(prefix) ? name : prefix + name
    }

    private static func value(_ key: String, _ text: String) throws(QueryFault) -> String {
        if text.isEmpty { throw QueryFault(message: "query \"\(key)\" has no value: \(key)=…") }
        return text
    }

    private static func toggle(_ key: String, _ text: String) throws(QueryFault) -> Bool {
        if text.isEmpty { return true }
        guard let toggle = GoBool.read(text) else {
            throw QueryFault(message: "query \"\(key)=\(text)\" is neither true nor false")
        }
        return toggle
    }

    /// All values of each key, in the order of the keys; what does not decode is left out, as Go does.
    private static func pairs(_ query: String) -> [(key: String, values: [String])] {
        var (pairs, places) = ([(key: String, values: [String])](), [String: Int]())
        for pair in query.split(separator: "&") where !pair.contains(";") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = PercentEncoding.decodedQuery(parts[0]),
                let value = PercentEncoding.decodedQuery(parts.count > 1 ? parts[1] : "")
            else { continue }
            if let place = places[key] {
                pairs[place].values.append(value)
            } else {
                places[key] = pairs.count
                pairs.append((key, [value]))
            }
        }
        return pairs
    }
}

/// Bytes written as `%` and two hexadecimal digits.
///
/// Specification: RFC 3986, section 2.1; of queries, the URL standard's form encoding.
enum PercentEncoding {
    /// The text meant; `nil` where a `%` has no two digits after it.
    static func decoded(_ text: some StringProtocol) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var (bytes, rest) = ([UInt8](), Array(text.utf8)[...])
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count > 1, let high = digit(rest.removeFirst()), let low = digit(rest.removeFirst()) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The same, where `+` is a space.
    static func decodedQuery(_ text: some StringProtocol) -> String? {
        decoded(text.contains("+") ? String(text.map { $0 == "+" ? " " : $0 }) : String(text))
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
