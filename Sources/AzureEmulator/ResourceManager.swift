// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// Azure's resource manager: who may ask, what a path names, and which service answers.
struct ResourceManager: Sendable {
    let world: World

    /// A request whose sender is known, and whose path is read.
    struct Call: Sendable {
        let request: AzureRequest
        let path: ResourcePath
        let caller: Principal
        let version: String

        var method: String { request.method }

        /// The body; throws where it is no JSON object.
        func body(relaxed: Bool = false) throws(ARMFault) -> JSONValue {
            if let value = try? JSONValue(parsing: request.body), value.object != nil { return value }
            // azure-cli sends deployments with a name that has no quotes.
            if relaxed, let value = try? JSONValue(parsing: RelaxedJSON.quoteNames(request.body)), value.object != nil {
                return value
            }
            let reason = (try? JSONValue(parsing: request.body)) == nil ? "it is no JSON" : "it is no object"
            throw ARMFault(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: '\(reason)'."
            )
        }
    }

    /// Answers a request; `nil` where the path is none of the resource manager's.
    func answer(_ request: AzureRequest) async -> AzureAnswer? {
        let words = request.segments.map { $0.lowercased() }
        if words == ["metadata", "endpoints"] { return CloudMetadata(world: world).answer(request) }
        guard let first = words.first, ["subscriptions", "providers", "tenants"].contains(first) else { return nil }
        do {
            return try await dispatch(request)
        } catch let fault as ARMFault {
            return AzureAnswer(fault)
        } catch {
            return AzureAnswer(ARMFault(500, "InternalServerError", "\(error)"))
        }
    }

    private func dispatch(_ request: AzureRequest) async throws -> AzureAnswer {
        try throwPlannedFault(request)
        return try await perform(request, as: try caller(request))
    }

    /// Does what somebody asks for, if they may.
    func perform(_ request: AzureRequest, as caller: Principal) async throws -> AzureAnswer {
        let path = ResourcePath(request.segments)
        let call = Call(request: request, path: path, caller: caller, version: request.query("api-version") ?? "")
        try ResourceTypes.check(path.type, request.query("api-version"))
        if let subscription = path.subscription, subscription.lowercased() != world.options.subscription.lowercased() {
            throw ARMFault(404, "SubscriptionNotFound", "The subscription '\(subscription)' could not be found.")
        }
        try checkRights(call)
        guard let provider = path.provider?.lowercased() else { return try Subscriptions(world: world).answer(call) }
        let isChange = call.method != "GET" && call.method != "HEAD"
        if isChange, let group = path.group, world.group(group) == nil {
            throw ARMFault(404, "ResourceGroupNotFound", "Resource group '\(group)' could not be found.")
        }
        if call.method == "PUT", world.state.withLock({ $0.unregistered.contains(provider) }) {
            throw ResourceManager.unregistered(path.provider ?? "")
        }
        switch provider {
        case "microsoft.containerinstance": return try ContainerInstances(world: world).answer(call)
        case "microsoft.containerregistry": return try await ContainerRegistries(world: world).answer(call)
        case "microsoft.containerservice": return try await ManagedClusters(world: world).answer(call)
        case "microsoft.authorization": return try RoleAssignments(world: world).answer(call)
        case "microsoft.managedidentity": return try ManagedIdentities(world: world).answer(call)
        case "microsoft.resources": return try await Deployments(world: world).answer(call)
        default:
            throw ARMFault(
                404,
                "InvalidResourceNamespace",
                "The resource namespace '\(path.provider ?? "")' is invalid."
            )
        }
    }

    static func unregistered(_ provider: String) -> ARMFault {
        ARMFault(
            409,
            "MissingSubscriptionRegistration",
            "The subscription is not registered to use namespace '\(provider)'. See "
                + "https://aka.ms/rps-not-found for how to register subscriptions.",
            details: [
                ARMFault(
                    409,
                    "MissingSubscriptionRegistration",
                    "The subscription is not registered to use namespace '\(provider)'. See "
                        + "https://aka.ms/rps-not-found for how to register subscriptions.",
                    target: provider
                )
            ]
        )
    }

    /// Throws where a fault is planned that is about every request.
    private func throwPlannedFault(_ request: AzureRequest) throws(ARMFault) {
        let planned = world.faults.take(request.method, request.target) { effect -> ARMFault? in
            switch effect {
            case .throttled(let seconds):
                var fault = ARMFault(
                    429,
                    "TooManyRequests",
                    "The request is being throttled as the limit has been reached for operation type. For more "
                        + "information, see - https://aka.ms/srpthrottlinglimits"
                )
                fault.headers = [("Retry-After", "\(seconds)")]
                return fault
            case .status(let status, let code, let message, let seconds):
                var fault = ARMFault(status, code, message)
                if seconds > 0 { fault.headers = [("Retry-After", "\(seconds)")] }
                return fault
            case .expiredToken:
                return ARMFault(
                    401,
                    "ExpiredAuthenticationToken",
                    "The access token expiry UTC time '\(Moment.text())' is earlier than current UTC time "
                        + "'\(Moment.text())'."
                )
            case .denied: return denied(world.options.applications.first?.objectID ?? "", request)
            case .unregisteredProvider where request.method == "PUT":
                return ResourceManager.unregistered(ResourcePath(request.segments).provider ?? "")
            default: return nil
            }
        }
        if var planned {
            if planned.status == 401 { planned.headers.append(challenge(request, "expired_token")) }
            throw planned
        }
    }

    private func challenge(_ request: AzureRequest, _ error: String) -> (String, String) {
        let place = "\(request.origin)/\(world.options.tenant)"
        return ("WWW-Authenticate", "Bearer authorization_uri=\"\(place)\", error=\"\(error)\"")
    }

    /// Who sends a request.
    private func caller(_ request: AzureRequest) throws(ARMFault) -> Principal {
        func refuse(_ code: String, _ message: String) -> ARMFault {
            var fault = ARMFault(401, code, message)
            fault.headers = [challenge(request, "invalid_token")]
            return fault
        }
        let header = request.header("Authorization") ?? ""
        guard header.lowercased().hasPrefix("bearer ") else {
            throw refuse("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        }
        guard let claims = world.keys.claims(String(header.dropFirst(7))) else {
            throw refuse("InvalidAuthenticationToken", "The access token is invalid.")
        }
        let end = claims["exp"]?.int ?? 0
        guard Moment.now < end else {
            throw refuse(
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time '\(Moment.text(Double(end)))' is earlier than current UTC time "
                    + "'\(Moment.text())'."
            )
        }
        let audience = claims["aud"]?.string ?? ""
        let known = CloudMetadata.audiences + [request.origin]
        guard known.contains(where: { audience.hasSuffix("/") ? audience.dropLast() == $0 : audience == $0 }) else {
            throw refuse(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource '\(audience)'. It should exactly "
                    + "match with one of the allowed audiences '\(known.joined(separator: ","))'."
            )
        }
        let object = claims["oid"]?.string ?? ""
        guard let principal = world.principal(objectID: object) else {
            throw refuse("InvalidAuthenticationToken", "The access token is of nobody that is known.")
        }
        return principal
    }

    // MARK: Rights

    private func checkRights(_ call: Call) throws(ARMFault) {
        // Everybody who has a token sees the subscription, and what has no owner.
        guard call.path.subscription != nil, !(call.path.provider == nil && call.path.parts.isEmpty) else { return }
        if call.method == "GET", call.path.provider == nil { return }
        let verb =
            switch call.method {
            case "GET", "HEAD": "read"
            case "PUT", "PATCH": "write"
            case "DELETE": "delete"
            default: "action"
            }
        var type = call.path.type
        if verb == "action", call.path.parts.count % 2 == 0, let last = call.path.parts.last { type += "/\(last)" }
        let scope = call.path.scope.isEmpty ? "/" : call.path.normalScope
        let name =
            call.path.parts.count >= 2
            ? "\(scope)/providers/\(call.path.provider ?? "")/\(call.path.parts[0])/\(call.path.parts[1])" : scope
        guard !Roles(world: world).may(call.caller.objectID, "\(type)/\(verb)", at: name) else { return }
        throw denied(call.caller.objectID, call.request, action: "\(type)/\(verb)", scope: name)
    }

    private func denied(
        _ object: String,
        _ request: AzureRequest,
        action: String? = nil,
        scope: String? = nil
    ) -> ARMFault {
        let path = ResourcePath(request.segments)
        let verb = ["GET": "read", "DELETE": "delete", "POST": "action"][request.method] ?? "write"
        let wanted = action ?? "\(path.type)/\(verb)"
        return ARMFault(
            403,
            "AuthorizationFailed",
            "The client '\(object)' with object id '\(object)' does not have authorization to perform action '\(wanted)' "
                + "over scope '\(scope ?? request.path)' or the scope is invalid. If access was recently granted, please "
                + "refresh your credentials."
        )
    }
}

/// JSON as one client of Azure's own writes it: names of members may lack their quotes.
enum RelaxedJSON {
    /// Puts quotes around names that have none.
    static func quoteNames(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var index = 0
        var isText = false
        while index < bytes.count {
            let byte = bytes[index]
            if isText {
                out.append(byte)
                if byte == UInt8(ascii: "\\"), index + 1 < bytes.count {
                    index += 1
                    out.append(bytes[index])
                } else if byte == UInt8(ascii: "\"") {
                    isText = false
                }
                index += 1
                continue
            }
            if byte == UInt8(ascii: "\"") { isText = true }
            let isLetter = (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            guard isLetter else {
                out.append(byte)
                index += 1
                continue
            }
            var end = index
            while end < bytes.count, isWord(bytes[end]) { end += 1 }
            let word = bytes[index..<end]
            let isName = end < bytes.count && bytes[end] == UInt8(ascii: ":")
            out += isName ? [0x22] + word + [0x22] : Array(word)
            index = end
        }
        return out
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5F
    }
}
