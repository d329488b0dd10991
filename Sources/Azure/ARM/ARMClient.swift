// SPDX-License-Identifier: Apache-2.0
public import HTTP
public import OCI

/// Speaks with the resource manager, ARM: reads, writes, and waits for what it began.
///
/// One client is for all requests of a run; any number of tasks may use it at once. Requests that fail for a while are
/// sent again by the session, as long as the service asks (`Retry-After`).
///
/// Specification: Azure Resource Manager REST, "Asynchronous operations", "Throttling"; ARM RPC 1.0.
public struct ARMClient: Sendable {
    /// How to wait for operations.
    public struct Patience: Sendable {
        /// How long between two looks where the service does not say.
        public var interval: Duration = .seconds(3)
        /// The longest between two looks, whatever the service says.
        public var longestInterval: Duration = .seconds(60)
        /// The longest that an operation is waited for.
        public var longest: Duration = .seconds(35 * 60)
        /// The longest that a resource is waited for that is busy with something else.
        public var longestBusy: Duration = .seconds(300)

        /// As Azure's services are: every 3 s, for 35 minutes at most.
        public init() {}
    }

    /// The cloud.
    public let cloud: AzureCloud
    /// Whose rights are used.
    public var identity: any AzureIdentity { tokens.identity }
    /// How to wait for operations.
    public var patience = Patience()
    let tokens: AzureTokens
    let session: HTTPSession

    /// Makes a client; nothing is sent before the first request.
    ///
    /// - Parameters:
    ///   - cloud: The cloud.
    ///   - identity: Whose rights are used.
    ///   - session: Sends requests, again where that may help.
    public init(cloud: AzureCloud, identity: any AzureIdentity, session: HTTPSession) {
        self.init(cloud: cloud, tokens: AzureTokens(identity), session: session)
    }

    /// Makes a client that shares tokens with others.
    ///
    /// - Parameters:
    ///   - cloud: The cloud.
    ///   - tokens: Keeps the tokens of whose rights are used.
    ///   - session: Sends requests, again where that may help.
    public init(cloud: AzureCloud, tokens: AzureTokens, session: HTTPSession) {
        (self.cloud, self.tokens, self.session) = (cloud, tokens, session)
    }

    // MARK: Reading

    /// Reads a resource.
    ///
    /// - Parameters:
    ///   - id: `/subscriptions/…`; may have a query.
    ///   - apiVersion: As `2023-05-01`.
    /// - Returns: The resource.
    /// - Throws: ``ARMError``, of status 404 where there is none; ``AzureError``; `ServerError`.
    public func get(_ id: String, apiVersion: String) async throws -> JSONValue {
        try await send(ARMRequest(.get, id, apiVersion)).body ?? .null
    }

    /// Reads a resource if there is one.
    ///
    /// - Parameters:
    ///   - id: `/subscriptions/…`.
    ///   - apiVersion: As `2023-05-01`.
    /// - Returns: The resource; `nil` where there is none, or its group is not there.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func find(_ id: String, apiVersion: String) async throws -> JSONValue? {
        do {
            return try await get(id, apiVersion: apiVersion)
        } catch let error as ARMError where error.status == 404 && !error.has("SubscriptionNotFound") {
            return nil
        }
    }

    /// Reads a list to its end, page by page; at most 1,000 pages.
    ///
    /// - Parameters:
    ///   - id: `/subscriptions/…`.
    ///   - apiVersion: As `2023-05-01`.
    /// - Returns: The elements of every page's `value`, in order.
    /// - Throws: ``ARMError``; ``AzureError``; `ServerError`.
    public func list(_ id: String, apiVersion: String) async throws -> [JSONValue] {
        var elements: [JSONValue] = []
        var request = ARMRequest(.get, id, apiVersion)
        for _ in 0..<1000 {
            let page = try await send(request).body
            elements += page?["value"]?.array ?? page?.array ?? []
            guard let next = page?["nextLink"]?.string, !next.isEmpty else { return elements }
            request.url = try ours(next, request)
        }
        return elements
    }

    // MARK: Writing

    /// Makes or replaces a resource, and waits until it is done.
    ///
    /// - Parameters:
    ///   - id: `/subscriptions/…`.
    ///   - apiVersion: As `2023-05-01`.
    ///   - body: The resource.
    ///   - progress: Is told what happens, from any thread.
    /// - Returns: The resource as it is in the end.
    /// - Throws: ``ARMError``, also where it was accepted and ended badly; ``AzureError``; `ServerError`.
    public func put(
        _ id: String,
        apiVersion: String,
        body: JSONValue?,
        progress: @escaping @Sendable (ARMProgress) -> Void = { _ in }
    ) async throws -> JSONValue {
        try await run(ARMRequest(.put, id, apiVersion, body), progress)
    }

    /// Changes parts of a resource, and waits until it is done.
    ///
    /// - Parameters:
    ///   - id: `/subscriptions/…`.
    ///   - apiVersion: As `2023-05-01`.
    ///   - body: The parts.
    ///   - progress: Is told what happens, from any thread.
    /// - Returns: The resource as it is in the end.
    /// - Throws: ``ARMError``, also where it was accepted and ended badly; ``AzureError``; `ServerError`.
    public func patch(
        _ id: String,
        apiVersion: String,
        body: JSONValue?,
        progress: @escaping @Sendable (ARMProgress) -> Void = { _ in }
    ) async throws -> JSONValue {
        try await run(ARMRequest(.patch, id, apiVersion, body), progress)
    }

    /// Has something done, and waits until it is.
    ///
    /// - Parameters:
    ///   - id: The action: `/subscriptions/…/containerGroups/web/stop`.
    ///   - apiVersion: As `2023-05-01`.
    ///   - body: What it is told; `nil` for nothing.
    ///   - progress: Is told what happens, from any thread.
    /// - Returns: Its answer; `.null` where it has none.
    /// - Throws: ``ARMError``, also where it was accepted and ended badly; ``AzureError``; `ServerError`.
    public func post(
        _ id: String,
        apiVersion: String,
        body: JSONValue? = nil,
        progress: @escaping @Sendable (ARMProgress) -> Void = { _ in }
    ) async throws -> JSONValue {
        try await run(ARMRequest(.post, id, apiVersion, body), progress)
    }

    /// Removes a resource, and waits until it is gone.
    ///
    /// - Parameters:
    ///   - id: `/subscriptions/…`.
    ///   - apiVersion: As `2023-05-01`.
    ///   - progress: Is told what happens, from any thread.
    /// - Returns: Whether there was one.
    /// - Throws: ``ARMError``, also where it was accepted and ended badly; ``AzureError``; `ServerError`.
    @discardableResult
    public func delete(
        _ id: String,
        apiVersion: String,
        progress: @escaping @Sendable (ARMProgress) -> Void = { _ in }
    ) async throws -> Bool {
        do {
            let request = ARMRequest(.delete, id, apiVersion)
            let (answer, _) = try await begin(request, progress)
            guard answer.status != 204 else { return false }
            _ = try await finish(answer, request, progress)
            return true
        } catch let error as ARMError where error.status == 404 && !error.has("SubscriptionNotFound") {
            return false
        }
    }
}
