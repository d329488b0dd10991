// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import CLinux
internal import Glibc
internal import Store

/// Files, folders and links, made in the folder that the cursor is in.
extension Unpacker {
    func make(_ entry: TarEntry, _ text: CName, _ name: FileTree.Name, _ reader: ArchiveReader) throws {
        switch entry.kind {
        case .file:
            try makeFile(entry, text, name, Unpacker.time(entry)) { try self.writeContent(of: entry, reader, to: $0) }
        case .directory:
            if try makeFolder(entry, text, Unpacker.time(entry)) { try markOpaque(name) }
        case .symlink: try makeSymlink(entry, text, name)
        case .hardLink: try makeLink(entry, text, name)
        case .fifo, .characterDevice, .blockDevice: try makeSpecial(entry, text, name)
        }
    }

    static func time(_ entry: TarEntry) -> timespec { timespec(tv_sec: Int(entry.mtime), tv_nsec: 0) }

    private func fault(_ what: String, _ name: FileTree.Name) -> StoreError {
        let code = errno
        return StoreError("unpacking: \(what) /\(FileTree.text(cursor.names + [name]))", errno: code)
    }

    /// Makes something where nothing is, or in place of what the layer had there before.
    private func create(_ text: CName, _ name: FileTree.Name, _ what: String, _ body: (CName) -> Int32) throws -> Int32
    {
        let result = body(text)
        if result >= 0 { return result }
        guard errno == EEXIST else { throw fault(what, name) }
        try remove(text)
        let second = body(text)
        guard second >= 0 else { throw fault(what, name) }
        return second
    }

    // MARK: Files

    func makeFile(
        _ entry: TarEntry,
        _ text: CName,
        _ name: FileTree.Name,
        _ mtime: timespec,
        content: (OpenFile) throws -> Void
    ) throws {
        let folder = cursor.folder.descriptor
        // Nobody else may have more rights than in the end, not even for a moment.
        let isGiven = owners.canGive && (givesGroups || entry.uid != owners.uid || entry.gid != owners.gid)
        let first = isGiven ? entry.mode & 0o700 : entry.mode & 0o777
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let file = OpenFile(try create(text, name, "creating") { $0.with { openat(folder, $0, flags, first) } })
        try content(file)
        if isGiven { try check(fchown(file.descriptor, entry.uid, entry.gid), entry, name) }
        if entry.mode != first || first & owners.umask != 0 {
            guard fchmod(file.descriptor, entry.mode & 0o7777) == 0 else { throw fault("setting the mode of", name) }
        }
        if !entry.attributes.isEmpty { try set(entry.attributes, of: file.descriptor, name) }
        try setTime(mtime) { futimens(file.descriptor, $0) }
    }

    private func writeContent(of entry: TarEntry, _ reader: ArchiveReader, to file: OpenFile) throws {
        guard entry.size > 0 else { return }
        var end: Int64 = 0
        try reader.forEachBlock { bytes, offset in
            try willWrite(bytes.count)
            if offset != end, lseek(file.descriptor, Int(offset), SEEK_SET) < 0 {
                throw StoreError("writing \(entry.name)", errno: errno)
            }
            try file.write(bytes)
            end = offset + Int64(bytes.count)
        }
        if end < entry.size, ftruncate(file.descriptor, Int(entry.size)) != 0 {
            throw StoreError("writing \(entry.name)", errno: errno)
        }
    }

    private func setTime(_ mtime: timespec, _ body: (UnsafePointer<timespec>) -> Int32) throws {
        // The time of access is the same, so that nothing depends on when it was unpacked.
        let times = (mtime, mtime)
        let result = withUnsafePointer(to: times) { pointer in
            pointer.withMemoryRebound(to: timespec.self, capacity: 2) { body($0) }
        }
        guard result == 0 else { throw StoreError("setting the time of a file", errno: errno) }
    }

    private func check(_ result: Int32, _ entry: TarEntry, _ name: FileTree.Name) throws {
        if result == 0 { return }
        guard errno == EINVAL else { throw fault("giving \(entry.uid):\(entry.gid)", name) }
        throw StoreError(
            "unpacking: /\(FileTree.text(cursor.names + [name])) belongs to \(entry.uid):\(entry.gid), which is beyond "
                + "the numbers that this user may give away; give the user more in /etc/subuid and /etc/subgid"
        )
    }

    private func set(_ attributes: [TarEntry.Attribute], of file: Int32, _ name: FileTree.Name) throws {
        for attribute in attributes {
            let text = String(decoding: attribute.name, as: UTF8.self)
            guard DiskTree.isPortable(text) else { continue }
            if fsetxattr(file, text, attribute.value, attribute.value.count, 0) == 0 { continue }
            // An ordinary user sets no capabilities, and not every file system has attributes.
            guard errno == EPERM || errno == EOPNOTSUPP else { throw fault("setting \(text) of", name) }
        }
    }

    // MARK: Folders

    /// Makes a folder, or describes the one that is there; whether it hides what is below, as it replaces a file.
    @discardableResult
    func makeFolder(_ entry: TarEntry, _ text: CName, _ mtime: timespec) throws -> Bool {
        let folder = cursor.folder.descriptor
        let name = text.bytes
        var hides = false
        if text.with({ mkdirat(folder, $0, 0o700) }) != 0 {
            guard errno == EEXIST else { throw fault("creating the folder", name) }
            var status = stat()
            guard text.with({ fstatat(folder, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
                throw fault("looking at", name)
            }
            if status.st_mode & S_IFMT != S_IFDIR {
                hides = true
                try remove(text)
                guard text.with({ mkdirat(folder, $0, 0o700) }) == 0 else { throw fault("creating the folder", name) }
            }
        }
        if owners.canGive, givesGroups || entry.uid != owners.uid || entry.gid != owners.gid {
            let result = text.with { fchownat(folder, $0, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) }
            try check(result, entry, name)
        }
        if !entry.attributes.isEmpty {
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            let file = OpenFile(text.with { openat(folder, $0, flags) })
            guard file.isOpen else { throw fault("opening", name) }
            try set(entry.attributes, of: file.descriptor, name)
        }
        if entry.mode & S_ISGID != 0 { givesGroups = true }
        endings[Unpacker.joined(cursor.names + [name])] = Ending(mode: entry.mode & 0o7777, mtime: mtime)
        return hides
    }

    /// Keeps what an entry says of the root.
    func describeRoot(_ entry: TarEntry) throws {
        if owners.canGive { try check(fchown(root.descriptor, entry.uid, entry.gid), entry, []) }
        try set(entry.attributes, of: root.descriptor, [])
        endings[[]] = Ending(mode: entry.mode & 0o7777, mtime: Unpacker.time(entry))
    }

    /// Gives folders their modes and times, which making files in them would have changed.
    func finish() throws {
        let root = FolderCursor(root)
        // From the end of the alphabet, so that a folder comes after what is in it and may become unreadable.
        for (path, ending) in endings.sorted(by: { $1.key.lexicographicallyPrecedes($0.key) }) where !path.isEmpty {
            let names = FileTree.names(path)
            var isThere = true
            for name in names.dropLast()[root.share(names.dropLast())...] where isThere { isThere = root.enter(name) }
            guard isThere, let name = names.last else { continue }
            let (text, folder) = (CName(name), root.folder.descriptor)
            var status = stat()
            // Something else may have come in its place.
            guard text.with({ fstatat(folder, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0,
                status.st_mode & S_IFMT == S_IFDIR
            else { continue }
            if let mode = ending.mode, status.st_mode & 0o7777 != mode,
                text.with({ fchmodat(folder, $0, mode, 0) }) != 0
            {
                throw fault("setting the mode of", name)
            }
            try setTime(ending.mtime) { times in text.with { utimensat(folder, $0, times, AT_SYMLINK_NOFOLLOW) } }
        }
        let ending = endings[[]] ?? RootMark.unstated
        guard fchmod(self.root.descriptor, ending.mode ?? 0o755) == 0 else { throw fault("setting the mode of", []) }
        try setTime(ending.mtime) { futimens(self.root.descriptor, $0) }
    }

    // MARK: Links and devices

    func makeSymlink(_ entry: TarEntry, _ text: CName, _ name: FileTree.Name) throws {
        let (folder, target) = (cursor.folder.descriptor, CName(entry.target))
        _ = try create(text, name, "creating the link") { text in
            target.with { target in text.with { symlinkat(target, folder, $0) } }
        }
        try describe(entry, text, name)
    }

    /// Owner and time of what is not opened.
    private func describe(_ entry: TarEntry, _ text: CName, _ name: FileTree.Name) throws {
        let folder = cursor.folder.descriptor
        if owners.canGive, givesGroups || entry.uid != owners.uid || entry.gid != owners.gid {
            try check(text.with { fchownat(folder, $0, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) }, entry, name)
        }
        try setTime(Unpacker.time(entry)) { times in text.with { utimensat(folder, $0, times, AT_SYMLINK_NOFOLLOW) } }
    }

    func makeSpecial(_ entry: TarEntry, _ text: CName, _ name: FileTree.Name) throws {
        let kind = entry.kind == .fifo ? S_IFIFO : entry.kind == .blockDevice ? S_IFBLK : S_IFCHR
        let device = entry.kind == .fifo ? 0 : UInt(gnu_dev_makedev(entry.major, entry.minor))
        guard entry.kind != .characterDevice || device != 0 else {
            throw TreeError("the layer holds the device 0/0 as \"\(entry.name)\", which no file system can show")
        }
        let folder = cursor.folder.descriptor
        // Nobody but the system's own root makes devices; a step gets a /dev anyway.
        var isRefused = false
        _ = try create(text, name, "creating the device") { text in
            let result = text.with { mknodat(folder, $0, kind | entry.mode & 0o777, device) }
            isRefused = result != 0 && errno == EPERM && entry.kind != .fifo
            return isRefused ? 0 : result
        }
        if isRefused {
            devicesLeftOut += 1
            return
        }
        try describe(entry, text, name)
        if entry.mode & 0o7000 != 0 || entry.mode & owners.umask != 0 {
            guard text.with({ fchmodat(folder, $0, entry.mode & 0o7777, 0) }) == 0 else {
                throw fault("setting the mode of", name)
            }
        }
    }

    func makeLink(_ entry: TarEntry, _ text: CName, _ name: FileTree.Name) throws {
        let target = try FileTree.checked(entry.target, entry)
        let missing = TreeError(
            "the hard link \"\(entry.name)\" names \"\(FileTree.text(target))\", which is not there"
        )
        guard let last = target.last else { throw missing }
        if try link(to: target, last, text, name, entry) { return }
        guard let real = try copyUp(target), try link(to: real, last, text, name, entry) else { throw missing }
    }

    /// Makes a further name; `false` where this layer does not have the first.
    private func link(
        to path: [FileTree.Name],
        _ last: FileTree.Name,
        _ text: CName,
        _ name: FileTree.Name,
        _ entry: TarEntry
    ) throws -> Bool {
        guard try findFolder(path.dropLast()) else { return false }
        let (from, folder, target) = (targets.folder.descriptor, cursor.folder.descriptor, CName(last))
        var (first, second) = (stat(), stat())
        guard target.with({ fstatat(from, $0, &first, AT_SYMLINK_NOFOLLOW) }) == 0 else { return false }
        if OverlayMarks.isWhiteout(first) { return false }
        guard first.st_mode & S_IFMT != S_IFDIR else {
            throw TreeError("the hard link \"\(entry.name)\" names \"\(FileTree.text(path))\", a folder")
        }
        // A name that is one of its own already would be removed before it is linked.
        if text.with({ fstatat(folder, $0, &second, AT_SYMLINK_NOFOLLOW) }) == 0, first.st_ino == second.st_ino {
            return true
        }
        _ = try create(text, name, "linking") { text in
            target.with { target in text.with { linkat(from, target, folder, $0, 0) } }
        }
        return true
    }

    /// Goes to the folder of a link's target, as far as this layer has it.
    private func findFolder(_ path: ArraySlice<FileTree.Name>) throws -> Bool {
        let path = Array(path)
        var open = Array(path[targets.share(path)...].reversed())
        var links = 0
        while let name = open.popLast() {
            if name == Array("..".utf8) {
                targets.leave(keeping: max(0, targets.names.count - 1))
                continue
            }
            if targets.enter(name) { continue }
            links += 1
            guard links <= 40, errno == ENOTDIR || errno == ELOOP,
                let target = try? CName(name).linkTarget(in: targets.folder.descriptor)
            else { return false }
            if target.first == UInt8(ascii: "/") { targets.leave(keeping: 0) }
            open += FileTree.names(target).reversed()
        }
        return true
    }
}

/// How a layer's folder says that the layer has no entry for its root.
enum RootMark {
    /// No entry has nanoseconds.
    static let unstated = Unpacker.Ending(mode: 0o755, mtime: timespec(tv_sec: 0, tv_nsec: 1))

    static func isUnstated(_ status: stat) -> Bool {
        status.st_mtim.tv_sec == 0 && status.st_mtim.tv_nsec == 1 && status.st_mode & 0o7777 == 0o755
            && status.st_uid == 0 && status.st_gid == 0
    }
}
