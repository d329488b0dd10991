// SPDX-License-Identifier: Apache-2.0

/// The network: one attempt at a request, over connections that are kept and used again.
public final class NetworkTransport: HTTPTransport {
    /// How servers are reached.
    public let settings: NetworkSettings

    /// Makes a transport; nothing is read or connected before the first request.
    ///
    /// - Parameter settings: How servers are reached.
    public init(_ settings: NetworkSettings = NetworkSettings()) {
        self.settings = settings
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// - Parameter request: What to send, and where.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``ServerError`` where there is no answer; `CancellationError`.
    public func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        throw ServerError(.unreachable, "not built yet", url: request.url)
    }
}
