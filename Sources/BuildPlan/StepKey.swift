// SPDX-License-Identifier: Apache-2.0

/// What a step is, as 32 bytes: equal keys mean that the same thing would be done to the same inputs.
///
/// The SHA-256 of the step's fields and its inputs' keys, each field preceded by its length, so that no two lists
/// of fields run together. A key says nothing of the content of files; that is added when a build looks at them.
public struct StepKey: Hashable, Sendable, CustomStringConvertible {
    /// The digest's eight words, the first first.
    private let words: SIMD8<UInt32>

    /// 64 lowercase hexadecimal digits.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for index in words.indices {
            for shift in stride(from: 28, through: 0, by: -4) {
                text.append(digits[Int((words[index] >> UInt32(shift)) & 15)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The first 12 digits, for people.
    public var short: String { String(description.prefix(12)) }

    init(_ fields: consuming KeyFields) {
        words = KeyHash.digest(fields.bytes)
    }

    /// The digest's 32 bytes, added to a list of fields.
    fileprivate func append(to bytes: inout [UInt8]) {
        for index in words.indices {
            withUnsafeBytes(of: words[index].bigEndian) { bytes.append(contentsOf: $0) }
        }
    }
}

/// Collects the fields of a key.
struct KeyFields {
    /// Changes when the meaning of a field changes, so that no old key is taken for a new one.
    private static let version = "1 "

    fileprivate var bytes: [UInt8] = []

    init(_ kind: String) {
        bytes.reserveCapacity(512)
        add(KeyFields.version + kind)
    }

    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            add(count: utf8.count)
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func add(_ text: String?) {
        add(count: text == nil ? 0 : 1)
        if let text { add(text) }
    }

    mutating func add(_ texts: [String]) {
        add(count: texts.count)
        for text in texts {
            add(text)
        }
    }

    mutating func add(_ flag: Bool) {
        add(count: flag ? 1 : 0)
    }

    mutating func add(_ keys: [StepKey]) {
        add(count: keys.count)
        for key in keys {
            key.append(to: &bytes)
        }
    }

    mutating func add(count: Int) {
        withUnsafeBytes(of: UInt32(clamping: count).bigEndian) { bytes.append(contentsOf: $0) }
    }
}

/// SHA-256 in plain Swift, for keys of a few hundred bytes; layers go through libcrypto, which this room may not import.
///
/// Specification: FIPS 180-4, section 6.2.
enum KeyHash {
    /// The digest of some bytes.
    static func digest(_ message: consuming [UInt8]) -> SIMD8<UInt32> {
        var state = SIMD8<UInt32>(
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19
        )
        let bits = UInt64(message.count * 8)
        var padded = message
        padded.append(0x80)
        while padded.count % 64 != 56 { padded.append(0) }
        withUnsafeBytes(of: bits.bigEndian) { padded.append(contentsOf: $0) }
        padded.withUnsafeBufferPointer { bytes in
            constants.withUnsafeBufferPointer { compress(bytes, &state, $0) }
        }
        return state
    }

    /// Adds every block of 64 bytes to the state; both buffers outlive the call.
    private static func compress(
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ state: inout SIMD8<UInt32>,
        _ constants: UnsafeBufferPointer<UInt32>
    ) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { schedule in
            for block in stride(from: 0, to: bytes.count, by: 64) {
                fill(schedule, bytes, block, constants)
                var (a, b, c, d) = (state[0], state[1], state[2], state[3])
                var (e, f, g, h) = (state[4], state[5], state[6], state[7])
                // Eight rounds at a time, so that the names move instead of the words.
                for index in stride(from: 0, to: 64, by: 8) {
                    round(a, b, c, &d, e, f, g, &h, schedule[index])
                    round(h, a, b, &c, d, e, f, &g, schedule[index + 1])
                    round(g, h, a, &b, c, d, e, &f, schedule[index + 2])
                    round(f, g, h, &a, b, c, d, &e, schedule[index + 3])
                    round(e, f, g, &h, a, b, c, &d, schedule[index + 4])
                    round(d, e, f, &g, h, a, b, &c, schedule[index + 5])
                    round(c, d, e, &f, g, h, a, &b, schedule[index + 6])
                    round(b, c, d, &e, f, g, h, &a, schedule[index + 7])
                }
                state &+= SIMD8(a, b, c, d, e, f, g, h)
            }
        }
    }

    // swift-format-ignore: the eight words of the state and one of the schedule.
    @inline(__always)
    private static func round(
        _ a: UInt32,
        _ b: UInt32,
        _ c: UInt32,
        _ d: inout UInt32,
        _ e: UInt32,
        _ f: UInt32,
        _ g: UInt32,
        _ h: inout UInt32,
        _ word: UInt32
    ) {
        let sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
        let first = h &+ sum1 &+ (g ^ (e & (f ^ g))) &+ word
        let sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
        d = d &+ first
        h = first &+ sum0 &+ ((a & b) | (c & (a | b)))
    }

    /// Fills the schedule of a block, each word with its round's constant added at the end.
    @inline(__always)
    private static func fill(
        _ schedule: UnsafeMutableBufferPointer<UInt32>,
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ block: Int,
        _ constants: UnsafeBufferPointer<UInt32>
    ) {
        let words = UnsafeRawBufferPointer(bytes)
        for index in 0..<16 {
            schedule[index] = UInt32(bigEndian: words.loadUnaligned(fromByteOffset: block + index * 4, as: UInt32.self))
        }
        for index in 16..<64 {
            let (before, last) = (schedule[index - 15], schedule[index - 2])
            let first = rotate(before, 7) ^ rotate(before, 18) ^ (before >> 3)
            let second = rotate(last, 17) ^ rotate(last, 19) ^ (last >> 10)
            schedule[index] = schedule[index - 16] &+ first &+ schedule[index - 7] &+ second
        }
        for index in 0..<64 {
            schedule[index] = schedule[index] &+ constants[index]
        }
    }

    @inline(__always)
    private static func rotate(_ word: UInt32, _ bits: UInt32) -> UInt32 {
        word &>> bits | word &<< (32 &- bits)
    }

    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}
