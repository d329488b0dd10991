// SPDX-License-Identifier: Apache-2.0

/// A number of bytes as people write it: `20GB`, `512MiB`.
public struct DataSize: Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let bytes: Int64

    /// A number of bytes.
    ///
    /// - Parameter bytes: The number.
    public init(_ bytes: Int64) {
        self.bytes = bytes
    }

    /// Reads a size: a number, with a fraction if need be, and a unit.
    ///
    /// `kB`, `MB`, `GB`, `TB` are powers of 1000, `KiB`, `MiB`, `GiB`, `TiB` of 1024; in any case of letters, and
    /// `B` may be left out. A number alone is bytes.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``ExitReason`` that says what forms there are.
    public init(_ text: String) throws(ExitReason) {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
        guard let number = Double(digits), let factor = DataSize.factors[unit], number * factor < 9e18 else {
            throw ExitReason(.usage, "\"\(text)\" is not a size: expected a number and a unit, as 20GB or 512MiB")
        }
        bytes = Int64(number * factor)
    }

    private static let factors: [String: Double] = {
        var factors = ["": 1.0, "b": 1]
        for (power, letter) in ["k", "m", "g", "t"].enumerated() {
            let (decimal, binary) = (
                (0...power).reduce(1.0) { product, _ in product * 1000 }, Double(1 << (10 * (power + 1)))
            )
            (factors[letter], factors[letter + "b"]) = (decimal, decimal)
            (factors[letter + "i"], factors[letter + "ib"]) = (binary, binary)
        }
        return factors
    }()

    /// The size for people, in powers of 1000 and with three digits: `12.3 MB`.
    public var description: String {
        guard bytes.magnitude >= 1000 else { return "\(bytes) B" }
        var tenths = bytes.magnitude / 100
        for unit in ["kB", "MB", "GB"] {
            if tenths < 10_000 {
                return tenths < 1000 ? "\(tenths / 10).\(tenths % 10) \(unit)" : "\(tenths / 10) \(unit)"
            }
            tenths /= 1000
        }
        return "\(tenths / 10).\(tenths % 10) TB"
    }
}

/// A length of time as people write it: `7d`, `12h`, `1d12h`.
public struct TimeSpan: Hashable, Sendable {
    /// The number of seconds.
    public let seconds: Int64

    /// Reads a length of time: numbers, each with `w`, `d`, `h`, `m` or `s`.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``ExitReason`` that says what forms there are.
    public init(_ text: String) throws(ExitReason) {
        var rest = text[...]
        var total: Int64 = 0
        repeat {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            guard let number = Int64(digits), number <= 1_000_000_000, let unit = rest.popFirst(),
                let factor = TimeSpan.factors[unit]
            else {
                throw ExitReason(
                    .usage,
                    "\"\(text)\" is not a length of time: expected numbers and units, as 7d or 12h"
                )
            }
            total += number * factor
        } while !rest.isEmpty
        seconds = total
    }

    private static let factors: [Character: Int64] = ["w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1]
}
