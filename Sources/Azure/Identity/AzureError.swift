// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// No token: there is no such identity here, or Azure did not accept it.
public struct AzureError: Error, Sendable, CustomStringConvertible {
    /// What callers branch on.
    ///
    /// Kinds may be added in any release: compare with `==`, never switch exhaustively.
    public struct Kind: Hashable, Sendable {
        let name: String

        /// There is no such identity here; another kind may do.
        public static let unavailable = Kind(name: "unavailable")
        /// There is one, and it was not accepted.
        public static let refused = Kind(name: "refused")
        /// What was given is not enough, or cannot be used: a file, a variable, an option.
        public static let usage = Kind(name: "usage")
        /// Azure cannot be reached, or failed.
        public static let network = Kind(name: "network")
    }

    /// What callers branch on.
    public let kind: Kind
    /// What was being done, as whom, and what came back: one line, no full stop, no secrets.
    public let message: String
    /// The command or setting most likely to put it right; `nil` where none is known.
    public let hint: String?
    /// Entra's code, as `AADSTS7000215`; `nil` where there is none.
    public let code: String?
    /// What support asks for; `nil` where none came.
    public let correlationID: String?
    /// What else was tried, one line each, no secrets; may be empty.
    public let trace: [String]

    /// The message, and the hint after it.
    public var description: String { hint.map { "\(message) (\($0))" } ?? message }

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - kind: What callers branch on.
    ///   - message: One line, no full stop; the caller has taken secrets out.
    ///   - hint: The command or setting most likely to put it right.
    ///   - code: Entra's code.
    ///   - correlationID: What support asks for.
    ///   - trace: What else was tried.
    public init(
        _ kind: Kind,
        _ message: String,
        hint: String? = nil,
        code: String? = nil,
        correlationID: String? = nil,
        trace: [String] = []
    ) {
        (self.kind, self.message, self.hint, self.code) = (kind, message, hint, code)
        (self.correlationID, self.trace) = (correlationID, trace)
    }
}

extension AzureError.Kind {
    /// What kept us from a server: a file of ours that cannot be used, or the network.
    init(_ error: ServerError) { self = error.code == .badSettings ? .usage : .network }
}
