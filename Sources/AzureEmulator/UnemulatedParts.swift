// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What Azure's container groups can have and these cannot: it is refused, and never taken without a word.
struct UnemulatedParts {
    let name: String
    let body: JSONValue

    private var properties: JSONValue { body.member("properties") ?? [:] }

    /// Throws what the emulator does not have.
    func check() throws(ARMFault) {
        for part in ["encryptionProperties", "confidentialComputeProperties", "extensions", "dnsConfig", "diagnostics"]
        where UnemulatedParts.isSaid(properties.member(part)) {
            throw refusal("properties.\(part)")
        }
        if let sku = properties.member("sku")?.string, sku.lowercased() != "standard" {
            throw refusal("the sku '\(sku)'")
        }
        for kind in ["containers", "initContainers"] {
            for (index, container) in (properties.member(kind)?.array ?? []).enumerated() {
                try check(container.member("properties") ?? [:], "properties.\(kind)[\(index)].properties")
            }
        }
        for (index, volume) in (properties.member("volumes")?.array ?? []).enumerated() {
            let place = "properties.volumes[\(index)]"
            if volume.member("secretReference")?.isSomething ?? false { throw refusal("\(place).secretReference") }
            let share = volume.member("azureFile")
            for part in ["storageAccountKeyReference", "userAssignedIdentityClientId"]
            where share?.member(part)?.isSomething ?? false {
                throw refusal("\(place).azureFile.\(part)")
            }
        }
        for (index, credential) in (properties.member("imageRegistryCredentials")?.array ?? []).enumerated()
        where credential.member("passwordReference")?.isSomething ?? false {
            throw refusal("properties.imageRegistryCredentials[\(index)].passwordReference")
        }
        try checkSubnets()
    }

    private func check(_ container: JSONValue, _ place: String) throws(ARMFault) {
        for part in ["requests", "limits"] where container[path: "resources", part, "gpu"]?.isSomething ?? false {
            throw refusal("\(place).resources.\(part).gpu")
        }
        if UnemulatedParts.isSaid(container.member("configMap")) { throw refusal("\(place).configMap") }
        for part in ["capabilities", "seccompProfile"]
        where UnemulatedParts.isSaid(container[path: "securityContext", part]) {
            throw refusal("\(place).securityContext.\(part)")
        }
        for variable in container.member("environmentVariables")?.array ?? []
        where variable.member("secureValueReference")?.isSomething ?? false {
            throw refusal("\(place).environmentVariables: secureValueReference")
        }
    }

    /// There are no networks here: a subnet is a name, and its groups have addresses of their own.
    private func checkSubnets() throws(ARMFault) {
        let subnets = properties.member("subnetIds")?.array ?? []
        guard subnets.count <= 1 else { throw refusal("more than one subnet") }
        guard let id = subnets.first?.member("id")?.string else { return }
        let words = id.lowercased().split(separator: "/").map(String.init)
        let form = ["subscriptions", "resourcegroups", "providers", "microsoft.network", "virtualnetworks", "subnets"]
        guard words.count == 10, [0, 2, 4, 5, 6, 8].map({ words[$0] }) == form else {
            throw ARMFault(
                400,
                "InvalidSubnetId",
                "The subnet '\(id)' of container group '\(name)' is no resource ID of a subnet."
            )
        }
    }

    /// Whether something is asked for: clients send empty objects, and objects of empty ones, for what nobody wants.
    private static func isSaid(_ value: JSONValue?) -> Bool {
        switch value {
        case nil, .null?: false
        case .array(let elements)?: elements.contains { isSaid($0) }
        case .object(let members)?: members.values.contains { isSaid($0) }
        case .string(let text)?: !text.isEmpty
        default: true
        }
    }

    private func refusal(_ part: String) -> ARMFault {
        ARMFault(
            400,
            "NotEmulated",
            "Azure has it, and the emulator does not: \(part) of container group '\(name)'."
        )
    }
}
