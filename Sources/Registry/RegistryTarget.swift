// SPDX-License-Identifier: Apache-2.0
public import OCI

/// A repository of a registry that images go to.
public struct RegistryTarget: ImageTarget {
    private let client: RegistryClient
    private let repository: Repository
    /// What the image is called there; by its digest alone where this is empty.
    private let tags: [String]
    private let mounts: @Sendable (Descriptor) -> [Repository]
    private let onHeld: @Sendable (Descriptor) -> Void

    /// Describes where an image goes.
    ///
    /// - Parameters:
    ///   - client: Speaks with the registry.
    ///   - repository: The repository.
    ///   - tags: What the image is called there; may be empty.
    ///   - mounts: Repositories of the same registry that may have a blob, the likeliest first.
    ///   - onHeld: Is told of each blob that the repository has, or has got, from any thread.
    public init(
        _ client: RegistryClient,
        _ repository: Repository,
        tags: [String],
        mounts: @escaping @Sendable (Descriptor) -> [Repository] = { _ in [] },
        onHeld: @escaping @Sendable (Descriptor) -> Void = { _ in }
    ) {
        (self.client, self.repository, self.tags, self.mounts) = (client, repository, tags, mounts)
        self.onHeld = onHeld
    }

    /// Asks the registry for a blob.
    ///
    /// - Parameter blob: The blob.
    /// - Returns: Whether it is there.
    /// - Throws: ``RegistryError``.
    public func holds(_ blob: Descriptor) async throws -> Bool {
        guard try await client.exists(blob, in: repository, for: .push) else { return false }
        onHeld(blob)
        return true
    }

    /// Mounts a blob from another repository, or sends it.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - source: Where its bytes are.
    ///   - events: Is told what happens.
    /// - Throws: ``RegistryError``; the source's error.
    public func take(
        _ blob: Descriptor,
        from source: any BlobSource,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        let places = mounts(blob).filter { $0.registry == repository.registry && $0 != repository }
        // The last place is asked together with the upload, which saves a request.
        for place in places.dropLast() where try await client.mount(blob, from: place, to: repository) {
            onHeld(blob)
            return events(.mounted(blob, from: place.name))
        }
        let count = MovedBytes(blob, events)
        let outcome = try await client.upload(
            blob,
            from: source,
            to: repository,
            mounting: places.last,
            onProgress: { count.reach($0) }
        )
        onHeld(blob)
        switch outcome {
        case .mounted: events(.mounted(blob, from: places.last?.name ?? ""))
        case .existed: events(.present(blob))
        case .uploaded:
            count.reach(blob.size)
            events(.finished(blob))
        }
    }

    /// Puts a manifest; the image itself under each of its tags.
    ///
    /// - Parameters:
    ///   - document: The manifest or index.
    ///   - isRoot: Whether it is the image itself.
    ///   - events: Is told what happens.
    /// - Throws: ``RegistryError``.
    public func put(
        _ document: ManifestDocument,
        isRoot: Bool,
        events: @escaping @Sendable (TransferEvent) -> Void
    ) async throws {
        guard isRoot, !tags.isEmpty else {
            return try await client.put(document, as: .digest(document.descriptor.digest), to: repository)
        }
        for tag in tags { try await client.put(document, as: .tag(tag), to: repository) }
    }
}
