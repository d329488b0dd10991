// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import Rootfs

/// An entry by a line: `d a`, `f a/b`, `l a -> b` (a link by name), `h a -> b` (a hard link), `p a` (a pipe).
func entry(_ line: String) -> TarEntry {
    let kinds: [Character: TarEntry.Kind] = [
        "d": .directory, "f": .file, "l": .symlink, "h": .hardLink, "p": .fifo,
    ]
    let text = line.dropFirst(2)
    let parts = text.components(separatedBy: " -> ")
    var entry = TarEntry(path: Array(parts[0].utf8), kind: kinds[line.first ?? "f"] ?? .file)
    entry.mode = 0o755
    if parts.count > 1 { entry.target = Array(parts[1].utf8) }
    return entry
}

/// A tree of layers, each with entries by lines.
func tree(_ layers: [String]...) throws -> FileTree {
    let tree = FileTree()
    for (number, layer) in layers.enumerated() {
        try tree.add(layer.map(entry), of: SHA256.digest([UInt8(number)]))
    }
    return tree
}

extension FileTree {
    /// Every path, sorted.
    func paths() throws -> [String] {
        func walk(_ node: FileNode, _ path: String) throws -> [String] {
            guard node.isDirectory else { return [] }
            return try node.sortedChildren()
                .flatMap { name, child in
                    let place = (path.isEmpty ? "" : path + "/") + String(decoding: name, as: UTF8.self)
                    return try [place] + walk(child, place)
                }
        }
        return try walk(root, "")
    }

    /// Where a path leads, as text.
    func resolve(_ path: String) throws -> String { FileTree.text(try resolve(FileTree.names(path.utf8))) }

    func node(_ path: String) throws -> FileNode? { try node(at: FileTree.names(path.utf8)) }
}
