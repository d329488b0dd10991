// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// How often, and how long apart, a request is sent again.
public struct RetryPolicy: Sendable {
    /// The most attempts, the first among them; at least 1.
    public var attempts = 6
    /// The longest before the second attempt; each further one may wait twice as long.
    public var firstDelay: Duration = .milliseconds(250)
    /// The longest between two attempts where the server does not ask for more.
    public var longestDelay: Duration = .seconds(20)
    /// The longest that a server's `Retry-After` is heeded; one that asks for more has the request fail.
    public var longestPatience: Duration = .seconds(120)

    /// The usual policy: six attempts over some ten seconds.
    public init() {}

    /// One attempt.
    public static var never: RetryPolicy {
        var policy = RetryPolicy()
        policy.attempts = 1
        return policy
    }

    /// Whether an answer means that another attempt may succeed: 408, 425, 429, and 5xx but 501 and 505.
    ///
    /// - Parameter status: The answer's status.
    /// - Returns: Whether it is one of these.
    public static func isTransient(_ status: Int) -> Bool {
        [408, 425, 429].contains(status) || ((500..<600).contains(status) && status != 501 && status != 505)
    }

    /// How long to wait before the next attempt.
    ///
    /// - Parameters:
    ///   - attempt: How many were made, at least 1.
    ///   - asked: What the server asked for, where it did.
    /// - Returns: The time, a random part of what is allowed so that many clients do not come back together; never less
    ///   than what the server asked for; `nil` where no attempt is left, or the server asks for too much.
    public func delay(after attempt: Int, asked: Duration? = nil) -> Duration? {
        guard attempt < attempts else { return nil }
        let allowed = min(firstDelay * (1 << min(attempt - 1, 20)), longestDelay)
        let jittered = allowed / 2 + allowed / 2 * Double.random(in: 0...1)
        guard let asked else { return jittered }
        guard asked <= longestPatience else { return nil }
        return asked + firstDelay * Double.random(in: 0...1)
    }

    /// The time that a server asks for.
    ///
    /// - Parameters:
    ///   - headers: The answer's header; `Retry-After` may be seconds or a date.
    ///   - now: Seconds since 1970, which a date is compared with; the clock where it is `nil`.
    /// - Returns: The time from now, not negative; `nil` where none is asked for.
    public static func retryAfter(_ headers: HTTPFields, now: Int? = nil) -> Duration? {
        guard let text = headers["Retry-After"]?.trimmed else { return nil }
        if let seconds = Int(text) { return .seconds(min(max(seconds, 0), 1 << 30)) }
        guard let date = HTTPDate.seconds(text) else { return nil }
        return .seconds(max(date - (now ?? time(nil)), 0))
    }
}
