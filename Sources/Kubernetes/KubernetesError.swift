// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// A cluster cannot be asked, or refused what it was asked.
public struct KubernetesError: Error, Sendable, CustomStringConvertible {
    /// What callers branch on.
    ///
    /// Codes may be added in any release: compare with `==`, never switch exhaustively.
    public struct Code: Hashable, Sendable {
        let name: String

        /// The kubeconfig cannot be used: no such file or context, a field that is wrong.
        public static let settings = Code(name: "settings")
        /// There are no credentials to be had, or the cluster does not accept them (401).
        public static let credentials = Code(name: "credentials")
        /// Whoever we are may not do it (403).
        public static let denied = Code(name: "denied")
        /// There is no such thing in the cluster (404).
        public static let notFound = Code(name: "not found")
        /// Others own fields that were to be changed, or something changed meanwhile (409).
        public static let conflict = Code(name: "conflict")
        /// What was sent is not what the cluster takes (400, 415, 422).
        public static let invalid = Code(name: "invalid")
        /// The cluster has forgotten the version that was asked for (410).
        public static let expired = Code(name: "expired")
        /// The cluster cannot be reached.
        public static let network = Code(name: "network")
        /// The cluster failed (429, 5xx), or answered with something that is no answer.
        public static let server = Code(name: "server")
    }

    /// One of several reasons for a refusal.
    public struct Cause: Hashable, Sendable {
        /// Kubernetes' own word: `FieldManagerConflict`, `FieldValueInvalid`; may be empty.
        public let reason: String
        /// The field: `.spec.replicas`, `spec.template.spec.containers[0].image`; may be empty.
        public let field: String
        /// In words, without secrets.
        public let message: String
        /// Who owns the field, where that is the reason: `kubectl`; `nil` where it is another.
        public let owner: String?
    }

    /// What callers branch on.
    public let code: Code
    /// What was being done, to what, and what was found: one line, no full stop, no secrets.
    public let message: String
    /// What to type or to change; `nil` where nothing is known.
    public let hint: String?
    /// The status of the answer; 0 where there was none.
    public let status: Int
    /// Kubernetes' own word for it: `NotFound`, `AlreadyExists`; may be empty.
    public let reason: String
    /// Each field that is at fault; may be empty.
    public let causes: [Cause]

    /// The message, and the hint after it.
    public var description: String { hint.map { "\(message) (\($0))" } ?? message }

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: What callers branch on.
    ///   - message: One line, no full stop; the caller has taken secrets out.
    ///   - hint: What to type or to change.
    ///   - status: The status of the answer.
    ///   - reason: Kubernetes' own word for it.
    ///   - causes: Each field that is at fault.
    public init(
        _ code: Code,
        _ message: String,
        hint: String? = nil,
        status: Int = 0,
        reason: String = "",
        causes: [Cause] = []
    ) {
        (self.code, self.message, self.hint) = (code, message, hint)
        (self.status, self.reason, self.causes) = (status, reason, causes)
    }

    /// The same without some texts in it.
    func hiding(_ secrets: [String]) -> KubernetesError {
        let clean = { (text: String) in Redaction.text(text, secrets: secrets) }
        return KubernetesError(
            code,
            clean(message),
            hint: hint.map(clean),
            status: status,
            reason: reason,
            causes: causes.map {
                .init(reason: $0.reason, field: $0.field, message: clean($0.message), owner: $0.owner)
            }
        )
    }

    /// Whether the same request may work a little later.
    public var isTransient: Bool { code == .network || status == 429 || status >= 500 }
}
