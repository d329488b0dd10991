// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import Store

/// Where a path of an image lies on disk, once its layers are unpacked.
public enum LayerPlace: Hashable, Sendable {
    /// A folder: the folders to mount on top of each other, lowest first; empty for an image without layers.
    case folders([String])
    /// A file.
    case file(String)
}

extension Snapshots {
    /// Finds what a path of an image leads to; links are followed within the image.
    ///
    /// - Parameters:
    ///   - path: The path from the image's root; empty for the root.
    ///   - directories: The image's layers, lowest first.
    /// - Returns: Where it lies; `nil` where there is nothing at the path.
    /// - Throws: ``StoreError`` or ``TreeError`` where it cannot be read, or links lead in a circle.
    public func locate(_ path: [UInt8], in directories: [String]) throws -> LayerPlace? {
        let names = FileTree.names(path)
        if names.isEmpty { return .folders(directories) }
        guard let found = try LowerFolders(directories, marks).follow(names) else { return nil }
        // Counted from the highest.
        let below = found.path.isEmpty ? "" : "/" + String(decoding: found.path, as: UTF8.self)
        let places = found.layers.map { directories[directories.count - 1 - $0] + below }
        return found.isDirectory ? .folders(places.reversed()) : .file(places[0])
    }

    /// Copies what a place holds, as it is seen when mounted, into a folder that is there.
    ///
    /// - Parameters:
    ///   - place: The place; of a file, nothing is copied.
    ///   - folder: The folder.
    /// - Throws: ``StoreError`` where something cannot be read or written.
    public func copy(_ place: LayerPlace, to folder: String) throws {
        guard case .folders(let folders) = place, !folders.isEmpty else { return }
        let lower = try LowerFolders(folders, marks)
        try copy(lower.root(), of: lower, to: Array(folder.utf8))
    }

    private func copy(_ folder: LowerFolders.Found, of lower: LowerFolders, to target: [UInt8]) throws {
        for name in try lower.names(in: folder) {
            guard let found = try lower.child(name, of: folder) else { continue }
            let place = CName(target + [UInt8(ascii: "/")] + name)
            var result: Int32 = 0
            switch found.kind {
            case S_IFDIR:
                result = place.with { mkdir($0, 0o700) }
                if result == 0 { try copy(found, of: lower, to: target + [UInt8(ascii: "/")] + name) }
            case S_IFLNK:
                let link = CName(try lower.target(of: found))
                result = link.with { old in place.with { symlink(old, $0) } }
            case S_IFREG: result = try copyFile(lower.open(found), of: Int64(found.status.st_size), to: place)
            case S_IFIFO: result = place.with { mkfifo($0, 0o600) }
            default: continue
            }
            if result == 0 { result = ownAs(found.status, place) }
            guard result == 0 else {
                throw StoreError("copying \(String(decoding: found.path, as: UTF8.self)) of an image", errno: errno)
            }
        }
    }

    private func copyFile(_ file: OpenFile, of size: Int64, to place: CName) throws -> Int32 {
        let copy = OpenFile(place.with { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) })
        guard copy.isOpen else { return -1 }
        try FileSink(descriptor: copy.descriptor, name: "a copy")
            .copy(descriptor: file.descriptor, size: size, name: "a file")
        return 0
    }

    /// Copies a file with its mode, and with its owner where this user may, however large it is.
    ///
    /// Blocks are shared where the file system can.
    ///
    /// - Parameters:
    ///   - path: The file; a link is not followed.
    ///   - target: Where the copy will be; nothing is there.
    /// - Throws: ``StoreError`` where it is no regular file, or cannot be read or written.
    public static func copyFile(_ path: String, to target: String) throws {
        // One that waits for a writer would be waited for.
        let file = OpenFile(open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC))
        var status = stat()
        guard file.isOpen, fstat(file.descriptor, &status) == 0 else {
            throw StoreError("opening \(path)", errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw StoreError("copying \(path): it is no regular file") }
        let copy = OpenFile(open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600))
        guard copy.isOpen else { throw StoreError("creating \(target)", errno: errno) }
        try file.copyContent(to: copy, size: Int64(status.st_size))
        _ = fchown(copy.descriptor, status.st_uid, status.st_gid)
        guard fchmod(copy.descriptor, status.st_mode & 0o7777) == 0 else {
            throw StoreError("setting the mode of \(target)", errno: errno)
        }
    }

    private func ownAs(_ status: stat, _ place: CName) -> Int32 {
        var times = [status.st_mtim, status.st_mtim]
        _ = place.with { lchown($0, status.st_uid, status.st_gid) }
        if status.st_mode & S_IFMT != S_IFLNK, place.with({ chmod($0, status.st_mode & 0o7777) }) != 0 { return -1 }
        return place.with { utimensat(AT_FDCWD, $0, &times, AT_SYMLINK_NOFOLLOW) }
    }
}
