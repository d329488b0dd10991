// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Synchronization

/// Keeps an identity's tokens until five minutes before they end; one is asked for at a time, however many wait for it.
///
/// The lock protects the tokens by resource.
public final class AzureTokens: Sendable {
    /// Whose tokens they are.
    public let identity: any AzureIdentity
    private let tokens = Mutex<[String: AzureToken]>([:])
    private let turnstile = ConcurrencyLimit(1)

    /// Keeps tokens of an identity.
    ///
    /// - Parameter identity: Whose.
    public init(_ identity: any AzureIdentity) {
        self.identity = identity
    }

    /// A token that is good for five minutes at least, where its issuer gives such.
    ///
    /// - Parameters:
    ///   - resource: Whom it will be shown to.
    ///   - refused: One that was not accepted just now, and is not given again.
    /// - Returns: The token.
    /// - Throws: ``AzureError``.
    public func token(for resource: String, refused: AzureToken? = nil) async throws -> AzureToken {
        if let found = find(resource, refused) { return found }
        return try await turnstile.run {
            if let found = find(resource, refused) { return found }
            let token = try await identity.token(for: resource)
            tokens.withLock { $0[resource] = token }
            return token
        }
    }

    private func find(_ resource: String, _ refused: AzureToken?) -> AzureToken? {
        tokens.withLock { $0[resource] }.flatMap { $0.isGood() && $0 != refused ? $0 : nil }
    }
}
