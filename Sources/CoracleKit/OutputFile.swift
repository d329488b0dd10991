// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import Store

/// A file that the user names for a result.
///
/// A regular file is replaced as a whole. Links, pipes and devices stay what they are, and are written through.
struct OutputFile {
    let path: String

    init(_ path: String) {
        self.path = path
    }

    /// Refuses a file that cannot be written, as its folder is missing or closed.
    func checkFolder(_ flag: String) throws(ExitReason) {
        var status = stat()
        // What is no file is written through: whether that goes is seen then.
        if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return }
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard access(folder, W_OK | X_OK) == 0 else {
            let reason = String(cString: strerror(errno)).lowercased()
            throw ExitReason(.usage, "\(flag): \(path) cannot be written: \(folder): \(reason)")
        }
        guard TextFile.isFolder(folder) else {
            throw ExitReason(.usage, "\(flag): \(path) cannot be written: \(folder) is no folder")
        }
    }

    /// Writes a short result.
    func write(_ bytes: [UInt8]) throws {
        try write { try $0.write(bytes) }
    }

    /// Writes what the body writes; where that fails, a regular file keeps its old bytes.
    func write(_ body: (any ByteSink) throws -> Void) throws {
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return try writeThrough(body) }
        let partial = "\(path).\(getpid()).part"
        let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw StoreError("writing \(path)", errno: errno) }
        defer { close(file) }
        do {
            try body(FileSink(descriptor: file, name: partial))
            guard rename(partial, path) == 0 else { throw StoreError("writing \(path)", errno: errno) }
        } catch {
            unlink(partial)
            throw error
        }
    }

    private func writeThrough(_ body: (any ByteSink) throws -> Void) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw StoreError("opening \(path)", errno: errno) }
        defer { close(file) }
        try body(FileSink(descriptor: file, name: path))
    }
}
