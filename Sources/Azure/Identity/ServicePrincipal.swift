// SPDX-License-Identifier: Apache-2.0
public import HTTP

/// An application of Entra ID: what pipelines are.
///
/// Every token is asked for with a proof made for it alone.
public struct ServicePrincipal: AzureIdentity {
    /// How it proves who it is.
    public enum Proof: Sendable, CustomStringConvertible, CustomReflectable {
        /// A secret that Entra ID knows.
        case secret(String)
        /// A file with a certificate and its key, read anew each time; `sendsChain` has Entra ID find the certificate by
        /// subject name and issuer.
        case certificate(path: String, password: String?, sendsChain: Bool)
        /// A token that somebody else gives us, and that Entra ID trusts.
        case federated(FederatedToken)

        /// What kind it is; no secret.
        public var description: String {
            switch self {
            case .secret: "secret"
            case .certificate(let path, _, _): "certificate \(path)"
            case .federated(let token): token.summary
            }
        }

        /// Nothing within is shown.
        public var customMirror: Mirror { Mirror(self, children: []) }
    }

    /// Its client id, also called application id.
    public let client: String
    private let proof: Proof
    private let entra: EntraClient

    /// Names an application.
    ///
    /// - Parameters:
    ///   - client: Its client id.
    ///   - tenant: The tenant's id or domain.
    ///   - proof: How it proves who it is.
    ///   - cloud: The cloud that it is known in.
    ///   - session: Sends requests.
    /// - Throws: ``AzureError`` where the tenant's name has no usable form, or secrets would go out in the clear.
    public init(client: String, tenant: String, proof: Proof, cloud: AzureCloud, session: HTTPSession)
        throws(AzureError)
    {
        entra = try EntraClient(cloud: cloud, tenant: tenant, session: session)
        (self.client, self.proof) = (client, proof)
    }

    /// Its ids, and how it proves who it is.
    public var summary: String { "service principal \(client) of tenant \(entra.tenant) (\(proof))" }

    /// Gets a token.
    ///
    /// - Parameter resource: Whom it will be shown to.
    /// - Returns: The token.
    /// - Throws: ``AzureError`` where the proof cannot be made, or is not accepted.
    public func token(for resource: String) async throws -> AzureToken {
        var sent: AssertionClaims?
        let fields: [(String, String)]
        switch proof {
        case .secret(let secret): fields = [("client_secret", secret)]
        case .certificate(let path, let password, let sendsChain):
            let assertion = try CertificateAssertion(
                file: path,
                password: password,
                sendsChain: sendsChain,
                client: client,
                audience: entra.endpoint.text
            )
            fields = ServicePrincipal.assertion(assertion.text)
        case .federated(let source):
            let token = try await source.token()
            sent = AssertionClaims(token)
            fields = ServicePrincipal.assertion(token)
        }
        return try await entra.token(for: resource, client: client, proof: fields, who: summary, sent: sent)
    }

    private static func assertion(_ token: String) -> [(String, String)] {
        [
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", token),
        ]
    }
}
