// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import OCI

/// Writes a group in Bicep.
///
/// Specification: Bicep language reference, "Data types": texts in single quotes, no numbers with a fraction.
enum BicepWriter {
    static func write(_ template: Template) -> String {
        let group = template.group
        var lines = [
            "@description('The group\\'s name')", "param name string = \(text(template.name))", "",
            "@description('The region')",
            "param location string = \(group.location.map(text) ?? "resourceGroup().location")", "",
        ]
        for parameter in template.parameters {
            lines += ["@description(\(text(parameter.about)))", "@secure()"]
            lines += ["param \(parameter.name) \(parameter.isObject ? "object" : "string")", ""]
        }
        var body = template.marked.json
        (body["location"], body["name"]) = (nil, nil)
        lines.append("resource group 'Microsoft.ContainerInstance/containerGroups@\(group.apiVersion)' = {")
        lines += ["  name: name", "  location: location"]
        lines += members(body.object ?? [:], "  ")
        lines += ["}"]
        if let address = group.address {
            lines += ["", "output ip string = group.properties.ipAddress.ip"]
            if address.label != nil { lines.append("output fqdn string = group.properties.ipAddress.fqdn") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func members(_ members: [String: JSONValue], _ indent: String) -> [String] {
        members.keys.sorted().map { "\(indent)\(key($0)): \(value(members[$0] ?? .null, indent))" }
    }

    private static func value(_ value: JSONValue, _ indent: String) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): "\(number)"
        case .decimal: "json('\(value.canonical)')"
        case .string(let string) where string.hasPrefix(Template.mark): String(string.dropFirst())
        case .string(let string): text(string)
        case .array(let elements):
            block("[", elements.map { "\(indent)  \(self.value($0, indent + "  "))" }, "]", indent)
        case .object(let members): block("{", self.members(members, indent + "  "), "}", indent)
        }
    }

    private static func block(_ open: String, _ lines: [String], _ close: String, _ indent: String) -> String {
        lines.isEmpty ? open + close : ([open] + lines + [indent + close]).joined(separator: "\n")
    }

    private static func key(_ name: String) -> String {
        let isPlain =
            name.utf8.first.map { !(0x30...0x39).contains($0) } == true
            && name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F
            }
        return isPlain ? name : text(name)
    }

    static func text(_ string: String) -> String {
        var result = "'"
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "'": result += "\\'"
            case "$": result += "\\$"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20: result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "'"
    }
}
