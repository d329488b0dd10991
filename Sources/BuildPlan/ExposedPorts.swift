// SPDX-License-Identifier: Apache-2.0

/// A word of EXPOSE: `80`, `53/udp`, `8000-8010/tcp`, and with an address or host port that is only checked.
struct ExposedPorts {
    /// Why a word is none.
    struct Fault: Error {
        let message: String
    }

    /// As written; `tcp` where nothing was.
    let transport: String
    /// Whether an address or a host port stands before the port.
    let hasHostPart: Bool
    private let range: ClosedRange<Int>

    /// `80/tcp` for every port of the range.
    var names: [String] { range.map { "\($0)/\(transport.lowercased())" } }

    init(_ text: String) throws(Fault) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let container = parts[parts.count - 1]
        let host = parts.count > 1 ? parts[parts.count - 2] : ""
        let address = parts.count > 2 ? parts[..<(parts.count - 2)].joined(separator: ":") : ""
        hasHostPart = !host.isEmpty || !address.isEmpty
        let halves = container.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let given = halves.count > 1 ? String(halves[1]) : ""
        transport = given.isEmpty ? "tcp" : given
        guard ["tcp", "udp", "sctp"].contains(transport.lowercased()) else {
            throw Fault(message: "\"\(text)\": the protocol is one of tcp, udp, sctp, not \"\(given)\"")
        }
        guard ExposedPorts.isAddress(address) else {
            throw Fault(message: "\"\(text)\": \"\(address)\" is not an address")
        }
        guard let range = ExposedPorts.range(halves[0]) else {
            throw Fault(message: "\"\(text)\": \"\(halves[0])\" is not a port or a range of ports from 0 to 65535")
        }
        self.range = range
        guard !host.isEmpty else { return }
        guard let hosts = ExposedPorts.range(host) else {
            throw Fault(message: "\"\(text)\": \"\(host)\" is not a port or a range of ports from 0 to 65535")
        }
        guard hosts.count == range.count || range.count == 1 else {
            throw Fault(message: "\"\(text)\": the two ranges have different lengths")
        }
    }

    private static func range(_ text: Substring) -> ClosedRange<Int>? {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { UInt16($0) }
        guard let first = ends[0], let last = ends[ends.count - 1], first <= last else { return nil }
        return Int(first)...Int(last)
    }

    private static func isAddress(_ text: String) -> Bool {
        if text.isEmpty { return true }
        let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
        let inner = isBracketed ? String(text.dropFirst().dropLast()) : text
        if inner.contains(":") {
            return inner.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." } && inner.count <= 45
        }
        let numbers = inner.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers.allSatisfy { UInt8($0) != nil }
    }
}

/// The names and numbers that STOPSIGNAL takes.
enum SignalName {
    static let all = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
        "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
        "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
    ]

    static func isKnown(_ text: String) -> Bool {
        if let number = Int(text) { return number > 0 || number < 0 }
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if all.contains(name) || name == "RTMIN" || name == "RTMAX" { return true }
        if name.hasPrefix("RTMIN+"), let offset = Int(name.dropFirst(6)) { return (1...15).contains(offset) }
        if name.hasPrefix("RTMAX-"), let offset = Int(name.dropFirst(6)) { return (1...14).contains(offset) }
        return false
    }
}
