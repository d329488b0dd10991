// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// A JSON object as somebody wrote it, whose members can be changed; everything else stays to the byte.
///
/// The file is others' too: order, white space and the way numbers are written are theirs.
///
/// Specification: RFC 8259.
struct JSONText {
    /// The text, which is always well-formed.
    private(set) var bytes: [UInt8]

    /// A member of an object: where its name, its value and its end are.
    private struct Member {
        let name: String
        let start: Int
        let value: Int
        let end: Int
    }

    /// Takes a text that was parsed before: an object.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Sets the member that a path of names leads to; objects on the way are made where there are none.
    mutating func set(_ value: JSONValue, at path: [String]) {
        var (object, depth) = (skip(0), 1)
        for (index, name) in path.enumerated() {
            let rest = path[(index + 1)...].reversed().reduce(value) { [$1: $0] }
            guard let member = members(object).last(where: { $0.name == name }) else {
                return insert(name, rest, into: object, depth: depth)
            }
            let isLast = index == path.count - 1
            guard !isLast, bytes[member.value] == UInt8(ascii: "{") else {
                bytes.replaceSubrange(member.value..<member.end, with: text(rest, depth: depth))
                return
            }
            (object, depth) = (member.value, depth + 1)
        }
    }

    /// Removes every member that a path of names leads to.
    mutating func remove(_ path: [String]) {
        var object = skip(0)
        for name in path.dropLast() {
            guard let member = members(object).last(where: { $0.name == name }),
                bytes[member.value] == UInt8(ascii: "{")
            else { return }
            object = member.value
        }
        while let place = members(object).lastIndex(where: { $0.name == path.last }) {
            let all = members(object)
            let isLast = place == all.count - 1
            // The comma that goes is the one after it, or for the last one the one before.
            let start = isLast && place > 0 ? all[place - 1].end : isLast ? object + 1 : all[place].start
            let end = !isLast ? all[place + 1].start : place > 0 ? all[place].end : skip(all[place].end)
            bytes.removeSubrange(start..<end)
        }
    }

    // MARK: Writing

    private mutating func insert(_ name: String, _ value: JSONValue, into object: Int, depth: Int) {
        let colon = unit == nil ? ":" : ": "
        let member = Array((JSONValue.string(name).canonical + colon).utf8) + text(value, depth: depth)
        if let last = members(object).last {
            let before = bytes[..<last.start].lastIndex { !JSONText.isSpace($0) } ?? object
            bytes.insert(contentsOf: [UInt8(ascii: ",")] + bytes[(before + 1)..<last.start] + member, at: last.end)
        } else {
            let (open, close) = (lineBreak(depth), lineBreak(depth - 1))
            bytes.replaceSubrange((object + 1)..<skip(object + 1), with: open + member + close)
        }
    }

    /// A value as it stands in the text at a depth.
    private func text(_ value: JSONValue, depth: Int) -> [UInt8] {
        guard let unit else { return Array(value.canonical.utf8) }
        let lines = value.pretty.split(separator: "\n")
            .map { line -> [UInt8] in
                let indent = line.prefix { $0 == " " }.count / 2
                return (0..<indent).flatMap { _ in unit } + Array(line.drop { $0 == " " }.utf8)
            }
        return Array(lines.joined(separator: lineBreak(depth)))
    }

    private func lineBreak(_ depth: Int) -> [UInt8] {
        guard let unit else { return [] }
        return [0x0A] + (0..<depth).flatMap { _ in unit }
    }

    /// What lines are indented by; `nil` where everything is on one line.
    private var unit: [UInt8]? {
        let object = skip(0)
        guard let first = members(object).first else { return [0x20, 0x20] }
        let space = bytes[(object + 1)..<first.start]
        return space.lastIndex(of: 0x0A).map { Array(space[($0 + 1)...]) }
    }

    // MARK: Reading

    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }

    /// The first place from here on that is no white space.
    private func skip(_ place: Int) -> Int { bytes[place...].firstIndex { !JSONText.isSpace($0) } ?? bytes.count }

    /// The members of the object that begins at a place.
    private func members(_ object: Int) -> [Member] {
        var members: [Member] = []
        var place = skip(object + 1)
        while bytes[place] == UInt8(ascii: "\"") {
            let nameEnd = end(ofText: place)
            let name = (try? JSONValue(parsing: Array(bytes[place..<nameEnd])))?.string ?? ""
            let value = skip(skip(nameEnd) + 1)
            let end = end(ofValue: value)
            members.append(Member(name: name, start: place, value: value, end: end))
            let next = skip(end)
            guard bytes[next] == UInt8(ascii: ",") else { break }
            place = skip(next + 1)
        }
        return members
    }

    private func end(ofText start: Int) -> Int {
        var place = start + 1
        while bytes[place] != UInt8(ascii: "\"") { place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1 }
        return place + 1
    }

    private func end(ofValue start: Int) -> Int {
        var (place, depth) = (start, 0)
        while place < bytes.count {
            switch bytes[place] {
            case UInt8(ascii: "\""): place = end(ofText: place) - 1
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // The end of what the value is in: of a number or a word.
                if depth == 0 { return place }
                depth -= 1
            case UInt8(ascii: ","), 0x20, 0x09, 0x0A, 0x0D:
                if depth == 0 { return place }
                place += 1
                continue
            default:
                place += 1
                continue
            }
            place += 1
            if depth == 0 { return place }
        }
        return place
    }
}
