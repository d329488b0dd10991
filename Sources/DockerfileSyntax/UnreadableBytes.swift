// SPDX-License-Identifier: Apache-2.0

/// Finds NUL bytes and bytes that are not UTF-8 inside instructions; comments may hold anything.
enum UnreadableBytes {
    /// The first such byte of each instruction, as diagnostics.
    static func diagnostics(in dockerfile: Dockerfile) -> [Diagnostic] {
        let bytes = dockerfile.source.bytes
        // Nearly every file is clean as a whole, and then nothing else is looked at.
        if !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil { return [] }
        return dockerfile.instructions.compactMap { instruction in
            let range = instruction.range.start..<min(instruction.range.end, bytes.count)
            if let place = bytes[range].firstIndex(of: 0) {
                return .error("NUL byte in \(instruction.keyword.text)", at: SourceRange(place, place + 1))
            }
            guard let place = firstInvalid(bytes, range) else { return nil }
            let hex = String(bytes[place], radix: 16, uppercase: true)
            return .error(
                "byte 0x\(hex) is not UTF-8",
                at: SourceRange(place, place + 1),
                notes: [.init("save the file as UTF-8")]
            )
        }
    }

    private static func firstInvalid(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
        if String(validating: bytes[range], as: UTF8.self) != nil { return nil }
        var decoder = Unicode.UTF8.ForwardParser()
        var iterator = bytes[range].makeIterator()
        var place = range.lowerBound
        while true {
            switch decoder.parseScalar(from: &iterator) {
            case .valid(let scalar): place += scalar.count
            case .error: return place
            case .emptyInput: return nil
            }
        }
    }
}
