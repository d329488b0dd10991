// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import DockerfileSyntax
internal import Rootfs
internal import Store

/// What a copy does besides copying.
struct CopyRules {
    /// Who owns what is copied; `nil` to keep the owners of the source.
    var owner: Owner?
    /// The permissions of what is copied; `nil` to keep those of the source.
    var mode: FileMode?
    /// Whether a source that is a link is followed.
    var followsLinks = true
    /// Whether of a folder its content is copied, or the folder itself.
    var copiesContent = true
    /// Only what matches is copied; `nil` for everything.
    var include: IgnoreFile?
    /// What matches is left out; `nil` for nothing.
    var exclude: IgnoreFile?

    /// The permissions of folders that are made on the way.
    var folderMode: UInt32 {
        if case .octal(let number)? = mode { number } else { 0o755 }
    }
}

/// Copies files from one tree into another, as BuildKit does it for COPY and ADD.
final class FileCopier {
    private let source: FileTree
    private let destination: FileTree
    private let rules: CopyRules
    /// Copies of files with several names, so that these are several names again.
    private var links: [LinkKey: FileNode] = [:]

    init(from source: FileTree, to destination: FileTree, _ rules: CopyRules) {
        (self.source, self.destination, self.rules) = (source, destination, rules)
    }

    /// A folder that may have to be made once something in it is copied.
    private final class Place {
        let parent: Place?
        let name: FileTree.Name
        let source: FileNode?
        var node: FileNode?

        init(parent: Place?, name: FileTree.Name, source: FileNode?, node: FileNode?) {
            (self.parent, self.name, self.source, self.node) = (parent, name, source, node)
        }
    }

    /// Copies a file, or the content of a folder.
    func copy(_ path: [FileTree.Name], to target: String) throws {
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        let isFolder = parts.last == "" || parts.last == "."
        let names = FileTree.names(target.utf8)
        try destination.makeFolders(destination.resolve(isFolder ? names : Array(names.dropLast())), rules)
        var place = try destination.resolve(names)
        let resolved = try rules.followsLinks ? source.resolve(path) : source.resolve(path.dropLast()) + path.suffix(1)
        guard let node = try source.node(at: resolved) else { throw CopyFault.missing(path) }
        let existing = try destination.node(at: place)
        let joins =
            node.isDirectory ? !rules.copiesContent && existing != nil : existing.map(\.isDirectory) ?? false
        if joins, let name = path.last { place.append(name) }
        let isNewFolder = rules.copiesContent && node.isDirectory && existing == nil
        let folders = isNewFolder ? place : Array(place.dropLast())
        try destination.makeFolders(folders, rules)
        try destination.markDirty(folders)
        guard let name = place.last else {
            let root = Place(parent: nil, name: [], source: nil, node: destination.root)
            try copyContent(of: node, [], into: root)
            return
        }
        guard let parent = try destination.node(at: Array(place.dropLast())), parent.isDirectory else {
            throw CopyFault.notAFolder(Array(place.dropLast()))
        }
        try copy(node, [], name, into: Place(parent: nil, name: [], source: nil, node: parent), overwrites: false)
    }

    private func copy(
        _ node: FileNode,
        _ path: [UInt8],
        _ name: FileTree.Name,
        into place: Place,
        overwrites: Bool
    ) throws {
        let isIncluded = path.isEmpty || rules.takes(path)
        guard node.isDirectory else {
            if isIncluded { try copyLeaf(node, name, into: ready(place)) }
            return
        }
        if !isIncluded, rules.include == nil, rules.exclude.map({ $0.hidesAll(below: path) }) ?? false { return }
        let inner = Place(parent: place, name: name, source: node, node: nil)
        if isIncluded { inner.node = try copyFolder(node, name, into: ready(place), overwrites: overwrites) }
        try copyContent(of: node, path, into: inner)
    }

    private func copyContent(of node: FileNode, _ path: [UInt8], into place: Place) throws {
        for (name, child) in try node.sortedChildren() {
            let below = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
            try copy(child, below, name, into: place, overwrites: true)
        }
    }

    /// The folder of a place, made with those above it where nothing was copied into it before.
    private func ready(_ place: Place) throws -> FileNode {
        if let node = place.node { return node }
        guard let parent = place.parent, let source = place.source else { return destination.root }
        let node = try copyFolder(source, place.name, into: ready(parent), overwrites: true)
        place.node = node
        return node
    }

    private func copyFolder(
        _ node: FileNode,
        _ name: FileTree.Name,
        into parent: FileNode,
        overwrites: Bool
    ) throws -> FileNode {
        try node.look()
        if let existing = try parent.child(name) {
            guard existing.isDirectory else { throw CopyFault.notAFolder([name]) }
            if overwrites { describe(existing, as: node) }
            existing.isDirty = true
            parent.isDirty = true
            return existing
        }
        let made = FileNode(.directory, mode: node.mode)
        describe(made, as: node)
        made.isDirty = true
        try parent.set(name, made)
        return made
    }

    private func copyLeaf(_ node: FileNode, _ name: FileTree.Name, into parent: FileNode) throws {
        if let existing = try parent.child(name), existing.isDirectory { throw CopyFault.isAFolder([name]) }
        if let key = node.linkKey {
            let known = links[key] ?? duplicate(node)
            links[key] = known
            known.isShared = true
            try parent.set(name, known)
            return
        }
        try parent.set(name, duplicate(node))
    }

    private func duplicate(_ node: FileNode) -> FileNode {
        let copy = FileNode(node.kind, mode: node.mode)
        (copy.size, copy.target, copy.device, copy.content) = (node.size, node.target, node.device, node.content)
        describe(copy, as: node)
        return copy
    }

    /// Gives a node what another says of itself, as the rules change it.
    private func describe(_ node: FileNode, as source: FileNode) {
        (node.uid, node.gid) = rules.owner.map { ($0.uid, $0.gid) } ?? (source.uid, source.gid)
        node.mode = source.mode
        if let mode = rules.mode, node.kind != .symlink {
            node.mode = mode.applied(to: source.mode, isDirectory: node.isDirectory)
        }
        (node.mtime, node.attributes) = (source.mtime, source.attributes)
        node.isTouched = true
    }
}

/// What the names of a file with several names have in common.
enum LinkKey: Hashable {
    case inode(UInt64, device: UInt64)
    case node(ObjectIdentifier)
}

extension FileNode {
    /// The same for all names of a file with several; `nil` for all else.
    var linkKey: LinkKey? {
        guard isShared, kind == .file else { return nil }
        if case .disk(let folder, _, let stamp) = content { return .inode(stamp.inode, device: folder.device) }
        return .node(ObjectIdentifier(self))
    }
}

/// Why a copy cannot be made.
enum CopyFault: Error {
    case missing([FileTree.Name])
    case notAFolder([FileTree.Name])
    case isAFolder([FileTree.Name])

    var message: String {
        switch self {
        case .missing(let path): "\"/\(FileTree.text(path))\" does not exist"
        case .notAFolder(let path): "a folder would be copied over \"\(FileTree.text(path))\", which is no folder"
        case .isAFolder(let path): "a file would be copied over \"\(FileTree.text(path))\", which is a folder"
        }
    }
}

extension FileTree {
    /// Makes folders where there are none; those that are there stay as they are.
    func makeFolders(_ path: [Name], _ rules: CopyRules) throws {
        var node = root
        for (index, name) in path.enumerated() {
            if let next = try node.child(name) {
                guard next.isDirectory else { throw CopyFault.notAFolder(Array(path[...index])) }
                node = next
                continue
            }
            let made = FileNode(.directory, mode: rules.folderMode)
            (made.uid, made.gid) = rules.owner.map { ($0.uid, $0.gid) } ?? (0, 0)
            made.isTouched = true
            try node.set(name, made)
            try markDirty(Array(path[..<index]))
            node = made
        }
    }

    /// The paths that a pattern names, sorted; one for a pattern without wildcards, whether it exists or not.
    ///
    /// The part before the first wildcard must exist. A folder that matches is not looked into.
    func matches(_ pattern: [Name]) throws -> [[Name]] {
        guard let first = pattern.firstIndex(where: Wildcard.isWild) else {
            return [pattern]
        }
        let base = try resolve(Array(pattern[..<first]))
        guard let folder = try node(at: base) else { throw CopyFault.missing(base) }
        var found: [[Name]] = []
        try FileTree.match(pattern[first...].map { Wildcard($0) }[...], in: folder, base, into: &found)
        return found
    }

    private static func match(
        _ wildcards: ArraySlice<Wildcard?>,
        in folder: FileNode,
        _ path: [Name],
        into found: inout [[Name]]
    ) throws {
        guard folder.isDirectory, let first = wildcards.first, let wildcard = first else { return }
        for (name, child) in try folder.sortedChildren() where wildcard.matches(name) {
            if wildcards.count == 1 {
                found.append(path + [name])
            } else {
                try match(wildcards.dropFirst(), in: child, path + [name], into: &found)
            }
        }
    }
}
