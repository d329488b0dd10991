// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import HTTPTypes
internal import OCI
internal import RegistryServer
internal import Store

/// The directory: who somebody is, and tokens that say so.
///
/// Specification: protocol of Entra ID's v2.0 endpoints, RFC 6749 section 4.4, RFC 7523 section 2.2.
struct Entra: Sendable {
    let world: World

    /// Answers what is asked of the directory; `nil` where the path is none of its own.
    func answer(_ request: AzureRequest) -> AzureAnswer? {
        let words = request.segments.map { $0.lowercased() }
        let tenant = world.options.tenant
        if words == ["common", "discovery", "instance"] || words == ["discovery", "instance"] {
            return AzureAnswer(
                200,
                [
                    "tenant_discovery_endpoint": .string(
                        "\(request.origin)/\(tenant)/v2.0/.well-known/openid-configuration"
                    ), "api-version": "1.1",
                    "metadata": [
                        [
                            "preferred_network": .string(host(request)), "preferred_cache": .string(host(request)),
                            "aliases": [.string(host(request))],
                        ]
                    ],
                ]
            )
        }
        guard words.count >= 2 else { return nil }
        let rest = Array(words.dropFirst())
        switch rest {
        case ["v2.0", ".well-known", "openid-configuration"], [".well-known", "openid-configuration"]:
            guard isKnown(request.segments[0]) else { return unknownTenant(request.segments[0]) }
            return configuration(request)
        case ["discovery", "v2.0", "keys"], ["discovery", "keys"]: return AzureAnswer(200, world.keys.document)
        case ["oauth2", "v2.0", "token"], ["oauth2", "token"]:
            guard request.method == "POST" else { return fault(900144, "invalid_request", "POST is wanted", 405) }
            guard isKnown(request.segments[0]) else { return unknownTenant(request.segments[0]) }
            return token(request)
        default: return nil
        }
    }

    private func host(_ request: AzureRequest) -> String {
        request.origin.split(separator: "/", maxSplits: 1).last.map { String($0.dropFirst()) } ?? ""
    }

    private func isKnown(_ tenant: String) -> Bool {
        [world.options.tenant.lowercased(), "organizations", "common", "emulated.onmicrosoft.com"]
            .contains(tenant.lowercased())
    }

    private func unknownTenant(_ name: String) -> AzureAnswer {
        fault(
            90002,
            "invalid_request",
            "Tenant '\(name)' not found. Check to make sure you have the correct tenant ID and are signing into the "
                + "correct cloud. Check with your subscription administrator, this may happen if there are no active "
                + "subscriptions for the tenant.",
            400
        )
    }

    private func configuration(_ request: AzureRequest) -> AzureAnswer {
        let base = "\(request.origin)/\(world.options.tenant)"
        return AzureAnswer(
            200,
            [
                "issuer": .string("\(base)/v2.0"), "token_endpoint": .string("\(base)/oauth2/v2.0/token"),
                "authorization_endpoint": .string("\(base)/oauth2/v2.0/authorize"),
                "device_authorization_endpoint": .string("\(base)/oauth2/v2.0/devicecode"),
                "jwks_uri": .string("\(base)/discovery/v2.0/keys"), "response_types_supported": ["code", "id_token"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
                "tenant_region_scope": "EU",
            ]
        )
    }

    // MARK: Tokens

    private func token(_ request: AzureRequest) -> AzureAnswer {
        let form = request.form
        if let retry = world.faults.take("POST", request.target, { $0.throttleSeconds }) {
            return AzureAnswer(429, ["error": "temporarily_unavailable"], headers: [("Retry-After", "\(retry)")])
        }
        let planned = world.faults.take("POST", request.target) { effect -> (Int, String)? in
            if case .signIn(let number, let message) = effect { (number, message) } else { nil }
        }
        if let (number, message) = planned { return fault(number, "invalid_client", message, 401) }
        guard let kind = form["grant_type"], !kind.isEmpty else { return missing("grant_type") }
        guard kind == "client_credentials" else {
            return fault(70003, "unsupported_grant_type", "The app requested an unsupported grant type '\(kind)'.", 400)
        }
        guard let client = form["client_id"], !client.isEmpty else { return missing("client_id") }
        let scope = form["scope"] ?? form["resource"].map { $0 + "/.default" } ?? ""
        guard !scope.isEmpty else { return missing("scope") }
        guard scope.hasSuffix("/.default") else {
            return fault(
                1002012,
                "invalid_scope",
                "The provided value for scope \(scope) is not valid. Client credential flows must have a scope value "
                    + "with /.default suffixed to the resource identifier (application ID URI).",
                400
            )
        }
        guard let application = world.options.applications.first(where: { $0.id.lowercased() == client.lowercased() })
        else {
            return fault(
                700016,
                "unauthorized_client",
                "Application with identifier '\(client)' was not found in the directory 'Emulated'. This can happen "
                    + "if the application has not been installed by the administrator of the tenant or consented to "
                    + "by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
                400
            )
        }
        if let refusal = refusal(of: application, form, request) { return refusal }
        let audience = String(scope.dropLast("/.default".count))
        let principal = Principal(objectID: application.objectID, clientID: application.id, name: application.name)
        let lifetime = world.options.tokenLifetime
        return AzureAnswer(
            200,
            [
                "token_type": "Bearer", "expires_in": .int(lifetime), "ext_expires_in": .int(lifetime),
                "access_token": .string(issue(principal, for: audience)),
            ],
            headers: [("Cache-Control", "no-store")]
        )
    }

    /// A token for a resource.
    func issue(_ principal: Principal, for audience: String) -> String {
        let now = Moment.now
        let tenant = world.options.tenant
        return world.keys.sign([
            "aud": .string(audience), "iss": .string("https://sts.windows.net/\(tenant)/"), "iat": .int(now),
            "nbf": .int(now), "exp": .int(now + world.options.tokenLifetime), "appid": .string(principal.clientID),
            "appidacr": "1", "idtyp": "app", "oid": .string(principal.objectID), "sub": .string(principal.objectID),
            "tid": .string(tenant), "uti": .string(Identifier.random()), "ver": "1.0",
            "app_displayname": .string(principal.name),
        ])
    }

    /// Why an application gets no token; `nil` where it gets one.
    private func refusal(
        of application: EmulatorOptions.Application,
        _ form: [String: String],
        _ request: AzureRequest
    ) -> AzureAnswer? {
        if let secret = form["client_secret"], !secret.isEmpty {
            if application.secrets.contains(secret) { return nil }
            return fault(
                7000215,
                "invalid_client",
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                    + "value, not the client secret ID, for a secret added to app '\(application.id)'.",
                401
            )
        }
        guard let assertion = form["client_assertion"], !assertion.isEmpty else {
            return fault(
                7000218,
                "invalid_client",
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
                401
            )
        }
        return AssertionCheck(entra: self, application: application, request: request).refusal(assertion)
    }

    private func missing(_ name: String) -> AzureAnswer {
        fault(
            900144,
            "invalid_request",
            "The request body must contain the following parameter: '\(name)'.",
            400
        )
    }

    /// An error of the directory.
    func fault(_ number: Int, _ error: String, _ message: String, _ status: Int) -> AzureAnswer {
        let (trace, correlation) = (Identifier.random(), Identifier.random())
        let time = Moment.text().dropLast().split(separator: "T").joined(separator: " ") + "Z"
        let text = "AADSTS\(number): \(message) Trace ID: \(trace) Correlation ID: \(correlation) Timestamp: \(time)"
        return AzureAnswer(
            status,
            [
                "error": .string(error), "error_description": .string(text), "error_codes": [.int(Int64(number))],
                "timestamp": .string(time), "trace_id": .string(trace), "correlation_id": .string(correlation),
                "error_uri": .string("https://login.microsoftonline.com/error?code=\(number)"),
            ]
        )
    }
}

extension AzureFault.Effect {
    /// After how many seconds somebody may come again; `nil` for another effect.
    var throttleSeconds: Int? { if case .throttled(let seconds) = self { seconds } else { nil } }
}
