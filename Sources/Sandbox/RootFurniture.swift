// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Synchronization

/// What is put into a root for as long as a process runs there, where nothing can be mounted: files of /etc, devices.
///
/// Only names directly in `/etc` and `/dev` of the root are touched, and only where these are folders, not links.
/// A class, for what it holds is put back once.
final class RootFurniture: Sendable {
    /// What could not be had, in sentences.
    let notes: [String]
    private let undo: Mutex<[@Sendable () -> Void]>

    init(root: String, files: [EtcFile]) throws {
        var undo: [@Sendable () -> Void] = []
        var notes: [String] = []
        if let etc = Folder(root + "/etc") {
            for file in files where !etc.put(file, undo: &undo) {
                notes.append("\(file.path) is the image's own: it can't be replaced")
            }
            undo.append { etc.setTimes() }
        }
        if let dev = Folder(root + "/dev") {
            let missing = RootPlan.devices.filter { !dev.putDevice($0, undo: &undo) }
            if !missing.isEmpty {
                notes.append("/dev lacks \(missing.joined(separator: ", ")): mknod is not allowed here")
            }
            undo.append { dev.setTimes() }
        }
        self.notes = notes
        self.undo = Mutex(undo)
    }

    /// Takes it all out again.
    func remove() {
        let steps = undo.withLock { steps in
            defer { steps = [] }
            return steps
        }
        for step in steps { step() }
    }

    /// A folder of the root, with the times it had.
    private final class Folder: Sendable {
        let descriptor: Int32
        private let accessed: (Int, Int)
        private let changed: (Int, Int)

        init?(_ path: String) {
            descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            var status = stat()
            fstat(descriptor, &status)
            accessed = (status.st_atim.tv_sec, status.st_atim.tv_nsec)
            changed = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }

        deinit { close(descriptor) }

        /// Puts a file in place of the image's, which is kept beside it under a name that no image has.
        func put(_ file: EtcFile, undo: inout [@Sendable () -> Void]) -> Bool {
            let name = String(file.path.dropFirst("/etc/".count))
            let kept = ".coracle-kept-\(name)"
            let hadOne = renameat(descriptor, name, descriptor, kept) == 0
            guard hadOne || errno == ENOENT else { return false }
            let new = openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
            if new >= 0 {
                _ = write(new, file.bytes, file.bytes.count)
                close(new)
            }
            undo.append { [self] in
                unlinkat(descriptor, name, 0)
                if hadOne { renameat(descriptor, kept, descriptor, name) }
            }
            return new >= 0
        }

        func putDevice(_ name: String, undo: inout [@Sendable () -> Void]) -> Bool {
            var status = stat()
            if fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return true }
            guard stat("/dev/" + name, &status) == 0 else { return false }
            guard mknodat(descriptor, name, S_IFCHR | 0o666, status.st_rdev) == 0 else { return false }
            fchmodat(descriptor, name, 0o666, 0)
            undo.append { [self] in unlinkat(descriptor, name, 0) }
            return true
        }

        func setTimes() {
            let times = (
                timespec(tv_sec: accessed.0, tv_nsec: accessed.1), timespec(tv_sec: changed.0, tv_nsec: changed.1)
            )
            withUnsafePointer(to: times) { pair in
                pair.withMemoryRebound(to: timespec.self, capacity: 2) { _ = futimens(descriptor, $0) }
            }
        }
    }
}
