// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A place in a folder on disk, moved name by name and never through a link; the folders above stay open.
final class FolderCursor {
    private let root: OpenFile
    private var open: [OpenFile] = []
    /// The names from the root.
    private(set) var names: [FileTree.Name] = []

    init(_ root: OpenFile) {
        self.root = root
    }

    /// The folder that it is in.
    var folder: OpenFile { open.last ?? root }

    /// Goes up, so that so many names are left.
    func leave(keeping count: Int) {
        guard count < names.count else { return }
        names.removeLast(names.count - count)
        open.removeLast(open.count - count)
    }

    /// Goes up to the last folder that is on the way to a path; how many names that leaves.
    func share(_ path: [FileTree.Name]) -> Int {
        var count = 0
        while count < min(names.count, path.count), names[count] == path[count] { count += 1 }
        leave(keeping: count)
        return count
    }

    /// Goes into a folder; `false`, with `errno` set, where there is none of that name.
    func enter(_ name: FileTree.Name) -> Bool {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let file = OpenFile(CName(name).with { openat(folder.descriptor, $0, flags) })
        guard file.isOpen else { return false }
        open.append(file)
        names.append(name)
        return true
    }
}
