// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Reads the small files that people write: Dockerfiles and ignore files.
enum TextFile {
    /// No Dockerfile is longer; a path given by mistake may be.
    private static let longest = 64 << 20

    /// Reads a whole file.
    ///
    /// - Parameter path: A path, or `-` for standard input.
    /// - Returns: Its bytes; `nil` where there is no such file.
    /// - Throws: ``ExitReason`` for a folder, a file over 64 MiB, and what the system says.
    static func read(_ path: String) throws(ExitReason) -> [UInt8]? {
        let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            if code == ENOENT || code == ENOTDIR { return nil }
            throw fault(path, code)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                throw fault(path, code)
            }
            bytes += buffer[..<count]
            if bytes.count > longest { throw ExitReason(.usage, "\(path): longer than 64 MiB, which no Dockerfile is") }
        }
    }

    /// Whether a path is a folder.
    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether a path is a regular file.
    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The names in a folder, sorted; empty where it cannot be read.
    static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func fault(_ path: String, _ code: Int32) -> ExitReason {
        ExitReason(.usage, "\(path): \(String(cString: strerror(code)).lowercased())")
    }
}
