// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Sends requests as politely and as stubbornly as servers need: follows redirects, sends again what failed for a while,
/// and asks a server that says 429 for less at once.
///
/// `Authorization` goes to the host it is meant for only: not with a redirect to another host or port, and no redirect
/// from `https` to `http` is followed. The lock protects the limits by host.
public final class HTTPSession: HTTPTransport {
    /// What happened on the way, for people who watch: no secrets.
    public enum Event: Sendable {
        /// A request is sent again after a while.
        case waiting(host: String, reason: String, delay: Duration, attempt: Int)
    }

    private let transport: any HTTPTransport
    private let policy: RetryPolicy
    private let width: Int
    private let onEvent: @Sendable (Event) -> Void
    private let limits = Mutex<[String: ConcurrencyLimit]>([:])

    /// Puts a session over a transport.
    ///
    /// - Parameters:
    ///   - transport: Makes single attempts: the network.
    ///   - policy: How often and how long apart.
    ///   - width: How many requests one host is sent at once: so many with a body, and so many without.
    ///   - onEvent: Told what happens on the way.
    public init(
        _ transport: any HTTPTransport,
        policy: RetryPolicy = RetryPolicy(),
        width: Int = 8,
        onEvent: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        (self.transport, self.policy, self.width, self.onEvent) = (transport, policy, width, onEvent)
    }

    /// Sends a request, again where that may help.
    ///
    /// - Parameter request: What to send, and where; `repetition` says whether it may be sent again.
    /// - Returns: The last answer, whatever its status; 3xx only where there is nothing to follow.
    /// - Throws: ``ServerError`` where there is no answer after the last attempt; `CancellationError`.
    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        try await send(request, policy: policy)
    }

    /// Sends a request, again where that may help, by a policy of its own.
    ///
    /// - Parameters:
    ///   - request: What to send, and where; `repetition` says whether it may be sent again.
    ///   - policy: How often and how long apart.
    /// - Returns: The last answer, whatever its status; 3xx only where there is nothing to follow.
    /// - Throws: ``ServerError`` where there is no answer after the last attempt; `CancellationError`.
    public func send(_ request: HTTPRequest, policy: RetryPolicy) async throws -> HTTPResponse {
        var attempt = 1
        while true {
            let limit = limit(for: request)
            var asked: Duration?
            do {
                let response = try await limit.run { try await follow(request) }
                guard RetryPolicy.isTransient(response.status) else {
                    limit.grow()
                    return response
                }
                asked = RetryPolicy.retryAfter(response.headers)
                if response.status == 429 || asked != nil { limit.shrink() }
                let mayRepeat = request.repetition == .allowed || response.status == 429
                guard mayRepeat, let delay = policy.delay(after: attempt, asked: asked) else { return response }
                await response.discard()
                try await wait(delay, request, "it answered \(response.status)", attempt)
            } catch let error as ServerError {
                guard error.isTransient, request.repetition == .allowed, let delay = policy.delay(after: attempt) else {
                    throw error
                }
                try await wait(delay, request, error.message, attempt)
            }
            attempt += 1
        }
    }

    private func wait(_ delay: Duration, _ request: HTTPRequest, _ reason: String, _ attempt: Int) async throws {
        onEvent(.waiting(host: request.url.authority, reason: reason, delay: delay, attempt: attempt))
        try await Task.sleep(for: delay)
    }

    /// Uploads and everything else are counted apart: the body of one may be the answer to another from the same host,
    /// and must not wait for it.
    private func limit(for request: HTTPRequest) -> ConcurrencyLimit {
        let key = request.url.authority + (request.body == nil ? "" : " up")
        return limits.withLock { limits in
            if let limit = limits[key] { return limit }
            let limit = ConcurrencyLimit(width)
            limits[key] = limit
            return limit
        }
    }

    private func follow(_ original: HTTPRequest) async throws -> HTTPResponse {
        var request = original
        for _ in 0..<10 {
            let response = try await transport.send(request)
            guard [301, 302, 303, 307, 308].contains(response.status), let location = response.headers["Location"]
            else {
                return response
            }
            await response.discard()
            request = try HTTPSession.redirect(request, to: location, status: response.status)
        }
        throw ServerError(
            .redirect,
            "\(original.url.authority) redirected ten times without an answer for \(Redaction.url(original.url))",
            url: original.url
        )
    }

    /// The request that a redirect asks for.
    static func redirect(_ request: HTTPRequest, to location: String, status: Int) throws(ServerError) -> HTTPRequest {
        var next = request
        next.url = try request.url.resolving(location)
        guard next.url.isSecure || !request.url.isSecure else {
            throw ServerError(
                .redirect,
                "\(request.url.authority) redirects from https to plain http: \(Redaction.url(next.url))",
                hint: "have the server's administrator set its external address to https",
                url: request.url
            )
        }
        if next.url.host != request.url.host || next.url.port != request.url.port {
            for name in ["Authorization", "Cookie", "Proxy-Authorization"] { next.headers[name] = nil }
        }
        if status == 303, request.method != .head {
            (next.method, next.body) = (.get, nil)
        }
        return next
    }
}
