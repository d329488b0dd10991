// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Whole files, read and written in one go.
public enum DiskFile {
    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - limit: The most bytes it may have.
    /// - Returns: Its bytes; `nil` where there is none.
    /// - Throws: ``StoreError`` where it cannot be read, or is longer.
    public static func read(_ path: String, limit: Int = 256 << 20) throws(StoreError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw StoreError("opening \(path)", errno: errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StoreError("looking at \(path)", errno: errno) }
        guard status.st_size <= limit else {
            throw StoreError("\(path) has \(status.st_size) bytes, over the limit of \(limit)")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError("reading \(path)", errno: errno) }
            if count == 0 { break }
            offset += count
        }
        bytes.removeLast(bytes.count - offset)
        return bytes
    }

    /// Writes a file as a whole: whoever reads it sees all of the old bytes, or all of the new.
    ///
    /// - Parameters:
    ///   - bytes: What it will hold.
    ///   - path: Where it will be; its folder exists.
    ///   - isSynced: Whether it must outlive a loss of power.
    /// - Throws: ``StoreError`` where it cannot be written; then the old file is still there.
    public static func write(_ bytes: [UInt8], to path: String, isSynced: Bool) throws(StoreError) {
        try write(parts: [bytes], to: path, isSynced: isSynced)
    }

    /// Writes a file of several parts as a whole.
    static func write(parts: [[UInt8]], to path: String, isSynced: Bool) throws(StoreError) {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
        try write(parts: parts, to: path, by: temporary, isSynced: isSynced)
    }

    /// Writes a file as a whole, by way of another on the same disk.
    static func write(
        parts: [[UInt8]],
        to path: String,
        by temporary: String,
        isSynced: Bool
    ) throws(StoreError) {
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StoreError("writing \(path)", errno: errno) }
        var failure: Int32 = 0
        for bytes in parts {
            var offset = 0
            while offset < bytes.count, failure == 0 {
                let count = bytes.withUnsafeBytes {
                    Glibc.write(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
                }
                if count > 0 { offset += count } else if errno != EINTR { failure = errno }
            }
        }
        if failure == 0, isSynced, fsync(descriptor) != 0 { failure = errno }
        close(descriptor)
        if failure == 0, rename(temporary, path) != 0 { failure = errno }
        guard failure == 0 else {
            unlink(temporary)
            throw StoreError("writing \(path)", errno: failure)
        }
    }

    /// Makes a folder and those above it, unless they are there.
    ///
    /// - Parameter path: The folder.
    /// - Throws: ``StoreError`` where something else is in the way.
    public static func makeFolder(_ path: String) throws(StoreError) {
        if mkdir(path, 0o755) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw StoreError("creating the folder \(path)", errno: errno)
        }
        try makeFolder(String(path[..<slash]))
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw StoreError("creating the folder \(path)", errno: errno)
        }
    }

    /// The names in a folder, sorted; empty where there is no such folder.
    ///
    /// - Parameter path: The folder.
    /// - Returns: The names, `.` and `..` left out.
    public static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Whether something is at a path; a link is not followed.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Removes a file or a folder with all that is in it.
    ///
    /// - Parameter path: What is removed; nothing happens where there is nothing.
    public static func remove(_ path: String) { remove(path, in: AT_FDCWD) }

    /// Removes a file or a folder with all that is in it; names need not be UTF-8.
    ///
    /// - Parameters:
    ///   - name: What is removed; nothing happens where there is nothing.
    ///   - parent: The open folder that it is in.
    public static func remove(_ name: UnsafePointer<CChar>, in parent: Int32) {
        remove(name, in: parent, depth: 0, top: parent)
    }

    /// Folders deeper than so many stay open at the same time nowhere: a process may open 1,024 files.
    private static let mostDepth = 200

    private static func remove(_ name: UnsafePointer<CChar>, in parent: Int32, depth: Int, top: Int32) {
        if unlinkat(parent, name, 0) == 0 || errno == ENOENT { return }
        if depth == mostDepth {
            // Named as temporary files are, so that it is found if this is interrupted.
            let near = "\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
            if renameat(parent, name, top, near) == 0 { return remove(near, in: top) }
        }
        let descriptor = openFolder(name, in: parent)
        if descriptor >= 0, let folder = fdopendir(descriptor) {
            defer { closedir(folder) }
            // An owner who may not write in a folder may not remove what is in it either.
            if geteuid() != 0 { fchmod(descriptor, 0o700) }
            while let entry = readdir(folder) {
                withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { below in
                        if strcmp(below, ".") != 0, strcmp(below, "..") != 0 {
                            remove(below, in: descriptor, depth: depth + 1, top: top)
                        }
                    }
                }
            }
        }
        unlinkat(parent, name, AT_REMOVEDIR)
    }

    /// Opens a folder, also one that its owner may not read; never through a link.
    private static func openFolder(_ name: UnsafePointer<CChar>, in parent: Int32) -> Int32 {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let descriptor = openat(parent, name, flags)
        guard descriptor < 0, errno == EACCES, fchmodat(parent, name, 0o700, 0) == 0 else { return descriptor }
        return openat(parent, name, flags)
    }
}

/// A file that only one process at a time may hold, or several that only read.
public final class FileLock: Sendable {
    private let descriptor: Int32

    /// Locks a file, waiting for others.
    ///
    /// - Parameters:
    ///   - path: The file; made where it is not there.
    ///   - isShared: Whether others may hold it in the same way.
    ///   - waits: Whether to wait for others.
    /// - Throws: ``StoreError`` where it cannot be locked, or others hold it.
    public init(_ path: String, isShared: Bool = false, waits: Bool = true) throws(StoreError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StoreError("opening the lock \(path)", errno: errno) }
        while flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | (waits ? 0 : LOCK_NB)) != 0 {
            guard errno == EINTR else { throw StoreError("locking \(path)", errno: errno) }
        }
    }

    /// Locks a file, waiting for others as long as the wait is worth something.
    ///
    /// Looks now and then, 10 to 100 ms apart, as a thread that the kernel holds cannot be told to give up.
    ///
    /// - Parameters:
    ///   - path: The file; made where it is not there.
    ///   - isShared: Whether others may hold it in the same way.
    ///   - isEnded: Whether to give up.
    /// - Throws: ``StoreError`` where it cannot be locked, or the wait was given up.
    public init(_ path: String, isShared: Bool = false, until isEnded: () -> Bool) throws(StoreError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StoreError("opening the lock \(path)", errno: errno) }
        var pause: UInt32 = 10_000
        while flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
            guard errno == EINTR || errno == EWOULDBLOCK else { throw StoreError("locking \(path)", errno: errno) }
            if isEnded() { throw StoreError("waiting for the lock \(path) was given up") }
            usleep(pause)
            pause = min(pause * 2, 100_000)
        }
    }

    /// Takes a descriptor that holds the lock.
    private init(holding descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Locks a file for one process alone, without waiting.
    ///
    /// - Parameter path: The file; made where it is not there.
    /// - Returns: The lock; `nil` where others hold it.
    /// - Throws: ``StoreError`` where it cannot be locked for another reason.
    public static func ifFree(_ path: String) throws(StoreError) -> FileLock? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StoreError("opening the lock \(path)", errno: errno) }
        let lock = FileLock(holding: descriptor)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return nil }
            guard errno == EINTR else { throw StoreError("locking \(path)", errno: errno) }
        }
        return lock
    }

    /// Takes a lock over from another process, which left it to this one as an open file.
    ///
    /// - Parameter descriptor: The open file; programs that are started do not inherit it.
    public init(inherited descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    /// Leaves the lock to a program that is started: it is free when the last of those that hold it has ended.
    ///
    /// - Parameter body: Is given the open file.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws.
    public func withDescriptor<Result>(_ body: (Int32) throws -> Result) rethrows -> Result { try body(descriptor) }

    /// Whether a process holds a lock.
    ///
    /// - Parameter path: The file; not made where it is not there.
    /// - Returns: Whether one does; `false` where there is no such file.
    public static func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// Waits until nobody holds a lock alone.
    ///
    /// - Parameter path: The file; not made where it is not there.
    public static func wait(for path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_SH) != 0, errno == EINTR {}
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}
