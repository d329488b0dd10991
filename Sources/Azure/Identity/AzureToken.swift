// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What an Azure service is shown: whose it is, and until when.
///
/// Printing or dumping one shows no secret.
public struct AzureToken: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The token, a secret.
    public let value: String
    /// When it ends, in seconds since 1970 by this machine's clock.
    public let expires: Int64

    /// Takes a token.
    ///
    /// - Parameters:
    ///   - value: The token.
    ///   - expires: When it ends, in seconds since 1970 by this machine's clock.
    public init(_ value: String, expires: Int64) {
        (self.value, self.expires) = (value, expires)
    }

    /// That it is a token; nothing of it.
    public var description: String { "an Azure token" }

    /// That it is a token; nothing of it.
    public var debugDescription: String { description }

    /// Nothing within is shown.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Whether it may still be used for something that takes a while.
    ///
    /// - Parameter margin: How long it must be good for, in seconds.
    /// - Returns: Whether it ends later than that.
    public func isGood(for margin: Int64 = 300) -> Bool { expires - margin > Clock.now }
}

/// Seconds since 1970.
enum Clock {
    static var now: Int64 { Int64(time(nil)) }
}
