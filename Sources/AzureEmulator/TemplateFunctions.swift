// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import RegistryServer

/// The functions of the template language.
///
/// Specification: "ARM template functions"; those about dates, lambdas and deployments at other scopes are not there.
struct TemplateFunctions {
    let scope: TemplateScope

    func call(_ name: String, _ values: [JSONValue]) throws(TemplateFault) -> JSONValue {
        if let found = try ofScope(name, values) { return found }
        if let found = try ofTexts(name, values) { return found }
        if let found = try ofLists(name, values) { return found }
        if let found = try ofLogic(name, values) { return found }
        if name.hasPrefix("list"), let id = values.first?.string { return try scope.list(name, identifier(id)) }
        throw TemplateFault(
            message: "The template function '\(name)' is not valid, or the emulator does not have it."
        )
    }

    private func text(_ values: [JSONValue], _ place: Int) throws(TemplateFault) -> String {
        guard values.indices.contains(place), let text = values[place].string else {
            throw TemplateFault(message: "A template function expects a text as its parameter \(place + 1).")
        }
        return text
    }

    private func number(_ values: [JSONValue], _ place: Int) throws(TemplateFault) -> Int64 {
        guard values.indices.contains(place), let number = values[place].int else {
            throw TemplateFault(message: "A template function expects a number as its parameter \(place + 1).")
        }
        return number
    }

    // MARK: What there is

    private func ofScope(_ name: String, _ values: [JSONValue]) throws(TemplateFault) -> JSONValue? {
        switch name {
        case "parameters": return try scope.parameter(text(values, 0))
        case "variables": return try scope.variable(text(values, 0))
        case "resourcegroup": return scope.group
        case "subscription":
            return [
                "id": .string("/subscriptions/\(scope.subscription)"), "subscriptionId": .string(scope.subscription),
                "tenantId": .string(scope.tenant), "displayName": "Emulated",
            ]
        case "tenant": return ["tenantId": .string(scope.tenant)]
        case "deployment": return ["name": .string(scope.deployment)]
        case "environment":
            return [
                "name": "AzureEmulator", "suffixes": ["acrLoginServer": ".azurecr.io", "storage": "core.windows.net"],
                "resourceManager": "https://management.azure.com/",
            ]
        case "resourceid": return .string(try resourceID(values))
        case "subscriptionresourceid":
            var rest = values
            if rest.count > 1, let first = rest.first?.string, Identifier.isOne(first) { rest.removeFirst() }
            return .string(try join("/subscriptions/\(scope.subscription)", rest))
        case "tenantresourceid": return .string(try join("", values))
        case "extensionresourceid": return .string(try join(text(values, 0), Array(values.dropFirst())))
        case "reference":
            let isFull = values.count > 2 && values[2].string?.lowercased() == "full"
            return try scope.reference(identifier(text(values, 0)), isFull)
        case "copyindex":
            let named = values.first?.string
            guard let index = named.map({ scope.copies[$0] }) ?? scope.copies.values.first else {
                throw TemplateFault(message: "The template function 'copyIndex' is not expected at this location.")
            }
            let offset = values.last?.int ?? 0
            return .int(index + offset)
        case "utcnow": return .string(Moment.text())
        case "newguid": return .string(Identifier.random())
        case "guid": return .string(TemplateScope.guid(values.map { $0.string ?? $0.canonical }))
        case "uniquestring": return .string(TemplateScope.uniqueString(values.map { $0.string ?? $0.canonical }))
        default: return nil
        }
    }

    /// A symbolic name, a name or an identifier as an identifier.
    private func identifier(_ text: String) -> String { scope.symbols[text.lowercased()] ?? text }

    private func resourceID(_ values: [JSONValue]) throws(TemplateFault) -> String {
        // A subscription and a group may come before the type, which has a slash in it.
        guard let place = values.firstIndex(where: { $0.string?.contains("/") ?? false }) else {
            throw TemplateFault(message: "The template function 'resourceId' has no resource type.")
        }
        let head = values[..<place].compactMap(\.string)
        let group = head.last.flatMap { Identifier.isOne($0) ? nil : $0 } ?? scope.group.member("name")?.string ?? ""
        let subscription = head.first.flatMap { Identifier.isOne($0) ? $0 : nil } ?? scope.subscription
        return try join("/subscriptions/\(subscription)/resourceGroups/\(group)", Array(values[place...]))
    }

    private func join(_ scope: String, _ values: [JSONValue]) throws(TemplateFault) -> String {
        let type = try text(values, 0).split(separator: "/").map(String.init)
        let names = values.dropFirst().compactMap(\.string)
        guard type.count >= 2, names.count == type.count - 1 else {
            throw TemplateFault(
                message:
                    "Unable to evaluate template language function 'resourceId': the type '\(type.joined(separator: "/"))' "
                    + "requires '\(max(0, type.count - 1))' resource name argument(s)."
            )
        }
        return zip(type.dropFirst(), names).reduce("\(scope)/providers/\(type[0])") { "\($0)/\($1.0)/\($1.1)" }
    }

    // MARK: Texts

    private func ofTexts(_ name: String, _ values: [JSONValue]) throws(TemplateFault) -> JSONValue? {
        switch name {
        case "concat":
            if values.contains(where: { $0.array != nil }) { return .array(values.flatMap { $0.array ?? [] }) }
            return .string(values.map { $0.string ?? $0.canonical }.joined())
        case "format": return .string(try format(values))
        case "tolower": return .string(try text(values, 0).lowercased())
        case "toupper": return .string(try text(values, 0).uppercased())
        case "trim": return .string(try text(values, 0).trimmed)
        case "replace":
            return .string(try replace(text(values, 0), text(values, 1), text(values, 2)))
        case "split":
            let (whole, letter) = (try text(values, 0), values.count > 1 ? values[1].string ?? "," : ",")
            return JSONValue(whole.split(separator: letter, omittingEmptySubsequences: false).map(String.init))
        case "join": return .string((values.first?.texts ?? []).joined(separator: try text(values, 1)))
        case "substring":
            let rest = try text(values, 0).dropFirst(Int(number(values, 1)))
            return .string(String(values.count > 2 ? rest.prefix(Int(try number(values, 2))) : rest))
        case "startswith": return .bool(try text(values, 0).lowercased().hasPrefix(text(values, 1).lowercased()))
        case "endswith": return .bool(try text(values, 0).lowercased().hasSuffix(text(values, 1).lowercased()))
        case "padleft":
            let (whole, count) = (try text(values, 0), Int(try number(values, 1)))
            let letter = values.count > 2 ? try text(values, 2) : " "
            return .string(String(repeating: letter, count: max(0, count - whole.count)) + whole)
        case "string": return .string(values.first?.string ?? values.first?.canonical ?? "")
        case "int":
            guard let number = values.first?.int ?? values.first?.string.flatMap({ Int64($0) }) else {
                throw TemplateFault(message: "The template function 'int' expects a number.")
            }
            return .int(number)
        case "json":
            guard let value = try? JSONValue(parsing: Array(text(values, 0).utf8)) else {
                throw TemplateFault(message: "The template function 'json' expects JSON.")
            }
            return value
        case "base64": return .string(StandardBase64.encode(Array(try text(values, 0).utf8)))
        case "base64tostring": return .string(String(decoding: Base64.decode(try text(values, 0)) ?? [], as: UTF8.self))
        case "uri": return .string(try text(values, 0) + text(values, 1))
        default: return nil
        }
    }

    private func replace(_ whole: String, _ old: String, _ new: String) -> String {
        old.isEmpty ? whole : whole.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
    }

    private func format(_ values: [JSONValue]) throws(TemplateFault) -> String {
        var result = try text(values, 0)
        for (place, value) in values.dropFirst().enumerated() {
            result = replace(result, "{\(place)}", value.string ?? value.canonical)
        }
        return result
    }

    // MARK: Lists and objects

    private func ofLists(_ name: String, _ values: [JSONValue]) throws(TemplateFault) -> JSONValue? {
        switch name {
        case "createarray": return .array(values)
        case "createobject":
            var members: [String: JSONValue] = [:]
            for place in stride(from: 0, to: values.count - 1, by: 2) {
                members[try text(values, place)] = values[place + 1]
            }
            return .object(members)
        case "array": return values.first.map { $0.array == nil ? .array([$0]) : $0 }
        case "length":
            let value = values.first
            return .int(Int64(value?.array?.count ?? value?.object?.count ?? value?.string?.count ?? 0))
        case "empty":
            let value = values.first ?? .null
            return .bool(
                value == .null || value.array?.isEmpty ?? value.object?.isEmpty ?? value.string?.isEmpty ?? false
            )
        case "contains":
            guard let whole = values.first, values.count > 1 else { throw scope.wrongCount(name) }
            if let list = whole.array { return .bool(list.contains(values[1])) }
            let part = try text(values, 1)
            return .bool(whole.object != nil ? whole.member(part) != nil : whole.string?.contains(part) ?? false)
        case "first":
            return values.first?.array?.first ?? values.first?.string?.first.map { .string(String($0)) } ?? .null
        case "last": return values.first?.array?.last ?? values.first?.string?.last.map { .string(String($0)) } ?? .null
        case "take", "skip":
            let count = Int(try number(values, 1))
            if let list = values.first?.array {
                return .array(Array(name == "take" ? list.prefix(count) : list.dropFirst(count)))
            }
            let whole = try text(values, 0)
            return .string(String(name == "take" ? whole.prefix(count) : whole.dropFirst(count)))
        case "union":
            if values.first?.array != nil {
                return .array(
                    values.flatMap { $0.array ?? [] }.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
                )
            }
            return values.reduce([:]) { all, next in (next.object ?? [:]).reduce(all) { $0.with($1.key, $1.value) } }
        case "range":
            let start = try number(values, 0)
            return .array((0..<(try number(values, 1))).map { .int(start + $0) })
        default: return nil
        }
    }

    // MARK: Logic and numbers

    private func ofLogic(_ name: String, _ values: [JSONValue]) throws(TemplateFault) -> JSONValue? {
        switch name {
        case "equals": return .bool(values.count == 2 && same(values[0], values[1]))
        case "not": return .bool(values.first != true)
        case "and": return .bool(values.allSatisfy { $0 == true })
        case "or": return .bool(values.contains(true))
        case "true": return true
        case "false": return false
        case "null": return .null
        case "bool":
            return .bool(values.first == true || values.first?.string?.lowercased() == "true" || values.first == 1)
        case "coalesce": return values.first { $0 != .null } ?? .null
        case "greater": return .bool(try number(values, 0) > number(values, 1))
        case "greaterorequals": return .bool(try number(values, 0) >= number(values, 1))
        case "less": return .bool(try number(values, 0) < number(values, 1))
        case "lessorequals": return .bool(try number(values, 0) <= number(values, 1))
        case "add": return .int(try number(values, 0) + number(values, 1))
        case "sub": return .int(try number(values, 0) - number(values, 1))
        case "mul": return .int(try number(values, 0) * number(values, 1))
        case "div", "mod":
            let divisor = try number(values, 1)
            guard divisor != 0 else { throw TemplateFault(message: "The template function '\(name)' divides by zero.") }
            return .int(name == "div" ? try number(values, 0) / divisor : try number(values, 0) % divisor)
        case "min": return (values.first?.array ?? values).compactMap(\.int).min().map { .int($0) } ?? .null
        case "max": return (values.first?.array ?? values).compactMap(\.int).max().map { .int($0) } ?? .null
        default: return nil
        }
    }

    /// Texts are equal whatever their case.
    private func same(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if let left = left.string, let right = right.string { return left.lowercased() == right.lowercased() }
        return left == right
    }
}

/// Bytes as letters with padding.
///
/// Specification: RFC 4648, section 4.
enum StandardBase64 {
    static func encode(_ bytes: [UInt8]) -> String {
        let text = Base64.encode(bytes).map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
        return String(text) + String(repeating: "=", count: (4 - text.count % 4) % 4)
    }
}

extension String {
    /// Without blanks at its ends.
    var trimmed: String {
        var text = self[...]
        while text.first?.isWhitespace ?? false { text = text.dropFirst() }
        while text.last?.isWhitespace ?? false { text = text.dropLast() }
        return String(text)
    }
}
