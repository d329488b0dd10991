// SPDX-License-Identifier: Apache-2.0
public import OCI

/// How a blob came to be in a repository.
public enum UploadOutcome: Hashable, Sendable {
    /// The registry took it from another of its repositories.
    case mounted
    /// Its bytes were sent.
    case uploaded
    /// It had come there meanwhile.
    case existed
}

extension RegistryClient {
    /// Makes a blob of one repository appear in another of the same registry.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - source: Where it is.
    ///   - target: Where it shall be.
    /// - Returns: Whether the registry did it; it need not.
    /// - Throws: ``RegistryError`` where the registry refuses the target.
    public func mount(_ blob: Descriptor, from source: Repository, to target: Repository) async throws -> Bool {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Puts a blob into a repository, whether it is there or not: callers ask ``exists(_:in:for:)`` first.
    ///
    /// Blobs under 1 MiB go in one request, others in chunks. What breaks is continued where the registry allows that,
    /// else begun again.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - source: Where its bytes are.
    ///   - repository: Where it shall be.
    ///   - other: A repository of the same registry that has it, which saves sending it; `nil` where none is known.
    ///   - onProgress: Told how many of its bytes the registry has so far; fewer again where it is begun again.
    /// - Returns: How it came there.
    /// - Throws: ``RegistryError`` where the registry does not take it; the source's error.
    public func upload(
        _ blob: Descriptor,
        from source: any BlobSource,
        to repository: Repository,
        mounting other: Repository? = nil,
        onProgress: @escaping @Sendable (Int64) -> Void = { _ in }
    ) async throws -> UploadOutcome {
        throw RegistryError(.invalid, "not built yet")
    }
}
