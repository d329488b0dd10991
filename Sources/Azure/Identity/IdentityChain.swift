// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The first of several identities that there is.
///
/// Each is asked once; the one that gave a token is asked alone from then on. One that is there and is refused ends the
/// search: whoever set it up meant it. The lock protects which one it is.
public final class IdentityChain: AzureIdentity {
    /// A place in the order.
    public enum Candidate: Sendable {
        /// It is asked.
        case identity(any AzureIdentity)
        /// It cannot be asked: why, one line, no secrets.
        case missing(String)
    }

    private let candidates: [Candidate]
    private let chosen = Mutex<(any AzureIdentity)?>(nil)
    private let notes = Mutex<[String]>([])

    /// Takes identities in order.
    ///
    /// - Parameter candidates: The first that there is will be used.
    public init(_ candidates: [Candidate]) {
        self.candidates = candidates
    }

    /// Which one it is; before that is known, that it is one of several.
    public var summary: String { chosen.withLock { $0?.summary } ?? "the first identity that there is" }

    /// What was tried, one line each, no secrets; empty before the first token was asked for.
    public var trace: [String] { notes.withLock { $0 } }

    /// Gets a token of the first identity that there is.
    ///
    /// - Parameter resource: Whom it will be shown to.
    /// - Returns: The token.
    /// - Throws: ``AzureError``; of kind `.unavailable`, with what was tried, where there is no identity.
    public func token(for resource: String) async throws -> AzureToken {
        if let known = chosen.withLock({ $0 }) { return try await known.token(for: resource) }
        var tried: [String] = []
        for step in candidates {
            guard case .identity(let candidate) = step else {
                if case .missing(let reason) = step { tried.append(reason) }
                continue
            }
            do {
                let token = try await candidate.token(for: resource)
                chosen.withLock { $0 = candidate }
                tried.append("\(candidate.summary): used")
                notes.withLock { $0 = tried }
                return token
            } catch let error as AzureError {
                tried.append(
                    error.message.hasPrefix(candidate.summary)
                        ? error.message : "\(candidate.summary): \(error.message)"
                )
                notes.withLock { $0 = tried }
                guard error.kind == .unavailable else {
                    throw AzureError(
                        error.kind,
                        error.message,
                        hint: error.hint,
                        code: error.code,
                        correlationID: error.correlationID,
                        trace: tried
                    )
                }
            }
        }
        throw AzureError(
            .unavailable,
            "there is no Azure identity here; tried: " + (tried.isEmpty ? "nothing" : tried.joined(separator: "; ")),
            hint: "az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET",
            trace: tried
        )
    }
}
