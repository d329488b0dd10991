// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
public import Store

/// The ordinary files and the folders in a folder on disk, as the kernel tells of them.
///
/// Of a file that did not change a build needs to know just that. To make a node of each takes longer than to look at
/// it, so nodes are made where something asks for them.
public final class FolderListing {
    /// A file with one name.
    public struct File: Sendable {
        /// Where its name is among the names.
        fileprivate var name: Range<UInt32>
        /// Permissions, from 0 to 0o7777.
        public let mode: UInt32
        /// The owner's number.
        public let uid: UInt32
        /// The group's number.
        public let gid: UInt32
        /// Seconds since 1970.
        public let mtime: Int64
        /// Tells whether its content is what it was.
        public let stamp: FileIndex.Stamp
    }

    private let place: FolderPath
    private let names: [UInt8]
    /// The files, sorted by name.
    public let files: [File]
    /// The folders, sorted by name.
    public let folders: [FileNode.Child]

    /// What was found so far.
    struct Draft {
        private var names: [UInt8] = []
        private var files: [File] = []
        var folders: [FileNode.Child] = []

        /// Makes room, so that nothing grows with each file.
        mutating func reserve(files: Int, bytes: Int) {
            self.files.reserveCapacity(files)
            names.reserveCapacity(bytes)
        }

        mutating func add(_ name: UnsafeRawBufferPointer, _ status: stat, keepsOwner: Bool) {
            let start = UInt32(names.count)
            names.append(contentsOf: name)
            files.append(
                File(
                    name: start..<UInt32(names.count),
                    mode: status.st_mode & 0o7777,
                    uid: keepsOwner ? status.st_uid : 0,
                    gid: keepsOwner ? status.st_gid : 0,
                    mtime: Int64(status.st_mtim.tv_sec),
                    stamp: FileIndex.Stamp(status)
                )
            )
        }

        consuming func finish(in place: FolderPath) -> FolderListing {
            let names = names
            if files.count > 1 {
                names.withUnsafeBytes { names in
                    files.sort { names[$0.name].lexicographicallyPrecedes(names[$1.name]) }
                    // A folder that changes while it is read may name a file twice.
                    for index in files.indices.dropFirst().reversed()
                    where names[files[index].name].elementsEqual(names[files[index - 1].name]) {
                        files.remove(at: index)
                    }
                }
            }
            return FolderListing(place, names, files, FileNode.sorted(folders))
        }
    }

    private init(_ place: FolderPath, _ names: [UInt8], _ files: [File], _ folders: [FileNode.Child]) {
        (self.place, self.names, self.files, self.folders) = (place, names, files, folders)
    }

    /// Goes through the files with their names, by name.
    ///
    /// - Parameter body: Is given a file and its name; says whether to go on.
    public func forEach(_ body: (File, UnsafeRawBufferPointer) -> Bool) {
        names.withUnsafeBytes { names in
            for file in files {
                guard body(file, UnsafeRawBufferPointer(rebasing: names[file.name])) else { return }
            }
        }
    }

    /// A node for each file and folder, sorted by name.
    func children() -> [FileNode.Child] {
        var children = folders
        children.reserveCapacity(files.count + folders.count)
        for file in files {
            let name = Array(names[Int(file.name.lowerBound)..<Int(file.name.upperBound)])
            let node = FileNode(.file, mode: file.mode)
            (node.uid, node.gid, node.size, node.mtime) = (file.uid, file.gid, file.stamp.size, file.mtime)
            node.content = .disk(place, name: name, file.stamp)
            children.append((name, node))
        }
        return FileNode.sorted(children)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate subscript(range: Range<UInt32>) -> Slice<UnsafeRawBufferPointer> {
        self[Int(range.lowerBound)..<Int(range.upperBound)]
    }
}
