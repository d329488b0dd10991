// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// A mount point that was made in a root because it was missing there.
public struct Stub: Sendable {
    /// Where the topmost new name lies, in the root.
    public let top: String
    /// The mount point itself: `top`, or beneath it.
    public let leaf: String
    private let before: (seconds: Int, nanoseconds: Int)
    private let after: (seconds: Int, nanoseconds: Int)

    init(top: String, leaf: String, before: timespec, after: timespec) {
        (self.top, self.leaf) = (top, leaf)
        self.before = (before.tv_sec, before.tv_nsec)
        self.after = (after.tv_sec, after.tv_nsec)
    }

    /// Whether it is one of the folders that every process needs: `/proc`, `/sys`, `/dev`.
    ///
    /// BuildKit leaves these three in the layer where the base lacks them.
    public var isSystemFolder: Bool { ["/proc", "/sys", "/dev"].contains(top) }

    /// Removes mount points that are still as they were made, and sets back when the folders above were changed.
    ///
    /// What the process put there, or made of them, stays. A folder's time is set back only where nothing else was
    /// changed in it since.
    ///
    /// - Parameters:
    ///   - stubs: As ``SandboxedProcess/stubs`` gives them.
    ///   - folder: The root, or the upper directory of its overlay, once the process has ended.
    public static func remove(_ stubs: [Stub], from folder: String) {
        let root = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { return }
        defer { close(root) }
        // The last first: a later one may lie beneath an earlier one.
        for stub in stubs.reversed() { stub.remove(in: root) }
    }

    private func remove(in root: Int32) {
        var names = leaf.split(separator: "/").map(String.init)
        let topCount = top.split(separator: "/").count
        guard topCount >= 1, names.count >= topCount else { return }
        while names.count >= topCount {
            guard let name = names.popLast() else { return }
            let folder = Self.openFolder(names, in: root)
            guard folder >= 0 else { continue }
            defer { close(folder) }
            let isTop = names.count == topCount - 1
            let times = Self.times(of: folder)
            guard Self.removeUnchanged(name, in: folder), let times else { return }
            let isUntouched =
                isTop && times.changed.tv_sec == after.seconds && times.changed.tv_nsec == after.nanoseconds
            let original = timespec(tv_sec: before.seconds, tv_nsec: before.nanoseconds)
            Self.setTimes(of: folder, accessed: times.accessed, changed: isUntouched ? original : times.changed)
        }
    }

    /// Opens a folder without following links: the process may have put some there.
    private static func openFolder(_ names: [String], in root: Int32) -> Int32 {
        var current = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        for name in names where current >= 0 {
            let next = openat(current, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            close(current)
            current = next
        }
        return current
    }

    /// Removes an empty file or folder; returns whether there is one less.
    private static func removeUnchanged(_ name: String, in folder: Int32) -> Bool {
        var status = stat()
        guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return false }
        if status.st_mode & S_IFMT == S_IFDIR { return unlinkat(folder, name, AT_REMOVEDIR) == 0 }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size == 0, status.st_nlink == 1 else { return false }
        return unlinkat(folder, name, 0) == 0
    }

    private static func times(of folder: Int32) -> (accessed: timespec, changed: timespec)? {
        var status = stat()
        return fstat(folder, &status) == 0 ? (status.st_atim, status.st_mtim) : nil
    }

    private static func setTimes(of folder: Int32, accessed: timespec, changed: timespec) {
        withUnsafePointer(to: (accessed, changed)) { pair in
            pair.withMemoryRebound(to: timespec.self, capacity: 2) { _ = futimens(folder, $0) }
        }
    }
}
