// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Rootfs
internal import Sandbox
internal import Store

/// Copies in place of mounts, for commands that run where nothing can be mounted.
///
/// What was at the place is put aside and comes back; what a cache holds afterwards goes back to it.
final class MountStandIns {
    private struct StandIn {
        let target: String
        /// What was there before; `nil` where nothing was.
        let aside: String?
        /// The folders that were made to get there, lowest last.
        let made: [String]
        /// Where the content goes back to; `nil` to throw it away.
        let origin: String?
    }

    private let root: String
    private let scratch: Scratch
    private let snapshots: Snapshots
    private var standIns: [StandIn] = []

    init(in root: String, _ scratch: Scratch, _ snapshots: Snapshots) {
        (self.root, self.scratch, self.snapshots) = (root, scratch, snapshots)
    }

    /// Puts everything into the root; `keeps` says which targets go back to where they came from.
    func place(_ mounts: [MountSpec], keeps: Set<String>) throws {
        for mount in mounts {
            let (path, made) = try prepare(mount.target)
            let aside = access(path, F_OK) == 0 ? "\(scratch.path)/aside-\(standIns.count)" : nil
            if let aside, rename(path, aside) != 0 { throw StoreError("putting \(path) aside", errno: errno) }
            var origin: String?
            if case .bind(let from, _) = mount.source, keeps.contains(mount.target) { origin = from }
            standIns.append(StandIn(target: path, aside: aside, made: made, origin: origin))
            try fill(path, mount)
        }
    }

    private func fill(_ path: String, _ mount: MountSpec) throws {
        switch mount.source {
        case .bind(let from, _):
            var status = stat()
            guard stat(from, &status) == 0 else { throw StoreError("looking at \(from)", errno: errno) }
            if status.st_mode & S_IFMT == S_IFDIR {
                try copy([from], to: path, mode: status.st_mode & 0o7777)
            } else if status.st_mode & S_IFMT == S_IFREG {
                try Snapshots.copyFile(from, to: path)
            } else {
                throw refusal("a socket", mount)
            }
        case .tmpfs(_, let mode): try copy([], to: path, mode: mode)
        case .overlay(let lower, _, _, _): try copy(lower, to: path, mode: 0o755)
        case .file: throw refusal("a secret file, which must not lie on a disk,", mount)
        }
    }

    private func copy(_ folders: [String], to path: String, mode: UInt32) throws {
        try DiskFile.makeFolder(path)
        if !folders.isEmpty { try snapshots.copy(.folders(folders), to: path) }
        chmod(path, mode)
    }

    private func refusal(_ what: String, _ mount: MountSpec) -> BuildError {
        BuildError(
            "\(what) cannot be had at \(mount.target) here, as this machine lets nothing be mounted",
            notes: ["coracle doctor says what keeps it; a secret can be a variable: --mount=type=secret,env=NAME"]
        )
    }

    /// The place in the root, with the folders above it; no link leads out of the root.
    private func prepare(_ target: String) throws -> (String, [String]) {
        var (path, made) = (root, [String]())
        let names = target.split(separator: "/").map(String.init)
        for name in names.dropLast() {
            path += "/" + name
            var status = stat()
            if lstat(path, &status) != 0 {
                guard mkdir(path, 0o755) == 0 else { throw StoreError("making \(path)", errno: errno) }
                made.append(path)
            } else if status.st_mode & S_IFMT != S_IFDIR {
                throw BuildError("the mount at \(target) leads over a link, which cannot be followed without mounting")
            }
        }
        return (path + "/" + (names.last ?? ""), made)
    }

    /// Takes everything out of the root again.
    func remove() throws {
        for standIn in standIns.reversed() {
            if let origin = standIn.origin {
                DiskFile.remove(origin)
                guard rename(standIn.target, origin) == 0 else {
                    throw StoreError("putting the cache \(origin) back", errno: errno)
                }
            } else {
                DiskFile.remove(standIn.target)
            }
            if let aside = standIn.aside, rename(aside, standIn.target) != 0 {
                throw StoreError("putting \(standIn.target) back", errno: errno)
            }
            for folder in standIn.made.reversed() { rmdir(folder) }
        }
        standIns = []
    }

    deinit { try? remove() }
}
