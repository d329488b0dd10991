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
        /// The same by registry, as such.
        var refusals: [String: Set<Credentials>] = [:]
        /// What was found to have other credentials than those.
        var unrefused: Set<String> = []
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

    /// Says that credentials for something were not accepted by a registry.
    func refuse(_ credentials: Credentials?, for holder: String, at registry: String) {
        facts.withLock { facts in
            facts.refusedCredentials[holder] = credentials?.description ?? "the credentials that there are"
            if let credentials { facts.refusals[registry, default: []].insert(credentials) }
        }
    }

    /// Whether the credentials for something were not accepted before, there or elsewhere at the same registry.
    ///
    /// They are asked for once, and only where the registry has refused some.
    func isRefused(_ holder: String, at registry: String, credentials: () async -> Credentials?) async -> Bool {
        let known = facts.withLock { facts -> Bool? in
            if facts.refusedCredentials[holder] != nil { return true }
            return facts.refusals[registry] == nil || facts.unrefused.contains(holder) ? false : nil
        }
        if let known { return known }
        let found = await credentials()
        return facts.withLock { facts in
            guard let found, facts.refusals[registry]?.contains(found) ?? false else {
                facts.unrefused.insert(holder)
                return false
            }
            facts.refusedCredentials[holder] = found.description
            return true
        }
    }

    func lacksReferrers(_ registry: String) -> Bool { facts.withLock { $0.withoutReferrers.contains(registry) } }

    func setLacksReferrers(_ registry: String) { facts.withLock { _ = $0.withoutReferrers.insert(registry) } }
}
