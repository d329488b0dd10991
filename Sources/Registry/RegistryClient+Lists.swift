// SPDX-License-Identifier: Apache-2.0
public import OCI

extension RegistryClient {
    /// The tags of a repository, in the registry's order.
    ///
    /// - Parameters:
    ///   - repository: The repository.
    ///   - limit: The most to ask for; `nil` for all.
    /// - Returns: The tags.
    /// - Throws: ``RegistryError``, of kind `.notFound` where there is no such repository.
    public func tags(in repository: Repository, limit: Int? = nil) async throws -> [String] {
        throw RegistryError(.invalid, "not built yet")
    }

    /// The repositories of a registry, in its order.
    ///
    /// - Parameters:
    ///   - registry: `HOST` or `HOST:PORT`.
    ///   - limit: The most to ask for; `nil` for all.
    /// - Returns: Their names.
    /// - Throws: ``RegistryError`` where the registry does not list them.
    public func catalog(_ registry: String, limit: Int? = nil) async throws -> [String] {
        throw RegistryError(.invalid, "not built yet")
    }

    /// What refers to a manifest: signatures, attestations.
    ///
    /// - Parameters:
    ///   - subject: The manifest.
    ///   - repository: Where.
    ///   - artifactType: What kind is wanted; `nil` for all.
    /// - Returns: The manifests that have it as their subject; may be empty.
    /// - Throws: ``RegistryError`` where the registry does not say.
    public func referrers(
        of subject: Digest,
        in repository: Repository,
        artifactType: String? = nil
    ) async throws -> [Descriptor] {
        throw RegistryError(.invalid, "not built yet")
    }
}
