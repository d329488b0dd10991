// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The variables of a container: those of the image, with what flags and files say.
struct ContainerEnvironment {
    /// `NAME=value`, in order.
    private(set) var list: [String]
    /// Names that were to have the caller's value, who has none.
    private(set) var absent: [String] = []

    /// Starts with what every container has.
    init(hostname: String, hasTerminal: Bool) {
        list = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=\(hostname)"]
        if hasTerminal { list.append("TERM=xterm") }
    }

    /// Whether a variable is set.
    func has(_ name: String) -> Bool { list.contains { $0.hasPrefix(name + "=") } }

    /// Sets `NAME=value`, and takes away `NAME`.
    mutating func set(_ text: String) {
        let (name, value) = PlanSettings.split(text)
        let place = list.firstIndex { $0.hasPrefix(name + "=") }
        if value == nil {
            if let place { list.remove(at: place) }
        } else if let place {
            list[place] = text
        } else {
            list.append(text)
        }
    }

    /// Sets what `-e` says: `NAME=value`, or `NAME` for the value that the caller has.
    mutating func set(flag: String, caller: [String: String]) throws(ExitReason) {
        let (name, value) = PlanSettings.split(flag)
        guard !name.isEmpty else { throw ExitReason(.usage, "-e \"\(flag)\" has no name: NAME=value") }
        if value == nil, caller[name] == nil { absent.append(name) }
        set(value == nil ? caller[name].map { "\(name)=\($0)" } ?? name : flag)
    }

    /// Sets what a file says: a line for each variable, as `-e` has it; nothing is unquoted, `#` begins a comment.
    mutating func set(file path: String, caller: [String: String]) throws(ExitReason) {
        guard var bytes = try TextFile.read(path)?[...] else {
            throw ExitReason(.usage, "--env-file \(path): there is no such file")
        }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        for (number, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            var text = String(decoding: line, as: UTF8.self)[...]
            text = text.drop { $0 == " " || $0 == "\t" }
            if text.hasSuffix("\r") { text = text.dropLast() }
            if text.isEmpty || text.hasPrefix("#") { continue }
            let (name, value) = PlanSettings.split(String(text))
            guard !name.isEmpty, !name.contains(where: \.isWhitespace), !text.utf8.contains(0) else {
                throw ExitReason(.usage, "\(path):\(number + 1): \"\(name)\" is not the name of a variable: NAME=value")
            }
            if value != nil {
                set(String(text))
            } else if let given = caller[name] {
                set("\(name)=\(given)")
            } else {
                absent.append(name)
            }
        }
    }
}
