// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// An address of the internet, version 4 or 6, as its bytes.
struct IPAddress: Hashable {
    private let bytes: [UInt8]

    /// Reads an address; `nil` for any other text, names of hosts among them.
    init?(_ text: String) {
        var text = text
        if text.hasPrefix("["), text.hasSuffix("]") { text = String(text.dropFirst().dropLast()) }
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            bytes = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
    }

    func isWithin(_ network: IPAddress, bits: Int) -> Bool {
        guard bytes.count == network.bytes.count, (0...bytes.count * 8).contains(bits) else { return false }
        for (index, pair) in zip(bytes, network.bytes).enumerated() {
            let left = bits - index * 8
            guard left > 0 else { return true }
            let mask = left >= 8 ? UInt8.max : ~(UInt8.max >> left)
            guard pair.0 & mask == pair.1 & mask else { return false }
        }
        return true
    }
}
