// SPDX-License-Identifier: Apache-2.0
internal import Archive
public import HTTP

/// How Azure's services are reached: most through proxies, those of the machine itself without.
public struct AzureNetwork: Sendable {
    /// For services on the internet.
    public let session: HTTPSession
    private let settings: NetworkSettings
    private let direct: HTTPSession

    /// Makes sessions of the same settings.
    ///
    /// - Parameters:
    ///   - settings: How servers are reached.
    ///   - onEvent: Told what happens on the way.
    public init(
        _ settings: NetworkSettings,
        onEvent: @escaping @Sendable (HTTPSession.Event) -> Void = { _ in }
    ) {
        session = HTTPSession(NetworkTransport(settings), onEvent: onEvent)
        var near = settings
        near.proxy = ProxySettings()
        // What answers is in the same machine or rack; where there is nothing, nobody refuses either.
        (near.connectTimeout, near.idleTimeout) = (.seconds(1), .seconds(20))
        direct = HTTPSession(NetworkTransport(near), policy: .never)
        self.settings = near
    }

    /// The session for a managed identity.
    func session(
        for place: ManagedPlace,
        _ url: HTTPURL,
        _ environment: [String: String]
    ) async throws -> HTTPSession {
        guard place == .serviceFabric, let thumbprint = environment.given("IDENTITY_SERVER_THUMBPRINT") else {
            return direct
        }
        guard url.isSecure else {
            throw AzureError(.usage, "managed identity (Service Fabric): IDENTITY_ENDPOINT is not https")
        }
        // Its certificate is nobody's but the node's own, and known by this name.
        guard let seen = await NetworkTransport.certificate(of: url, timeout: .seconds(5)) else {
            throw AzureError(.unavailable, "managed identity (Service Fabric): \(url.authority) cannot be reached")
        }
        let hex = CertificateThumbprint.sha1(seen).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        guard hex == thumbprint.lowercased().filter({ $0 != ":" }) else {
            throw AzureError(
                .refused,
                "managed identity (Service Fabric): the certificate of \(url.authority) is not that of "
                    + "IDENTITY_SERVER_THUMBPRINT",
                hint: "check who listens at IDENTITY_ENDPOINT"
            )
        }
        var pinned = settings
        pinned.pinnedCertificates = ["\(url.authority)": seen]
        return HTTPSession(NetworkTransport(pinned), policy: .never)
    }
}
