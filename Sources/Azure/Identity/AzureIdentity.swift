// SPDX-License-Identifier: Apache-2.0

/// Somebody whom Azure knows, and who can prove it.
///
/// It is asked anew for every token, and makes its proof anew each time: files are read again, tokens of others fetched
/// again. ``AzureTokens`` keeps what it gives for as long as that is good.
public protocol AzureIdentity: Sendable {
    /// Gets a token.
    ///
    /// - Parameter resource: Whom it will be shown to, without `/.default`: `https://management.azure.com`.
    /// - Returns: The token.
    /// - Throws: ``AzureError``; of kind `.unavailable` where there is no such identity here.
    func token(for resource: String) async throws -> AzureToken

    /// Who it is, in words that stand behind "as": `service principal 1234… of tenant 5678… (secret)`; no secret.
    var summary: String { get }
}
