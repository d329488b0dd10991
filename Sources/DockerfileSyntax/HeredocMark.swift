// SPDX-License-Identifier: Apache-2.0

/// A word that starts a heredoc: `<<NAME`, `<<-NAME`, `3<<"NAME"`.
///
/// Specification: Dockerfile reference, "Here-Documents".
public struct HeredocMark {
    /// The delimiter without quotes; never empty.
    let name: String
    /// The digits before `<<` as a number; 0 without digits.
    let descriptor: Int
    /// Whether the delimiter has no quotes.
    let expands: Bool
    /// Whether `-` follows `<<`.
    let stripsTabs: Bool

    /// Reads a word.
    ///
    /// - Returns: `nil` where the word starts no heredoc.
    init?(_ word: String) {
        let bytes = Array(word.utf8)
        let digits = bytes.prefix { (0x30...0x39).contains($0) }
        guard bytes[digits.endIndex...].starts(with: "<<".utf8) else { return nil }
        var rest = bytes[(digits.endIndex + 2)...]
        stripsTabs = rest.first == UInt8(ascii: "-")
        if stripsTabs { rest = rest.dropFirst() }
        rest = rest.drop { WhiteSpace.isBlank($0) && $0 != 0x0B }
        guard !rest.isEmpty, !rest.contains(UInt8(ascii: "<")) else { return nil }
        let text = String(decoding: rest, as: UTF8.self)
        // The words with and without quotes tell whether a part of the delimiter is quoted.
        guard let plain = try? WordExpander(options: [.keepUnset]).words(text, with: { _ in nil }),
            plain.count == 1,
            let raw = try? WordExpander(options: [.keepUnset, .rawQuotes]).words(text, with: { _ in nil }),
            raw.count == 1
        else { return nil }
        name = plain[0]
        descriptor = Int(String(decoding: digits, as: UTF8.self)) ?? 0
        expands = HeredocMark.quotes(plain[0]) == HeredocMark.quotes(raw[0])
    }

    /// Whether a word starts a heredoc.
    ///
    /// - Parameter word: As written.
    /// - Returns: Whether it is `<<NAME` and nothing else.
    public static func isMark(_ word: String) -> Bool {
        HeredocMark(word) != nil
    }

    private static func quotes(_ text: String) -> Int {
        text.utf8.count { $0 == UInt8(ascii: "'") || $0 == UInt8(ascii: "\"") }
    }

    /// The heredocs that a line starts, in order.
    ///
    /// - Parameter line: A whole logical line, keyword and flags included.
    /// - Returns: May be empty.
    static func marks(in line: String) -> [HeredocMark] {
        let expander = WordExpander(options: [.keepUnset, .rawQuotes, .rawEscapes])
        guard let words = try? expander.words(line, with: { _ in nil }) else { return [] }
        return words.compactMap { HeredocMark($0) }
    }
}
