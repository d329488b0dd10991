// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Synchronization

/// Keeps tokens until shortly before they expire; one is asked for at a time, however many requests wait for it.
///
/// The lock protects the tokens by registry, and the turnstile of each.
final class TokenCache: Sendable {
    private struct Shelf {
        var tokens: [Token] = []
        let turnstile = ConcurrencyLimit(1)
    }

    private let shelves = Mutex<[String: Shelf]>([:])

    /// A token that is good for all the scopes.
    ///
    /// The key says where it is good: registry, service, and whose it is; a header that was refused is not given again.
    func token(
        _ key: String,
        scopes: [Scope],
        refused: String?,
        fetch: () async throws -> Token
    ) async throws -> Token {
        if let found = find(key, scopes, refused) { return found }
        return try await turnstile(key)
            .run {
                // Another may have got one while this one waited.
                if let found = find(key, scopes, refused) { return found }
                let token = try await fetch()
                shelves.withLock { $0[key, default: Shelf()].tokens.append(token) }
                return token
            }
    }

    private func find(_ key: String, _ scopes: [Scope], _ refused: String?) -> Token? {
        shelves.withLock { shelves in
            guard shelves[key] != nil else { return nil }
            let now = ContinuousClock.now
            shelves[key]?.tokens.removeAll { $0.goodUntil <= now || (refused != nil && $0.header == refused) }
            return shelves[key]?.tokens.last { token in scopes.allSatisfy { $0.isCovered(by: token.scopes) } }
        }
    }

    private func turnstile(_ key: String) -> ConcurrencyLimit {
        shelves.withLock { shelves in
            if let shelf = shelves[key] { return shelf.turnstile }
            let shelf = Shelf()
            shelves[key] = shelf
            return shelf.turnstile
        }
    }
}
