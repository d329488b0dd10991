// SPDX-License-Identifier: Apache-2.0
extension RegistryClient {
    /// Whether a registry can be reached and lets us in with the provider's credentials.
    ///
    /// - Parameter registry: `HOST` or `HOST:PORT`.
    /// - Throws: ``RegistryError`` where it cannot, or does not.
    public func ping(_ registry: String) async throws {
        throw RegistryError(.invalid, "not built yet")
    }

    /// Tries credentials at a registry, as `coracle login` does; the provider is not asked.
    ///
    /// - Parameters:
    ///   - registry: `HOST` or `HOST:PORT`.
    ///   - credentials: What to try.
    /// - Returns: What to keep: an identity token where the registry gave one, else the same credentials.
    /// - Throws: ``RegistryError`` of kind `.auth` where they are not accepted.
    public func login(_ registry: String, with credentials: Credentials) async throws -> Credentials {
        throw RegistryError(.invalid, "not built yet")
    }
}
