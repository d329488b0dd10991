// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store
internal import Synchronization

/// Kubernetes's published OpenAPI document, where it was given: what members objects have, and what kubectl asks for.
///
/// It is looked for as `openapi-*.json` in the folder of specifications, in its `kubernetes`, and in `kubernetes` beside
/// it.
final class KubeSchemas: Sendable {
    /// The document; `nil` where none was given.
    let document: JSONValue?
    private let definitions: JSONValue
    /// Names of definitions by `apiVersion` and kind.
    private let names: [String: String]
    /// The document as protocol buffers, made when it is first asked for.
    private let encoded = Mutex<[UInt8]?>(nil)

    /// Something that is wrong with a document.
    struct Fault: Sendable {
        /// `spec.template.spec.containers[0].image`.
        let path: String
        /// What was expected and what was found; `nil` for a member that is not known.
        let message: String?
    }

    init(_ folder: String?) throws {
        var found: JSONValue?
        for place in [folder, folder.map { $0 + "/kubernetes" }, folder.map { $0 + "/../kubernetes" }] {
            guard found == nil, let place else { continue }
            for name in DiskFile.names(in: place) where name.hasPrefix("openapi-") && name.hasSuffix(".json") {
                guard let bytes = try DiskFile.read("\(place)/\(name)", limit: 32 << 20) else { continue }
                do {
                    found = try JSONValue(parsing: bytes)
                } catch {
                    throw EmulatorError(message: "Kubernetes's OpenAPI document \(place)/\(name): \(error)")
                }
            }
        }
        document = found
        definitions = found?["definitions"] ?? [:]
        var names: [String: String] = [:]
        for (name, definition) in definitions.object ?? [:] {
            for entry in definition["x-kubernetes-group-version-kind"]?.array ?? [] {
                let group = entry.text("group")
                let version = group.isEmpty ? entry.text("version") : "\(group)/\(entry.text("version"))"
                names["\(version) \(entry.text("kind"))"] = name
            }
        }
        self.names = names
    }

    // MARK: Documents for kubectl

    /// The document that kubectl is given: the published one, or one that knows kinds and nothing of their members.
    var shown: JSONValue {
        if let document { return document }
        var definitions: [String: JSONValue] = [:]
        var paths: [String: JSONValue] = [:]
        for type in KubeType.all {
            let name: JSONValue = [
                "group": .string(type.group), "version": .string(type.version), "kind": .string(type.kind),
            ]
            definitions["emulated.\(type.qualifiedKind)"] = [
                "type": "object", "x-kubernetes-group-version-kind": [name],
            ]
            let prefix = type.group.isEmpty ? "/api/v1" : "/apis/\(type.apiVersion)"
            let parameter = { (name: String) -> JSONValue in
                ["name": .string(name), "in": "query", "type": "string", "uniqueItems": true]
            }
            let operation: JSONValue = [
                "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
                "responses": [:], "x-kubernetes-group-version-kind": name,
            ]
            let scope = type.isNamespaced ? "/namespaces/{namespace}" : ""
            paths["\(prefix)\(scope)/\(type.plural)/{name}"] = ["patch": operation]
        }
        return [
            "swagger": "2.0", "info": ["title": "Kubernetes", "version": .string(KubernetesCluster.version)],
            "paths": .object(paths), "definitions": .object(definitions),
        ]
    }

    /// The document as kubectl before 1.27 wants it.
    var protocolBuffers: [UInt8] {
        encoded.withLock { bytes in
            if let bytes { return bytes }
            let made = OpenAPIEncoder.encode(shown)
            bytes = made
            return made
        }
    }

    // MARK: Checking

    /// All that is wrong with the form of an object; members that are not known come without a message.
    func faults(_ object: JSONValue, _ type: KubeType) -> [Fault] {
        guard let name = names["\(type.apiVersion) \(type.kind)"], let schema = definitions[name] else { return [] }
        var faults: [Fault] = []
        check(object, schema, "", &faults)
        return faults
    }

    /// An object without members that are not known.
    func pruned(_ object: JSONValue, _ type: KubeType) -> JSONValue {
        guard let name = names["\(type.apiVersion) \(type.kind)"], let schema = definitions[name] else { return object }
        return pruned(object, schema)
    }

    private func resolved(_ schema: JSONValue) -> JSONValue {
        guard let reference = schema["$ref"]?.string else { return schema }
        return definitions[String(reference.dropFirst("#/definitions/".count))] ?? [:]
    }

    private func check(_ value: JSONValue, _ given: JSONValue, _ path: String, _ faults: inout [Fault]) {
        guard value != .null, faults.count < 64 else { return }
        let schema = resolved(given)
        if let wanted = expected(value, schema) {
            faults.append(Fault(path: path, message: "expected \(wanted), got \(Self.kind(value))"))
            return
        }
        if let elements = value.array, let items = schema["items"] {
            for (index, element) in elements.enumerated() { check(element, items, "\(path)[\(index)]", &faults) }
        }
        guard let members = value.object else { return }
        let known = schema["properties"]
        for (name, member) in members.sorted(by: { $0.key < $1.key }) {
            let place = path.isEmpty ? name : "\(path).\(name)"
            if let inner = known?[name] {
                check(member, inner, place, &faults)
            } else if let inner = schema["additionalProperties"], inner.object != nil {
                check(member, inner, place, &faults)
            } else if known != nil {
                faults.append(Fault(path: place, message: nil))
            }
        }
    }

    private func pruned(_ value: JSONValue, _ given: JSONValue) -> JSONValue {
        let schema = resolved(given)
        if let elements = value.array, let items = schema["items"] { return .array(elements.map { pruned($0, items) }) }
        guard let members = value.object else { return value }
        var result: [String: JSONValue] = [:]
        for (name, member) in members {
            if let inner = schema["properties"]?[name] {
                result[name] = pruned(member, inner)
            } else if let inner = schema["additionalProperties"], inner.object != nil {
                result[name] = pruned(member, inner)
            } else if schema["properties"] == nil {
                result[name] = member
            }
        }
        return .object(result)
    }

    /// What should be there in place of a value; `nil` where it may be there.
    private func expected(_ value: JSONValue, _ schema: JSONValue) -> String? {
        switch schema["type"]?.string {
        case "object"?: return value.object == nil ? "map" : nil
        case "array"?: return value.array == nil ? "list" : nil
        case "boolean"?: return value.bool == nil ? "boolean" : nil
        case "integer"?: if case .int = value { return nil } else { return "numeric (int or float)" }
        case "number"?: return value.number == nil ? "numeric (int or float)" : nil
        case "string"?:
            if value.string != nil { return nil }
            // Amounts and ports are published as texts, and may be numbers.
            let isLoose = schema["format"] == "int-or-string" || (schema["description"]?.string ?? "").contains("Quantity")
            return isLoose && value.number != nil ? nil : "string"
        default: return nil
        }
    }

    private static func kind(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .int, .decimal: "number"
        case .string: "string"
        case .array: "list"
        case .object: "map"
        }
    }
}
