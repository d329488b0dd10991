// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import Store

/// The key that a registry signs its own tokens with: whoever has it can make tokens.
///
/// Printing or dumping one shows nothing of it.
///
/// Specification: RFC 7518, "HMAC with SHA-2 Functions", which asks for 256 bits at least.
public struct TokenKey: Sendable, CustomStringConvertible, CustomReflectable {
    /// What is signed with, 32 bytes.
    let bytes: [UInt8]

    /// Nothing of the key.
    public var description: String { "a token key" }

    /// Nothing of the key.
    public var customMirror: Mirror { Mirror(self, children: []) }

    private static let size = 32

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A new one.
    static func fresh() -> TokenKey { TokenKey((0..<size).map { _ in UInt8.random(in: 0...255) }) }

    /// Reads a key that somebody made.
    ///
    /// - Parameter path: A file of 32 bytes or more, all of which count but line breaks at the end.
    /// - Throws: ``RegistryServerError`` where it cannot be read, or is too short to be safe.
    public init(readingFrom path: String) throws(RegistryServerError) {
        let read: [UInt8]?
        do {
            read = try DiskFile.read(path, limit: 64 << 10)
        } catch {
            throw RegistryServerError(message: error.message)
        }
        guard var text = read else { throw RegistryServerError(message: "\(path): there is no such file") }
        while let last = text.last, last == 0x0A || last == 0x0D { text.removeLast() }
        guard text.count >= TokenKey.size else {
            throw RegistryServerError(
                message: "\(path) has \(text.count) bytes, and a key has \(TokenKey.size) at least: "
                    + "openssl rand -hex 32 makes one"
            )
        }
        bytes = hmac(text, key: [])
    }

    /// The key that a store keeps, which is made where there is none: all servers over the store have it, and it
    /// outlives them.
    ///
    /// - Parameter store: The store; the file is its owner's alone.
    /// - Throws: ``RegistryServerError`` where it can be neither read nor made.
    public init(keptIn store: ImageStore) throws(RegistryServerError) {
        let path = store.root + "/registry/_token-key"
        do {
            if let known = try DiskFile.read(path), known.count == TokenKey.size {
                bytes = known
                return
            }
            try DiskFile.makeFolder(store.root + "/registry")
        } catch {
            throw RegistryServerError(message: "the key of tokens: \(error.message)")
        }
        bytes = try TokenKey.make(path)
    }

    /// Makes the file; where another process is faster, its key counts.
    private static func make(_ path: String) throws(RegistryServerError) -> [UInt8] {
        let draft = "\(path).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
        let key = fresh().bytes
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        var fault = descriptor < 0 ? errno : 0
        if descriptor >= 0 {
            if write(descriptor, key, key.count) != key.count || fsync(descriptor) != 0 { fault = errno }
            close(descriptor)
            if fault == 0, link(draft, path) != 0, errno != EEXIST { fault = errno }
            unlink(draft)
        }
        guard fault == 0 else {
            throw RegistryServerError(message: "making \(path): \(String(cString: strerror(fault)).lowercased())")
        }
        guard let kept = (try? DiskFile.read(path)) ?? nil, kept.count == size else {
            throw RegistryServerError(message: "\(path) is no key of \(size) bytes: remove it, and a new one is made")
        }
        return kept
    }
}
