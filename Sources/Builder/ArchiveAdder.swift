// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import Rootfs
internal import Store

/// Unpacks archives for ADD.
struct ArchiveAdder {
    let content: FileContent
    let destination: FileTree
    /// Whether other kinds than tar, which are often wanted as they are (`app.jar`), are unpacked too.
    let everyKind: Bool

    /// Unpacks a file if it is an archive.
    func add(_ node: FileNode, _ name: String, to target: [FileTree.Name], owner: Owner?) throws -> Bool {
        guard node.kind == .file, node.size > 0 else { return false }
        try content.unpack([node])
        guard case .disk(let folder, let file, let stamp) = node.content else { return false }
        return try content.reading(folder, file, stamp) { try add($0, name, to: target, owner: owner) }
    }

    /// Unpacks an open file if it is an archive.
    func add(_ descriptor: Int32, _ name: String, to target: [FileTree.Name], owner: Owner?) throws -> Bool {
        guard let reader = try? ArchiveReader(descriptor: descriptor, name: name, tarOnly: !everyKind) else {
            return false
        }
        // What only looks like an archive is copied as BuildKit does, where nobody said that it is one.
        let first = everyKind ? try reader.next() : try? reader.next()
        guard everyKind || first != nil else { return false }
        let root = try destination.resolve(target)
        var rules = CopyRules()
        rules.owner = owner
        try destination.makeFolders(root, rules)
        var entry: TarEntry? = first
        while let next = entry {
            try add(next, reader, root, owner)
            entry = try reader.next()
        }
        return true
    }

    private func add(_ entry: TarEntry, _ reader: ArchiveReader, _ root: [FileTree.Name], _ owner: Owner?) throws {
        // An entry without content is a header on disk, and a node in memory.
        try content.charge(1024)
        let names = try checked(entry.path, entry)
        guard let name = names.last else { return }
        let place = try destination.resolve(root + names.dropLast())
        try check(place, isIn: root, entry)
        try destination.makeFolders(place, CopyRules(owner: owner))
        try destination.markDirty(place)
        guard let parent = try destination.node(at: place) else { return }
        let existing = try parent.child(name)
        if entry.kind == .hardLink {
            let target = try destination.resolve(root + checked(entry.target, entry))
            try check(target, isIn: root, entry)
            guard let node = try destination.node(at: target), !node.isDirectory else {
                throw StoreError(
                    "the archive's hard link \"\(entry.name)\" names something that is not there, or no file"
                )
            }
            if entry.size > 0 { try content.spool(node, from: reader, name: entry.name) }
            (node.isShared, node.isTouched) = (true, true)
            try destination.markDirty(target)
            try parent.set(name, node)
            return
        }
        let node = FileNode(entry)
        if let owner { (node.uid, node.gid) = (owner.uid, owner.gid) }
        node.isTouched = true
        if entry.kind == .file { try content.spool(node, from: reader, name: entry.name) }
        if entry.kind == .directory, let existing, existing.isDirectory {
            (existing.mode, existing.uid, existing.gid) = (node.mode, node.uid, node.gid)
            (existing.mtime, existing.attributes, existing.isTouched) = (node.mtime, node.attributes, true)
            parent.isDirty = true
        } else {
            try parent.set(name, node)
        }
    }

    /// Refuses a place that only a link outside of the archive's folder leads to.
    private func check(_ place: [FileTree.Name], isIn root: [FileTree.Name], _ entry: TarEntry) throws {
        guard place.starts(with: root) else {
            throw StoreError("the archive's entry \"\(entry.name)\" would leave /\(FileTree.text(root)) through a link")
        }
    }

    private func checked(_ path: [UInt8], _ entry: TarEntry) throws -> [FileTree.Name] {
        let names = FileTree.names(path)
        guard !names.contains(Array("..".utf8)) else {
            throw StoreError("the archive's entry \"\(entry.name)\" has \"..\" in its path, and is not unpacked")
        }
        return names
    }
}
