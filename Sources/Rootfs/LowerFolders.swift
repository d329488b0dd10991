// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store

/// Unpacked layers, seen as overlayfs shows them when they are mounted on top of each other.
///
/// The folders are the store's own: nothing in them changes while they are read. Belongs to one thread.
final class LowerFolders {
    /// What is at a path.
    struct Found {
        let status: stat
        /// The path from the root of a layer, without links on it.
        let path: [UInt8]
        /// The layers whose folders are merged, highest first; of anything but a folder, the one that has it.
        let layers: [Int]

        var kind: mode_t { status.st_mode & S_IFMT }
        var isDirectory: Bool { kind == S_IFDIR }
    }

    /// Highest first.
    private let roots: [OpenFile]
    private let marks: OverlayMarks
    private static let mostLinks = 40

    /// Opens layers, given lowest first.
    init(_ directories: [String], _ marks: OverlayMarks) throws {
        self.marks = marks
        roots = try directories.reversed()
            .map { path in
                let file = OpenFile(Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
                guard file.isOpen else { throw StoreError("opening the unpacked layer \(path)", errno: errno) }
                return file
            }
    }

    /// The merged root.
    func root() throws -> Found {
        var status = stat()
        if let top = roots.first { fstat(top.descriptor, &status) }
        return Found(status: status, path: [], layers: Array(roots.indices))
    }

    /// What a folder holds under a name; links are not followed.
    func child(_ name: [UInt8], of folder: Found) throws -> Found? {
        let path = folder.path.isEmpty ? name : folder.path + [UInt8(ascii: "/")] + name
        let place = CName(path)
        var (layers, first) = ([Int](), stat())
        for (index, layer) in folder.layers.enumerated() {
            var status = stat()
            guard place.with({ fstatat(roots[layer].descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
                if errno == ENOENT { continue }
                throw StoreError("looking at \(text(path)) in an unpacked layer", errno: errno)
            }
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            if layers.isEmpty {
                if OverlayMarks.isWhiteout(status) { return nil }
                guard isFolder else { return Found(status: status, path: path, layers: [layer]) }
                first = status
            } else if !isFolder {
                break
            }
            layers.append(layer)
            if index + 1 < folder.layers.count, try isOpaque(place, in: layer) { break }
        }
        return layers.isEmpty ? nil : Found(status: first, path: path, layers: layers)
    }

    private func isOpaque(_ path: CName, in layer: Int) throws -> Bool {
        let folder = OpenFile(path.with { openat(roots[layer].descriptor, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) })
        guard folder.isOpen else { throw StoreError("opening a folder of an unpacked layer", errno: errno) }
        return folder.with { marks.isOpaque($0) }
    }

    /// What is at a path, links not followed.
    func find(_ names: [FileTree.Name]) throws -> Found? {
        var found = try root()
        for name in names {
            guard found.isDirectory, let next = try child(name, of: found) else { return nil }
            found = next
        }
        return found
    }

    /// What a path leads to when every link on it is followed within the root.
    func follow(_ names: [FileTree.Name]) throws -> Found? {
        var open = Array(names.reversed())
        var trail = [try root()]
        var links = 0
        while let name = open.popLast() {
            if name == Array("..".utf8) {
                if trail.count > 1 { trail.removeLast() }
                continue
            }
            guard let last = trail.last, last.isDirectory, let next = try child(name, of: last) else { return nil }
            guard next.kind == S_IFLNK else {
                trail.append(next)
                continue
            }
            links += 1
            guard links <= LowerFolders.mostLinks else {
                throw TreeError("symbolic links lead in a circle at /\(text(next.path))")
            }
            let target = try self.target(of: next)
            if target.first == UInt8(ascii: "/") { trail.removeLast(trail.count - 1) }
            open += FileTree.names(target).reversed()
        }
        return trail.last
    }

    /// What a link names.
    func target(of link: Found) throws -> [UInt8] {
        try CName(link.path).linkTarget(in: roots[link.layers[0]].descriptor)
    }

    /// Opens what is no link; never waits for a pipe.
    func open(_ found: Found, _ flags: Int32 = O_RDONLY) throws -> OpenFile {
        let root = roots[found.layers[0]].descriptor
        let name = found.path.isEmpty ? CName([UInt8(ascii: ".")]) : CName(found.path)
        let file = OpenFile(name.with { openat(root, $0, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) })
        guard file.isOpen else { throw StoreError("opening \(text(found.path)) in an unpacked layer", errno: errno) }
        return file
    }

    /// The names in a folder, sorted.
    func names(in folder: Found) throws -> [FileTree.Name] {
        var (seen, hidden) = (Set<FileTree.Name>(), Set<FileTree.Name>())
        for layer in folder.layers {
            let part = Found(status: folder.status, path: folder.path, layers: [layer])
            let file = try open(part, O_RDONLY | O_DIRECTORY)
            for name in try file.names() where !seen.contains(name) && !hidden.contains(name) {
                var status = stat()
                let isThere = CName(name).with { fstatat(file.descriptor, $0, &status, AT_SYMLINK_NOFOLLOW) } == 0
                if isThere, OverlayMarks.isWhiteout(status) { hidden.insert(name) } else { seen.insert(name) }
            }
        }
        return seen.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }
}
