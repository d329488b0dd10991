// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import RegistryServer

/// Whether what somebody sent has the form of an object of a type.
struct FormCheck {
    let schemas: KubeSchemas
    let type: KubeType

    /// Checks an object.
    ///
    /// - Parameters:
    ///   - object: As it was sent.
    ///   - validation: `Strict`, `Warn` or `Ignore`: what becomes of members that are not known; `Apply` for objects
    ///     that are applied, where they are always refused.
    /// - Returns: The object without members that are not known, and what to tell the client.
    func check(_ object: JSONValue, _ validation: String) throws(KubeFault) -> (JSONValue, warnings: [String]) {
        let faults = schemas.faults(object, type)
        if let wrong = faults.first(where: { $0.message != nil }) {
            let text = wrong.message ?? ""
            if validation == "Apply" { throw applyFault(object, [".\(wrong.path): \(text)"]) }
            throw .badRequest(
                "\(type.kind) in version \"\(type.version)\" cannot be handled as a \(type.kind): json: cannot unmarshal "
                    + "field \(wrong.path): \(text)"
            )
        }
        try checkData(object)
        let unknown = faults.map(\.path)
        guard !unknown.isEmpty else { return (object, []) }
        let texts = unknown.map { "unknown field \"\($0)\"" }
        switch validation {
        case "Apply": throw applyFault(object, unknown.map { ".\($0): field not declared in schema" })
        case "Strict":
            throw .badRequest("strict decoding error: \(texts.joined(separator: ", "))")
        default: return (schemas.pruned(object, type), validation == "Ignore" ? [] : texts)
        }
    }

    /// As server-side apply says it, which is no error of the client's in the eyes of the server.
    private func applyFault(_ object: JSONValue, _ texts: [String]) -> KubeFault {
        let place = "\(object.kubeNamespace)/\(object.kubeName); \(type.described)"
        let text = texts.count == 1 ? texts[0] : "errors:\n" + texts.map { "  \($0)" }.joined(separator: "\n")
        return KubeFault(500, "", "failed to create typed patch object (\(place)): \(text)")
    }

    private func checkData(_ object: JSONValue) throws(KubeFault) {
        guard type == .secrets || type == .configMaps else { return }
        for (name, value) in object[type == .secrets ? "data" : "binaryData"]?.object ?? [:] {
            guard let text = value.string, PaddedBase64.isOne(text) else {
                throw .badRequest(
                    "\(type.kind) in version \"v1\" cannot be handled as a \(type.kind): illegal base64 data of \(name)"
                )
            }
        }
        for field in type == .secrets ? ["stringData"] : ["data"] {
            for (name, value) in object[field]?.object ?? [:] where value.string == nil && value != .null {
                throw .badRequest(
                    "\(type.kind) in version \"v1\" cannot be handled as a \(type.kind): json: cannot unmarshal field "
                        + "\(field).\(name): expected string"
                )
            }
        }
    }
}
