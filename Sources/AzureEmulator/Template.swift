// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// A template with its parameters, ready to be deployed.
///
/// Specification: deployment template schema 2019-04-01.
struct Template: Sendable {
    /// A resource of the template, its expressions not evaluated.
    struct Entry: Sendable {
        let json: JSONValue
        /// `copyIndex()` by the name of the loop.
        var copies: [String: Int64] = [:]
        /// The name that templates of the second language version have for it.
        var symbol: String?
    }

    let scope: TemplateScope
    let entries: [Entry]
    let outputs: JSONValue
    /// The parameters as answers show them: without secrets.
    let shownParameters: JSONValue
    let mode: String

    /// Reads a template; throws in the words of the resource manager.
    init(_ properties: JSONValue, _ scope: TemplateScope) throws(ARMFault) {
        guard let template = properties.member("template"), template.object != nil else {
            throw Template.invalid(
                properties.member("templateLink") == nil
                    ? "The template is missing." : "The emulator fetches no templates: send the template itself."
            )
        }
        mode = properties.member("mode")?.string ?? "Incremental"
        guard template.member("resources") != nil else {
            throw Template.invalid("Required property 'resources' not found in JSON. Path '', line 1, position 1.")
        }
        var scope = scope
        scope.variables = template.member("variables")?.object ?? [:]
        do throws(TemplateFault) {
            (scope.parameters, shownParameters) = try Template.parameters(
                template.member("parameters")?.object ?? [:],
                properties.member("parameters")?.object ?? [:],
                scope
            )
        } catch {
            throw Template.invalid(error.message)
        }
        var entries: [Entry] = []
        do throws(TemplateFault) {
            if let named = template.member("resources")?.object {
                for (symbol, json) in named.sorted(by: { $0.key < $1.key }) where json.member("existing") != true {
                    entries += try Template.expand(json, symbol, scope)
                }
                for (symbol, json) in named {
                    let (id, _) = try Template.identifier(json, Entry(json: json), scope)
                    scope.symbols[symbol.lowercased()] = id
                }
            } else {
                scope.symbols = Template.names(template.member("resources")?.array ?? [], scope)
                for json in template.member("resources")?.array ?? [] {
                    entries += try Template.expand(json, nil, scope)
                }
            }
        } catch {
            throw Template.invalid(error.message)
        }
        (self.entries, self.scope) = (entries, scope)
        outputs = template.member("outputs") ?? [:]
    }

    /// The identifiers of resources by their names, where a name is one resource's only.
    private static func names(_ resources: [JSONValue], _ scope: TemplateScope) -> [String: String] {
        var found: [String: Set<String>] = [:]
        for json in resources where json.member("copy") == nil {
            guard let name = try? scope.value(of: json.member("name") ?? .null).string,
                let (id, _) = try? identifier(json, Entry(json: json), scope)
            else { continue }
            found[name.lowercased(), default: []].insert(id)
        }
        return found.compactMapValues { $0.count == 1 ? $0.first : nil }
    }

    static func invalid(_ message: String) -> ARMFault {
        ARMFault(400, "InvalidTemplate", "Deployment template validation failed: '\(message)'.")
    }

    /// The values of parameters, and what is shown of them.
    private static func parameters(
        _ declared: [String: JSONValue],
        _ given: [String: JSONValue],
        _ scope: TemplateScope
    ) throws(TemplateFault) -> ([String: JSONValue], JSONValue) {
        var scope = scope
        var shown: [String: JSONValue] = [:]
        for name in given.keys where !declared.keys.contains(where: { $0.lowercased() == name.lowercased() }) {
            throw TemplateFault(
                message:
                    "The following parameters were supplied, but do not correspond to any parameters defined in the "
                    + "template: '\(name)'. The parameters defined in the template are: "
                    + "'\(declared.keys.sorted().joined(separator: ", "))'"
            )
        }
        for (name, declaration) in declared.sorted(by: { $0.key < $1.key }) {
            let kind = declaration.member("type")?.string ?? "string"
            let own = JSONValue.object(given).member(name)
            guard own?.member("reference") == nil else {
                throw TemplateFault(message: "The emulator has no key vault: the parameter '\(name)' is a reference")
            }
            var value = own?.member("value")
            if value == nil, let standard = declaration.member("defaultValue") { value = try scope.value(of: standard) }
            guard let value else {
                throw TemplateFault(
                    message: "The value for the template parameter '\(name)' is not provided. Please see "
                        + "https://aka.ms/arm-create-parameter-file for usage details."
                )
            }
            guard fits(value, kind) else {
                throw TemplateFault(
                    message:
                        "Template parameter JToken type is not valid. Expected '\(kind)' for the parameter '\(name)'"
                )
            }
            if let allowed = declaration.member("allowedValues")?.array, !allowed.contains(value) {
                throw TemplateFault(
                    message:
                        "The provided value for the template parameter '\(name)' is not valid. The value is not part "
                        + "of the allowed value(s): '\(allowed.map { $0.string ?? $0.canonical }.joined(separator: ","))'"
                )
            }
            scope.parameters[name] = value
            let isSecret = kind.lowercased().hasPrefix("secure")
            let word = kind.prefix(1).uppercased() + kind.dropFirst()
            shown[name] = isSecret ? ["type": .string(word)] : ["type": .string(word), "value": value]
        }
        return (scope.parameters, .object(shown))
    }

    private static func fits(_ value: JSONValue, _ kind: String) -> Bool {
        switch kind.lowercased() {
        case "string", "securestring": value.string != nil || value == .null
        case "int": if case .int = value { true } else { false }
        case "bool": value.bool != nil
        case "array": value.array != nil
        case "object", "secureobject": value.object != nil
        default: true
        }
    }

    /// A resource, as often as its loop says; none where its condition is not met.
    private static func expand(
        _ json: JSONValue,
        _ symbol: String?,
        _ scope: TemplateScope
    ) throws(TemplateFault) -> [Entry] {
        guard let loop = json.member("copy"), let name = loop.member("name")?.string else {
            let entry = Entry(json: json, symbol: symbol)
            return try isWanted(entry, scope) ? [entry] : []
        }
        let count = try scope.value(of: loop.member("count") ?? 0).int ?? 0
        var entries: [Entry] = []
        for index in 0..<max(0, min(800, count)) {
            let entry = Entry(json: json.with("copy", nil), copies: [name: index], symbol: symbol)
            if try isWanted(entry, scope) { entries.append(entry) }
        }
        return entries
    }

    private static func isWanted(_ entry: Entry, _ scope: TemplateScope) throws(TemplateFault) -> Bool {
        guard let condition = entry.json.member("condition") else { return true }
        var scope = scope
        scope.copies = entry.copies
        return try scope.value(of: condition) == true
    }

    /// The identifier and the version of a resource.
    static func identifier(
        _ json: JSONValue,
        _ entry: Entry,
        _ scope: TemplateScope
    ) throws(TemplateFault) -> (id: String, version: String) {
        var scope = scope
        scope.copies = entry.copies
        let type = (json.member("type")?.string ?? "").split(separator: "/").map(String.init)
        let name = try scope.value(of: json.member("name") ?? .null).string ?? ""
        let names = name.split(separator: "/").map(String.init)
        guard type.count >= 2, names.count == type.count - 1 else {
            throw TemplateFault(
                message:
                    "The template resource '\(name)' for type '\(type.joined(separator: "/"))' has incorrect segment "
                    + "lengths. A nested resource type must have identical number of segments as its resource name."
            )
        }
        let group = scope.group.member("id")?.string ?? ""
        var place = group
        if let own = try json.member("scope").map({ json throws(TemplateFault) in try scope.value(of: json) })?.string {
            place = own.hasPrefix("/") ? own : "\(group)/providers/\(own)"
        }
        let id = zip(type.dropFirst(), names).reduce("\(place)/providers/\(type[0])") { "\($0)/\($1.0)/\($1.1)" }
        return (id, try scope.value(of: json.member("apiVersion") ?? "").string ?? "")
    }

    /// The body of a resource as the resource manager takes it.
    func body(
        _ entry: Entry,
        _ scope: TemplateScope,
        keepsEarly: Bool = false
    ) throws(TemplateFault) -> JSONValue {
        var scope = scope
        scope.copies = entry.copies
        var json = entry.json
        let kind = entry.json.member("type")?.string?.lowercased() ?? ""
        for name in ["type", "apiVersion", "name", "dependsOn", "condition", "comments", "scope", "copy"] {
            json = json.with(name, nil)
        }
        guard kind == Deployments.type.lowercased() else { return try scope.value(of: json, keepsEarly: keepsEarly) }
        for place in ["resourceGroup", "subscriptionId", "location"] where json.member(place) != nil {
            throw TemplateFault(message: "The emulator deploys nested templates to their own resource group only.")
        }
        return try nested(json, scope, keepsEarly: keepsEarly)
    }

    /// The body of a template within this one, whose expressions are its own where it says so.
    private func nested(
        _ json: JSONValue,
        _ scope: TemplateScope,
        keepsEarly: Bool
    ) throws(TemplateFault) -> JSONValue {
        let properties = json.member("properties") ?? [:]
        let isInner = properties[path: "expressionEvaluationOptions", "scope"]?.string?.lowercased() == "inner"
        guard isInner, let template = properties.member("template") else {
            return try scope.value(of: json, keepsEarly: keepsEarly)
        }
        let outer = try scope.value(
            of: json.with("properties", properties.with("template", nil)),
            keepsEarly: keepsEarly
        )
        return outer.with("properties", (outer.member("properties") ?? [:]).with("template", template))
    }

    /// The identifiers, names or symbols that a resource waits for, in lower case.
    func dependencies(_ entry: Entry) throws(TemplateFault) -> [String] {
        var scope = scope
        scope.copies = entry.copies
        return try (entry.json.member("dependsOn")?.array ?? [])
            .map { json throws(TemplateFault) in try scope.value(of: json).string?.lowercased() ?? "" }
            .map { scope.symbols[$0]?.lowercased() ?? $0 }
    }
}
