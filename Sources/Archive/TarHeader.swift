// SPDX-License-Identifier: Apache-2.0

/// The bytes before an entry's content: a ustar header, and a pax header before it where ustar cannot say it all.
///
/// The same entry gives the same bytes, always; they are part of a layer's identity.
///
/// Specification: POSIX.1-2017, pax interchange format; xattrs as `SCHILY.xattr.*`, as image-spec `layer.md` has them.
public enum TarHeader {
    /// Names the form of the bytes; changes with it, so that no cached layer is taken for a new one.
    public static let version = "tar-1"

    /// The header of an entry.
    ///
    /// - Parameter entry: The entry.
    /// - Returns: A multiple of 512 bytes.
    public static func bytes(_ entry: TarEntry) -> [UInt8] {
        var path = entry.path
        if entry.kind == .directory { path.append(UInt8(ascii: "/")) }
        if path.isEmpty || path == [UInt8(ascii: "/")] { path = Array("./".utf8) }
        var records: [UInt8] = []
        let isPlain = path.count <= 100 && path.allSatisfy { $0 < 0x80 }
        if !isPlain { records += record("path", path) }
        if entry.target.count > 100 || entry.target.contains(where: { $0 >= 0x80 }) {
            records += record("linkpath", entry.target)
        }
        for (name, value, limit) in [
            ("size", size(entry), Int64(0o77777777777)), ("uid", Int64(entry.uid), 0o7777777),
            ("gid", Int64(entry.gid), 0o7777777), ("mtime", entry.mtime, 0o77777777777),
        ] where value > limit || value < 0 {
            records += record(name, Array(String(value).utf8))
        }
        for attribute in entry.attributes {
            records += record(Array("SCHILY.xattr.".utf8) + attribute.name, attribute.value)
        }
        let header = block(entry, path)
        return records.isEmpty ? header : paxBlock(records) + padded(records) + header
    }

    /// How many zero bytes follow content of a size.
    ///
    /// - Parameter size: Bytes of content.
    /// - Returns: From 0 to 511.
    public static func padding(after size: Int64) -> Int { Int((512 - size % 512) % 512) }

    /// Only files are followed by content.
    private static func size(_ entry: TarEntry) -> Int64 { entry.kind == .file ? entry.size : 0 }

    private static func record(_ name: String, _ value: [UInt8]) -> [UInt8] { record(Array(name.utf8), value) }

    /// `LENGTH NAME=VALUE\n`, where the length counts its own digits.
    private static func record(_ name: [UInt8], _ value: [UInt8]) -> [UInt8] {
        let rest = name.count + value.count + 3
        var length = rest + String(rest).utf8.count
        if String(length).utf8.count + rest != length { length = rest + String(length).utf8.count }
        return Array("\(length) ".utf8) + name + [UInt8(ascii: "=")] + value + [0x0A]
    }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: padding(after: Int64(bytes.count)))
    }

    private static func paxBlock(_ records: [UInt8]) -> [UInt8] {
        var entry = TarEntry(path: Array("PaxHeaders/entry".utf8), kind: .file)
        entry.size = Int64(records.count)
        return block(entry, entry.path, flag: UInt8(ascii: "x"))
    }

    private static func block(_ entry: TarEntry, _ path: [UInt8], flag: UInt8? = nil) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        put(path.prefix(100), at: 0, &block)
        octal(Int64(entry.mode & 0o7777), at: 100, digits: 7, &block)
        octal(Int64(entry.uid), at: 108, digits: 7, &block)
        octal(Int64(entry.gid), at: 116, digits: 7, &block)
        octal(size(entry), at: 124, digits: 11, &block)
        octal(entry.mtime, at: 136, digits: 11, &block)
        block[156] = flag ?? TarHeader.flag(entry.kind)
        put(entry.target.prefix(100), at: 157, &block)
        put(Array("ustar\u{0}00".utf8)[...], at: 257, &block)
        if entry.kind == .characterDevice || entry.kind == .blockDevice {
            octal(Int64(entry.major), at: 329, digits: 7, &block)
            octal(Int64(entry.minor), at: 337, digits: 7, &block)
        }
        // The sum is taken with blanks in its own place.
        var sum = 8 * 0x20
        for byte in block { sum += Int(byte) }
        octal(Int64(sum), at: 148, digits: 6, &block)
        block[155] = 0x20
        return block
    }

    private static func flag(_ kind: TarEntry.Kind) -> UInt8 {
        switch kind {
        case .file: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symlink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }

    private static func put(_ bytes: ArraySlice<UInt8>, at offset: Int, _ block: inout [UInt8]) {
        for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
    }

    /// A number with leading zeros; what does not fit is 0, and a pax record says it.
    private static func octal(_ value: Int64, at offset: Int, digits: Int, _ block: inout [UInt8]) {
        var rest = value >= 0 && value < Int64(1) << (3 * digits) ? value : 0
        for place in stride(from: digits - 1, through: 0, by: -1) {
            block[offset + place] = 0x30 + UInt8(rest & 7)
            rest >>= 3
        }
    }
}
