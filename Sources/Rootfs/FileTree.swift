// SPDX-License-Identifier: Apache-2.0
public import Archive
public import OCI

/// A path that leads nowhere, or a tree that cannot be read.
public struct TreeError: Error, Sendable, CustomStringConvertible {
    /// What is wrong with what: one line, no full stop.
    public let message: String

    /// The message.
    public var description: String { message }

    /// Creates an error.
    ///
    /// - Parameter message: One line, no full stop.
    public init(_ message: String) {
        self.message = message
    }
}

/// The files of an image, a stage or a build context, without their content.
public struct FileTree {
    /// The folder that everything is in.
    public let root: FileNode

    /// A name in a path.
    public typealias Name = [UInt8]

    /// Following more links than this is taken as going in a circle.
    private static let mostLinks = 255

    /// Creates a tree.
    ///
    /// - Parameter root: The folder that everything is in; empty and readable for all by default.
    public init(root: FileNode = FileNode(.directory, mode: 0o755)) {
        self.root = root
    }

    /// The names of a path; `.` and double slashes left out, `..` kept.
    ///
    /// - Parameter path: The path.
    /// - Returns: The names.
    public static func names(_ path: some Sequence<UInt8>) -> [Name] {
        Array(path).split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [UInt8(ascii: ".")] }
    }

    /// Where a path leads when every link on it is followed within the tree; what does not exist is taken as it is.
    ///
    /// - Parameter path: The path; `..` leads to the folder above, and never out of the root.
    /// - Returns: A path without links, as names.
    /// - Throws: ``TreeError`` where links lead in a circle.
    public func resolve(_ path: [Name]) throws -> [Name] {
        var open = Array(path.reversed())
        var (names, nodes): ([Name], [FileNode?]) = ([], [root])
        var links = 0
        while let name = open.popLast() {
            if name == Array("..".utf8) {
                if !names.isEmpty {
                    names.removeLast()
                    nodes.removeLast()
                }
                continue
            }
            let parent = nodes[nodes.count - 1]
            let node = try parent.flatMap { $0.isDirectory ? try $0.child(name) : nil }
            if let node, node.kind == .symlink {
                links += 1
                guard links <= FileTree.mostLinks else {
                    throw TreeError("symbolic links lead in a circle at /\(FileTree.text(names + [name]))")
                }
                if node.target.first == UInt8(ascii: "/") { (names, nodes) = ([], [root]) }
                open += FileTree.names(node.target).reversed()
                continue
            }
            names.append(name)
            nodes.append(node)
        }
        try FileTree.checkLength(names)
        return names
    }

    /// Links can lead deeper than any path that was written; trees are walked folder in folder, so depth has a bound.
    private static func checkLength(_ path: [Name]) throws {
        guard path.reduce(0, { $0 + $1.count + 1 }) > longestPath else { return }
        throw TreeError("the path \"/\(text(path).prefix(40))…\" is longer than \(longestPath) bytes")
    }

    /// What is at a path, links not followed.
    ///
    /// - Parameter path: The path, without `..`.
    /// - Returns: The node; `nil` where there is none.
    /// - Throws: Where a folder cannot be read.
    public func node(at path: [Name]) throws -> FileNode? {
        var node = root
        for name in path {
            guard node.isDirectory, let next = try node.child(name) else { return nil }
            node = next
        }
        return node
    }

    /// Says that something below the folders of a path changed.
    ///
    /// - Parameter path: The path; its folders exist.
    /// - Throws: Where a folder cannot be read.
    public func markDirty(_ path: [Name]) throws {
        var node = root
        node.isDirty = true
        for name in path {
            guard let next = try node.child(name) else { return }
            next.isDirty = true
            node = next
        }
    }

    /// Every node that was touched, with the folders above it: the entries of a layer, folders before their content.
    ///
    /// - Parameter body: Is given paths and nodes, sorted by name within each folder.
    /// - Throws: Where a folder cannot be read; what `body` throws.
    public func forEachTouched(_ body: ([UInt8], FileNode) throws -> Void) throws {
        var waiting: [(path: [UInt8], node: FileNode)] = []
        try FileTree.visit(root, [], &waiting, body)
    }

    /// Visits a folder; folders that were not touched wait until something in them is visited.
    private static func visit(
        _ folder: FileNode,
        _ path: [UInt8],
        _ waiting: inout [(path: [UInt8], node: FileNode)],
        _ body: ([UInt8], FileNode) throws -> Void
    ) throws {
        for (name, node) in try folder.sortedChildren() where node.isTouched || node.isDirty {
            let place = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
            if node.isTouched {
                for (path, node) in waiting { try body(path, node) }
                waiting.removeAll()
                try body(place, node)
            }
            guard node.isDirectory, node.isDirty else { continue }
            if !node.isTouched { waiting.append((place, node)) }
            try visit(node, place, &waiting, body)
            if let last = waiting.last, last.node === node { waiting.removeLast() }
        }
    }

    /// Forgets what was touched.
    ///
    /// - Throws: Where a folder cannot be read.
    public func forgetTouched() throws {
        var open = [root]
        while let node = open.popLast() {
            (node.isTouched, node.isDirty) = (false, false)
            guard node.isDirectory else { continue }
            for (_, child) in try node.sortedChildren() where child.isDirty || child.isTouched { open.append(child) }
        }
    }

    /// A path for messages.
    ///
    /// - Parameter path: The names.
    /// - Returns: The names with slashes between.
    public static func text(_ path: [Name]) -> String {
        path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
    }

    // MARK: Layers

    /// The longest path that an entry may have: no system could make a longer one in one call.
    private static let longestPath = 4096

    /// Adds a layer on top of what is there.
    ///
    /// Whiteouts hide what lower layers hold, wherever in the layer they stand.
    ///
    /// Specification: OCI image-spec 1.1, `layer.md`.
    ///
    /// - Parameters:
    ///   - entries: The layer's entries, in order.
    ///   - layer: The layer.
    /// - Throws: ``TreeError`` where an entry would leave the root, or links to what is not there or to a folder.
    public func add(_ entries: [TarEntry], of layer: Digest) throws {
        for entry in entries where FileTree.isWhiteout(entry) {
            let path = try FileTree.checked(entry.path, entry)
            let folder =
                try node(at: path.dropLast()).map { $0.isDirectory } ?? false
                ? path.dropLast() : try resolve(path.dropLast())
            if let parent = try node(at: folder), parent.isDirectory, let name = path.last {
                try FileTree.applyWhiteout(name, in: parent)
            }
        }
        for (number, entry) in entries.enumerated() {
            let path = try FileTree.checked(entry.path, entry)
            guard let name = path.last else {
                if entry.kind == .directory { root.take(FileNode(entry)) }
                continue
            }
            let parent = try folder(path.dropLast())
            if FileTree.isWhiteout(entry) { continue }
            try add(entry, name, to: parent, .layer(layer, entry: number))
        }
    }

    static func checked(_ path: [UInt8], _ entry: TarEntry) throws -> [Name] {
        guard path.count <= longestPath else {
            throw TreeError(
                "an entry's path has \(path.count) bytes, more than \(longestPath): \(entry.name.prefix(40))…"
            )
        }
        let names = names(path)
        guard !names.contains(Array("..".utf8)) else {
            throw TreeError("the entry \"\(entry.name)\" would leave the image: its path has \"..\"")
        }
        return names
    }

    private static let whiteoutMark = Array(".wh.".utf8)

    static func isWhiteout(_ entry: TarEntry) -> Bool {
        var path = entry.path[...]
        while path.last == UInt8(ascii: "/") { path.removeLast() }
        let start = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? path.startIndex
        return path[start...].starts(with: whiteoutMark)
    }

    private static func applyWhiteout(_ name: Name, in parent: FileNode) throws {
        if name == Array(".wh..wh..opq".utf8) {
            parent.removeChildren()
        } else {
            try parent.set(Array(name.dropFirst(whiteoutMark.count)), nil)
        }
    }

    private func add(_ entry: TarEntry, _ name: Name, to parent: FileNode, _ content: FileNode.Content) throws {
        if entry.kind == .hardLink {
            let target = try FileTree.checked(entry.target, entry)
            // The last name may be a link, which gets a second name then.
            let place = try resolve(target.dropLast()) + target.suffix(1)
            guard let node = try node(at: place) else {
                throw TreeError(
                    "the hard link \"\(entry.name)\" names \"\(FileTree.text(target))\", which is not there"
                )
            }
            // A folder with two names could hold itself.
            guard !node.isDirectory else {
                throw TreeError("the hard link \"\(entry.name)\" names \"\(FileTree.text(target))\", a folder")
            }
            node.isShared = true
            try parent.set(name, node)
            return
        }
        let node = FileNode(entry)
        if entry.kind == .directory, let old = try parent.child(name), old.isDirectory {
            old.take(node)
            return
        }
        if entry.kind == .file { node.content = content }
        try parent.set(name, node)
    }

    /// The folder at a path, made where it is not there; links are followed, as whoever unpacks a layer does.
    private func folder(_ path: some Sequence<Name>) throws -> FileNode {
        var node = root
        for name in path {
            if let next = try node.child(name), next.isDirectory {
                node = next
            } else if let next = try node.child(name), next.kind == .symlink {
                // What it leads to has no links, so that this comes once.
                return try folder(try resolve(Array(path)))
            } else {
                let next = FileNode(.directory, mode: 0o755)
                try node.set(name, next)
                node = next
            }
        }
        return node
    }
}

extension FileNode {
    /// Takes over what another folder says of itself, its content left out.
    func take(_ other: FileNode) {
        (mode, uid, gid, mtime, attributes) = (other.mode, other.uid, other.gid, other.mtime, other.attributes)
    }
}
