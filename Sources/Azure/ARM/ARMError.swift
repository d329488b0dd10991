// SPDX-License-Identifier: Apache-2.0
internal import HTTP
public import OCI

/// The resource manager refused a request, or an operation that it had begun ended badly.
///
/// Specification: Azure Resource Manager, "Error response"; ARM RPC 1.0, "Error response content".
public struct ARMError: Error, Sendable, CustomStringConvertible {
    /// One cause among several, from the leaves of the answer.
    public struct Detail: Hashable, Sendable {
        /// The service's own code: `InaccessibleImage`.
        public let code: String
        /// The service's own words, without secrets.
        public let message: String
    }

    /// What was being done, to what: `put containerGroups/web`.
    public let operation: String
    /// The resource or action that was asked for: `/subscriptions/…`.
    public let resource: String
    /// The status of the answer; 200 where an operation ended badly that was accepted at first.
    public let status: Int
    /// The service's own code, that of the deepest cause: `InaccessibleImage`, `AuthorizationFailed`; may be empty.
    public let code: String
    /// The service's own words, without secrets; where there are several causes, all.
    public let message: String
    /// What the error is about, as the service names it; `nil` where it does not say.
    public let target: String?
    /// Every cause, the outermost first.
    public let details: [Detail]
    /// What support asks for; `nil` where none came.
    public let correlationID: String?
    /// How long the service asks to be left alone, in seconds; `nil` where it does not.
    public let retryAfter: Int?

    /// What was being done, and what came back, with code and correlation id: one line, no secrets.
    public var description: String {
        var line = "\(operation): \(message.isEmpty ? "the answer is \(status)" : message)"
        if !code.isEmpty { line += " (\(code))" }
        if let correlationID { line += " (correlation id \(correlationID))" }
        return line
    }

    /// Whether any of the causes has a code; case does not matter.
    ///
    /// - Parameter code: The code.
    /// - Returns: Whether one has.
    public func has(_ code: String) -> Bool {
        details.contains { $0.code.lowercased() == code.lowercased() }
    }

    /// Takes an error apart.
    ///
    /// - Parameters:
    ///   - operation: What was being done, to what.
    ///   - resource: What was asked for.
    ///   - status: The status of the answer.
    ///   - body: The answer: `{"error": {…}}`, or the error itself; `nil` where it was no JSON.
    ///   - correlationID: From the answer's header.
    ///   - retryAfter: From the answer's header, in seconds.
    ///   - secrets: What may be in no message: what was sent.
    public init(
        operation: String,
        resource: String,
        status: Int,
        body: JSONValue?,
        correlationID: String? = nil,
        retryAfter: Int? = nil,
        secrets: [String] = []
    ) {
        (self.operation, self.resource, self.status) = (operation, resource, status)
        (self.correlationID, self.retryAfter) = (correlationID.map { Redaction.text($0) }, retryAfter)
        let error = body?["error"]?.object == nil ? body : body?["error"]
        var found: [Detail] = []
        ARMError.walk(error, secrets, 0, into: &found)
        details = found
        target = error?["target"]?.string.map { Redaction.text($0, secrets: secrets) }
        // The outermost says "see details"; the leaf says what it was.
        code = found.last?.code ?? ""
        var parts: [String] = []
        for detail in found where !detail.message.isEmpty && !parts.contains(where: { $0.contains(detail.message) }) {
            parts.append(detail.message)
        }
        if found.count > 1, let first = found.first, ARMError.wrappers.contains(first.code) { parts.removeFirst() }
        message = parts.joined(separator: "; ")
    }

    /// Codes that only say that something within went wrong.
    private static let wrappers: Set<String> = [
        "DeploymentFailed", "ResourceDeploymentFailure", "InvalidTemplateDeployment", "MultipleErrorsOccurred",
        "PolicyViolation", "BadRequestError",
    ]

    private static func walk(_ error: JSONValue?, _ secrets: [String], _ depth: Int, into found: inout [Detail]) {
        guard depth < 8, found.count < 32, let error else { return }
        let clean = { (text: String?) in
            Redaction.text(String((text ?? "").prefix(2000)), secrets: secrets).trimmed
        }
        var detail = Detail(code: clean(error["code"]?.string), message: clean(error["message"]?.string))
        // Some services put their whole answer, as JSON, into the message.
        if detail.message.hasPrefix("{"),
            let inner = try? JSONValue(parsing: Array((error["message"]?.string ?? "").utf8))
        {
            detail = Detail(code: detail.code, message: "")
            if !detail.code.isEmpty { found.append(detail) }
            return walk(inner["error"] ?? inner, secrets, depth + 1, into: &found)
        }
        if !detail.code.isEmpty || !detail.message.isEmpty { found.append(detail) }
        for inner in error["details"]?.array ?? [] { walk(inner, secrets, depth + 1, into: &found) }
    }
}

extension String {
    /// Without blanks at both ends.
    var trimmed: String {
        let tail = drop { $0.isWhitespace }
        return String(tail.prefix(tail.count - tail.reversed().prefix { $0.isWhitespace }.count))
    }
}
