// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Synchronization

/// What was found out about registries in this run; the lock protects it.
final class RegistryState: Sendable {
    /// Where a registry is, and what it wants to be shown.
    struct Endpoint: Sendable {
        /// Scheme, host and port.
        let base: HTTPURL
        let challenges: [Challenge]
    }

    private struct Facts {
        var endpoints: [String: Endpoint] = [:]
        var turnstiles: [String: ConcurrencyLimit] = [:]
        var failedMirrors: Set<String> = []
        var warnings: Set<String> = []
        var secrets: [String] = []
        /// Credentials that were not accepted where going without was enough, by what they were for, in words for people.
        var refusedCredentials: [String: String] = [:]
        /// Registries whose referrers API is not there.
        var withoutReferrers: Set<String> = []
    }

    private let facts = Mutex(Facts())

    /// A registry's endpoint, found out once however many ask.
    func endpoint(_ registry: String, find: () async throws -> Endpoint) async throws -> Endpoint {
        if let known = facts.withLock({ $0.endpoints[registry] }) { return known }
        let turnstile = facts.withLock { facts in
            let turnstile = facts.turnstiles[registry] ?? ConcurrencyLimit(1)
            facts.turnstiles[registry] = turnstile
            return turnstile
        }
        return try await turnstile.run {
            if let known = facts.withLock({ $0.endpoints[registry] }) { return known }
            let found = try await find()
            facts.withLock { $0.endpoints[registry] = found }
            return found
        }
    }

    func isMirrorFailed(_ mirror: String) -> Bool { facts.withLock { $0.failedMirrors.contains(mirror) } }

    func failMirror(_ mirror: String) { facts.withLock { _ = $0.failedMirrors.insert(mirror) } }

    /// Whether a warning is new; the first thousand are remembered.
    func isNewWarning(_ text: String) -> Bool {
        facts.withLock { $0.warnings.count < 1000 && $0.warnings.insert(text).inserted }
    }

    /// What must not be in any message: the latest two hundred.
    var secrets: [String] { facts.withLock { $0.secrets } }

    func remember(secrets: [String]) {
        facts.withLock { facts in
            for secret in secrets where !facts.secrets.contains(secret) { facts.secrets.append(secret) }
            facts.secrets.removeFirst(max(0, facts.secrets.count - 200))
        }
    }

    func refusedCredentials(_ holder: String) -> String? { facts.withLock { $0.refusedCredentials[holder] } }

    func refuse(credentials: String, for holder: String) {
        facts.withLock { $0.refusedCredentials[holder] = credentials }
    }

    func lacksReferrers(_ registry: String) -> Bool { facts.withLock { $0.withoutReferrers.contains(registry) } }

    func setLacksReferrers(_ registry: String) { facts.withLock { _ = $0.withoutReferrers.insert(registry) } }
}
