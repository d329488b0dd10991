// SPDX-License-Identifier: Apache-2.0

/// Bytes as text of 64 characters.
///
/// Specification: RFC 4648, sections 4 and 5; both alphabets are read, with and without padding.
public enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Bytes as text, padded.
    ///
    /// - Parameter bytes: May be empty.
    /// - Returns: The text.
    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = (0..<3).reduce(0) { $0 << 8 | ($1 < group.count ? Int(group[start + $1]) : 0) }
            for place in 0..<4 {
                text.append(place <= group.count ? alphabet[bits >> (18 - 6 * place) & 63] : 0x3D)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Bytes as text that addresses and web tokens hold: `-` and `_`, not padded.
    ///
    /// - Parameter bytes: May be empty.
    /// - Returns: The text.
    public static func encodeForURL(_ bytes: [UInt8]) -> String {
        String(encode(bytes).filter { $0 != "=" }.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }

    /// Text as bytes.
    ///
    /// - Parameter text: In either alphabet, padded or not.
    /// - Returns: The bytes; `nil` for text of another form.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var (bits, count) = (0, 0)
        for character in text.utf8 where character != 0x3D {
            let plain: UInt8 = character == 0x2D ? 0x2B : character == 0x5F ? 0x2F : character
            guard let value = alphabet.firstIndex(of: plain) else { return nil }
            (bits, count) = ((bits << 6 | value) & 0xFFFF, count + 6)
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        return bytes
    }
}
