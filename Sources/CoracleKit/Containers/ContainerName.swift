// SPDX-License-Identifier: Apache-2.0

/// Names and numbers of containers.
enum ContainerName {
    private static let first = [
        "amber", "autumn", "brave", "brisk", "calm", "clear", "coastal", "deep", "dry", "eager", "early", "fair",
        "fast",
        "gentle", "glad", "golden", "green", "kind", "late", "light", "little", "lucky", "mild", "misty", "quick",
        "quiet", "rapid", "silver", "sunny", "swift", "tidal", "wide",
    ]
    private static let second = [
        "anchor", "bay", "beacon", "bow", "breeze", "buoy", "canoe", "cove", "current", "delta", "dory", "ferry",
        "gull",
        "harbour", "heron", "inlet", "island", "kayak", "keel", "lagoon", "lake", "otter", "paddle", "pier", "reed",
        "river", "rudder", "sail", "shore", "skiff", "tern", "wave",
    ]

    /// A number for a container: twelve hexadecimal digits.
    static func number() -> String {
        let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        return String((String(repeating: "0", count: 16 - digits.count) + digits).prefix(12))
    }

    /// A name that is easy to type; most often one that no other container has.
    static func made(for number: String, among taken: Set<String>) -> String {
        for _ in 0..<20 {
            let name = "\(first.randomElement() ?? "")-\(second.randomElement() ?? "")"
            if !taken.contains(name) { return name }
        }
        return number
    }

    /// Checks a name: letters, digits and `_.-`, the first of them a letter or digit.
    static func check(_ name: String) throws(ExitReason) {
        let isPlain = { (byte: UInt8) in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        let rest = name.utf8.dropFirst()
        guard let head = name.utf8.first, isPlain(head), rest.allSatisfy({ isPlain($0) || "_.-".utf8.contains($0) }),
            name.utf8.count <= 128
        else {
            throw ExitReason(
                .usage,
                "--name \"\(name)\" is not a name: letters, digits, \"_\", \".\" and \"-\", the first a letter or digit"
            )
        }
    }
}
