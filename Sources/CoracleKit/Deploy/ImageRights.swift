// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Builder
internal import Deploy
internal import OCI
internal import Registry
internal import Rootfs
internal import Store

/// Who an image runs as, in numbers, and whether that user can change any of its files.
struct ImageRights: Hashable, Sendable {
    /// The user.
    var user: UInt32
    /// The group; `nil` where the image does not say.
    var group: UInt32?
    /// Whether a root file system that can only be read takes nothing away; `nil` where nobody looked.
    var canBeReadOnly: Bool?
    /// Folders that everybody may write in, as `/tmp`.
    var scratch: [String] = []

    /// Folders that are there to be written in, and are empty in images.
    private static let scratchFolders: Set<String> = ["/tmp", "/var/tmp"]
    /// What a runtime gives anyway, or nothing needs.
    private static let given: Set<String> = ["/dev", "/proc", "/sys", "/run/lock", "/run/shm"]

    /// Looks at an image.
    ///
    /// Names of users are looked up in the image's own files; layers that are not here are fetched for that, and for
    /// nothing else.
    static func look(
        _ facts: ImageFacts,
        in store: ImageStore?,
        fetch: ([Descriptor]) async throws -> Void
    ) async throws -> ImageRights? {
        let words = facts.config.user.split(separator: ":", maxSplits: 1).map(String.init)
        let isNumber = words.allSatisfy { UInt32($0) != nil }
        if words.isEmpty || words[0] == "root" || UInt32(words[0]) == 0 { return ImageRights(user: 0) }
        let plain = ImageRights(
            user: words.first.flatMap { UInt32($0) } ?? 0,
            group: words.count == 2 ? UInt32(words[1]) : nil
        )
        guard let store, !facts.content.isEmpty else { return isNumber ? plain : nil }
        let isHere = facts.content.allSatisfy { store.has($0) || LayerIndex.isKnown($0.digest, in: store) }
        if !isHere {
            if isNumber { return plain }
            try await fetch(facts.content)
        }
        let tree = FileTree()
        for layer in facts.content { try tree.add(LayerIndex.entries(of: layer, in: store), of: layer.digest) }
        let user = try await user(facts, tree, store, fetch)
        var rights = ImageRights(user: user.uid, group: isNumber && words.count == 1 ? nil : user.gid)
        try rights.walk(tree, user, volumes: facts.config.volumes)
        return rights
    }

    /// Looks the user up in the image's own files.
    private static func user(
        _ facts: ImageFacts,
        _ tree: FileTree,
        _ store: ImageStore,
        _ fetch: ([Descriptor]) async throws -> Void
    ) async throws -> RunUser {
        var files: [String: [UInt8]] = [:]
        for path in ["/etc/passwd", "/etc/group"] {
            let place = try tree.resolve(FileTree.names(path.utf8))
            guard let node = try tree.node(at: place), case .layer(let digest, let number) = node.content,
                let layer = facts.content.first(where: { $0.digest == digest })
            else { continue }
            if !store.has(layer) { try await fetch([layer]) }
            let sink = SmallFileSink()
            try LayerIndex.read(layer, in: store) { _, place, reader in
                guard place == number else { return true }
                _ = try reader.copyContent(to: sink, limit: 1 << 20)
                return false
            }
            files[path] = sink.bytes
        }
        return try RunUser(facts.config.user) { files[$0] }
    }

    /// Whether the user can change anything outside of volumes and folders for scratch.
    private mutating func walk(_ tree: FileTree, _ user: RunUser, volumes: Set<String>) throws {
        let groups = Set([user.gid] + user.groups)
        let open = Set(volumes.map { $0.hasSuffix("/") && $0.count > 1 ? String($0.dropLast()) : $0 })
        var found: [String] = []
        func mayWrite(_ node: FileNode) -> Bool {
            // An owner who may not write can give himself the right.
            if node.uid == user.uid { return true }
            return node.mode >> (groups.contains(node.gid) ? 3 : 0) & 2 != 0
        }
        func visit(_ folder: FileNode, _ path: String) throws -> Bool {
            for (name, node) in try folder.sortedChildren() {
                let place = path + "/" + String(decoding: name, as: UTF8.self)
                guard !ImageRights.given.contains(place), node.kind != .symlink else { continue }
                if node.isDirectory, open.contains(place) || ImageRights.scratchFolders.contains(place) {
                    // An empty volume in its place would hide what is there.
                    guard try node.sortedChildren().isEmpty else { return false }
                    if mayWrite(node) { found.append(place) }
                    continue
                }
                if mayWrite(node) { return false }
                if node.isDirectory, try !visit(node, place) { return false }
            }
            return true
        }
        canBeReadOnly = try !mayWrite(tree.root) && visit(tree.root, "")
        scratch = found
    }
}

/// Keeps a small file in memory; the file's reader has the limit.
private final class SmallFileSink: ByteSink {
    private(set) var bytes: [UInt8] = []

    func write(_ part: UnsafeRawBufferPointer) throws(ArchiveError) { bytes += part }
}
