// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import TestSupport
import Testing

/// An archive as Python's tarfile reads it.
enum PythonTar {
    /// An entry; bytes as hexadecimal digits.
    struct Row: Equatable {
        let name: String
        let type: String
        let numbers: [Int]
        let target: String
        let attributes: [String: String]

        init(_ json: JSON) {
            (name, type, target) = (
                json["name"].string ?? "?", json["type"].string ?? "?", json["target"].string ?? "?"
            )
            numbers = json["numbers"].array.map { $0.int ?? -99 }
            let found = json["attributes"]
            attributes = Dictionary(uniqueKeysWithValues: found.keys.map { ($0, found[$0].string ?? "?") })
        }

        init(_ entry: TarEntry) {
            let hex = { (bytes: [UInt8]) in
                bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            }
            name = hex(entry.path)
            target = hex(entry.target)
            let types: [TarEntry.Kind: String] = [
                .file: "0", .hardLink: "1", .symlink: "2", .characterDevice: "3", .blockDevice: "4", .directory: "5",
                .fifo: "6",
            ]
            type = types[entry.kind] ?? "?"
            numbers = [
                Int(entry.mode), Int(entry.uid), Int(entry.gid), Int(entry.size), Int(entry.mtime), Int(entry.major),
                Int(entry.minor),
            ]
            attributes = Dictionary(
                uniqueKeysWithValues: entry.attributes.map { (String(decoding: $0.name, as: UTF8.self), hex($0.value)) }
            )
        }
    }

    private static let script = """
        import json, sys, tarfile
        raw = lambda text: text.encode("utf-8", "surrogateescape").hex()
        rows = []
        archive = tarfile.open(sys.argv[1], "r:", errors="surrogateescape")
        while True:
            try:
                entry = archive.next()
            except (tarfile.ReadError, OverflowError, OSError, ValueError):
                break # the content of a header alone is not there
            if entry is None: break
            rows.append({
                "name": raw(entry.name), "type": entry.type.decode(), "target": raw(entry.linkname),
                "numbers": [entry.mode, entry.uid, entry.gid, entry.size, int(entry.mtime), entry.devmajor,
                            entry.devminor],
                "attributes": {name[13:]: raw(value) for name, value in entry.pax_headers.items()
                               if name.startswith("SCHILY.xattr.")},
            })
        json.dump(rows, sys.stdout)
        """

    static func list(_ bytes: [UInt8]) throws -> [Row] {
        let file = try ScratchFile(bytes)
        let python = try #require(Program.named("python3"))
        let result = try Program.run(["-c", script, file.url.path], of: python)
        try #require(result.status == 0, "\(result.errors)")
        return try JSON(parsing: result.output).array.map { Row($0) }
    }
}
