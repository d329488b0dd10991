// SPDX-License-Identifier: Apache-2.0

/// A file of labels, as `--label-file` names it.
enum LabelFile {
    /// Reads a file: `NAME=value` on each line, `NAME` alone for an empty value; nothing is unquoted, and `#` begins a
    /// comment.
    static func read(_ path: String) throws(ExitReason) -> [(name: String, value: String)] {
        guard var bytes = try TextFile.read(path)?[...] else {
            throw ExitReason(.usage, "--label-file \(path): there is no such file")
        }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        var labels: [(name: String, value: String)] = []
        for (number, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            var text = String(decoding: line, as: UTF8.self)[...]
            text = text.drop { $0 == " " || $0 == "\t" }
            if text.last == "\r" { text = text.dropLast() }
            if text.isEmpty || text.hasPrefix("#") { continue }
            let (name, value) = PlanSettings.split(String(text))
            guard !name.isEmpty, !name.contains(where: \.isWhitespace) else {
                throw ExitReason(.usage, "\(path):\(number + 1): \"\(name)\" is not the name of a label: NAME=value")
            }
            labels.append((name, value ?? ""))
        }
        return labels
    }
}
