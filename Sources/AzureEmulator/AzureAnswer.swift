// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPTypes
internal import OCI
internal import RegistryServer

/// What a request to Azure gets.
struct AzureAnswer: Sendable {
    var status: Int
    var headers: [(String, String)] = []
    var body: JSONValue?

    init(_ status: Int, _ body: JSONValue? = nil, headers: [(String, String)] = []) {
        (self.status, self.body, self.headers) = (status, body, headers)
    }

    init(_ fault: ARMFault) {
        self.init(fault.status, ["error": fault.json], headers: fault.headers)
    }
}

/// A request to Azure, its body read.
struct AzureRequest: Sendable {
    let method: String
    /// As it was sent.
    let target: String
    /// The parts of the path, escapes resolved, empty ones left out.
    let segments: [String]
    let query: [(name: String, value: String)]
    let headers: HTTPFields
    let body: [UInt8]
    /// How the client reaches the emulator: `https://127.0.0.1:4443`.
    let origin: String

    func query(_ name: String) -> String? { query.first { $0.name.lowercased() == name }?.value }

    func header(_ name: String) -> String? { HTTPField.Name(name).flatMap { headers[$0] } }

    /// Names and values of a body that is a form; the first value of a name counts.
    var form: [String: String] {
        let fields = Exchange.form(String(decoding: body, as: UTF8.self))
        return Dictionary(fields.map { ($0.name, $0.value) }) { first, _ in first }
    }

    var path: String { "/" + segments.joined(separator: "/") }
}

extension JSONValue {
    /// A value beneath this one, by names of members whatever their case.
    subscript(path path: String...) -> JSONValue? {
        path.reduce(Optional(self)) { value, name in value?.member(name) }
    }

    /// A member by its name whatever the case, as the resource manager takes names.
    func member(_ name: String) -> JSONValue? {
        guard let object else { return nil }
        if let value = object[name] { return value }
        let lower = name.lowercased()
        return object.first { $0.key.lowercased() == lower }?.value
    }

    /// This object with a member set, or taken away.
    func with(_ name: String, _ value: JSONValue?) -> JSONValue {
        var members = object ?? [:]
        if let key = members.keys.first(where: { $0.lowercased() == name.lowercased() }) { members[key] = nil }
        members[name] = value
        return .object(members)
    }

    /// Whether it is something other than `null`.
    var isSomething: Bool { self != .null }
}

/// Times and numbers as Azure writes them.
enum Moment {
    static var now: Int64 { Int64(time(nil)) }

    /// Seconds since 1970 with their fraction.
    static var precise: Double {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    /// RFC 3339 in UTC; with milliseconds where the number has a fraction.
    static func text(_ moment: Double = precise, fraction: Bool = false) -> String {
        var (seconds, parts) = (time_t(moment), tm())
        gmtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S", &parts)
        let text = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard fraction else { return text + "Z" }
        let digits = String(Int((moment - moment.rounded(.down)) * 1e7))
        return "\(text).\(String(repeating: "0", count: max(0, 7 - digits.count)))\(digits)Z"
    }
}

/// Numbers that name things.
enum Identifier {
    /// A random one.
    static func random() -> String { text((0..<16).map { _ in UInt8.random(in: 0...255) }, version: 4) }

    /// Sixteen bytes as Azure writes them, with a version of RFC 9562.
    static func text(_ bytes: [UInt8], version: UInt8) -> String {
        var bytes = bytes
        bytes[6] = bytes[6] & 0x0F | version << 4
        bytes[8] = bytes[8] & 0x3F | 0x80
        let hex =
            bytes.map { byte in
                let text = String(byte, radix: 16)
                return text.count == 1 ? "0" + text : text
            }
            .joined()
        let cuts = [8, 12, 16, 20]
        return hex.enumerated().map { cuts.contains($0.offset) ? "-\($0.element)" : "\($0.element)" }.joined()
    }

    /// Whether a text has the form of one.
    static func isOne(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.allSatisfy(\.isHexDigit) }
    }
}
