// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore
internal import OCI
internal import RegistryServer

/// Takes the requests of everything but registries, and hands them to the service whose they are.
struct FrontDoor: Sendable {
    let world: World

    /// The most bytes of a request: templates have at most four megabytes.
    private static let limit = 5 << 20

    func respond(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let exchange = Exchange(request)
        let method = exchange.method.rawValue
        var record = AzureRequestRecord(service: "emulator", method: method, path: exchange.target, status: 0)
        let answer: AzureAnswer
        if let body = try await exchange.body.collect(limit: FrontDoor.limit) {
            let scheme = world.options.isEncrypted ? "https" : "http"
            let asked = AzureRequest(
                method: method,
                target: exchange.target,
                segments: exchange.segments.filter { !$0.isEmpty },
                query: exchange.query,
                headers: exchange.headers,
                body: body,
                origin: "\(scheme)://\(exchange.authority ?? world.options.host)"
            )
            (record.service, answer) = await self.answer(asked)
            if record.service == "arm" { record.body = body }
        } else {
            answer = AzureAnswer(ARMFault(413, "RequestContentTooLarge", "The request content is over 4 MB."))
        }
        record.status = answer.status
        record.code =
            answer.body?[path: "error", "code"]?.string
            ?? answer.body?.member("error_codes")?.array?.first?.int.map { "AADSTS\($0)" }
        // Who has an answer finds it noted.
        world.options.onRequest?(record)
        var head = HTTPResponse(status: HTTPResponse.Status(code: answer.status))
        let bytes = answer.body.map { Array($0.canonical.utf8) } ?? []
        let id = exchange.headers[HTTPField.Name("x-ms-client-request-id") ?? .from] ?? Identifier.random()
        var fields = answer.headers
        fields += [
            ("x-ms-request-id", Identifier.random()), ("x-ms-correlation-request-id", Identifier.random()),
            ("x-ms-client-request-id", id), ("x-ms-ratelimit-remaining-subscription-reads", "11999"),
        ]
        for (name, value) in fields { if let name = HTTPField.Name(name) { head.headerFields[name] = value } }
        if answer.body != nil { head.headerFields[.contentType] = "application/json; charset=utf-8" }
        if answer.status != 204 { head.headerFields[.contentLength] = "\(bytes.count)" }
        guard method != "HEAD", !bytes.isEmpty else {
            try await writer.writeResponse(head)
            return
        }
        try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    private func answer(_ request: AzureRequest) async -> (String, AzureAnswer) {
        if let answer = await AdminRoutes(world: world).answer(request) { return ("emulator", answer) }
        if let answer = ManagedIdentity(world: world).answer(request) { return ("identity", answer) }
        if let answer = await ResourceManager(world: world).answer(request) { return ("arm", answer) }
        if let answer = Entra(world: world).answer(request) { return ("entra", answer) }
        if let answer = MetadataForms(world: world).answer(request) { return ("emulator", answer) }
        return ("emulator", AzureAnswer(ARMFault(404, "NotFound", "The emulator has nothing at '\(request.path)'.")))
    }
}

/// Small things that clients ask for on their way.
struct MetadataForms: Sendable {
    let world: World

    func answer(_ request: AzureRequest) -> AzureAnswer? {
        guard request.segments.first?.lowercased() == "v1.0" else { return nil }
        // Microsoft Graph: who an application is.
        return graph(request)
    }

    private func graph(_ request: AzureRequest) -> AzureAnswer {
        let filter = request.query("$filter") ?? ""
        let shown = world.options.applications
            .filter { filter.isEmpty || filter.contains($0.id) || filter.contains($0.objectID) }
            .map { application -> JSONValue in
                [
                    "id": .string(application.objectID), "appId": .string(application.id),
                    "displayName": .string(application.name), "servicePrincipalType": "Application",
                    "servicePrincipalNames": [.string(application.id)],
                    "@odata.type": "#microsoft.graph.servicePrincipal",
                ]
            }
        return AzureAnswer(200, ["value": .array(shown)])
    }
}
