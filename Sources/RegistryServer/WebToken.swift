// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import OCI

/// A JSON web token, its parts not yet trusted.
///
/// Specification: RFC 7519; the claims of registries are those of Docker's token authentication.
struct WebToken {
    let algorithm: String
    let claims: JSONValue
    private let signed: [UInt8]
    private let signature: [UInt8]

    /// Reads a token; `nil` where the text is none.
    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Base64.decode(parts[0]), let body = Base64.decode(parts[1]),
            let signature = Base64.decode(parts[2]), let header = try? JSONValue(parsing: head),
            let claims = try? JSONValue(parsing: body), let algorithm = header["alg"]?.string
        else { return nil }
        (self.algorithm, self.claims, self.signature) = (algorithm, claims, signature)
        signed = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// Writes a token that only we can have written.
    static func make(_ claims: JSONValue, key: [UInt8]) -> String {
        let head = Base64.encode(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8))
        let signed = "\(head).\(Base64.encode(Array(claims.canonical.utf8)))"
        return "\(signed).\(Base64.encode(hmac(Array(signed.utf8), key: key)))"
    }

    /// Whether we wrote it.
    func isOurs(key: [UInt8]) -> Bool { algorithm == "HS256" && isEqual(signature, hmac(signed, key: key)) }

    /// Whether the owner of a key wrote it.
    func isSigned(by key: PublicKey) -> Bool { key.hasSigned(signed, signature, algorithm) }

    /// Whether it counts now; the clock of who made it may be some seconds before or behind ours.
    func isCurrent(at now: Int64, leeway: Int64 = 0) -> Bool {
        guard let end = claims["exp"]?.int, now - leeway < end else { return false }
        return (claims["nbf"]?.int ?? now) <= now + leeway
    }

    /// Whom it was made for.
    func isFor(_ service: String) -> Bool {
        claims["aud"]?.string == service || (claims["aud"]?.texts ?? []).contains(service)
    }

    /// What it lets somebody do.
    var caller: Caller {
        var granted: [String: Set<Action>] = [:]
        var catalog = false
        for entry in claims["access"]?.array ?? [] {
            guard let name = entry["name"]?.string else { continue }
            let actions = entry["actions"]?.texts ?? []
            if entry["type"]?.string == "registry" { catalog = catalog || (name == "catalog" && actions.contains("*")) }
            guard entry["type"]?.string == "repository" else { continue }
            let known = actions.contains("*") ? [.pull, .push, .delete] : actions.compactMap(Action.init)
            granted[name, default: []].formUnion(known)
        }
        let user = claims["sub"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        return Caller(user: user, rights: .some(granted, catalog: catalog))
    }
}
