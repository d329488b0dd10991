// SPDX-License-Identifier: Apache-2.0

/// How a server wants to be shown who we are.
///
/// Specification: RFC 9110, section 11.6.1: several challenges may share one header, and commas may stand in quotes.
public struct Challenge: Hashable, Sendable {
    /// `bearer` or `basic`, or another in lower case.
    public let scheme: String
    /// The parameters by name in lower case, quotes taken off.
    public let parameters: [String: String]

    /// Reads `WWW-Authenticate` headers.
    ///
    /// - Parameter headers: The headers' values.
    /// - Returns: All challenges in order; what cannot be read is left out.
    public static func parse(_ headers: [String]) -> [Challenge] {
        headers.flatMap { header in
            var parser = ChallengeParser(header)
            return parser.challenges()
        }
    }
}

private struct ChallengeParser {
    private let text: [UInt8]
    private var index = 0

    init(_ text: String) {
        self.text = Array(text.utf8)
    }

    mutating func challenges() -> [Challenge] {
        var result: [Challenge] = []
        var (scheme, parameters): (String?, [String: String]) = (nil, [:])
        func close() {
            if let scheme { result.append(Challenge(scheme: scheme, parameters: parameters)) }
        }
        while index < text.count {
            skip { " \t,".utf8.contains($0) }
            let word = take { ChallengeParser.isTokenByte($0) }
            guard !word.isEmpty else {
                index += 1
                continue
            }
            let afterWord = index
            skip { " \t".utf8.contains($0) }
            if index < text.count, text[index] == 0x3D, scheme != nil {
                index += 1
                skip { " \t".utf8.contains($0) }
                parameters[word.lowercased()] = value()
            } else {
                close()
                index = afterWord
                (scheme, parameters) = (word.lowercased(), [:])
                skipCredential()
            }
        }
        close()
        return result
    }

    /// The single word that follows schemes such as Negotiate; it may end with `=`.
    private mutating func skipCredential() {
        let start = index
        skip { " \t".utf8.contains($0) }
        _ = take { ChallengeParser.isTokenByte($0) || $0 == 0x2F }
        skip { $0 == 0x3D }
        skip { " \t".utf8.contains($0) }
        if index < text.count, text[index] != 0x2C { index = start }
        if index == text.count, !text[start...].contains(0x3D) { index = text.count }
    }

    private mutating func value() -> String {
        guard index < text.count, text[index] == 0x22 else {
            return take { !" \t,".utf8.contains($0) }
        }
        index += 1
        var bytes: [UInt8] = []
        while index < text.count, text[index] != 0x22 {
            if text[index] == 0x5C, index + 1 < text.count { index += 1 }
            bytes.append(text[index])
            index += 1
        }
        index += 1
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func skip(_ isSkipped: (UInt8) -> Bool) {
        while index < text.count, isSkipped(text[index]) { index += 1 }
    }

    private mutating func take(_ isTaken: (UInt8) -> Bool) -> String {
        let start = index
        skip(isTaken)
        return String(decoding: text[min(start, text.count)..<min(index, text.count)], as: UTF8.self)
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && !"()<>@,;:\\\"/[]?={}".utf8.contains(byte)
    }
}
