// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store

/// The digests of the files a build reads, remembered from build to build.
final class FileDigests {
    private var index: FileIndex
    /// What this build read of files that changed too recently for the index: a key must tell of the bytes that went
    /// into the layer, whatever became of the file since.
    private var recent: [FileIndex.Stamp: FileIndex.Hash] = [:]
    private let content: FileContent
    private let hasher = FieldsHasher()

    init(_ store: ImageStore, folder: String, _ content: FileContent) {
        index = FileIndex(store, folder: folder)
        self.content = content
    }

    /// Whether a file need not be hashed as long as it is like that.
    func knows(_ stamp: FileIndex.Stamp) -> Bool { content.torn[stamp] == nil && index[stamp] != nil }

    /// Remembers a digest.
    ///
    /// - Parameters:
    ///   - hash: The digest of what was read.
    ///   - stamp: The file as it was found.
    ///   - isWhole: Whether it was still like that when it was read.
    func remember(_ hash: [UInt8], of stamp: FileIndex.Stamp, isWhole: Bool) {
        keep(FileDigests.words(hash), of: stamp, isWhole: isWhole)
    }

    private func keep(_ hash: FileIndex.Hash, of stamp: FileIndex.Stamp, isWhole: Bool) {
        // Read twice in one build, and not the same: no key can tell which of both is in a layer.
        guard (index[stamp] ?? recent[stamp] ?? hash) == hash else { return content.distrust(stamp) }
        if isWhole { index.remember(hash, of: stamp) }
        if index[stamp] == nil { recent[stamp] = hash }
    }

    /// Writes what was remembered.
    func save() throws { try index.save() }

    private static func words(_ hash: [UInt8]) -> FileIndex.Hash {
        hash.withUnsafeBytes { $0.loadUnaligned(as: FileIndex.Hash.self) }
    }

    /// The digest of a file on disk, read where it changed.
    private func digest(_ folder: FolderPath, _ name: [UInt8], _ stamp: FileIndex.Stamp) throws -> FileIndex.Hash {
        if !content.torn.isEmpty, let torn = content.torn[stamp] { return torn }
        if let known = index[stamp] ?? recent[stamp] { return known }
        let file = try content.open(folder, name)
        defer { close(file) }
        let sink = HashingSink()
        try sink.copy(descriptor: file, size: stamp.size, name: String(decoding: folder.appending(name), as: UTF8.self))
        let hash = FileDigests.words(sink.finish(DiskTree.attributes(of: file)))
        keep(hash, of: stamp, isWhole: true)
        return hash
    }

    /// Makes digests of the files in folders, where no file has to be read; any number of threads may have one.
    func known() -> @Sendable () -> FolderDigest {
        { [index] in
            let (hasher, index) = (FieldsHasher(), index)
            return { listing in
                var isKnown = true
                listing.forEach { file, name in
                    guard let digest = index[file.stamp] else { isKnown = false; return false }
                    hasher.fields.add(file, name, digest)
                    return true
                }
                return isKnown ? hasher.finish() : hasher.discard()
            }
        }
    }

    /// The content of a file or folder as COPY sees it: names, kinds, owners, permissions and bytes; no times.
    func describe(_ node: FileNode, _ rules: CopyRules, into key: inout KeyHasher) throws {
        var links: [LinkKey: UInt64] = [:]
        guard node.isDirectory else {
            var fields = KeyFields()
            try add(node, [], &links, to: &fields)
            return key.add(fields.bytes)
        }
        // Paths are for rules to look at; names and the ends of folders say as much to the key.
        let path: [UInt8]? = rules.include == nil && rules.exclude == nil ? nil : []
        try describe(folder: node, [], path, rules, &links, into: &key)
    }

    private func describe(
        folder: FileNode,
        _ name: [UInt8],
        _ path: [UInt8]?,
        _ rules: CopyRules,
        _ links: inout [LinkKey: UInt64],
        into key: inout KeyHasher
    ) throws {
        // Its attributes are known once it was looked at.
        try folder.look()
        key.add(folder, name)
        // What changed while it was read was not known to be torn when the folder was looked at.
        let outline = path == nil && content.torn.isEmpty ? folder.outline : nil
        let folders: [FileNode.Child]
        if let outline {
            key.add(outline.files)
            folders = outline.folders
        } else {
            let children = try folder.sortedChildren()
            folders = children.filter { $0.node.isDirectory }
            // Of a folder whose file could not be read some may be left.
            hasher.fields.removeAll()
            for (name, file) in children where !file.isDirectory {
                if let path, !rules.takes(FileDigests.path(name, in: path)) { continue }
                try add(file, name, &links, to: &hasher.fields)
            }
            key.add(hasher.finish())
        }
        for (name, child) in folders {
            try describe(folder: child, name, path.map { FileDigests.path(name, in: $0) }, rules, &links, into: &key)
        }
        // No field is this long, so no name is taken for the end of a folder.
        key.add(UInt64.max)
    }

    private static func path(_ name: [UInt8], in folder: [UInt8]) -> [UInt8] {
        folder.isEmpty ? name : folder + [UInt8(ascii: "/")] + name
    }

    private func add(
        _ node: FileNode,
        _ name: [UInt8],
        _ links: inout [LinkKey: UInt64],
        to fields: inout KeyFields
    ) throws {
        var known: FileIndex.Hash?
        if case .disk(let folder, let name, let stamp) = node.content { known = try digest(folder, name, stamp) }
        let link = node.linkKey.map { shared in
            let number = links[shared] ?? UInt64(links.count)
            links[shared] = number
            return number
        }
        fields.add(node, name, known, link: link)
    }
}

extension CopyRules {
    /// Whether a file at a path below the source is copied.
    func takes(_ path: [UInt8]) -> Bool {
        if let exclude, exclude.decision(for: path).isIgnored { return false }
        return include.map { $0.decision(for: path).isIgnored } ?? true
    }
}

/// Hashes what is written to it, and passes it on.
final class HashingSink: ByteSink {
    /// Where the bytes go; `nil` to keep none.
    var next: (any ByteSink)?
    private var hash = FileHash()
    private var count: UInt64 = 0

    func write(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
        hash.update(bytes)
        count += UInt64(bytes.count)
        try next?.write(bytes)
    }

    /// The digest of bytes and attributes.
    ///
    /// How many bytes there were comes last, so that no bytes are taken for attributes.
    func finish(_ attributes: [TarEntry.Attribute]) -> [UInt8] {
        var fields = KeyFields()
        for attribute in attributes {
            fields.add(attribute.name)
            fields.add(attribute.value)
        }
        fields.add(count)
        hash.update(fields.bytes)
        return hash.finish()
    }
}
