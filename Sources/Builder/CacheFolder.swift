// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Store

/// A folder that stays between builds: `RUN --mount=type=cache`.
///
/// Specification: Dockerfile reference, "RUN --mount=type=cache".
struct CacheFolder {
    /// The folder on disk.
    let path: String
    /// Held while a command uses it.
    private let lock: FileLock

    /// The place in the store of what a mount keeps; `origin` is what its first content comes from, as a key.
    static func place(of mount: RunMount, origin: String, in store: ImageStore) -> String {
        var key = KeyHasher("cache-1")
        key.add(mount.id)
        key.add(origin)
        for number in [mount.mount.uid, mount.mount.gid, mount.mount.mode] { key.add(number.map(String.init) ?? "") }
        return "\(store.root)/caches/\(key.finish().hex)"
    }

    /// Finds the folder of a mount, made by `fill` where it is new; waits for others where they must not share it.
    ///
    /// - Parameters:
    ///   - place: Where it is kept.
    ///   - mount: The mount.
    ///   - sharing: Who may use it at the same time.
    ///   - wait: Takes a lock, shared or not.
    ///   - fill: Puts its first content into an empty folder.
    /// - Throws: `StoreError` where it cannot be made or locked, and what `wait` and `fill` throw.
    init(
        at place: String,
        _ mount: RunMount,
        _ sharing: Mount.Sharing,
        wait: (_ path: String, _ isShared: Bool) throws -> FileLock,
        fill: (String) throws -> Void
    ) throws {
        try DiskFile.makeFolder(place)
        if try DiskFile.read(place + "/id") == nil {
            try DiskFile.write(Array(mount.id.utf8), to: place + "/id", isSynced: false)
        }
        (path, lock) = try CacheFolder.take(place, sharing, wait)
        // When it was of use last: what prune goes by.
        utimensat(AT_FDCWD, place, nil, 0)
        try CacheFolder.make(path, place, mount.mount, wait, fill)
    }

    private static func take(
        _ place: String,
        _ sharing: Mount.Sharing,
        _ wait: (_ path: String, _ isShared: Bool) throws -> FileLock
    ) throws -> (String, FileLock) {
        switch sharing {
        case .shared: return (place + "/0", try wait(place + "/0.lock", true))
        case .locked: return (place + "/0", try wait(place + "/0.lock", false))
        case .private:
            for number in 0..<1000 {
                if let lock = try FileLock.ifFree("\(place)/\(number).lock") { return ("\(place)/\(number)", lock) }
            }
            throw StoreError("a thousand steps use the cache \(place) at the same time")
        }
    }

    /// Makes it where it is not there: beside its place, so that nobody finds it half made.
    private static func make(
        _ path: String,
        _ place: String,
        _ mount: Mount,
        _ wait: (_ path: String, _ isShared: Bool) throws -> FileLock,
        _ fill: (String) throws -> Void
    ) throws {
        // Those who share it come one after the other, as a rename would replace an empty folder in use.
        let making = try wait(place + "/make.lock", false)
        defer { withExtendedLifetime(making) {} }
        if access(path, F_OK) == 0 { return }
        let draft = "\(path).draft"
        DiskFile.remove(draft)
        try DiskFile.makeFolder(draft)
        try fill(draft)
        if mount.uid != nil || mount.gid != nil || mount.mode != nil {
            guard chown(draft, mount.uid ?? 0, mount.gid ?? 0) == 0, chmod(draft, mount.mode ?? 0o755) == 0 else {
                throw StoreError("making the cache \(draft)", errno: errno)
            }
        }
        guard rename(draft, path) == 0 else { throw StoreError("making the cache \(path)", errno: errno) }
    }
}
