// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store

/// Files of build contexts on disk as commands see them: without what is ignored, and root's.
///
/// They are copied, as the folder itself has files that the build must not see, and other owners; but once for all
/// commands of a build. Nobody writes into the copies: what a command writes goes elsewhere.
final class ContextCopies {
    private struct Key: Hashable {
        let origin: CopyAction.Origin
        let names: [FileTree.Name]
    }

    private let scratch: Scratch
    private let content: FileContent
    private var places: [Key: LayerPlace] = [:]

    init(_ store: ImageStore, _ content: FileContent) throws {
        (scratch, self.content) = (try Scratch(store), content)
    }

    /// The place of a file or folder of a context; the names lead to the node without links.
    func place(of node: FileNode, at names: [FileTree.Name], in origin: CopyAction.Origin) throws -> LayerPlace {
        if let known = known(node, names, origin) { return known }
        let place = try copy(node)
        places[Key(origin: origin, names: names)] = place
        return place
    }

    /// What was copied before, alone or with a folder that it is in.
    private func known(_ node: FileNode, _ names: [FileTree.Name], _ origin: CopyAction.Origin) -> LayerPlace? {
        if let place = places[Key(origin: origin, names: names)] { return place }
        for count in names.indices.reversed() {
            guard case .folders(let folders)? = places[Key(origin: origin, names: Array(names[..<count]))] else {
                continue
            }
            let path = folders[0] + "/" + FileTree.text(Array(names[count...]))
            // Names that are no UTF-8 cannot be mounted by their text.
            guard Array(path.utf8).count == folders[0].utf8.count + names[count...].reduce(0, { $0 + 1 + $1.count })
            else { return nil }
            return node.isDirectory ? .folders([path]) : .file(path)
        }
        return nil
    }

    private func copy(_ node: FileNode) throws -> LayerPlace {
        let folder = "\(scratch.path)/\(places.count)"
        if node.isDirectory {
            try ImageFiles(tree: FileTree(root: node), content: content).extract(to: folder)
            chmod(folder, node.mode)
            return .folders([folder])
        }
        let tree = FileTree()
        try tree.root.set(Array("file".utf8), node)
        try ImageFiles(tree: tree, content: content).extract(to: folder)
        return .file(folder + "/file")
    }
}
