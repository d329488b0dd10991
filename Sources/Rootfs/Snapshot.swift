// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store
internal import Synchronization

/// The folders of one step: what overlayfs writes to, and what it needs for itself.
///
/// They are removed with the last reference to it, and those of a killed process by the next one. Protects whether they
/// are still there.
public final class Snapshot: Sendable {
    /// What the step changes.
    public let upper: String
    /// What overlayfs needs for itself, on the same file system.
    public let work: String
    private let folder: String
    private let lockPath: String
    private let lock: Mutex<FileLock?>

    /// Makes folders; the upper one has mode, owner and time of another.
    init(_ store: ImageStore, like root: String?) throws {
        let name = "step-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        (folder, lockPath) = ("\(store.root)/tmp/\(name)", "\(store.root)/locks/\(name)")
        (upper, work) = (folder + "/upper", folder + "/work")
        // Locked before there is anything: what has no lock has no process.
        lock = Mutex(try FileLock(lockPath))
        for path in [folder, upper, work] where mkdir(path, 0o700) != 0 {
            throw StoreError("creating \(path)", errno: errno)
        }
        var status = stat()
        if let root, stat(root, &status) == 0 {
            // An ordinary user gives nothing away, and needs not: the user owns all files.
            _ = chown(upper, status.st_uid, status.st_gid)
        } else {
            (status.st_mode, status.st_mtim) = (0o755, timespec(tv_sec: 0, tv_nsec: 0))
        }
        guard chmod(upper, status.st_mode & 0o7777) == 0 else { throw StoreError("creating \(upper)", errno: errno) }
        var times = [status.st_mtim, status.st_mtim]
        utimensat(AT_FDCWD, upper, &times, 0)
    }

    deinit { close() }

    /// Removes the folders; a second time does nothing.
    public func close() {
        lock.withLock { lock in
            guard lock != nil else { return }
            DiskFile.remove(folder)
            unlink(lockPath)
            lock = nil
        }
    }

    /// Moves the upper folder to another place and removes the rest.
    func move(to path: String) throws {
        // No layer holds what a step does to the root itself.
        var times = [RootMark.unstated.mtime, RootMark.unstated.mtime]
        _ = chown(upper, 0, 0)
        chmod(upper, 0o755)
        utimensat(AT_FDCWD, upper, &times, 0)
        guard rename(upper, path) == 0 else { throw StoreError("renaming \(upper)", errno: errno) }
        close()
    }

    /// Removes folders whose process is gone.
    static func clearLeftovers(_ store: ImageStore) {
        for name in DiskFile.names(in: store.root + "/tmp") where name.hasPrefix("step-") {
            let path = "\(store.root)/locks/\(name)"
            guard let lock = try? FileLock.ifFree(path) else { continue }
            DiskFile.remove("\(store.root)/tmp/\(name)")
            unlink(path)
            withExtendedLifetime(lock) {}
        }
    }
}
