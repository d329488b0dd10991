// SPDX-License-Identifier: Apache-2.0
public import Azure
internal import OCI

/// A container group as others deploy it: a template for ARM or Bicep, or a command line for `az`.
///
/// No secret is in it, whatever the group holds: each is a parameter, or a variable of the shell.
public struct Template: Sendable {
    /// How it is written.
    public enum Form: String, Sendable, CaseIterable {
        /// An ARM template, JSON.
        case arm
        /// A Bicep file.
        case bicep
        /// A script for a shell, with `az container create`, or `az deployment group create` where that cannot say it.
        case az
    }

    /// A secret that whoever deploys has to give.
    struct Parameter {
        let name: String
        let about: String
        /// Whether it is an object of texts, not one text.
        let isObject: Bool
        let place: SecretPlace

        /// The variable of a shell that holds it: `webDbPassword` is `WEB_DB_PASSWORD`.
        var variable: String {
            name.reduce(into: "") { text, letter in
                if letter.isUppercase { text += "_" }
                text += letter.uppercased()
            }
        }
    }

    let group: ContainerGroup
    let name: String
    let place: Place
    let parameters: [Parameter]

    /// Where a group is deployed to.
    public struct Place: Hashable, Sendable {
        /// The subscription's id; `nil` for the one that `az` has chosen.
        public var subscription: String?
        /// The resource group.
        public var resourceGroup: String

        /// A place.
        ///
        /// - Parameters:
        ///   - subscription: The subscription's id.
        ///   - resourceGroup: The resource group.
        public init(subscription: String? = nil, resourceGroup: String) {
            (self.subscription, self.resourceGroup) = (subscription, resourceGroup)
        }
    }

    /// Prepares to write a group.
    ///
    /// - Parameters:
    ///   - group: What is to be deployed; its secrets may be missing.
    ///   - name: What it is called.
    ///   - place: Where it goes.
    public init(_ group: ContainerGroup, name: String, place: Place) {
        (self.group, self.name, self.place) = (group.writable, name, place)
        var taken: Set<String> = ["name", "location"]
        parameters = group.writable.secretPlaces.map { secret in
            var name = secret.parameter
            var number = 1
            while taken.contains(name) {
                number += 1
                name = "\(secret.parameter)\(number)"
            }
            taken.insert(name)
            var isObject = false
            if case .file(_, nil) = secret.kind { isObject = true }
            return Parameter(name: name, about: secret.text, isObject: isObject, place: secret)
        }
    }

    /// Writes it.
    ///
    /// - Parameter form: How.
    /// - Returns: The text, with a line end.
    public func write(_ form: Form) -> String {
        switch form {
        case .arm: arm.pretty + "\n"
        case .bicep: BicepWriter.write(self)
        case .az: AzureCommand.write(self)
        }
    }

    /// What marks a text as the name of a parameter: no document of ARM has it.
    static let mark = "\u{0}"

    /// The document with the names of parameters, marked, in the places of secrets.
    var marked: ContainerGroup {
        var copy = group
        for parameter in parameters { copy.fill(parameter.place, SecureText(Template.mark + parameter.name)) }
        return copy
    }

    /// The ARM template.
    ///
    /// Specification: `deploymentTemplate.json` of 2019-04-01.
    var arm: JSONValue {
        var resource = Template.armValue(marked.json)
        resource["type"] = "Microsoft.ContainerInstance/containerGroups"
        resource["apiVersion"] = .string(group.apiVersion)
        resource["name"] = "[parameters('name')]"
        resource["location"] = "[parameters('location')]"
        var list: JSONValue = [
            "name": ["type": "string", "defaultValue": .string(name), "metadata": ["description": "The group's name"]],
            "location": [
                "type": "string",
                "defaultValue": .string(group.location ?? "[resourceGroup().location]"),
                "metadata": ["description": "The region"],
            ],
        ]
        for parameter in parameters {
            list[parameter.name] = [
                "type": .string(parameter.isObject ? "secureObject" : "securestring"),
                "metadata": ["description": .string(parameter.about)],
            ]
        }
        var template: JSONValue = [
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0", "parameters": list, "resources": [resource],
        ]
        if let address = group.address {
            let id = "resourceId('Microsoft.ContainerInstance/containerGroups', parameters('name'))"
            let read = { (member: String) -> JSONValue in
                ["type": "string", "value": .string("[reference(\(id)).ipAddress.\(member)]")]
            }
            template["outputs"] = ["ip": read("ip")]
            if address.label != nil { template["outputs"]?["fqdn"] = read("fqdn") }
        }
        return template
    }

    /// Texts that ARM would take for expressions are written so that it does not.
    private static func armValue(_ value: JSONValue) -> JSONValue {
        switch value {
        case .string(let text) where text.hasPrefix(mark): .string("[parameters('\(text.dropFirst())')]")
        case .string(let text) where text.hasPrefix("[") && text.hasSuffix("]"): .string("[" + text)
        case .array(let elements): .array(elements.map { armValue($0) })
        case .object(let members): .object(members.mapValues { armValue($0) })
        default: value
        }
    }
}
