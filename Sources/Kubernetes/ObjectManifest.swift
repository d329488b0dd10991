// SPDX-License-Identifier: Apache-2.0
public import OCI

/// An object of Kubernetes' interface as it is applied, with remarks for people who read it.
public struct ObjectManifest: Hashable, Sendable, CustomStringConvertible {
    /// The object; that of a Secret has the secrets.
    public var json: JSONValue
    /// Remarks by the place that they stand above.
    ///
    /// A place is members from the outermost, and elements of arrays by their index; an empty one is the whole document.
    public var comments: [[String]: String] = [:]

    /// A manifest.
    ///
    /// - Parameter json: The object, with `apiVersion`, `kind` and `metadata.name`.
    public init(_ json: JSONValue) { self.json = json }

    /// `apps/v1`, `v1`.
    public var apiVersion: String { json["apiVersion"]?.string ?? "" }
    /// `Deployment`, `Service`.
    public var kind: String { json["kind"]?.string ?? "" }
    /// What the object is called.
    public var name: String { json["metadata"]?["name"]?.string ?? "" }
    /// Where it lives; `nil` where that is not said, or it lives nowhere.
    public var namespace: String? { json["metadata"]?["namespace"]?.string }

    /// Kind and name, as `kubectl` writes them: `deployment/web`.
    public var description: String { "\(kind.lowercased())/\(name)" }

    /// The object without what is secret in it: members of a Secret's `data` are `•••`.
    public var redacted: JSONValue {
        guard kind == "Secret" else { return json }
        var json = json
        for member in ["data", "stringData"] {
            if let data = json[member]?.object { json[member] = .object(data.mapValues { _ in "•••" }) }
        }
        return json
    }
}

extension ObjectManifest {
    /// Base64 as RFC 4648 has it, with its `=`.
    static func base64(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0..<4 {
                let isUsed = place <= group.count
                result.append(isUsed ? letters[word >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
