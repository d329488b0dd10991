// SPDX-License-Identifier: Apache-2.0

/// Which proxy to use for which host, in the words that curl and Go understand.
public struct ProxySettings: Sendable {
    /// A proxy: it is asked with CONNECT for a way to the server.
    public struct Proxy: Hashable, Sendable {
        /// Its address.
        public let url: HTTPURL
        /// The name we have there; `nil` where it asks for none.
        public let user: String?
        let password: String?
    }

    /// The proxy for `https://` addresses: `http://[USER:PASSWORD@]HOST:PORT`; `nil` for none.
    public var secure: String?
    /// The proxy for `http://` addresses, in the same form; `nil` for none.
    public var plain: String?
    /// Whom to ask without a proxy: hosts, domains, `HOST:PORT`, addresses, `ADDRESS/BITS`, `*`.
    public var exceptions: [String] = []

    /// Takes `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` from an environment; names in lower case come first.
    ///
    /// - Parameter environment: The environment of the process; may be empty.
    public init(environment: [String: String] = [:]) {
        func value(_ name: String) -> String? {
            [environment[name.lowercased()], environment[name]].compactMap { $0 }.first { !$0.isEmpty }
        }
        secure = value("HTTPS_PROXY") ?? value("ALL_PROXY")
        plain = value("HTTP_PROXY") ?? value("ALL_PROXY")
        exceptions = (value("NO_PROXY") ?? "").split { ", \t".contains($0) }.map { $0.lowercased() }
    }

    /// The proxy for a server.
    ///
    /// - Parameter url: The server.
    /// - Returns: The proxy; `nil` where the server is asked itself, as this machine always is.
    /// - Throws: ``ServerError`` where the proxy's address is malformed or of a kind that is not spoken.
    public func proxy(for url: HTTPURL) throws(ServerError) -> Proxy? {
        guard let text = url.isSecure ? secure : plain, !url.isLoopback, !isException(url) else { return nil }
        let name = url.isSecure ? "HTTPS_PROXY" : "HTTP_PROXY"
        let address = text.contains("://") ? text : "http://" + text
        guard address.lowercased().hasPrefix("http://") else {
            throw ServerError(
                .badSettings,
                "the proxy \(Redaction.text(address)) is of a kind that is not spoken",
                hint: "give a proxy that begins with http:// in \(name)"
            )
        }
        let target: HTTPURL
        do {
            target = try HTTPURL(address)
        } catch {
            throw ServerError(.badSettings, "\(name): \(error.message)", hint: "\(name)=http://HOST:PORT")
        }
        let authority = address.dropFirst(7).prefix { !"/?#".contains($0) }
        guard let at = authority.lastIndex(of: "@") else { return Proxy(url: target, user: nil, password: nil) }
        let login = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        return Proxy(
            url: target,
            user: ProxySettings.decoded(login[0]),
            password: login.count > 1 ? ProxySettings.decoded(login[1]) : ""
        )
    }

    private func isException(_ url: HTTPURL) -> Bool {
        exceptions.contains { entry in
            if entry == "*" { return true }
            if let slash = entry.firstIndex(of: "/"), let address = IPAddress(url.host) {
                guard let network = IPAddress(String(entry[..<slash])),
                    let bits = Int(entry[entry.index(after: slash)...])
                else { return false }
                return address.isWithin(network, bits: bits)
            }
            if let address = IPAddress(url.host), let other = IPAddress(entry) { return address == other }
            if url.isNamed(entry) { return true }
            // "example.com" means its subdomains too, ".example.com" and "*.example.com" only these, as in Go.
            var domain = entry.hasPrefix("*.") ? String(entry.dropFirst()) : entry
            if let colon = domain.lastIndex(of: ":"), let port = Int(domain[domain.index(after: colon)...]) {
                guard port == url.port else { return false }
                domain = String(domain[..<colon])
            }
            return url.host.hasSuffix(domain.hasPrefix(".") ? domain : "." + domain)
        }
    }

    /// Text without percent-encoding; as it is where the encoding is wrong.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 0x25, rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
