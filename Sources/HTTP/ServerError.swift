// SPDX-License-Identifier: Apache-2.0

/// A server that cannot be reached, or an answer that cannot be used.
public struct ServerError: Error, Sendable, CustomStringConvertible {
    /// What callers branch on.
    ///
    /// Codes may be added in any release: compare with `==`, never switch exhaustively.
    public struct Code: Hashable, Sendable {
        let name: String

        /// An address of no usable form.
        public static let badAddress = Code(name: "bad address")
        /// Settings that cannot be used: a file with no certificate in it, a proxy of no known kind.
        public static let badSettings = Code(name: "bad settings")
        /// Our own certificate, or its key, which a host is to be shown, cannot be read.
        public static let badClientCertificate = Code(name: "bad client certificate")
        /// The host's name has no address.
        public static let unknownHost = Code(name: "unknown host")
        /// Nobody listens on the port, or no way leads there.
        public static let unreachable = Code(name: "unreachable")
        /// No answer in the time allowed.
        public static let timedOut = Code(name: "timed out")
        /// The server's certificate is not trusted, has expired, or is another host's.
        public static let certificate = Code(name: "certificate")
        /// The server wants a certificate of ours, or does not accept the one it was shown.
        public static let clientCertificate = Code(name: "client certificate")
        /// The server does not speak TLS, or none that we do.
        public static let handshake = Code(name: "handshake")
        /// The proxy refused.
        public static let proxy = Code(name: "proxy")
        /// The connection ended before the answer did.
        public static let cut = Code(name: "cut")
        /// More bytes than there may be.
        public static let tooLarge = Code(name: "too large")
        /// What came is not HTTP, or what was to be sent is not.
        public static let malformed = Code(name: "malformed")
        /// Redirects without end, or to where none may lead.
        public static let redirect = Code(name: "redirect")
    }

    /// What callers branch on.
    public let code: Code
    /// What was being done, to what, and what was found: one line, no full stop, no secrets.
    public let message: String
    /// What to type or to change; `nil` where nothing is known.
    public let hint: String?
    /// The host that was asked; `nil` where it did not come to that.
    public let host: String?
    /// The port that was asked; `nil` where it did not come to that.
    public let port: Int?

    /// The message, and the hint after it.
    public var description: String { hint.map { "\(message) (\($0))" } ?? message }

    /// Whether another attempt may succeed.
    public var isTransient: Bool {
        [.unknownHost, .unreachable, .timedOut, .cut, .proxy].contains(code)
    }

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: What callers branch on.
    ///   - message: One line, no full stop; the caller has taken secrets out.
    ///   - hint: What to type or to change.
    ///   - url: What was asked.
    public init(_ code: Code, _ message: String, hint: String? = nil, url: HTTPURL? = nil) {
        (self.code, self.message, self.hint) = (code, message, hint)
        (host, port) = (url?.host, url?.port)
    }
}
