// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// Azure's published schemas of request bodies, where a folder of them is given.
///
/// The folder holds `request-schemas/PROVIDER-TYPE-VERSION.json`: JSON Schema 2020-12, of which the words that these
/// files use are checked.
struct RequestSchemas: Sendable {
    /// By type in lower case, each by version.
    private var schemas: [String: [String: JSONValue]] = [:]

    /// Whether there are any.
    var isEmpty: Bool { schemas.isEmpty }

    /// How many there are.
    var count: Int { schemas.values.map(\.count).reduce(0, +) }

    init(_ folder: String?) throws {
        guard let folder else { return }
        let place = folder + "/request-schemas"
        for name in DiskFile.names(in: place) where name.hasSuffix(".json") {
            guard let bytes = try DiskFile.read("\(place)/\(name)", limit: 32 << 20) else { continue }
            let schema: JSONValue
            do {
                schema = try JSONValue(parsing: bytes)
            } catch {
                throw EmulatorError(message: "the schema \(place)/\(name): \(error)")
            }
            // `Microsoft.ContainerInstance/containerGroups@2025-09-01`.
            let title = (schema["title"]?.string ?? "").split(separator: "@").map(String.init)
            guard title.count == 2 else { continue }
            schemas[title[0].lowercased(), default: [:]][title[1]] = schema
        }
        guard !schemas.isEmpty else {
            throw EmulatorError(message: "\(folder) has no schema: expected files in \(place)")
        }
    }

    /// Checks a request's body by the schema of its version, or of the next later one that is there; previews of a
    /// version lie before it.
    ///
    /// - Returns: What is wrong; `nil` where nothing is, or there is no schema to say so.
    func fault(_ body: JSONValue, _ type: String, _ version: String) -> SchemaFault? {
        guard let versions = schemas[type.lowercased()] else { return nil }
        let day = String(version.prefix(10))
        guard
            let schema = versions[version]
                ?? versions.keys.sorted().first(where: { $0 >= day }).flatMap({ versions[$0] })
        else { return nil }
        var check = SchemaCheck(definitions: schema["$defs"] ?? [:])
        return check.fault(body, schema, [])
    }
}

/// What is wrong with a document, and where.
struct SchemaFault: Error {
    let path: String
    let message: String
    /// The member that is unknown; `nil` where that is not the fault.
    var unknown: String?
}

/// Checks a document by a schema.
struct SchemaCheck {
    let definitions: JSONValue
    private var depth = 0

    init(definitions: JSONValue) { self.definitions = definitions }

    mutating func fault(_ value: JSONValue, _ schema: JSONValue, _ path: [String]) -> SchemaFault? {
        guard depth < 64 else { return nil }
        depth += 1
        defer { depth -= 1 }
        let place = path.joined(separator: ".")
        if let name = schema["$ref"]?.string, let target = definitions[String(name.dropFirst("#/$defs/".count))] {
            if let fault = fault(value, target, path) { return fault }
        }
        for part in schema["allOf"]?.array ?? [] { if let fault = fault(value, part, path) { return fault } }
        // Members that are null count as left out.
        if value == .null { return nil }
        if let type = schema["type"]?.string, !SchemaCheck.isOf(type, value) {
            return SchemaFault(
                path: place,
                message: "Error converting value \(SchemaCheck.short(value)) to type '\(type)'."
            )
        }
        if let allowed = schema["enum"]?.array, schema["x-open-enum"]?.bool != true,
            !allowed.contains(where: { SchemaCheck.isSame($0, value) })
        {
            let list = allowed.compactMap(\.string).joined(separator: ", ")
            return SchemaFault(
                path: place,
                message: "The value \(SchemaCheck.short(value)) is not one of the allowed values: \(list)."
            )
        }
        if let number = value.number {
            if let least = schema["minimum"]?.number, number < least {
                return SchemaFault(path: place, message: "\(SchemaCheck.short(value)) is less than \(Int(least)).")
            }
            if let most = schema["maximum"]?.number, number > most {
                return SchemaFault(path: place, message: "\(SchemaCheck.short(value)) is more than \(Int(most)).")
            }
        }
        if let list = value.array { return elementFault(list, schema, path) }
        return value.object.flatMap { memberFault($0, schema, path) }
    }

    private mutating func elementFault(_ list: [JSONValue], _ schema: JSONValue, _ path: [String]) -> SchemaFault? {
        if let most = schema["maxItems"]?.int, list.count > most {
            return SchemaFault(path: path.joined(separator: "."), message: "It has more than \(most) elements.")
        }
        guard let items = schema["items"] else { return nil }
        for (index, element) in list.enumerated() {
            let place = path.dropLast() + ["\(path.last ?? "")[\(index)]"]
            if let fault = fault(element, items, Array(place)) { return fault }
        }
        return nil
    }

    private mutating func memberFault(
        _ members: [String: JSONValue],
        _ schema: JSONValue,
        _ path: [String]
    ) -> SchemaFault? {
        let known = schema["properties"]?.object
        for name in schema["required"]?.texts ?? []
        where !(JSONValue.object(members).member(name)?.isSomething ?? false) {
            return SchemaFault(
                path: path.joined(separator: "."),
                message: "Required property '\(name)' not found in JSON."
            )
        }
        for (name, member) in members.sorted(by: { $0.key < $1.key }) {
            let place = path + [name]
            if let schema = known.flatMap({ JSONValue.object($0).member(name) }) {
                if let fault = fault(member, schema, place) { return fault }
                continue
            }
            switch schema["additionalProperties"] {
            case .bool(false)?:
                let kind = path.last.map { $0.prefix { $0 != "[" } } ?? "resource"
                return SchemaFault(
                    path: place.joined(separator: "."),
                    message: "Could not find member '\(name)' on object of type '\(kind)'.",
                    unknown: name
                )
            case let rest? where rest.object != nil:
                if let fault = fault(member, rest, place) { return fault }
            default: break
            }
        }
        return nil
    }

    private static func isOf(_ type: String, _ value: JSONValue) -> Bool {
        switch type {
        case "object": value.object != nil
        case "array": value.array != nil
        case "string": value.string != nil
        case "boolean": value.bool != nil
        case "integer": if case .int = value { true } else { false }
        case "number": value.number != nil
        default: true
        }
    }

    /// Whether two values are one to the resource manager, which reads enumerations whatever their case.
    private static func isSame(_ left: JSONValue, _ right: JSONValue) -> Bool {
        left == right || (left.string.flatMap { a in right.string.map { a.lowercased() == $0.lowercased() } } ?? false)
    }

    /// A value for messages; texts may be secrets, so only short plain words are shown.
    private static func short(_ value: JSONValue) -> String {
        if let text = value.string {
            return text.count <= 32 && text.allSatisfy { $0.isLetter || $0.isNumber } ? "\"\(text)\"" : "a text"
        }
        return value.object != nil ? "an object" : value.array != nil ? "a list" : value.canonical
    }
}
