// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// The metadata service of machines, and the identity endpoint of App Service: tokens without a secret.
///
/// Neither address of Azure's is taken; clients are pointed here by `AZURE_POD_IDENTITY_AUTHORITY_HOST`, or by
/// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
struct ManagedIdentity: Sendable {
    let world: World

    /// What App Service gives programs to show with each request.
    static let header = "emulated-identity-header"

    /// Answers what is asked for a token; `nil` where the path is none of its own.
    func answer(_ request: AzureRequest) -> AzureAnswer? {
        switch request.segments.map({ $0.lowercased() }) {
        case ["metadata", "identity", "oauth2", "token"]: return machine(request)
        case ["msi", "token"]: return service(request)
        default: return nil
        }
    }

    private func machine(_ request: AzureRequest) -> AzureAnswer {
        if let seconds = world.faults.take("GET", request.target, { $0.throttleSeconds }) {
            return AzureAnswer(429, ["error": "too_many_requests"], headers: [("Retry-After", "\(seconds)")])
        }
        guard request.header("Metadata")?.lowercased() == "true" else {
            return refusal("invalid_request", "Required metadata header not specified")
        }
        guard request.header("X-Forwarded-For") == nil else {
            return refusal("invalid_request", "The request came through a proxy")
        }
        return token(request, isMachine: true)
    }

    private func service(_ request: AzureRequest) -> AzureAnswer {
        guard request.header("X-IDENTITY-HEADER") == ManagedIdentity.header else {
            return AzureAnswer(401, ["statusCode": 401, "message": "The X-IDENTITY-HEADER is missing or wrong"])
        }
        return token(request, isMachine: false)
    }

    private func token(_ request: AzureRequest, isMachine: Bool) -> AzureAnswer {
        guard let resource = request.query("resource"), !resource.isEmpty else {
            return refusal("invalid_request", "Required query variable 'resource' is missing")
        }
        guard request.query("api-version") != nil else {
            return refusal("invalid_request", "Required query variable 'api-version' is missing")
        }
        guard let principal = principal(request) else { return refusal("invalid_request", "Identity not found") }
        let text = Entra(world: world).issue(principal, for: resource)
        let end = Moment.now + world.options.tokenLifetime
        var members: [String: JSONValue] = [
            "access_token": .string(text), "expires_on": .string(String(end)), "resource": .string(resource),
            "token_type": "Bearer", "client_id": .string(principal.clientID),
        ]
        if isMachine {
            members["expires_in"] = .string(String(world.options.tokenLifetime))
            members["ext_expires_in"] = .string(String(world.options.tokenLifetime))
            members["not_before"] = .string(String(Moment.now))
        }
        return AzureAnswer(200, .object(members))
    }

    /// Whom a request is for: the machine's own identity, or one of those that were made by the resource manager.
    private func principal(_ request: AzureRequest) -> Principal? {
        let identities = world.resources(ofType: "Microsoft.ManagedIdentity/userAssignedIdentities")
        if let id = request.query("mi_res_id") ?? request.query("msi_res_id") {
            return identities.first { $0.id.lowercased() == id.lowercased() }.map(World.principal)
        }
        let all = [World.machine] + identities.map(World.principal)
        if let id = request.query("client_id") { return all.first { $0.clientID.lowercased() == id.lowercased() } }
        if let id = request.query("object_id") { return all.first { $0.objectID.lowercased() == id.lowercased() } }
        return World.machine
    }

    private func refusal(_ error: String, _ message: String) -> AzureAnswer {
        AzureAnswer(400, ["error": .string(error), "error_description": .string(message)])
    }
}
