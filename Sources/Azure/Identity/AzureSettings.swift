// SPDX-License-Identifier: Apache-2.0
public import HTTP

/// Which identity to use, as flags and the environment say it.
///
/// Variables have the names that azure-identity, the library of Microsoft's own tools, reads.
public struct AzureSettings: Sendable {
    /// A kind of identity.
    public enum Method: String, CaseIterable, Sendable {
        /// The first of the others that there is.
        case auto
        /// An application with a secret or a certificate: `AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_CLIENT_SECRET` or
        /// `AZURE_CLIENT_CERTIFICATE_PATH`.
        case servicePrincipal = "service-principal"
        /// An application that a token of others stands for: GitHub Actions, Azure Pipelines, a token file.
        case federated
        /// What Azure gives to the machine that this runs on.
        case managedIdentity = "managed-identity"
        /// Who is logged in with `az`.
        case cli
    }

    /// The kind.
    public var method = Method.auto
    /// The application's client id, or that of a user-assigned managed identity.
    public var client: String?
    /// The tenant's id or domain.
    public var tenant: String?
    /// The subscription's id.
    public var subscription: String?
    /// The application's secret.
    public var secret: String?
    /// A file with the application's certificate and key.
    public var certificate: String?
    /// What the certificate's key is encrypted with.
    public var certificatePassword: String?
    /// Whether Entra ID is sent the certificate itself.
    public var sendsChain = false
    /// A file with a token that stands for the application.
    public var tokenFile: String?
    /// The cloud: a name, or the address of its resource manager; `nil` for the public one.
    public var cloud: String?
    let environment: [String: String]

    /// As the environment says.
    ///
    /// - Parameter environment: The environment of the process.
    public init(environment: [String: String]) {
        self.environment = environment
        client = environment.given("AZURE_CLIENT_ID")
        tenant = environment.given("AZURE_TENANT_ID")
        subscription = environment.given("AZURE_SUBSCRIPTION_ID")
        secret = environment.given("AZURE_CLIENT_SECRET")
        certificate = environment.given("AZURE_CLIENT_CERTIFICATE_PATH")
        certificatePassword = environment.given("AZURE_CLIENT_CERTIFICATE_PASSWORD")
        let chain = environment.given("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")?.lowercased()
        sendsChain = chain == "1" || chain == "true"
        tokenFile = environment.given("AZURE_FEDERATED_TOKEN_FILE")
        cloud = environment.given("CORACLE_AZURE_CLOUD")
    }

    /// The cloud to use.
    ///
    /// `AZURE_AUTHORITY_HOST` comes last: it names the place of tokens only, but each known cloud has its own.
    ///
    /// - Parameters:
    ///   - registry: A registry that will be spoken with, whose name says what cloud it is in; `nil` for none.
    ///   - session: Asks a cloud that is not known where its services are.
    /// - Returns: The cloud.
    /// - Throws: ``AzureError`` where it is not known, and cannot be asked.
    public func cloud(ofRegistry registry: String? = nil, session: HTTPSession) async throws -> AzureCloud {
        var found: AzureCloud
        if let cloud {
            if let known = AzureCloud(named: cloud) {
                found = known
            } else {
                let text = cloud.contains("://") ? cloud : "https://" + cloud
                guard cloud.contains("."), let url = try? HTTPURL(text) else {
                    throw AzureError(
                        .usage,
                        "\"\(cloud)\" is no cloud",
                        hint: "\(AzureCloud.known.map(\.name).joined(separator: ", ")), or the address of its ARM"
                    )
                }
                found = try await AzureCloud.discover(url, session: session)
            }
        } else {
            found = registry.flatMap { AzureCloud(ofRegistry: $0) } ?? authorityCloud ?? .public
        }
        if let host = environment.given("AZURE_AUTHORITY_HOST") {
            do {
                found.authority = try HTTPURL(host.contains("://") ? host : "https://" + host)
            } catch {
                throw AzureError(.usage, "AZURE_AUTHORITY_HOST: \(error.message)")
            }
        }
        return found
    }

    private var authorityCloud: AzureCloud? {
        guard let host = environment.given("AZURE_AUTHORITY_HOST"),
            let url = try? HTTPURL(host.contains("://") ? host : "https://" + host)
        else { return nil }
        // China's has had two names.
        if url.host == "login.partner.microsoftonline.cn" { return .china }
        return AzureCloud.known.first { $0.authority.host == url.host }
    }
}
