// SPDX-License-Identifier: Apache-2.0
internal import AsyncHTTPClient
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL

/// Says what went wrong with a connection: host, port, what was tried, and what to type next.
struct NetworkFault {
    let url: HTTPURL
    let proxy: ProxySettings.Proxy?
    let settings: NetworkSettings

    /// The server as messages name it; where there is a proxy, that one is part of what was tried.
    private var place: String {
        "\(url.host) port \(url.port)" + (proxy.map { " through the proxy \($0.url.host) port \($0.url.port)" } ?? "")
    }

    private var proxyName: String { url.isSecure ? "HTTPS_PROXY" : "HTTP_PROXY" }

    private func fault(_ code: ServerError.Code, _ message: String, _ hint: String? = nil) -> ServerError {
        ServerError(code, message, hint: hint, url: url)
    }

    func error(for error: any Error) -> ServerError {
        switch error {
        case let error as ServerError: error
        case let error as HTTPClientError: client(error)
        case let error as NIOConnectionError: connection(error)
        case let error as IOError: system(error.errnoCode)
        case let error as NIOSSLError: secure(error)
        case is NIOSSLExtraError: certificate(error, seen: nil)
        case is BoringSSLError: handshake(NetworkFault.text(error))
        case let error as ChannelError: channel(error)
        // An answer that ends before its length says so is a parser's error too.
        case HTTPParserError.invalidEOFState:
            fault(.cut, "\(place): the connection was closed before the answer was complete")
        case is HTTPParserError: fault(.malformed, "\(place): what came back is not HTTP")
        default: fault(.cut, "\(place): the connection broke: \(NetworkFault.text(error))")
        }
    }

    private static func text(_ error: any Error) -> String { Redaction.text(String(describing: error)) }

    private func client(_ error: HTTPClientError) -> ServerError {
        switch error {
        case .connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout: connectTimeout
        case .readTimeout:
            fault(.timedOut, "\(place): nothing came for \(NetworkFault.seconds(settings.idleTimeout))")
        case .writeTimeout:
            fault(.timedOut, "\(place): nothing was taken for \(NetworkFault.seconds(settings.idleTimeout))")
        case .remoteConnectionClosed, .uncleanShutdown:
            fault(.cut, "\(place): the connection was closed before the answer was complete")
        case .httpProxyHandshakeTimeout:
            fault(.proxy, "\(place): the proxy does not answer", "check \(proxyName), or name the host in NO_PROXY")
        case .proxyAuthenticationRequired:
            fault(
                .badSettings,
                "\(place): the proxy asks for a name and password, or does not accept those it was given",
                "\(proxyName)=http://USER:PASSWORD@\(proxy?.url.authority ?? "HOST:PORT")"
            )
        case .invalidProxyResponse:
            fault(
                .proxy,
                "\(place): the proxy refuses the connection",
                "name the host in NO_PROXY, or ask for its release"
            )
        default: fault(.malformed, "\(place): \(error.shortDescription)")
        }
    }

    private var connectTimeout: ServerError {
        let hint = proxy == nil ? "check the address and the firewall; where a proxy is needed, set \(proxyName)" : nil
        return fault(
            .timedOut,
            "\(place): no answer to a connection in \(NetworkFault.seconds(settings.connectTimeout))",
            hint ?? "check \(proxyName)"
        )
    }

    private func connection(_ error: NIOConnectionError) -> ServerError {
        guard let first = error.connectionErrors.first else {
            // With a proxy it is the proxy's name that is looked up.
            let name = proxy == nil ? "the host \"\(error.host)\"" : "the proxy \"\(error.host)\" (\(proxyName))"
            let hint =
                proxy == nil ? "check the name's spelling and this machine's DNS: getent hosts \(error.host)" : nil
            return fault(.unknownHost, "\(name) has no address in the DNS", hint ?? "check \(proxyName)")
        }
        if let cause = first.error as? IOError { return system(cause.errnoCode) }
        if let cause = first.error as? ChannelError { return channel(cause) }
        return fault(.unreachable, "\(place): no connection: \(NetworkFault.text(first.error))")
    }

    private func system(_ code: Int32) -> ServerError {
        let reason = String(cString: strerror(code)).lowercased()
        switch code {
        case ECONNREFUSED:
            let hint = proxy == nil ? "check host and port, and that the server runs" : "check \(proxyName)"
            return fault(.unreachable, "\(place): connection refused, nobody listens there", hint)
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, EADDRNOTAVAIL, EACCES, EPERM:
            return fault(.unreachable, "\(place): no connection: \(reason)", "check the network and the firewall")
        case ETIMEDOUT: return connectTimeout
        default: return fault(.cut, "\(place): the connection broke: \(reason)")
        }
    }

    private func channel(_ error: ChannelError) -> ServerError {
        if case .connectTimeout = error { return connectTimeout }
        return fault(.cut, "\(place): the connection was closed before the answer was complete")
    }

    private func secure(_ error: NIOSSLError) -> ServerError {
        if case .handshakeFailed(let cause) = error {
            return NetworkFault.isCertificateRefused(error)
                ? certificate(error, seen: nil) : handshake(String(describing: cause))
        }
        if case .uncleanShutdown = error {
            return fault(.cut, "\(place): the connection was closed before the answer was complete")
        }
        return handshake(NetworkFault.text(error))
    }

    private func handshake(_ cause: String) -> ServerError {
        if cause.contains("WRONG_VERSION_NUMBER") || cause.contains("HTTP_REQUEST") || cause.contains("HTTPS_PROXY") {
            return fault(
                .handshake,
                "\(place): the server speaks plain HTTP there, not TLS",
                "if that is meant to be so, allow it: --insecure \(url.authority)"
            )
        }
        if cause.contains("EOF") || cause.contains("zeroReturn") {
            return fault(.handshake, "\(place): the server ended the connection when TLS was offered")
        }
        if let fault = clientCertificate(cause) { return fault }
        let words = cause.split { !($0.isLetter || $0 == "_") }
            .filter { $0.contains("_") && $0 == $0.uppercased()[...] }
        let reason =
            words.last.map { $0.lowercased().split(separator: "_").joined(separator: " ") } ?? "no common ground"
        return fault(.handshake, "\(place): TLS could not be agreed on: \(Redaction.text(reason))")
    }

    /// What a server says of a certificate of ours; `nil` where it is something else that it says.
    ///
    /// Specification: RFC 8446, section 6.2. Servers of TLS 1.2 have no alert for one that is missing, and send
    /// `bad_certificate` (Go) or `handshake_failure` (OpenSSL).
    private func clientCertificate(_ cause: String) -> ServerError? {
        let shown = settings.clientCertificates.first { url.isNamed($0.key) }?.value
        guard let shown else {
            guard cause.contains("ALERT_CERTIFICATE_REQUIRED") || cause.contains("ALERT_BAD_CERTIFICATE") else {
                return nil
            }
            return fault(
                .clientCertificate,
                "\(place): the server wants to be shown a client certificate, and there is none for it",
                settings.clientCertificateFolder
                    .map { "put certificate and key (PEM) into \($0)/\(url.authority)/ as client.cert and client.key" }
            )
        }
        let alerts = [
            "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED", "CERTIFICATE_EXPIRED",
            "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR", "CERTIFICATE_REQUIRED",
        ]
        guard let alert = alerts.first(where: { cause.contains("ALERT_\($0)") }) else { return nil }
        let reason = alert.lowercased().split(separator: "_").joined(separator: " ")
        let file = shown.certificateFile
        return fault(
            .clientCertificate,
            "\(place): the server does not accept the client certificate\(file.isEmpty ? "" : " \(file)"): \(reason)",
            file.isEmpty
                ? nil : "look whether it is the right one, and still valid: openssl x509 -noout -text -in \(file)"
        )
    }

    static func seconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return seconds > 0 ? "\(seconds) s" : "\(attoseconds / 1_000_000_000_000_000) ms"
    }
}

extension NetworkFault {
    static func isCertificateRefused(_ error: any Error) -> Bool {
        if error is NIOSSLExtraError { return true }
        let text = String(describing: error)
        return text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate")
    }

    /// A certificate that was not accepted, by what is wrong with it.
    func certificate(_ error: any Error, seen: PeerCertificate?) -> ServerError {
        let place = "\(url.host) port \(url.port)"
        let allow = "--insecure \(url.authority)"
        if error is NIOSSLExtraError {
            let names = seen.map { " but for \($0.names.joined(separator: ", "))" } ?? ""
            return fault(
                .certificate,
                "\(place): the certificate is not for this host\(names)",
                "use one of the names it has, or do without verification: \(allow)"
            )
        }
        let now = time(nil)
        if let seen, seen.notAfter < now {
            let days = (now - seen.notAfter) / 86400
            return fault(
                .certificate,
                "\(place): the certificate has expired \(days == 0 ? "today" : "\(days) days ago")",
                "have it renewed, check this machine's clock, or do without verification: \(allow)"
            )
        }
        if let seen, seen.notBefore > now {
            return fault(
                .certificate,
                "\(place): the certificate is not valid yet",
                "check this machine's clock, or do without verification: \(allow)"
            )
        }
        let issuer = seen?.issuer.map { ", it was issued by \"\(Redaction.text($0))\"" } ?? ""
        return fault(
            .certificate,
            "\(place): the certificate is not signed by anyone this machine trusts\(issuer)",
            "give the authority's certificate with --ca FILE, or do without verification: \(allow)"
        )
    }
}
