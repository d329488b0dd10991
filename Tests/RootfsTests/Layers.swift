// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import Glibc
import OCI
import Rootfs
import Store
import TestSupport

/// Layers for tests, in a store of their own.
struct Layers {
    let folder: TemporaryFolder
    let store: ImageStore

    init() throws {
        folder = try TemporaryFolder()
        store = try ImageStore(folder.url.path + "/store")
    }

    /// A layer of entries by lines, as ``entry(_:)`` reads them; ` = ` and text at the end of a file is its content.
    func add(_ lines: String...) throws -> Snapshots.Layer { try add(lines) }

    func add(_ lines: [String]) throws -> Snapshots.Layer {
        try add(
            lines.map { line in
                let parts = line.components(separatedBy: " = ")
                return (entry(parts[0]), Array((parts.count > 1 ? parts[1] : "").utf8))
            }
        )
    }

    func add(_ entries: [(TarEntry, [UInt8])]) throws -> Snapshots.Layer {
        try add { tar in
            for (entry, content) in entries {
                var entry = entry
                entry.size = Int64(content.count)
                try tar.write(entry) { (sink) throws(ArchiveError) in try sink.write(content) }
            }
        }
    }

    /// A layer of what a body writes.
    func add(_ body: (TarWriter) throws -> Void) throws -> Snapshots.Layer {
        let ingest = try store.ingest()
        let writer = LayerWriter(descriptor: ingest.descriptor, name: "layer", compression: .standard, cores: 2)
        let tar = TarWriter(writer)
        try body(tar)
        try tar.finish()
        let result = try writer.finish()
        try ingest.commit(result.descriptor.digest)
        return Snapshots.Layer(result.descriptor, diffID: result.diffID)
    }

    /// A layer of changes.
    func add(_ changes: Changes) throws -> Snapshots.Layer {
        try add { tar in
            try changes.forEach { entry, file in
                try tar.write(entry) { (sink) throws(ArchiveError) in
                    guard let file else { return }
                    try sink.copy(descriptor: file, size: entry.size, name: entry.name)
                }
            }
        }
    }

    func snapshots(limit: Int64 = 1 << 40) throws -> Snapshots { try Snapshots(store, limit: limit) }
}

/// Mounts of overlayfs, which only root makes.
enum Overlay {
    static let isAvailable: Bool = {
        if geteuid() == 0 { return true }
        print("TESTS SKIPPED: mounting overlayfs needs root")
        return false
    }()

    /// Mounts layers, runs a shell script in them, and unmounts them.
    @discardableResult
    static func run(_ script: String, lower: [String], _ snapshot: Snapshot?, _ place: TemporaryFolder) throws -> String
    {
        let merged = place.url.appending(path: "merged-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: merged, withIntermediateDirectories: false)
        let base = lower[0].split(separator: "/").dropLast().joined(separator: "/")
        var options = "lowerdir=" + lower.reversed().map { $0.split(separator: "/").last ?? "" }.joined(separator: ":")
        if let snapshot { options += ",upperdir=\(snapshot.upper),workdir=\(snapshot.work),index=off,metacopy=off" }
        let shell = URL(filePath: "/bin/sh")
        // Names relative to the folder of all layers, as options have an end.
        let program = try Program.run(
            [
                "-c",
                """
                cd "/$1" || exit 9
                mount -i -t overlay overlay -o "$2" "$3" || exit 9
                cd "$3"; (set -e; eval "$4"); code=$?
                cd /; umount "$3"; exit $code
                """, "sh", base, options, merged.path, script,
            ],
            of: shell
        )
        guard program.status == 0 else { throw StoreError("script \(script): \(program.status) \(program.errors)") }
        return program.output
    }
}

/// Everything that can be seen of a file tree, a line for each name.
func listing(_ path: String) throws -> [String] {
    let script = """
        import os, sys, hashlib, stat
        root = os.fsencode(sys.argv[1])
        inodes = {}
        for folder, folders, files in os.walk(root):
            for name in [b'.'] + folders + files if folder == root else folders + files:
                path = os.path.join(folder, name)
                place = os.path.relpath(path, root)
                s = os.lstat(path)
                line = [repr(place), stat.filemode(s.st_mode), s.st_uid, s.st_gid, int(s.st_mtime)]
                if stat.S_ISREG(s.st_mode):
                    line += [s.st_size, hashlib.sha256(open(path, 'rb').read()).hexdigest()[:12]]
                    if s.st_nlink > 1: line += ['same as', inodes.setdefault(s.st_ino, place)]
                if stat.S_ISLNK(s.st_mode): line += [os.readlink(path)]
                else: line += [(n, os.getxattr(path, n)) for n in sorted(os.listxattr(path)) if '.overlay.' not in n and 'selinux' not in n]
                if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode): line += [s.st_rdev]
                print(*line)
        """
    let python = URL(filePath: "/usr/bin/python3")
    let program = try Program.run(["-c", script, path], of: python)
    guard program.status == 0 else { throw StoreError("listing \(path): \(program.errors)") }
    return program.output.split(separator: "\n").map(String.init).sorted()
}
