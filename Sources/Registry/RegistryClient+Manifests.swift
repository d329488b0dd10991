// SPDX-License-Identifier: Apache-2.0
public import OCI

extension RegistryClient {
    /// The most bytes that a manifest may have.
    public static let largestManifest = 4 << 20

    /// What a manifest's name means now, without its content (HEAD); mirrors are asked first.
    ///
    /// - Parameters:
    ///   - name: Tag or digest.
    ///   - repository: Where.
    ///   - access: What else will be done there, so that one token does for all.
    /// - Returns: Type, digest and size; `nil` where the registry has none of that name.
    /// - Throws: ``RegistryError`` where the registry does not answer that.
    public func resolve(
        _ name: ManifestName,
        in repository: Repository,
        for access: Access = .pull
    ) async throws -> Descriptor? {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Reads a manifest or index; mirrors are asked first.
    ///
    /// - Parameters:
    ///   - name: Tag or digest.
    ///   - repository: Where.
    ///   - access: What else will be done there, so that one token does for all.
    /// - Returns: The document, at most 4 MiB, its digest verified; `nil` where the registry has none of that name.
    /// - Throws: ``RegistryError`` where the registry does not give it, or gives something else.
    public func manifest(
        _ name: ManifestName,
        in repository: Repository,
        for access: Access = .pull
    ) async throws -> ManifestDocument? {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Writes a manifest or index; everything it names must be in the repository already.
    ///
    /// One with a `subject` becomes a referrer of it, by the fallback tag where the registry has no better way.
    ///
    /// - Parameters:
    ///   - document: Type and bytes.
    ///   - name: Tag or digest.
    ///   - repository: Where.
    /// - Throws: ``RegistryError`` where the registry refuses it, or stores it under another digest.
    public func put(_ document: ManifestDocument, as name: ManifestName, to repository: Repository) async throws {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Removes a manifest with all its tags, or, where the registry can do that, one tag.
    ///
    /// - Parameters:
    ///   - name: Digest or tag.
    ///   - repository: Where.
    /// - Throws: ``RegistryError``, of kind `.notFound` where there is none.
    public func delete(_ name: ManifestName, in repository: Repository) async throws {
        throw RegistryError(.invalid, "not built yet")
    }
}
