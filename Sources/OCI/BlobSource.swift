// SPDX-License-Identifier: Apache-2.0

/// The bytes of a blob in order, in chunks of at most 1 MiB, read only as fast as they are consumed.
///
/// A single pass: a second iterator goes on where the first one is.
public struct BlobChunks: AsyncSequence, AsyncIteratorProtocol, Sendable {
    /// The most bytes that a chunk has.
    public static let largest = 1 << 20

    /// Whether the last bytes come only when length and digest of all are those of the blob: hashing them again is
    /// work for nothing.
    public let isVerified: Bool
    private let read: @Sendable () async throws -> [UInt8]?

    /// Makes a pass over bytes.
    ///
    /// - Parameters:
    ///   - isVerified: Whether `read` throws where the bytes are not those of the blob, before the last of them.
    ///   - read: Gives the next chunk, of 1 to 1,048,576 bytes; `nil` at the end. It is called by one task at a time,
    ///     and may hold what must be closed: it goes away with the last copy of this value.
    public init(isVerified: Bool = false, _ read: @escaping @Sendable () async throws -> [UInt8]?) {
        (self.isVerified, self.read) = (isVerified, read)
    }

    /// The next chunk.
    ///
    /// - Returns: 1 to 1,048,576 bytes; `nil` at the end.
    /// - Throws: The source's error.
    public func next() async throws -> [UInt8]? { try await read() }

    /// The pass itself.
    ///
    /// - Returns: This value.
    public func makeAsyncIterator() -> BlobChunks { self }
}

/// A place that blobs can be read from: a registry's repository, an image layout on disk, an archive.
public protocol BlobSource: Sendable {
    /// Opens a blob.
    ///
    /// The bytes are as the place holds them: whoever keeps them verifies them first, unless the source did.
    ///
    /// - Parameters:
    ///   - blob: Names the bytes wanted.
    ///   - offset: The first byte wanted, at most `blob.size`.
    /// - Returns: The bytes from there to the end.
    /// - Throws: The source's own error where it has no such blob.
    func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks
}

extension BlobSource {
    /// Reads a small blob whole; its digest is not verified.
    ///
    /// - Parameters:
    ///   - blob: Names the bytes wanted.
    ///   - limit: The most bytes to hold; a longer blob is refused before it is opened.
    /// - Returns: Exactly `blob.size` bytes.
    /// - Throws: ``ContentError`` where the blob is over the limit, or its length is not `blob.size`; the source's error.
    public func bytes(of blob: Descriptor, limit: Int64 = 4 << 20) async throws -> [UInt8] {
        guard blob.size <= limit else {
            throw ContentError(message: "\(blob.digest) is \(blob.size) bytes, over the limit of \(limit)")
        }
        var bytes: [UInt8] = []
        for try await chunk in try await open(blob, from: 0) {
            bytes += chunk
            if bytes.count > blob.size { break }
        }
        guard bytes.count == blob.size else {
            throw ContentError(message: "\(blob.digest) should be \(blob.size) bytes; read \(bytes.count)")
        }
        return bytes
    }
}

/// A place that blobs are kept in.
public protocol BlobSink: Sendable {
    /// Starts a blob; nobody sees it before it is committed.
    ///
    /// - Parameter blob: What will be written.
    /// - Returns: Takes the bytes.
    /// - Throws: The sink's own error where it cannot take it.
    func begin(_ blob: Descriptor) async throws -> any BlobWriter
}

/// A blob on its way into a ``BlobSink``; one that goes away before it is committed leaves nothing.
public protocol BlobWriter: Sendable {
    /// Adds bytes.
    ///
    /// - Parameter chunk: At most 1 MiB.
    /// - Throws: The sink's own error, for example where the disk is full.
    func write(_ chunk: [UInt8]) async throws

    /// Keeps the blob. The caller has verified that the bytes are those of the descriptor the blob was begun with.
    ///
    /// - Throws: The sink's own error.
    func commit() async throws
}
