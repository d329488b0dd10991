// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// Looks at the token that an application shows in place of a secret: its own, signed with its certificate, or that of
/// somebody it trusts.
///
/// Specification: RFC 7523, section 3; Entra ID's certificate credentials and workload identity federation.
struct AssertionCheck {
    let entra: Entra
    let application: EmulatorOptions.Application
    let request: AzureRequest

    /// Why the assertion does not count; `nil` where it does.
    func refusal(_ text: String) -> AzureAnswer? {
        guard request.form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" else {
            return entra.fault(
                900144,
                "invalid_request",
                "The request body must contain the following parameter: 'client_assertion_type'.",
                400
            )
        }
        guard let token = JSONWebToken(text) else {
            return entra.fault(50027, "invalid_request", "JWT token is invalid or malformed.", 400)
        }
        if entra.world.faults.take("POST", request.target, { $0 == .expiredAssertion ? true : nil }) != nil {
            return outOfTime(token)
        }
        let issuer = token.claims["iss"]?.string ?? ""
        if issuer.lowercased() == application.id.lowercased() { return ownRefusal(token) }
        return federatedRefusal(token, issuer)
    }

    private func ownRefusal(_ token: JSONWebToken) -> AzureAnswer? {
        let certificates = application.certificates
            .compactMap { try? DiskFile.read($0, limit: 1 << 20) }.compactMap { ApplicationCertificate(pem: $0) }
        let unpadded = { (name: String) in
            token.header[name]?.string.map { String($0.prefix { $0 != "=" }) }
        }
        let named = certificates.filter { certificate in
            if let text = unpadded("x5t#S256") { return text == certificate.thumbprints.sha256 }
            return unpadded("x5t") == certificate.thumbprints.sha1
        }
        guard let certificate = named.first else {
            let thumbprint = unpadded("x5t#S256") ?? unpadded("x5t") ?? ""
            return entra.fault(
                700027,
                "invalid_client",
                "The certificate with identifier used to sign the client assertion is not registered on application. "
                    + "[Reason - The key was not found., Thumbprint of key used by client: '\(thumbprint)']",
                401
            )
        }
        guard certificate.hasSigned(token) else {
            return entra.fault(
                700027,
                "invalid_client",
                "Client assertion failed signature validation. [Reason - The key was found, but use of the key to "
                    + "verify the signature failed.]",
                401
            )
        }
        guard token.claims["sub"]?.string?.lowercased() == application.id.lowercased() else {
            return entra.fault(
                700021,
                "invalid_client",
                "Client assertion application identifier doesn't match 'client_id' parameter.",
                401
            )
        }
        let tenants = [entra.world.options.tenant, request.segments.first ?? ""]
        let endpoints = tenants.flatMap { tenant in
            ["/oauth2/v2.0/token", "/oauth2/token", "/v2.0", ""].map { "\(request.origin)/\(tenant)\($0)" }
        }
        guard endpoints.contains(where: { token.isFor($0) }) else {
            return entra.fault(
                700023,
                "invalid_client",
                "Client assertion audience claim does not match Realm issuer. Review the documentation at "
                    + "https://learn.microsoft.com/entra/identity-platform/certificate-credentials.",
                401
            )
        }
        return isInTime(token) ? nil : outOfTime(token)
    }

    private func federatedRefusal(_ token: JSONWebToken, _ issuer: String) -> AzureAnswer? {
        let (subject, audience) = (
            token.claims["sub"]?.string ?? "",
            token.claims["aud"]?.string ?? token.claims["aud"]?.texts?.first ?? ""
        )
        let trusted = application.federations
        guard let match = trusted.first(where: { $0.issuer == issuer && $0.subject == subject }) else {
            let near = trusted.contains { $0.issuer == issuer && $0.subject.lowercased() == subject.lowercased() }
            return entra.fault(
                near ? 7_002_138 : 700_213,
                "invalid_client",
                near
                    ? "No matching federated identity record found for presented assertion subject '\(subject)'. The "
                        + "subject matches with case-insensitive comparison, but not with case-sensitive comparison."
                    : "No matching federated identity record found for presented assertion subject '\(subject)'. "
                        + "Check your federated identity credential Subject, Audience and Issuer against the "
                        + "presented assertion. https://learn.microsoft.com/entra/workload-id/"
                        + "workload-identity-federation (issuer '\(issuer)')",
                401
            )
        }
        if let path = match.key {
            guard let pem = try? DiskFile.read(path, limit: 1 << 20), token.isSigned(byKey: pem) else {
                return entra.fault(
                    50013,
                    "invalid_grant",
                    "Assertion failed signature validation. [Reason - The key was found, but use of the key to verify the "
                        + "signature failed.] The issuer is '\(issuer)'.",
                    401
                )
            }
        }
        guard token.isFor(match.audience) else {
            return entra.fault(
                700_212,
                "invalid_client",
                "No matching federated identity record found for presented assertion audience '\(audience)'.",
                401
            )
        }
        return isInTime(token) ? nil : outOfTime(token)
    }

    /// Whether it counts now; clocks may differ by five minutes at its beginning.
    private func isInTime(_ token: JSONWebToken) -> Bool {
        let now = Moment.precise
        guard let end = token.claims["exp"]?.number, now < end else { return false }
        return (token.claims["nbf"]?.number ?? now) <= now + 300
    }

    private func outOfTime(_ token: JSONWebToken) -> AzureAnswer {
        let time = { (name: String) in Moment.text(token.claims[name]?.number ?? 0) }
        return entra.fault(
            700_024,
            "invalid_client",
            "Client assertion is not within its valid time range. Current time: \(Moment.text()), assertion valid "
                + "from \(time("nbf")), expiry time of assertion \(time("exp")). Review the documentation at "
                + "https://learn.microsoft.com/entra/identity-platform/certificate-credentials.",
            401
        )
    }
}
