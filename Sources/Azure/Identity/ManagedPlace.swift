// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI
internal import Registry

/// Where a managed identity can be, and how it is asked for there.
enum ManagedPlace: Sendable {
    case appService, serviceFabric, arc, machineLearning, cloudShell, machine

    /// Looks at the environment, as azure-identity does.
    init(_ environment: [String: String]) {
        let isSet = { (name: String) in environment.given(name) != nil }
        if isSet("IDENTITY_ENDPOINT") {
            if isSet("IDENTITY_HEADER") {
                self = isSet("IDENTITY_SERVER_THUMBPRINT") ? .serviceFabric : .appService
                return
            }
            if isSet("IMDS_ENDPOINT") {
                self = .arc
                return
            }
        }
        if isSet("MSI_ENDPOINT") {
            self = isSet("MSI_SECRET") ? .machineLearning : .cloudShell
        } else {
            self = .machine
        }
    }

    /// What people call it.
    var name: String {
        switch self {
        case .appService: "App Service"
        case .serviceFabric: "Service Fabric"
        case .arc: "Azure Arc"
        case .machineLearning: "Azure Machine Learning"
        case .cloudShell: "Cloud Shell"
        case .machine: "instance metadata"
        }
    }

    /// The command that gives one.
    var assignment: String {
        switch self {
        case .appService: "az webapp identity assign --resource-group GROUP --name APP"
        case .serviceFabric: "see the cluster's template"
        case .arc: "az connectedmachine show --resource-group GROUP --name MACHINE"
        case .machineLearning: "az ml compute update --identity-type SystemAssigned"
        case .cloudShell: "az login"
        case .machine: "az vm identity assign --resource-group GROUP --name MACHINE"
        }
    }

    /// The request for a token.
    func request(
        _ resource: String,
        _ selection: ManagedIdentity.Selection,
        _ environment: [String: String]
    ) throws(AzureError) -> HTTPRequest {
        let names: (client: String, object: String?, resource: String?)
        var request: HTTPRequest
        switch self {
        case .appService:
            names = ("client_id", "object_id", "mi_res_id")
            request = try get("IDENTITY_ENDPOINT", environment, "2019-08-01", resource)
            request.headers["X-IDENTITY-HEADER"] = environment["IDENTITY_HEADER"]
        case .serviceFabric:
            names = ("", nil, nil)
            request = try get("IDENTITY_ENDPOINT", environment, "2019-07-01-preview", resource)
            request.headers["Secret"] = environment["IDENTITY_HEADER"]
        case .arc:
            names = ("client_id", nil, "msi_res_id")
            request = try get("IDENTITY_ENDPOINT", environment, "2020-06-01", resource)
            request.headers["Metadata"] = "true"
        case .machineLearning:
            names = ("clientid", nil, nil)
            request = try get("MSI_ENDPOINT", environment, "2017-09-01", resource)
            request.headers["secret"] = environment["MSI_SECRET"]
            // The service takes an identity by its client id only, and the machine's is named in the environment.
            if selection == .system, let id = environment.given("DEFAULT_IDENTITY_CLIENT_ID") {
                request.url = request.url.adding("clientid", id)
            }
        case .cloudShell:
            names = ("", nil, nil)
            request = HTTPRequest(.post, try url("MSI_ENDPOINT", environment["MSI_ENDPOINT"] ?? ""))
            request.headers["Metadata"] = "true"
            request.headers["Content-Type"] = "application/x-www-form-urlencoded"
            request.body = HTTPBody(Array("resource=\(HTTPURL.encoded(resource))".utf8))
        case .machine:
            names = ("client_id", "object_id", "msi_res_id")
            let host = environment.given("AZURE_POD_IDENTITY_AUTHORITY_HOST") ?? "http://169.254.169.254"
            var address = try url("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)
            address.target = "/metadata/identity/oauth2/token"
            request = HTTPRequest(.get, address.adding("api-version", "2018-02-01").adding("resource", resource))
            request.headers["Metadata"] = "true"
        }
        let (name, value) = try chosen(selection, names)
        if let name { request.url = request.url.adding(name, value) }
        return request
    }

    private func chosen(
        _ selection: ManagedIdentity.Selection,
        _ names: (client: String, object: String?, resource: String?)
    ) throws(AzureError) -> (String?, String) {
        switch selection {
        case .system: return (nil, "")
        case .client(let id): if !names.client.isEmpty { return (names.client, id) }
        case .object(let id): if let name = names.object { return (name, id) }
        case .resource(let id): if let name = names.resource { return (name, id) }
        }
        throw AzureError(
            .usage,
            "managed identity (\(name)): one of several cannot be chosen here in that way",
            hint: "leave AZURE_CLIENT_ID unset"
        )
    }

    private func get(
        _ variable: String,
        _ environment: [String: String],
        _ version: String,
        _ resource: String
    ) throws(AzureError) -> HTTPRequest {
        let address = try url(variable, environment[variable] ?? "")
        return HTTPRequest(.get, address.adding("api-version", version).adding("resource", resource))
    }

    private func url(_ variable: String, _ text: String) throws(AzureError) -> HTTPURL {
        do {
            return try HTTPURL(text)
        } catch {
            throw AzureError(.usage, "\(variable): \(error.message)")
        }
    }
}

/// How Azure Arc has a program prove that it may read what the machine's administrators may.
enum ArcChallenge {
    /// Where the agent puts its keys; nothing else is read, whatever an answer says.
    static let folder = "/var/opt/azcmagent/tokens"

    /// The value of `Authorization`: the content of a file that the agent names.
    static func answer(_ request: HTTPRequest, _ session: HTTPSession, folder: String = folder) async throws -> String {
        let response: HTTPResponse
        do {
            response = try await session.send(request)
        } catch let error as ServerError {
            throw AzureError(.unavailable, "managed identity (Azure Arc): \(error.message)")
        }
        await response.discard()
        let challenges = Challenge.parse(response.headers.values(of: "WWW-Authenticate"))
        guard response.status == 401, let path = challenges.first(where: { $0.scheme == "basic" })?.parameters["realm"]
        else {
            throw AzureError(
                .network,
                "managed identity (Azure Arc): the agent answered \(response.status), and names no file to read",
                hint: "azcmagent show"
            )
        }
        let name = path.split(separator: "/").last ?? ""
        let isKey = path == "\(folder)/\(name)" && name.hasSuffix(".key") && !name.hasPrefix(".")
        guard isKey else {
            throw AzureError(
                .refused,
                "managed identity (Azure Arc): the agent names a file that is not read: \"\(Redaction.text(path))\"",
                hint: "only \(folder)/NAME.key is: check who listens at IDENTITY_ENDPOINT"
            )
        }
        return "Basic " + (try AzureFile.line(path, limit: 4096, what: "the agent's key"))
    }
}
