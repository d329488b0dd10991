// SPDX-License-Identifier: Apache-2.0
public import OCI

extension RegistryClient {
    /// Whether a repository has a blob (HEAD).
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where.
    ///   - access: What else will be done there, so that one token does for all.
    /// - Returns: Whether it is there, with the size it should have.
    /// - Throws: ``RegistryError`` where the registry does not say.
    public func exists(_ blob: Descriptor, in repository: Repository, for access: Access = .pull) async throws -> Bool {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Reads a blob into a sink; mirrors are asked first.
    ///
    /// The reading goes on where a connection broke. Size and digest are verified before the sink is told to keep it.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where it is.
    ///   - sink: Where it goes.
    ///   - onProgress: Told how many of its bytes have come so far.
    /// - Throws: ``RegistryError`` where it cannot be had whole and right; the sink's error.
    public func download(
        _ blob: Descriptor,
        from repository: Repository,
        into sink: any BlobSink,
        onProgress: @escaping @Sendable (Int64) -> Void = { _ in }
    ) async throws {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Opens a blob for reading; mirrors are asked first.
    ///
    /// The reading goes on where a connection broke.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where it is.
    ///   - offset: The first byte wanted.
    /// - Returns: The bytes. Read from 0, they are verified: the last chunk comes only if size and digest are right.
    /// - Throws: ``RegistryError`` where it cannot be had.
    public func open(_ blob: Descriptor, in repository: Repository, from offset: Int64 = 0) async throws -> BlobChunks {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Reads a small blob whole, verified; mirrors are asked first.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - repository: Where it is.
    ///   - limit: The most bytes to hold.
    /// - Returns: Its bytes.
    /// - Throws: ``RegistryError`` where it cannot be had whole and right, or is over the limit.
    public func bytes(of blob: Descriptor, in repository: Repository, limit: Int64 = 4 << 20) async throws -> [UInt8] {
        throw RegistryError(.invalid, "not built yet")
    }

    /// A repository as a source of blobs, for ``upload(_:from:to:mounting:onProgress:)`` of another.
    ///
    /// - Parameter repository: The repository.
    /// - Returns: The source.
    public func source(_ repository: Repository) -> RepositorySource {
        RepositorySource(client: self, repository: repository)
    }

    /// Removes a blob.
    ///
    /// - Parameters:
    ///   - blob: Its digest.
    ///   - repository: Where.
    /// - Throws: ``RegistryError``, of kind `.notFound` where there is none.
    public func deleteBlob(_ blob: Digest, in repository: Repository) async throws {
        throw RegistryError(.invalid, "not built yet")
    }
}

/// A repository that blobs are read from.
public struct RepositorySource: BlobSource {
    let client: RegistryClient
    let repository: Repository

    /// Opens a blob; the reading goes on where a connection broke.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - offset: The first byte wanted.
    /// - Returns: The bytes; read from 0 they are verified.
    /// - Throws: ``RegistryError`` where it cannot be had.
    public func open(_ blob: Descriptor, from offset: Int64) async throws -> BlobChunks {
        try await client.open(blob, in: repository, from: offset)
    }
}
