// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import RegistryServer

/// What a container group must be, in the words of Container Instances.
///
/// Specification: Azure Container Instances, "Resource availability & quota limits" and the published OpenAPI.
struct ContainerGroupRules {
    let name: String
    let body: JSONValue

    private var properties: JSONValue { body.member("properties") ?? [:] }
    private var containers: [JSONValue] { properties.member("containers")?.array ?? [] }

    /// Throws what is wrong first.
    func check() throws(ARMFault) {
        try checkName(name, "Microsoft.ContainerInstance/containerGroups")
        guard body.member("location")?.string?.isEmpty == false else {
            throw ARMFault(400, "LocationRequired", "The location property is required for this definition.")
        }
        guard properties.object != nil, !properties.isEmptyObject else {
            throw ARMFault(400, "InvalidContainerGroup", "The container group '\(name)' has no properties.")
        }
        guard !containers.isEmpty else {
            throw ARMFault(
                400,
                "MissingContainers",
                "The 'containers' in the container group '\(name)' is missing or empty."
            )
        }
        if let kind = properties.member("osType")?.string, kind.lowercased() != "linux" {
            throw ARMFault(
                400,
                "OsVersionNotSupported",
                "The emulator runs Linux containers only; the container group '\(name)' is for '\(kind)'."
            )
        }
        guard properties.member("osType")?.string != nil else {
            throw ARMFault(400, "MissingOsType", "The 'osType' in the container group '\(name)' is missing.")
        }
        if let policy = properties.member("restartPolicy")?.string,
            !["always", "onfailure", "never"].contains(policy.lowercased())
        {
            throw ARMFault(
                400,
                "InvalidRestartPolicy",
                "The restart policy '\(policy)' in container group '\(name)' is invalid."
            )
        }
        guard containers.count <= 60 else {
            throw ARMFault(
                400,
                "ResourceCountExceeded",
                "The number of containers in container group '\(name)' exceeds the limit of 60."
            )
        }
        try checkAddress()
        let all = containers + (properties.member("initContainers")?.array ?? [])
        var names: Set<String> = []
        for container in all {
            try check(container, isFirst: names.isEmpty)
            guard names.insert(container.member("name")?.string ?? "").inserted else {
                throw ARMFault(
                    400,
                    "DuplicateContainerName",
                    "The container name '\(container.member("name")?.string ?? "")' is duplicated in container group '\(name)'."
                )
            }
        }
        try checkPorts()
        try checkVolumes(all)
        try checkCredentials(all)
        try UnemulatedParts(name: name, body: body).check()
    }

    private func checkName(_ text: String, _ type: String) throws(ARMFault) {
        let isRight =
            (1...63).contains(text.utf8.count)
            && text.allSatisfy { $0.isASCII && ($0.isNumber || $0.isLowercase || $0 == "-") }
            && !text.hasPrefix("-") && !text.hasSuffix("-")
        guard isRight else {
            throw ARMFault(
                400,
                "InvalidContainerGroupName",
                "The name '\(text)' is invalid: it must match the regex '[a-z0-9]([-a-z0-9]*[a-z0-9])?' and have at most "
                    + "63 characters."
            )
        }
    }

    private func check(_ container: JSONValue, isFirst: Bool) throws(ARMFault) {
        let name = container.member("name")?.string ?? ""
        try checkName(name, "container")
        let own = container.member("properties") ?? [:]
        guard own.member("image")?.string?.isEmpty == false else {
            throw ARMFault(
                400,
                "MissingImage",
                "The image of container '\(name)' in container group '\(self.name)' is missing."
            )
        }
        for variable in own.member("environmentVariables")?.array ?? [] {
            let key = variable.member("name")?.string ?? ""
            guard !key.isEmpty, key.utf8.count <= 63,
                key.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "_.-".contains($0)) }),
                key.first?.isNumber == false
            else {
                throw ARMFault(
                    400,
                    "InvalidEnvironmentVariableName",
                    "The environment variable name '\(key)' in container '\(name)' of container group '\(self.name)' is invalid."
                )
            }
            let given = ["value", "secureValue", "secureValueReference"]
                .filter { variable.member($0)?.isSomething ?? false }
            guard given.count <= 1 else {
                throw ARMFault(
                    400,
                    "InvalidEnvironmentVariable",
                    "The environment variable '\(key)' in container '\(name)' has both 'value' and 'secureValue'."
                )
            }
        }
        let isInit = !containers.contains { $0.member("name")?.string == name }
        guard !isInit else { return }
        let requests = own[path: "resources", "requests"]
        guard let cpu = requests?.member("cpu")?.number, let memory = requests?.member("memoryInGB")?.number else {
            throw ARMFault(
                400,
                "MissingResources",
                "The resource requests of container '\(name)' in container group '\(self.name)' are missing."
            )
        }
        guard cpu > 0, memory > 0, cpu <= 31, memory <= 240 else {
            throw ARMFault(
                400,
                "ServiceUnavailable",
                "The requested resource of \(cpu) CPU and \(memory) GB memory is not available in the location."
            )
        }
    }

    private func checkAddress() throws(ARMFault) {
        guard let address = properties.member("ipAddress"), address.isSomething else { return }
        guard let kind = address.member("type")?.string, ["public", "private"].contains(kind.lowercased()) else {
            throw ARMFault(
                400,
                "InvalidIPAddressType",
                "The IP address type in container group '\(name)' is missing or invalid."
            )
        }
        let subnets = properties.member("subnetIds")?.array ?? []
        if subnets.isEmpty, kind.lowercased() == "private" {
            throw ARMFault(
                400,
                "IPAddressTypeNotSupported",
                "IP Address type in container group '\(name)' cannot be 'Private' when the container group has no subnet."
            )
        }
        if !subnets.isEmpty, kind.lowercased() == "public" {
            throw ARMFault(
                400,
                "PublicIpAddressNotSupportedWithVNet",
                "IP Address type in container group '\(name)' cannot be 'Public' when the container group has a subnet."
            )
        }
        if let label = address.member("dnsNameLabel")?.string {
            guard subnets.isEmpty else {
                throw ARMFault(
                    400,
                    "DnsNameLabelNotSupportedWithVNet",
                    "The DNS name label '\(label)' in container group '\(name)' is not supported with a subnet."
                )
            }
            guard (5...63).contains(label.utf8.count),
                label.allSatisfy({ $0.isASCII && ($0.isNumber || $0.isLowercase || $0 == "-") }),
                label.first?.isLowercase == true, !label.hasSuffix("-")
            else {
                throw ARMFault(
                    400,
                    "InvalidDnsNameLabel",
                    "The DNS name label '\(label)' in container group '\(name)' is invalid. It must match the regex "
                        + "'^[a-z][a-z0-9-]{3,61}[a-z0-9]$'."
                )
            }
        }
        let ports = address.member("ports")?.array ?? []
        guard !ports.isEmpty else {
            throw ARMFault(400, "MissingPorts", "The ports of the IP address in container group '\(name)' are missing.")
        }
        guard ports.count <= 5 else {
            throw ARMFault(
                400,
                "ResourceCountExceeded",
                "The number of ports in container group '\(name)' exceeds the limit of 5."
            )
        }
    }

    /// A port of the group must be one of a container, and no two containers have one port.
    private func checkPorts() throws(ARMFault) {
        var taken: Set<Int64> = []
        for container in containers {
            for port in container[path: "properties", "ports"]?.array ?? [] {
                guard let number = port.member("port")?.int, (1...65_535).contains(number) else {
                    throw ARMFault(400, "InvalidPort", "A port of container group '\(name)' is no number of a port.")
                }
                guard taken.insert(number).inserted else {
                    throw ARMFault(
                        400,
                        "DuplicateContainerPorts",
                        "Duplicate ports '\(number)' found in container group '\(name)' for protocol 'TCP'."
                    )
                }
            }
        }
        for port in properties[path: "ipAddress", "ports"]?.array ?? [] {
            guard let number = port.member("port")?.int, taken.contains(number) else {
                throw ARMFault(
                    400,
                    "PortsNotFoundInContainers",
                    "The port '\(port.member("port")?.int ?? 0)' in the 'ipAddress' of container group '\(name)' cannot "
                        + "be found in any container."
                )
            }
        }
    }

    private func checkVolumes(_ all: [JSONValue]) throws(ARMFault) {
        let volumes = properties.member("volumes")?.array ?? []
        guard volumes.count <= 20 else {
            throw ARMFault(
                400,
                "ResourceCountExceeded",
                "The number of volumes in container group '\(name)' exceeds the limit of 20."
            )
        }
        let names = volumes.compactMap { $0.member("name")?.string }
        for volume in volumes {
            let kinds = ["azureFile", "emptyDir", "secret", "secretReference", "gitRepo"]
                .filter { volume.member($0)?.isSomething ?? false }
            let label = volume.member("name")?.string ?? ""
            guard kinds.count == 1 else {
                throw ARMFault(
                    400,
                    "InvalidVolume",
                    "The volume '\(label)' in container group '\(name)' must have exactly one kind; it has \(kinds.count)."
                )
            }
            for value in volume.member("secret")?.object?.values.map(\.string) ?? [] {
                guard let value, Base64.decode(value) != nil else {
                    throw ARMFault(400, "InvalidSecretVolume", "A value of the secret volume '\(label)' is not base64.")
                }
            }
        }
        for container in all {
            for mount in container[path: "properties", "volumeMounts"]?.array ?? [] {
                let label = mount.member("name")?.string ?? ""
                guard names.contains(label) else {
                    throw ARMFault(
                        400,
                        "VolumeMountNotFound",
                        "The volume mount '\(label)' of container '\(container.member("name")?.string ?? "")' in "
                            + "container group '\(name)' has no volume of its name."
                    )
                }
                guard mount.member("mountPath")?.string?.hasPrefix("/") == true else {
                    throw ARMFault(
                        400,
                        "InvalidMountPath",
                        "The mount path of '\(label)' in container group '\(name)' is invalid."
                    )
                }
            }
        }
    }

    private func checkCredentials(_ all: [JSONValue]) throws(ARMFault) {
        var servers: Set<String> = []
        let used = all.compactMap { $0[path: "properties", "image"]?.string }.map { ImageName($0).server }
        for credential in properties.member("imageRegistryCredentials")?.array ?? [] {
            let server = credential.member("server")?.string ?? ""
            guard !server.isEmpty, !server.contains("://") else {
                throw ARMFault(
                    400,
                    "InvalidImageRegistryServer",
                    "The server '\(server)' of a registry credential in container group '\(name)' is invalid."
                )
            }
            guard servers.insert(server.lowercased()).inserted else {
                throw ARMFault(
                    400,
                    "DuplicateImageRegistryServer",
                    "The registry '\(server)' has more than one credential in container group '\(name)'."
                )
            }
            guard used.contains(server.lowercased()) else {
                throw ARMFault(
                    400,
                    "InvalidImageRegistryCredential",
                    "No image of container group '\(name)' is of the registry '\(server)'."
                )
            }
            let hasIdentity = credential.member("identity")?.isSomething ?? false
            if hasIdentity {
                let id = credential.member("identity")?.string?.lowercased() ?? ""
                let own = body[path: "identity", "userAssignedIdentities"]?.object ?? [:]
                guard own.keys.contains(where: { $0.lowercased() == id }) else {
                    throw ARMFault(
                        400,
                        "InvalidImageRegistryIdentity",
                        "The identity of the registry credential for '\(server)' is not one of container group '\(name)'."
                    )
                }
                continue
            }
            guard credential.member("username")?.string?.isEmpty == false else {
                throw ARMFault(
                    400,
                    "InvalidImageRegistryUsername",
                    "The user name of the registry '\(server)' is empty."
                )
            }
            let isReferenced = credential.member("passwordReference")?.isSomething ?? false
            guard isReferenced || credential.member("password")?.string?.isEmpty == false else {
                throw ARMFault(
                    400,
                    "InvalidImageRegistryPassword",
                    "The password in the 'imageRegistryCredentials' for server '\(server)' in container group '\(name)' is empty."
                )
            }
        }
    }

    /// What an update may not change.
    func checkUpdate(of old: JSONValue) throws(ARMFault) {
        let before = old.member("properties") ?? [:]
        func essence(_ properties: JSONValue) -> JSONValue {
            let ports = properties[path: "ipAddress", "ports"]?.array?.map { $0.member("port") ?? .null } ?? []
            let sizes = (properties.member("containers")?.array ?? [])
                .map { $0[path: "properties", "resources", "requests"] ?? .null }
            return [
                "os": .string((properties.member("osType")?.string ?? "Linux").lowercased()),
                "policy": .string((properties.member("restartPolicy")?.string ?? "Always").lowercased()),
                "ports": .array(ports), "sizes": .array(sizes), "subnets": properties.member("subnetIds") ?? .null,
            ]
        }
        guard essence(before) == essence(properties) else {
            throw ARMFault(
                400,
                "InvalidContainerGroupUpdate",
                "The updates on container group '\(name)' are invalid. If you are going to update the os type, restart "
                    + "policy, network profile, CPU, memory or GPU resources for a container group, you must delete it "
                    + "first and then create a new one."
            )
        }
    }
}

extension JSONValue {
    fileprivate var isEmptyObject: Bool { object?.isEmpty ?? true }
}

/// The name of an image as container groups have it.
struct ImageName {
    /// The registry in lower case; `docker.io` where the name has none, as Docker reads names.
    let server: String
    /// The repository.
    let repository: String
    /// The tag or the digest.
    let reference: String

    init(_ text: String) {
        var rest = text[...]
        var server = "docker.io"
        if let slash = rest.firstIndex(of: "/") {
            let head = rest[..<slash]
            if head.contains(".") || head.contains(":") || head == "localhost" {
                server = head.lowercased()
                rest = rest[rest.index(after: slash)...]
            }
        }
        self.server = server
        if let at = rest.firstIndex(of: "@") {
            reference = String(rest[rest.index(after: at)...])
            rest = rest[..<at]
            // A tag before a digest says nothing.
            if let colon = rest.lastIndex(of: ":") { rest = rest[..<colon] }
        } else if let colon = rest.lastIndex(of: ":") {
            reference = String(rest[rest.index(after: colon)...])
            rest = rest[..<colon]
        } else {
            reference = "latest"
        }
        repository = server == "docker.io" && !rest.contains("/") ? "library/" + rest : String(rest)
    }
}
