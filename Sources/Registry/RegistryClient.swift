// SPDX-License-Identifier: Apache-2.0
public import HTTP

/// Speaks with registries: manifests, blobs, tags, referrers; one verb per file.
///
/// One client is for all registries of a run. It finds out once how each wants to be spoken to, keeps tokens until they
/// expire, and may be used by any number of tasks at once.
///
/// Specification: OCI distribution-spec 1.1; Docker's token authentication.
public final class RegistryClient: Sendable {
    /// How to deal with registries.
    public struct Settings: Sendable {
        /// Hosts with which plain HTTP may be spoken: `HOST` or `HOST:PORT`; loopback is always one.
        public var insecureHosts: Set<String> = []
        /// Where to pull first: registry as references name it, to `HOST[:PORT][/PREFIX]` of its mirrors, in order.
        public var mirrors: [String: [String]] = [:]
        /// How much of a blob one request carries, in bytes; at least 1 MiB.
        public var chunkSize: Int64 = 16 << 20
        /// How many requests one registry is sent at once: so many with a body, and so many without.
        public var width = 8
        /// How often, and how long apart, what failed is tried again.
        public var retries = RetryPolicy()
        /// The folder for notes on uploads under way, from which a later run goes on; `nil` for none.
        public var journalFolder: String?

        /// The usual settings.
        public init() {}
    }

    /// What happens on the way, for people who watch; no secrets in it.
    public enum Event: Sendable {
        /// A registry has something to say (`Warning`); each text is given once.
        case warning(registry: String, text: String)
        /// A request is sent again after a while.
        case waiting(registry: String, reason: String, delay: Duration, attempt: Int)
        /// A mirror was passed over.
        case mirrorFailed(mirror: String, reason: String)
    }

    let settings: Settings
    let session: HTTPSession
    let credentials: any CredentialProvider
    let onEvent: @Sendable (Event) -> Void
    let tokens = TokenCache()
    let state = RegistryState()

    /// Makes a client; nothing is sent before the first request.
    ///
    /// - Parameters:
    ///   - transport: Makes single attempts: the network.
    ///   - credentials: Knows who we are.
    ///   - settings: How to deal with registries.
    ///   - onEvent: Told what happens on the way.
    public init(
        transport: any HTTPTransport,
        credentials: any CredentialProvider = AnonymousCredentials(),
        settings: Settings = Settings(),
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        (self.credentials, self.settings, self.onEvent) = (credentials, settings, onEvent)
        session = HTTPSession(transport, policy: settings.retries, width: settings.width) { event in
            if case .waiting(let host, let reason, let delay, let attempt) = event {
                onEvent(.waiting(registry: host, reason: reason, delay: delay, attempt: attempt))
            }
        }
    }
}
