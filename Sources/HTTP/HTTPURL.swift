// SPDX-License-Identifier: Apache-2.0

/// An address of the web: `http://` or `https://`, a host, and what the server is asked for.
///
/// Path and query are kept byte for byte, as registries sign them.
///
/// Specification: RFC 3986; a user and password in the text are dropped, a fragment too.
public struct HTTPURL: Hashable, Sendable, CustomStringConvertible {
    /// Whether the connection is encrypted.
    public var isSecure: Bool
    /// The host in lower case, without brackets where it is an IPv6 address.
    public let host: String
    /// The port; 443 or 80 where none was written.
    public let port: Int
    /// Path and query, beginning with a slash.
    public var target: String

    /// Makes an address of parts.
    ///
    /// - Parameters:
    ///   - isSecure: Whether the connection is encrypted.
    ///   - authority: `HOST[:PORT]`, an IPv6 address in brackets.
    ///   - target: Path and query, beginning with a slash.
    /// - Throws: ``ServerError`` where the host or port has no usable form.
    public init(isSecure: Bool, authority: some StringProtocol, target: String) throws(ServerError) {
        (self.isSecure, self.target) = (isSecure, target.hasPrefix("/") ? target : "/" + target)
        var host = authority[...]
        var port: Int?
        if let colon = host.lastIndex(of: ":"), !host[colon...].contains("]") {
            port = Int(host[host.index(after: colon)...]).flatMap { (1...65535).contains($0) ? $0 : nil }
            guard port != nil else { throw HTTPURL.fault(authority, "the port is not a number from 1 to 65535") }
            host = host[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        let isClean =
            !host.isEmpty && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/\\@?#[]\"<>".utf8.contains($0) }
        guard isClean else { throw HTTPURL.fault(authority, "the host is missing or malformed") }
        self.host = host.lowercased()
        self.port = port ?? (isSecure ? 443 : 80)
    }

    /// The root of a host that is written in the program itself, over TLS.
    ///
    /// - Parameter host: A DNS name in lower case.
    public init(wellKnown host: StaticString) {
        (isSecure, self.host, port, target) = (true, "\(host)", 443, "/")
    }

    /// Reads an address.
    ///
    /// - Parameter text: `http://HOST[:PORT][/PATH][?QUERY]`, or the same with `https`.
    /// - Throws: ``ServerError`` for any other form.
    public init(_ text: some StringProtocol) throws(ServerError) {
        guard let colon = text.firstRange(of: "://") else { throw HTTPURL.fault(text, "it has no scheme") }
        let scheme = text[..<colon.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else {
            throw HTTPURL.fault(text, "only http and https are spoken")
        }
        let rest = text[colon.upperBound...].prefix { $0 != "#" }
        let end = rest.firstIndex { "/?".contains($0) } ?? rest.endIndex
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: "@") { authority = authority[authority.index(after: at)...] }
        let target = String(rest[end...])
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw HTTPURL.fault(text, "it has spaces or control characters")
        }
        try self.init(isSecure: scheme == "https", authority: authority, target: target)
    }

    /// The address that a `Location` or `Link` names, seen from this one.
    ///
    /// - Parameter reference: Absolute, `//host/…`, `/path`, `?query`, or relative to this path.
    /// - Returns: The address, its query as written.
    /// - Throws: ``ServerError`` where it is malformed.
    public func resolving(_ reference: String) throws(ServerError) -> HTTPURL {
        if reference.contains("://"), reference.firstRange(of: "://")?.lowerBound == reference.firstIndex(of: ":") {
            return try HTTPURL(reference)
        }
        if reference.hasPrefix("//") { return try HTTPURL((isSecure ? "https:" : "http:") + reference) }
        let text = reference.prefix { $0 != "#" }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw HTTPURL.fault(reference, "it has spaces or control characters")
        }
        var result = self
        if text.hasPrefix("/") {
            result.target = String(text)
        } else if text.hasPrefix("?") {
            result.target = path + text
        } else if !text.isEmpty {
            result.target = String(path[...(path.lastIndex(of: "/") ?? path.startIndex)] + text)
        }
        return result
    }

    /// The path, without the query.
    public var path: String { String(target.prefix { $0 != "?" }) }

    /// The host, with its port unless that is the usual one; an IPv6 address in brackets.
    public var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The whole address, secrets in its query included: for people, ``Redaction/url(_:)`` is the one to print.
    public var text: String { (isSecure ? "https://" : "http://") + authority + target }

    /// The address without secrets.
    public var description: String { Redaction.url(self) }

    /// The same with a parameter more in its query.
    ///
    /// - Parameters:
    ///   - name: The parameter's name, of letters.
    ///   - value: Its value; what a query cannot hold is percent-encoded.
    /// - Returns: The address.
    public func adding(_ name: String, _ value: String) -> HTTPURL {
        var result = self
        result.target += (target.contains("?") ? "&" : "?") + name + "=" + HTTPURL.encoded(value)
        return result
    }

    /// Whether the host is this machine: `localhost`, `127.0.0.0/8`, `::1`.
    public var isLoopback: Bool {
        if host == "localhost" || host.hasSuffix(".localhost") || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// Whether a name in settings means this server.
    ///
    /// - Parameter name: `HOST`, or `HOST:PORT` for that port only; an IPv6 address with or without brackets.
    /// - Returns: Whether it does.
    public func isNamed(_ name: String) -> Bool {
        let name = name.lowercased()
        let bracketed = host.contains(":") ? "[\(host)]" : host
        return name == host || name == bracketed || name == "\(bracketed):\(port)"
    }

    /// Text as a query or a form holds it.
    ///
    /// - Parameter text: Any text.
    /// - Returns: Letters, digits and `-._~` as they are, all else percent-encoded.
    public static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: result.append(byte)
            default: result += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func fault(_ text: some StringProtocol, _ reason: String) -> ServerError {
        ServerError(.badAddress, "\"\(Redaction.text(String(text)))\" is not an address that can be asked: \(reason)")
    }
}
