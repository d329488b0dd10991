// SPDX-License-Identifier: Apache-2.0

/// One part of a path with `*`, `?`, `[…]` and escapes, as COPY and ADD understand them.
///
/// Specification: Dockerfile reference, "COPY", which names Go's `filepath.Match`.
struct Wildcard {
    private enum Piece {
        case byte(UInt8)
        case any
        case many
        case set([ClosedRange<UInt32>], isNegated: Bool)
    }

    private var pieces: [Piece] = []

    /// Whether a part of a path has a wildcard.
    static func isWild(_ part: [UInt8]) -> Bool {
        var isEscaped = false
        for byte in part {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "*") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "[") {
                return true
            }
        }
        return false
    }

    /// Reads a pattern; `nil` where it is malformed.
    init?(_ part: [UInt8]) {
        var index = 0
        while index < part.count {
            switch part[index] {
            case UInt8(ascii: "*"): pieces.append(.many)
            case UInt8(ascii: "?"): pieces.append(.any)
            case UInt8(ascii: "["):
                guard let set = Wildcard.set(part, &index) else { return nil }
                pieces.append(set)
            case UInt8(ascii: "\\"):
                index += 1
                guard index < part.count else { return nil }
                pieces.append(.byte(part[index]))
            default: pieces.append(.byte(part[index]))
            }
            index += 1
        }
    }

    /// Reads `[a-z]`; `index` is at the opening bracket before and at the closing one after.
    private static func set(_ part: [UInt8], _ index: inout Int) -> Piece? {
        let text = Array(String(decoding: part[(index + 1)...], as: UTF8.self).unicodeScalars)
        var (place, ranges, isNegated) = (0, [ClosedRange<UInt32>](), false)
        if place < text.count, text[place] == "^" {
            isNegated = true
            place += 1
        }
        func scalar() -> UInt32? {
            if place < text.count, text[place] == "\\" { place += 1 }
            guard place < text.count else { return nil }
            defer { place += 1 }
            return text[place].value
        }
        while place < text.count, text[place] != "]" || ranges.isEmpty {
            guard text[place] != "-", let low = scalar() else { return nil }
            var high = low
            if place < text.count, text[place] == "-" {
                place += 1
                guard place < text.count, text[place] != "]", let end = scalar() else { return nil }
                high = end
            }
            guard low <= high else { return nil }
            ranges.append(low...high)
        }
        guard place < text.count, !ranges.isEmpty else { return nil }
        index += 1 + text[..<place].reduce(0) { $0 + UTF8.width($1) }
        return .set(ranges, isNegated: isNegated)
    }

    /// Whether a name matches as a whole.
    func matches(_ name: [UInt8]) -> Bool {
        // One star is remembered at a time: an earlier one never needs to give back what a later one took.
        var (piece, place) = (0, 0)
        var star: (piece: Int, place: Int)?
        while place < name.count {
            if piece < pieces.count, case .many = pieces[piece] {
                star = (piece, place)
                piece += 1
            } else if piece < pieces.count, let width = match(pieces[piece], name, at: place) {
                piece += 1
                place += width
            } else if let last = star {
                star = (last.piece, last.place + 1)
                (piece, place) = (last.piece + 1, last.place + 1)
            } else {
                return false
            }
        }
        return pieces[piece...].allSatisfy { if case .many = $0 { true } else { false } }
    }

    /// How many bytes a piece matches; `nil` where it does not.
    private func match(_ piece: Piece, _ name: [UInt8], at place: Int) -> Int? {
        switch piece {
        case .byte(let byte): return name[place] == byte ? 1 : nil
        case .any: return Wildcard.scalar(name, at: place).width
        case .set(let ranges, let isNegated):
            let (value, width) = Wildcard.scalar(name, at: place)
            return ranges.contains { $0.contains(value) } != isNegated ? width : nil
        case .many: return nil
        }
    }

    /// The scalar at a place; a byte that is no UTF-8 stands for itself.
    private static func scalar(_ name: [UInt8], at place: Int) -> (value: UInt32, width: Int) {
        var decoder = UTF8()
        var bytes = name[place...].makeIterator()
        if case .scalarValue(let scalar) = decoder.decode(&bytes) { return (scalar.value, UTF8.width(scalar)) }
        return (UInt32(name[place]), 1)
    }
}
