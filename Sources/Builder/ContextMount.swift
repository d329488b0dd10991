// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store

// Files of a build context as a command sees them.
extension ImageBuilder {
    /// Brings a file or folder of a context to disk as a build sees it: without what is ignored, and root's.
    ///
    /// It is copied, as the folder itself has files that the build must not see, and other owners.
    func disk(_ node: FileNode, _ scratch: Scratch) throws -> LayerPlace {
        let folder = "\(scratch.path)/\(UInt64.random(in: 0...UInt64.max))"
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
