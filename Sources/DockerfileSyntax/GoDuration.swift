// SPDX-License-Identifier: Apache-2.0

/// Durations as HEALTHCHECK and compose files write them: `30s`, `1m30s`, `1.5h`, `300ms`.
public enum GoDuration {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1000), ("µs", 1000), ("μs", 1000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// Reads a duration.
    ///
    /// - Parameter text: The duration.
    /// - Returns: Nanoseconds; `nil` where the text has another form, or the time does not fit 64 bits.
    public static func nanoseconds(_ text: String) -> Int64? {
        var rest = Substring(text)
        let isNegative = rest.hasPrefix("-")
        if isNegative || rest.hasPrefix("+") { rest.removeFirst() }
        if rest == "0" { return 0 }
        guard !rest.isEmpty else { return nil }
        var total: Int64 = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest[number.endIndex...]
            let name = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest = rest[name.endIndex...]
            guard let unit = units.first(where: { $0.name == name }), let part = scaled(number, unit.nanoseconds)
            else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow else { return nil }
            total = sum
        }
        return isNegative ? -total : total
    }

    /// A decimal number of units in nanoseconds, the fraction cut off below one.
    private static func scaled(_ number: Substring, _ unit: Int64) -> Int64? {
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, number.contains(where: \.isNumber) else { return nil }
        guard let whole = parts[0].isEmpty ? 0 : Int64(parts[0]) else { return nil }
        let (scaled, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        // As Go does it, so that the same text gives the same nanosecond.
        let digits = parts.count == 2 ? parts[1].prefix(18) : ""
        let scale = digits.reduce(1.0) { scale, _ in scale * 10 }
        let fraction = Double(Int64(digits) ?? 0) * (Double(unit) / scale)
        let (sum, tooLarge) = scaled.addingReportingOverflow(Int64(fraction))
        return tooLarge ? nil : sum
    }
}
