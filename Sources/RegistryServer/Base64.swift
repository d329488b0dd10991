// SPDX-License-Identifier: Apache-2.0

/// Bytes as letters; both alphabets are read, and the one for URLs is written, without padding.
///
/// Specification: RFC 4648, sections 4 and 5.
package enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    package static func encode(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let part = bytes[start..<min(start + 3, bytes.count)]
            var bits = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            bits <<= UInt32(8 * (3 - part.count))
            for index in 0...part.count { out.append(letters[Int(bits >> UInt32(18 - 6 * index) & 63)]) }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The bytes; `nil` where a letter is none.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var (bits, count): (UInt32, Int) = (0, 0)
        var out: [UInt8] = []
        for byte in text.utf8 where byte != 0x3D {
            guard let value = value(byte) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return out
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5A: byte - 0x41
        case 0x61...0x7A: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case 0x2B, 0x2D: 62
        case 0x2F, 0x5F: 63
        default: nil
        }
    }
}
