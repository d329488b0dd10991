// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Small files with secrets in them.
enum ConfigFile {
    /// No file of credentials is longer.
    private static let longest = 16 << 20

    /// Reads a file; `nil` where there is none.
    static func read(_ path: String) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw CredentialFault.file("\(path): \(reason(errno))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw CredentialFault.file("\(path): \(reason(errno))") }
            bytes += buffer[..<count]
            guard bytes.count <= longest else { throw CredentialFault.file("\(path): longer than 16 MiB") }
        }
    }

    /// Writes a file of mode 0600 beside its place, and renames it; a link is followed, so that it stays one.
    static func write(_ bytes: [UInt8], to path: String) throws {
        let target = resolved(path)
        let partial = "\(target).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CredentialFault.write("\(target): \(reason(errno))") }
        var (rest, fault) = (bytes[...], Int32(0))
        while !rest.isEmpty, fault == 0 {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { fault = errno }
        }
        if fault == 0, fsync(descriptor) != 0 { fault = errno }
        close(descriptor)
        if fault == 0, rename(partial, target) != 0 { fault = errno }
        guard fault == 0 else {
            unlink(partial)
            throw CredentialFault.write("\(target): \(reason(fault))")
        }
    }

    /// Changes files of a folder while no other process of ours does; the folder is made, for its owner alone.
    static func withLock<Result>(of path: String, _ body: () throws -> Result) throws -> Result {
        let target = resolved(path)
        let folder = target.lastIndex(of: "/").map { String(target[..<$0]) } ?? "."
        try makeFolder(folder)
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CredentialFault.write("\(folder): \(reason(errno))") }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
        return try body()
    }

    private static func makeFolder(_ path: String) throws {
        if path.isEmpty || mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw CredentialFault.write("\(path): \(reason(errno))")
        }
        try makeFolder(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw CredentialFault.write("\(path): \(reason(errno))")
        }
    }

    private static func resolved(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return path }
        defer { free(found) }
        return String(cString: found)
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)).lowercased() }
}
