// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

/// Why Entra ID gives no token, and what to do about it.
///
/// Specification: Microsoft Entra, "Authentication and authorization error codes".
struct EntraRefusal: Sendable {
    /// `7000215` of `AADSTS7000215`; `nil` where there is none.
    let number: Int?
    /// Its own words, without secrets, ids and time.
    let text: String
    let status: Int
    let correlationID: String?

    init(_ json: JSONValue?, status: Int, headers: HTTPFields, secrets: [String]) {
        var words =
            json?["error_description"]?.string ?? json?["error"]?["message"]?.string ?? json?["error"]?.string ?? ""
        // What support needs comes in fields of its own too.
        for mark in ["Trace ID:", "\r", "\n"] {
            if let end = words.firstRange(of: mark) { words = String(words[..<end.lowerBound]) }
        }
        var digits: Substring = ""
        if let start = words.firstRange(of: "AADSTS") {
            digits = words[start.upperBound...].prefix { $0.isASCII && $0.isNumber }
        }
        number = json?["error_codes"]?.array?.first?.int.map { Int($0) } ?? Int(digits)
        text = Redaction.text(String(words.prefix(600)), secrets: secrets).trimmed
        let id = json?["correlation_id"]?.string ?? headers["x-ms-request-id"]
        correlationID = id.map { Redaction.text(String($0.prefix(100))) }
        self.status = status
    }

    private var code: String? { number.map { "AADSTS\($0)" } }

    /// The error to show.
    func error(
        who: String,
        client: String,
        tenant: String,
        cloud: AzureCloud,
        sent: AssertionClaims?
    ) -> AzureError {
        var message = "sign in as \(who): "
        message += text.isEmpty ? "\(cloud.authority.authority) answered \(status)" : text
        if let code, !message.contains(code) { message += " (\(code))" }
        if isAboutTrust, let sent { message += "; the token that was sent has \(sent.text)" }
        if let correlationID { message += " (correlation id \(correlationID))" }
        let isPassing = RetryPolicy.isTransient(status)
        return AzureError(
            isPassing ? .network : .refused,
            message,
            hint: remedy(client: client, tenant: tenant, cloud: cloud, sent: sent) ?? usual(isPassing, client),
            code: code,
            correlationID: correlationID
        )
    }

    /// Whether it is about which tokens of others are trusted.
    private var isAboutTrust: Bool { [70021, 700_211, 700_212, 700_213, 7_002_138, 700_223].contains(number ?? 0) }

    /// Where nothing better is known.
    private func usual(_ isPassing: Bool, _ client: String) -> String {
        if isPassing { return "Entra ID asks to be left alone: try again in a minute" }
        let page = number.map { "; https://login.microsoftonline.com/error?code=\($0) says more" } ?? ""
        return "az ad sp show --id \(client) shows what Entra ID knows of it" + page
    }

    private func remedy(client: String, tenant: String, cloud: AzureCloud, sent: AssertionClaims?) -> String? {
        if isAboutTrust, let sent { return sent.command(client: client, audience: cloud.federationAudience) }
        switch number {
        case 7_000_215:
            return "give the secret's value, not its id, in AZURE_CLIENT_SECRET, or make a new one: "
                + "az ad app credential reset --id \(client)"
        case 7_000_222: return "the secret has expired; make a new one: az ad app credential reset --id \(client)"
        case 700_016:
            return "check AZURE_CLIENT_ID, and that AZURE_TENANT_ID is its tenant: az ad sp show --id \(client)"
        case 90002, 900_023:
            return "check AZURE_TENANT_ID: az account list --query \"[].tenantId\" --output tsv"
        case 700_021, 700_023:
            return "the certificate's token was made out to another place: check AZURE_CLIENT_ID, AZURE_TENANT_ID and "
                + "AZURE_AUTHORITY_HOST"
        case 50027, 50013:
            return "what AZURE_FEDERATED_TOKEN_FILE or the pipeline gave is no token that Entra ID can read"
        case 700_027:
            return "give the application the certificate that signs: "
                + "az ad app credential reset --id \(client) --append --cert @CERTIFICATE.pem"
        case 700_024:
            return "the proof was too old or from the future when it came: set this machine's clock; "
                + "in GitHub Actions leave it to coracle to fetch the token, which takes a new one each time"
        case 7_000_112, 500_014:
            return "the application is switched off: az ad sp update --id \(client) --set accountEnabled=true"
        case 7_000_218: return "set AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE"
        case 7_000_229: return "the application has no service principal here: az ad sp create --id \(client)"
        case 500_011, 50001, 650_057, 1_003_031, 1_002_012:
            return "the cloud may be another: set AZURE_AUTHORITY_HOST, or CORACLE_AZURE_CLOUD to one of "
                + AzureCloud.known.map(\.name).joined(separator: ", ")
        case 53003, 530_032, 53000:
            return "a conditional access policy of tenant \(tenant) refuses sign-ins from here: ask its administrator"
        case 900_382: return "use an identity of the cloud that \(tenant) is in: CORACLE_AZURE_CLOUD"
        case 50020, 50105, 65001:
            return
                "it has no right to sign in to tenant \(tenant): az login --tenant \(tenant), or ask its administrator"
        case 50034, 50053, 50057: return "check the account: az ad sp show --id \(client)"
        case 50076, 50078, 50079, 50158, 700_082, 70043, 50173, 700_084: return "az login --tenant \(tenant)"
        default: return nil
        }
    }
}
