// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

/// What a request is for: the rights it needs, and its words in messages.
struct Operation: Sendable {
    let registry: String
    let repository: Repository?
    let access: Access
    var scopes: [Scope]
    /// `pull myacr.azurecr.io/team/app:1.4`.
    let what: String

    /// What credentials are for: the repository, else the registry.
    var holder: String { repository.map { "\($0.registry)/\($0.name)" } ?? registry }

    init(_ what: String, _ repository: Repository, _ access: Access) {
        (self.what, self.repository, self.access, registry) = (what, repository, access, repository.registry)
        scopes = [Scope(repository, access)]
    }

    init(_ what: String, registry: String, scopes: [Scope] = []) {
        (self.what, self.registry, self.scopes, repository, access) = (what, registry, scopes, nil, .pull)
    }

    /// What a refusal means, in words for people.
    func error(_ response: HTTPResponse, secrets: [String]) async -> RegistryError {
        let body = (try? await response.bytes(limit: 64 << 10)) ?? []
        let answer = RegistryAnswer(body, secrets: secrets)
        let kind = answer.isReadOnly ? .readOnly : Operation.kind(response.status, answer.codes)
        var message = "\(what): " + (answer.text ?? "\(response.url.authority) answered \(response.status)")
        if let id = response.headers["x-ms-correlation-request-id"] {
            message += " (x-ms-correlation-request-id \(Redaction.text(id)))"
        }
        var hint = hint(kind, response.status, answer.text ?? "")
        if kind == .throttled, let wait = RetryPolicy.retryAfter(response.headers), wait > .seconds(1) {
            hint =
                "the registry asks to be left alone for \(wait.components.seconds) s" + (hint.map { "; \($0)" } ?? "")
        }
        return RegistryError(kind, message, hint: hint, status: response.status, codes: answer.codes)
    }

    private static func kind(_ status: Int, _ codes: [String]) -> RegistryError.Kind {
        if codes.contains("TOOMANYREQUESTS") || status == 429 { return .throttled }
        if codes.contains("DENIED") || status == 403 { return .denied }
        if codes.contains("UNAUTHORIZED") || status == 401 { return .auth }
        if status == 404 { return .notFound }
        return status >= 500 ? .server : .invalid
    }

    func hint(_ kind: RegistryError.Kind, _ status: Int?, _ text: String) -> String? {
        switch kind {
        case .auth: return "coracle login \(registry)"
        case .denied:
            if Operation.isAboutNetwork(text) {
                guard let name = azureName else { return "add this machine's address to the registry's network rules" }
                return "az acr network-rule add --name \(name) --ip-address THIS-MACHINE"
            }
            let right = access == .pull ? "pull" : access == .push ? "push" : "delete"
            guard azureName != nil else { return "the account needs the right to \(right) there" }
            let role = access == .pull ? "AcrPull" : access == .push ? "AcrPush" : "AcrDelete"
            return "az role assignment create --role \(role) --assignee ID --scope ID-OF-THE-REGISTRY"
        case .throttled:
            return registry == "docker.io" ? "coracle login docker.io, which raises the limit" : "try again later"
        case .server: return "try again later"
        case .invalid where status == 405 && access != .pull:
            return azureName.map { "it may be locked: az acr repository show --name \($0) --repository REPOSITORY" }
        case .invalid where status == 413:
            return "raise the limit for requests at the registry, or at the proxy before it "
                + "(nginx: client_max_body_size)"
        default: return nil
        }
    }

    /// Whether the registry lets only some addresses in, and not ours.
    static func isAboutNetwork(_ text: String) -> Bool { text.lowercased().contains("client with ip") }

    /// The name of a registry of Azure's; `nil` where it is none.
    private var azureName: String? {
        guard registry.contains(".azurecr.") else { return nil }
        return registry.split(separator: ".").first.map { String($0) }
    }

    /// What a failed connection means, in words for people.
    func error(_ cause: ServerError) -> RegistryError {
        let own: [ServerError.Code] = [.badSettings, .badClientCertificate, .badAddress]
        let kind: RegistryError.Kind = own.contains(cause.code) ? .invalid : .network
        let usual = kind == .network ? "check the network between here and \(registry), and try again" : nil
        return RegistryError(kind, "\(what): \(cause.message)", hint: cause.hint ?? usual, cause: cause)
    }

    func invalid(_ reason: String) -> RegistryError { RegistryError(.invalid, "\(what): \(reason)") }
}

/// What a registry says of an error.
///
/// Specification: OCI distribution-spec 1.1, "Error Codes".
struct RegistryAnswer {
    private(set) var codes: [String] = []
    private(set) var text: String?
    /// Whether a registry of ours says that it takes no changes.
    private(set) var isReadOnly = false

    init(_ body: [UInt8], secrets: [String]) {
        guard let json = try? JSONValue(parsing: body) else {
            let plain = String(decoding: body.prefix(300), as: UTF8.self)
            let line = plain.split(whereSeparator: \.isNewline).first.map { String($0) } ?? ""
            if !line.isEmpty, !line.hasPrefix("<") { text = Redaction.text(line, secrets: secrets) }
            return
        }
        var parts: [String] = []
        for error in json["errors"]?.array ?? [] {
            let code = error["code"]?.string ?? ""
            if !code.isEmpty { codes.append(Redaction.text(code, secrets: secrets)) }
            if error["detail"]?["readOnly"]?.bool == true { isReadOnly = true }
            var part = error["message"]?.string ?? ""
            if let detail = error["detail"]?.string, !detail.isEmpty, detail != part { part += ": \(detail)" }
            parts.append(part.isEmpty ? code : code.isEmpty ? part : "\(part) (\(code))")
        }
        // Token servers of OAuth 2 have their own form; some gateways have others.
        let others = [json["error_description"], json["details"], json["error"], json["message"]]
        if parts.isEmpty { parts = others.compactMap { $0?.string }.prefix(1).map { $0 } }
        let joined = parts.filter { !$0.isEmpty }.joined(separator: "; ")
        if !joined.isEmpty { text = Redaction.text(String(joined.prefix(500)), secrets: secrets) }
    }
}
