// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Store

/// How overlayfs finds on disk what a layer takes away: a character device 0/0 hides a name, an attribute a folder.
///
/// Specification: Linux, `Documentation/filesystems/overlayfs.rst`, whiteouts and opaque directories.
public enum OverlayMarks: String, Hashable, Sendable {
    /// Attributes `trusted.overlay.*`, which only root may set.
    case trusted = "trusted.overlay."
    /// Attributes `user.overlay.*`, which overlayfs reads where it is mounted with `userxattr`.
    case user = "user.overlay."

    /// Which attributes this process may set.
    ///
    /// - Parameter folder: A folder of its own.
    /// - Throws: ``StoreError`` where it may set none.
    init(in folder: String) throws(StoreError) {
        for marks in [OverlayMarks.trusted, .user] {
            let name = marks.rawValue + "coracle"
            if lsetxattr(folder, name, "y", 1, 0) == 0 {
                lremovexattr(folder, name)
                self = marks
                return
            }
        }
        throw StoreError("the file system of \(folder) holds no attributes, which layers need", errno: errno)
    }

    /// Whether a file is a mark that hides a name.
    static func isWhiteout(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == 0 }

    /// Makes a mark that hides a name; `false` where something has the name.
    static func hide(_ name: CName, in folder: Int32) throws(StoreError) -> Bool {
        if name.with({ mknodat(folder, $0, S_IFCHR, 0) }) == 0 { return true }
        if errno == EEXIST { return false }
        let hint = errno == EPERM ? " (ordinary users may do so since Linux 5.8)" : ""
        throw StoreError("marking a file as removed\(hint)", errno: errno)
    }

    /// Whether a folder hides the folders of its name below it.
    func isOpaque(_ folder: Int32) -> Bool {
        var value: UInt8 = 0
        return fgetxattr(folder, rawValue + "opaque", &value, 1) == 1 && value == UInt8(ascii: "y")
    }

    /// Makes a folder hide the folders of its name below it.
    func setOpaque(_ folder: Int32) throws(StoreError) {
        guard fsetxattr(folder, rawValue + "opaque", "y", 1, 0) == 0 else {
            throw StoreError("marking a folder as replaced", errno: errno)
        }
    }
}
