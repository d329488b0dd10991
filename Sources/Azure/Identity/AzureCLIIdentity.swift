// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI
internal import Registry

/// Who is logged in with `az`: the program is asked for a token, and its files are left alone.
public struct AzureCLIIdentity: AzureIdentity {
    private let tenant: String?
    private let subscription: String?
    private let environment: [String: String]
    private let program: String

    /// Asks `az`.
    ///
    /// - Parameters:
    ///   - tenant: The tenant; `nil` for that of the session.
    ///   - subscription: The subscription; `nil` for that of the session.
    ///   - environment: The environment of the process, `az` looked up in its `PATH`.
    public init(tenant: String? = nil, subscription: String? = nil, environment: [String: String]) {
        (self.tenant, self.subscription, self.environment) = (tenant, subscription, environment)
        program = "az"
    }

    /// That it is the session of `az`.
    public var summary: String { "who is logged in with az" + (tenant.map { " (tenant \($0))" } ?? "") }

    /// Gets a token.
    ///
    /// - Parameter resource: Whom it will be shown to.
    /// - Returns: The token.
    /// - Throws: ``AzureError``; of kind `.unavailable` where there is no `az`, or nobody is logged in.
    public func token(for resource: String) async throws -> AzureToken {
        let json = try await run(resource)
        guard let value = json["accessToken"]?.string, !value.isEmpty, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw AzureError(.network, "az account get-access-token: there is no token in its answer") }
        // expiresOn is in the local time of who wrote it, and has no zone.
        let expires = json["expires_on"]?.int ?? json["expires_on"]?.string.flatMap { Int64($0) }
        return AzureToken(value, expires: expires ?? Clock.now + 300)
    }

    /// The subscription of the session; `nil` where there is no `az`, nobody has logged in, or the session has none.
    ///
    /// - Parameter resource: Whom a token could be shown to.
    /// - Returns: Its id.
    /// - Throws: ``AzureError`` where there is a session, and it is broken.
    func subscription(_ resource: String) async throws(AzureError) -> String? {
        do {
            return try await run(resource)["subscription"]?.string
        } catch  where error.kind == .unavailable && error.isAbsence {
            return nil
        }
    }

    private func run(_ resource: String) async throws(AzureError) -> JSONValue {
        var arguments = [program, "account", "get-access-token", "--output", "json", "--resource", resource]
        // az takes one of both only.
        if let tenant {
            arguments += ["--tenant", tenant]
        } else if let subscription {
            arguments += ["--subscription", subscription]
        }
        switch await HelperProcess.run(arguments, input: [], environment: environment, seconds: 60, keepsErrors: true) {
        case .absent:
            throw AzureError(.unavailable, AzureError.noCLI, hint: "https://aka.ms/azure-cli says how to install it")
        case .failed(let reason): throw AzureError(.unavailable, "az account get-access-token: \(reason)")
        case .ended(0, let output, _):
            guard let json = try? JSONValue(parsing: output), json.object != nil else {
                throw AzureError(.network, "az account get-access-token: its answer is not the JSON it should be")
            }
            return json
        case .ended(let status, _, let errors): throw refusal(status, String(decoding: errors, as: UTF8.self))
        }
    }

    private func refusal(_ status: Int32, _ text: String) -> AzureError {
        let lines = text.split(whereSeparator: \.isNewline).map { String($0).trimmed }
        var line = lines.first { $0.hasPrefix("ERROR:") } ?? lines.last ?? "it says nothing"
        if line.hasPrefix("ERROR:") { line = String(line.dropFirst(6)).trimmed }
        let words = Redaction.text(String(line.prefix(400)))
        let isLoggedOut = words.contains("az login") || words.contains("AADSTS")
        let code = words.firstRange(of: "AADSTS")
            .map { "AADSTS" + words[$0.upperBound...].prefix { $0.isASCII && $0.isNumber } }
        return AzureError(
            .unavailable,
            "az account get-access-token: \(words) (exit \(status))",
            hint: isLoggedOut ? "az login" + (tenant.map { " --tenant \($0)" } ?? "") : nil,
            code: code
        )
    }
}

extension AzureError {
    fileprivate static let noCLI = "az is not in PATH"

    /// Whether there is no session at all: one that has ended has a code of Entra's.
    fileprivate var isAbsence: Bool {
        message == AzureError.noCLI || (code == nil && message.contains("Please run") && message.contains("az login"))
    }
}
