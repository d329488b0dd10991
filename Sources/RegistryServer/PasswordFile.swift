// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import CCrypt
internal import Glibc
internal import Store
internal import Synchronization

/// The users of a registry, in a file as `htpasswd -B` writes it; read again when it changes.
///
/// A lock guards what was read.
public final class PasswordFile: Sendable {
    private struct State {
        var version: [Int64]
        var hashes: [String: String]
        /// Passwords that were right, as keyed hashes: bcrypt is slow on purpose, and every request has a password.
        var known: [[UInt8]: String] = [:]
    }

    private let path: String
    private let state: Mutex<State>
    private let key = (0..<32).map { _ in UInt8.random(in: 0...255) }
    /// Somebody unknown takes as long to refuse as somebody known.
    private static let nobody = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.Xn7FSvv79c6bu/kgV/.kBlx/ChE9.FW"
    private static let knownLimit = 1024

    /// Reads a file.
    ///
    /// - Parameter path: Where it is: lines of `USER:HASH`, with bcrypt hashes.
    /// - Throws: ``RegistryServerError`` where it cannot be read, or holds other hashes.
    public init(_ path: String) throws {
        self.path = path
        state = Mutex(State(version: PasswordFile.version(path), hashes: try PasswordFile.read(path)))
    }

    private static func read(_ path: String) throws(RegistryServerError) -> [String: String] {
        let found: [UInt8]?
        do {
            found = try DiskFile.read(path, limit: 16 << 20)
        } catch {
            throw RegistryServerError(message: "the passwords: \(error.message)")
        }
        guard let found else { throw RegistryServerError(message: "the passwords: there is no file \(path)") }
        var hashes: [String: String] = [:]
        for (index, line) in String(decoding: found, as: UTF8.self)
            .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
        {
            let text = String(line).trimmed
            if text.isEmpty || text.hasPrefix("#") { continue }
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, isBcrypt(parts[1]) else {
                throw RegistryServerError(
                    message: "\(path):\(index + 1): not a user and a bcrypt hash; htpasswd -B USER writes one"
                )
            }
            hashes[String(parts[0])] = String(parts[1])
        }
        return hashes
    }

    private static func isBcrypt(_ hash: Substring) -> Bool {
        hash.utf8.count == 60 && ["$2a$", "$2b$", "$2y$"].contains { hash.hasPrefix($0) }
    }

    private static func version(_ path: String) -> [Int64] {
        var status = stat()
        guard stat(path, &status) == 0 else { return [] }
        return [
            Int64(status.st_ino), Int64(status.st_size), Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec),
        ]
    }

    /// Whether a user has a password; takes as long as bcrypt takes, once for each right one.
    func accepts(_ user: String, _ password: String) -> Bool {
        refresh()
        let tag = tag(user, password)
        let (hash, isKnown) = state.withLock { state in
            (state.hashes[user], state.known[tag] != nil && state.known[tag] == state.hashes[user])
        }
        if isKnown { return true }
        let isRight = PasswordFile.matches(password, hash ?? PasswordFile.nobody)
        guard let hash, isRight else { return false }
        state.withLock { state in
            if state.known.count >= PasswordFile.knownLimit { state.known = [:] }
            state.known[tag] = hash
        }
        return true
    }

    /// A file that cannot be read any more leaves the users as they were.
    private func refresh() {
        let version = PasswordFile.version(path)
        guard state.withLock({ $0.version != version }), let hashes = try? PasswordFile.read(path) else { return }
        state.withLock { $0 = State(version: version, hashes: hashes) }
    }

    private func tag(_ user: String, _ password: String) -> [UInt8] {
        hmac(Array("\(user.utf8.count):\(user)\(password)".utf8), key: key)
    }

    private static func matches(_ password: String, _ hash: String) -> Bool {
        guard !password.utf8.contains(0), password.utf8.count < 512 else { return false }
        let space = UnsafeMutablePointer<crypt_data>.allocate(capacity: 1)
        defer { space.deallocate() }
        memset(space, 0, MemoryLayout<crypt_data>.size)
        guard let result = crypt_rn(password, hash, space, Int32(MemoryLayout<crypt_data>.size)) else { return false }
        return isEqual(Array(String(cString: result).utf8), Array(hash.utf8))
    }
}

/// Compares in a time that does not tell where the difference is.
func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}

/// A keyed hash with SHA-256; the key has at most 64 bytes.
///
/// Specification: RFC 2104.
func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
    let block = key + [UInt8](repeating: 0, count: 64 - key.count)
    var hash = SHA256()
    hash.update(block.map { $0 ^ 0x36 })
    hash.update(message)
    let inner = hash.finish()
    hash.update(block.map { $0 ^ 0x5C })
    hash.update(inner)
    return hash.finish()
}
