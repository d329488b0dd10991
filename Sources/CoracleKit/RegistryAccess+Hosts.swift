// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI

extension RegistryAccess {
    /// Says what is wrong with flags before anything is done: hosts that no address can have, files of certificates that
    /// cannot be used.
    ///
    /// - Throws: ``ExitReason`` with the flag, what it was given, and what it takes.
    public func check() throws(ExitReason) {
        for host in insecureHosts { try RegistryHost.check(host, of: "--insecure ") }
        try checkFiles()
    }
}

/// Hosts as people write them for flags and variables, where a form that can never match would silently do nothing.
enum RegistryHost {
    /// Refuses what is no `HOST` or `HOST:PORT`; the flag comes with what stands between it and the host.
    static func check(_ text: String, of flag: String) throws(ExitReason) {
        let (host, path) = parts(text)
        guard host != text || !isHost(host) else { return }
        let name = flag.trimmingSuffix(while: { $0 == " " || $0 == "=" })
        let reason =
            if text.contains("://") {
                "a host is written without http:// or https://"
            } else if !path.isEmpty || text.hasSuffix("/") {
                "it is for a whole host, and takes no path"
            } else if text.contains("@") {
                "a host is written without a user"
            } else {
                "expected HOST or HOST:PORT"
            }
        throw ExitReason(
            .usage,
            "\(name) \"\(shown(text))\" is no host: \(reason)",
            hint: isHost(host) ? flag + host : "\(flag)registry.example:5000"
        )
    }

    /// `HOST=MIRROR[/PREFIX][,HOST=MIRROR…]`; several mirrors of one host are asked in order.
    static func mirrors(_ text: String) throws(ExitReason) -> [String: [String]] {
        let name = "CORACLE_REGISTRY_MIRRORS"
        var mirrors: [String: [String]] = [:]
        for part in text.split(separator: ",") {
            let part = part.trimmed
            if part.isEmpty { continue }
            guard let equals = part.firstIndex(of: "="), part.first != "=" else {
                throw ExitReason(
                    .usage,
                    "\(name): \"\(shown(String(part)))\" is not HOST=MIRROR[/PREFIX]",
                    hint: "\(name)=docker.io=mirror.example:5000/hub"
                )
            }
            let (host, mirror) = (part[..<equals].trimmed, part[part.index(after: equals)...].trimmed)
            let right = try mirrored(String(host), by: String(mirror), of: name)
            mirrors[right.host, default: []].append(right.mirror)
        }
        return mirrors
    }

    /// One pair, which may match something.
    private static func mirrored(
        _ host: String,
        by mirror: String,
        of name: String
    ) throws(ExitReason) -> (host: String, mirror: String) {
        let (bare, path) = parts(host)
        let (place, prefix) = parts(mirror)
        let registry = ["index.docker.io", "registry-1.docker.io"].contains(bare) ? "docker.io" : bare
        let right = isHost(place) && isPrefix(prefix) ? place + (prefix.isEmpty ? "" : "/" + prefix) : "mirror.example"
        guard isRegistry(registry) else {
            throw ExitReason(
                .usage,
                "\(name): \"\(shown(host))\" is no registry that an image's name could begin with: expected "
                    + "HOST with a dot, HOST:PORT, or localhost",
                hint: "\(name)=docker.io=\(right)"
            )
        }
        guard bare == host else {
            throw ExitReason(
                .usage,
                "\(name): \"\(shown(host))\" is no host: "
                    + (path.isEmpty
                        ? "it is written as in image names" : "a mirror is for all of a registry, \(registry)"),
                hint: "\(name)=\(registry)=\(right)"
            )
        }
        guard place + (prefix.isEmpty ? "" : "/" + prefix) == mirror, isHost(place), isPrefix(prefix) else {
            let reason =
                mirror.contains("://")
                ? "it is written without http:// or https://; where it has no TLS, say so with --insecure"
                : "expected HOST[:PORT][/PREFIX]"
            throw ExitReason(
                .usage,
                "\(name): \"\(shown(mirror))\" is no mirror of \(registry): \(reason)",
                hint: "\(name)=\(registry)=\(right)"
            )
        }
        return (registry, mirror)
    }

    /// Host and path of what may have a scheme, a user, and slashes at its end.
    private static func parts(_ text: String) -> (host: String, path: String) {
        var rest = text[...]
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        let authority = rest.prefix { $0 != "/" }
        var path = rest.dropFirst(authority.count).drop { $0 == "/" }
        while path.last == "/" { path.removeLast() }
        return (authority.split(separator: "@").last.map(String.init) ?? "", String(path))
    }

    /// Whether connections may be made to it: a name or address, with or without a port.
    private static func isHost(_ text: String) -> Bool {
        if text.contains("::") || text.filter({ $0 == ":" }).count > 1 {
            let isBracketed = text.hasPrefix("[")
            return text.allSatisfy { $0.isHexDigit || ":.".contains($0) || isBracketed && "[]".contains($0) }
        }
        // A name without a dot may be a host of this network.
        let whole = text.contains(":") ? text : text + ":1"
        return isRegistry(whole)
    }

    /// Whether names of images may begin with it.
    private static func isRegistry(_ text: String) -> Bool {
        (try? ImageReference("\(text)/any"))?.domain == text
    }

    private static func isPrefix(_ text: String) -> Bool {
        text.isEmpty || (try? ImageReference("registry.example/\(text)/any"))?.repository == "\(text)/any"
    }

    /// Text as it may be repeated: passwords of addresses stay unsaid, with or without a scheme before them.
    private static func shown(_ text: String) -> String {
        let scheme = text.firstRange(of: "://").map { text[..<$0.upperBound] } ?? ""
        let rest = text.dropFirst(scheme.count)
        guard let at = rest.lastIndex(of: "@") else { return Redaction.text(text) }
        return Redaction.text("\(scheme)\(Redaction.mark)\(rest[at...])")
    }
}

extension Substring {
    /// Without blanks at both ends.
    fileprivate var trimmed: Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
        var text = self[...]
        while let last = text.last, predicate(last) { text.removeLast() }
        return String(text)
    }
}
