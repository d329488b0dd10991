// SPDX-License-Identifier: Apache-2.0
public import Archive
public import OCI
public import Store

/// A file, folder or link of a file tree; two names of one node are hard links.
///
/// A class, as an inode is: names point to it, and what is changed through one name is changed for all. A tree
/// belongs to one thread.
public final class FileNode {
    /// Where a file's bytes are.
    public enum Content {
        /// There are none.
        case none
        /// Here.
        case inline([UInt8])
        /// In a file on disk: its folder, and its name there.
        case disk(FolderPath, name: [UInt8], FileIndex.Stamp)
        /// In a layer of the store: the place of its entry, counted from 0.
        case layer(Digest, entry: Int)
    }

    /// What it is; never a hard link.
    public let kind: TarEntry.Kind
    /// Permissions, from 0 to 0o7777.
    public var mode: UInt32
    /// The owner's number.
    public var uid: UInt32 = 0
    /// The group's number.
    public var gid: UInt32 = 0
    /// Bytes of content.
    public var size: Int64 = 0
    /// Seconds since 1970.
    public var mtime: Int64 = 0
    /// Where a file's bytes are.
    public var content = Content.none
    /// Whether it has more than one name where it comes from.
    public var isShared = false
    /// Whether the current step made or changed it.
    public var isTouched = false
    /// Whether the current step touched it or something below it.
    public var isDirty = false

    /// What few nodes have; there are many nodes, so each has room for what all have only.
    private struct Rare {
        var target: [UInt8] = []
        var device: (major: UInt32, minor: UInt32) = (0, 0)
        var attributes: [TarEntry.Attribute] = []
    }

    /// A name in a folder and what it names.
    public typealias Child = (name: [UInt8], node: FileNode)

    /// What is in a folder: nodes of files once something asks for one, sorted as long as it is as it was found, by name
    /// once something changed.
    private enum Children {
        case listed(FolderListing)
        case sorted([Child])
        case named([[UInt8]: FileNode])

        subscript(name: [UInt8]) -> FileNode? {
            switch self {
            case .listed: return nil
            case .named(let children): return children[name]
            case .sorted(let children):
                var (low, high) = (0, children.count)
                while low < high {
                    let middle = (low + high) / 2
                    if children[middle].name.lexicographicallyPrecedes(name) { low = middle + 1 } else { high = middle }
                }
                return low < children.count && children[low].name == name ? children[low].node : nil
            }
        }

        mutating func set(_ name: [UInt8], _ node: FileNode?) {
            var named: [[UInt8]: FileNode] = [:]
            switch consume self {
            case .listed: break
            case .named(let children): named = children
            case .sorted(let children): named = Dictionary(children.map { ($0.name, $0.node) }) { $1 }
            }
            // Held once, so that it is changed where it is.
            self = .sorted([])
            named[name] = node
            self = .named(named)
        }
    }

    /// What is known of a folder that was looked at with all below it.
    public struct Outline {
        /// A digest of everything in the folder but folders.
        public let files: FileIndex.Hash
        /// The folders in the folder, sorted by name.
        public let folders: [Child]
    }

    /// What is found in a folder.
    public enum Found {
        /// Nodes, in any order.
        case nodes([Child])
        /// Ordinary files and folders.
        case listing(FolderListing)
    }

    /// What folders have.
    private final class Folder {
        var children = Children.sorted([])
        var loader: ((FileNode) throws -> Found)?
        var outline: Outline?
    }

    private final class Box {
        var rare = Rare()
    }

    private var box: Box?
    private let folder: Folder?

    private var rare: Rare {
        get { box?.rare ?? Rare() }
        set {
            let box = box ?? Box()
            box.rare = newValue
            self.box = box
        }
    }

    /// What a link names.
    public var target: [UInt8] {
        get { box?.rare.target ?? [] }
        set { if box != nil || !newValue.isEmpty { rare.target = newValue } }
    }

    /// A device's numbers.
    public var device: (major: UInt32, minor: UInt32) {
        get { box?.rare.device ?? (0, 0) }
        set { if box != nil || newValue != (0, 0) { rare.device = newValue } }
    }

    /// Named values, sorted by name.
    public var attributes: [TarEntry.Attribute] {
        get { box?.rare.attributes ?? [] }
        set { if box != nil || !newValue.isEmpty { rare.attributes = newValue } }
    }

    /// Creates a node.
    ///
    /// - Parameters:
    ///   - kind: What it is.
    ///   - mode: Permissions.
    public init(_ kind: TarEntry.Kind, mode: UInt32) {
        (self.kind, self.mode) = (kind, mode)
        folder = kind == .directory ? Folder() : nil
    }

    /// Creates a folder whose content is looked up when it is needed.
    ///
    /// - Parameters:
    ///   - mode: Permissions.
    ///   - loader: Finds what is in the folder, and what it says of itself besides.
    public init(mode: UInt32, loader: @escaping (FileNode) throws -> Found) {
        (kind, self.mode, folder) = (.directory, mode, Folder())
        folder?.loader = loader
    }

    /// Creates a node of an archive's entry; of a hard link, one that is a file.
    ///
    /// - Parameter entry: The entry.
    public convenience init(_ entry: TarEntry) {
        self.init(entry.kind == .hardLink ? .file : entry.kind, mode: entry.mode)
        (uid, gid, size, mtime) = (entry.uid, entry.gid, entry.size, entry.mtime)
        (target, attributes) = (entry.kind == .hardLink ? [] : entry.target, entry.attributes)
        device = (entry.major, entry.minor)
    }

    /// Whether it is a folder.
    public var isDirectory: Bool { kind == .directory }

    private func loaded() throws -> Folder? {
        guard let folder, let loader = folder.loader else { return folder }
        switch try loader(self) {
        case .nodes(let found): folder.children = .sorted(FileNode.sorted(found))
        case .listing(let listing): folder.children = .listed(listing)
        }
        folder.loader = nil
        return folder
    }

    /// The folder with a node for each file.
    private func opened() throws -> Folder? {
        guard let folder = try loaded() else { return nil }
        if case .listed(let listing) = folder.children { folder.children = .sorted(listing.children()) }
        return folder
    }

    /// Nodes by name.
    static func sorted(_ children: consuming [Child]) -> [Child] {
        guard children.count > 1 else { return children }
        children.sort { $0.name.lexicographicallyPrecedes($1.name) }
        // A folder that changes while it is read may name a file twice.
        for index in children.indices.dropFirst().reversed() where children[index].name == children[index - 1].name {
            children.remove(at: index)
        }
        return children
    }

    /// What a folder holds under a name.
    ///
    /// - Parameter name: The name.
    /// - Returns: The node; `nil` where there is none.
    /// - Throws: Where the folder cannot be read.
    public func child(_ name: [UInt8]) throws -> FileNode? {
        try opened()?.children[name]
    }

    /// What a folder holds, sorted by name.
    ///
    /// - Returns: Names and nodes.
    /// - Throws: Where the folder cannot be read.
    public func sortedChildren() throws -> [Child] {
        switch try opened()?.children {
        case .none, .listed: return []
        case .sorted(let children): return children
        case .named(let children):
            return children.map { ($0.key, $0.value) }.sorted { $0.0.lexicographicallyPrecedes($1.0) }
        }
    }

    /// Looks at a folder unless that was done; its attributes are known after it only.
    ///
    /// - Throws: Where the folder cannot be read.
    public func look() throws { _ = try loaded() }

    /// What is in a folder that nothing asked for a file of; `nil` of any other.
    ///
    /// - Throws: Where the folder cannot be read.
    func listing() throws -> FolderListing? {
        if case .listed(let listing) = try loaded()?.children { listing } else { nil }
    }

    /// What ``loadAll(cores:digest:)`` found of a folder; `nil` where it could not tell, and once a name in it changed.
    public internal(set) var outline: Outline? {
        get { folder?.outline }
        set { folder?.outline = newValue }
    }

    /// Puts a node under a name, in place of another, or removes the name.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - node: The node; `nil` to remove.
    /// - Throws: Where the folder cannot be read.
    public func set(_ name: [UInt8], _ node: FileNode?) throws {
        let folder = try opened()
        folder?.children.set(name, node)
        folder?.outline = nil
        isDirty = true
    }

    /// Removes everything from a folder.
    public func removeChildren() {
        folder?.children = .sorted([])
        folder?.loader = nil
        folder?.outline = nil
    }

    /// The node as an entry of an archive.
    ///
    /// - Parameter path: Its path from the root.
    /// - Returns: The entry.
    public func entry(at path: [UInt8]) -> TarEntry {
        var entry = TarEntry(path: path, kind: kind)
        (entry.mode, entry.uid, entry.gid, entry.mtime) = (mode, uid, gid, mtime)
        (entry.target, entry.attributes) = (target, attributes)
        (entry.major, entry.minor) = device
        if kind == .file { entry.size = size }
        return entry
    }
}

/// A folder on disk, shared by the nodes of all files in it.
public final class FolderPath: Sendable {
    /// The absolute path, without a slash at its end.
    public let bytes: [UInt8]
    /// The file system that it is on.
    public let device: UInt64

    /// Names a folder.
    ///
    /// - Parameters:
    ///   - bytes: The absolute path.
    ///   - device: The file system that it is on.
    public init(_ bytes: [UInt8], device: UInt64 = 0) {
        (self.bytes, self.device) = (bytes, device)
    }

    /// The path of a file in the folder.
    ///
    /// - Parameter name: The file's name.
    /// - Returns: The path.
    public func appending(_ name: [UInt8]) -> [UInt8] {
        var path: [UInt8] = []
        path.reserveCapacity(bytes.count + 1 + name.count)
        path += bytes
        path.append(UInt8(ascii: "/"))
        path += name
        return path
    }
}
