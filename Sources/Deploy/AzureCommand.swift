// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import OCI

/// Writes a group as a script for a shell and `az`.
enum AzureCommand {
    static func write(_ template: Template) -> String {
        var lines = template.parameters.map { parameter in
            ": \"${\(parameter.variable):?\(plain(parameter.about))}\""
        }
        if let flags = Flags(template) {
            lines.append("az container create" + flags.list.map { " \\\n  \($0)" }.joined())
            lines += tags(template)
        } else {
            lines += deployment(template)
        }
        return "set -eu\n" + lines.joined(separator: "\n") + "\n"
    }

    /// What stands behind `:?` within double quotes.
    private static func plain(_ text: String) -> String { String(text.filter { !"\"\\$`}".contains($0) }) }

    /// `az container create` knows no tags.
    private static func tags(_ template: Template) -> [String] {
        let tags = template.group.tags
        guard !tags.isEmpty else { return [] }
        let words = tags.keys.sorted().map { quoted("\($0)=\(tags[$0] ?? "")") }.joined(separator: " ")
        let show = "az container show \(place(template).joined(separator: " ")) --query id --output tsv"
        return ["az tag update --operation Merge --tags \(words) \\\n  --resource-id \"$(\(show))\""]
    }

    /// The group as a template, where the command has no flags for it.
    private static func deployment(_ template: Template) -> [String] {
        var words = ["az deployment group create", "--resource-group \(quoted(template.place.resourceGroup))"]
        if let subscription = template.place.subscription { words.append("--subscription \(quoted(subscription))") }
        words.append("--name \(quoted("coracle-" + template.name))")
        words.append("--template-file \"$template\"")
        let values = template.parameters.map { "\($0.name)=\"$\($0.variable)\"" }
        if !values.isEmpty { words.append("--parameters " + values.joined(separator: " ")) }
        return [
            "# az container create has no flags for all of this group, so that it is deployed as a template",
            "template=$(mktemp --suffix .json)", "trap 'rm -f \"$template\"' EXIT",
            "cat > \"$template\" <<'END-OF-TEMPLATE'", template.arm.pretty, "END-OF-TEMPLATE",
            words.joined(separator: " \\\n  "),
        ]
    }

    static func place(_ template: Template) -> [String] {
        var words = ["--resource-group \(quoted(template.place.resourceGroup))", "--name \(quoted(template.name))"]
        if let subscription = template.place.subscription { words.append("--subscription \(quoted(subscription))") }
        return words
    }

    /// A word that a shell takes as it is.
    static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || "_-./:=@,+".utf8.contains($0)
        }
        return isPlain && !text.isEmpty ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }

    /// The flags of `az container create` for a group.
    private struct Flags {
        private(set) var list: [String]
        private let names: [SecretPlace.Kind: String]

        /// `nil` where there are none for something of the group.
        init?(_ template: Template) {
            let group = template.group
            guard group.containers.count == 1, group.initContainers.isEmpty, let container = group.containers.first,
                container.name == template.name
            else { return nil }
            names = Dictionary(template.parameters.map { ($0.place.kind, $0.variable) }) { $1 }
            list = AzureCommand.place(template)
            if let location = group.location { add("--location", location) }
            guard groups(group.json), add(container, group), credentials(group.json["properties"]),
                volumes(group.json["properties"]?["volumes"]?.array ?? [], container.json["properties"])
            else { return nil }
        }

        private mutating func add(_ flag: String, _ value: String?) {
            if let value { list.append("\(flag) \(AzureCommand.quoted(value))") }
        }

        /// A value that a variable of the shell holds.
        private mutating func add(_ flag: String, secret kind: SecretPlace.Kind) {
            if let name = names[kind] { list.append("\(flag) \"$\(name)\"") }
        }

        private mutating func groups(_ group: JSONValue) -> Bool {
            let properties = group["properties"]
            let known: Set<String> = [
                "containers", "osType", "restartPolicy", "sku", "priority", "ipAddress", "subnetIds", "volumes",
                "imageRegistryCredentials",
            ]
            guard Set((properties?.object ?? [:]).keys).isSubset(of: known) else { return false }
            add("--os-type", properties?["osType"]?.string)
            add("--restart-policy", properties?["restartPolicy"]?.string)
            add("--sku", properties?["sku"]?.string)
            add("--priority", properties?["priority"]?.string)
            let zones = group["zones"]?.texts ?? []
            guard zones.count <= 1 else { return false }
            add("--zone", zones.first)
            let subnets = properties?["subnetIds"]?.array ?? []
            guard subnets.count <= 1 else { return false }
            add("--subnet", subnets.first?["id"]?.string)
            guard let identity = group["identity"] else { return true }
            let users = (identity["userAssignedIdentities"]?.object ?? [:]).keys.sorted()
            let system = identity["type"]?.string?.contains("SystemAssigned") == true ? ["[system]"] : []
            list.append("--assign-identity " + (system + users).map(AzureCommand.quoted).joined(separator: " "))
            return true
        }

        private mutating func add(_ container: ContainerGroup.Container, _ group: ContainerGroup) -> Bool {
            let properties = container.json["properties"]
            let known: Set<String> = ["image", "command", "ports", "environmentVariables", "resources", "volumeMounts"]
            guard Set((properties?.object ?? [:]).keys).isSubset(of: known),
                properties?["resources"]?["limits"] == nil, isTenth(container.cpu), isTenth(container.memory)
            else { return false }
            add("--image", container.image)
            list.append(
                "--cpu \(JSONValue(container.cpu ?? 1).canonical) --memory \(JSONValue(container.memory ?? 1).canonical)"
            )
            if let command = container.command {
                // The command takes words apart as a shell does.
                add("--command-line", command.map(AzureCommand.quoted).joined(separator: " "))
            }
            var (plain, secure): ([String], [String]) = ([], [])
            for variable in properties?["environmentVariables"]?.array ?? [] {
                let name = variable["name"]?.string ?? ""
                if let value = variable["value"]?.string {
                    plain.append(AzureCommand.quoted("\(name)=\(value)"))
                } else if let holder = names[.variable(container: container.name, name: name)] {
                    secure.append("\"\(name)=$\(holder)\"")
                } else {
                    return false
                }
            }
            if !plain.isEmpty { list.append("--environment-variables " + plain.joined(separator: " ")) }
            if !secure.isEmpty { list.append("--secure-environment-variables " + secure.joined(separator: " ")) }
            return address(group, container)
        }

        private func isTenth(_ number: Double?) -> Bool {
            guard let number else { return true }
            return abs((number * 10).rounded() - number * 10) < 1e-9
        }

        /// The command opens the same ports, of one kind, for group and container.
        private mutating func address(_ group: ContainerGroup, _ container: ContainerGroup.Container) -> Bool {
            guard let address = group.address else { return container.ports.isEmpty }
            let (open, own) = (Set(address.ports), Set(container.ports))
            guard open == own, Set(address.ports.map(\.isUDP)).count == 1 else { return false }
            add("--ip-address", address.isPublic ? "Public" : "Private")
            add("--dns-name-label", address.label)
            list.append("--ports " + address.ports.map { String($0.number) }.joined(separator: " "))
            add("--protocol", address.ports[0].isUDP ? "UDP" : nil)
            return group.json["properties"]?["ipAddress"]?["autoGeneratedDomainNameLabelScope"] == nil
        }

        private mutating func credentials(_ properties: JSONValue?) -> Bool {
            let credentials = properties?["imageRegistryCredentials"]?.array ?? []
            guard credentials.count <= 1, let credential = credentials.first else { return credentials.isEmpty }
            let server = credential["server"]?.string ?? ""
            if let identity = credential["identity"]?.string {
                add("--registry-login-server", server)
                add("--acr-identity", identity)
                return true
            }
            guard let user = credential["username"]?.string, credential["passwordReference"] == nil else {
                return false
            }
            add("--registry-login-server", server)
            add("--registry-username", user)
            add("--registry-password", secret: .registryPassword(server: server, user: user))
            return true
        }

        private mutating func volumes(_ volumes: [JSONValue], _ properties: JSONValue?) -> Bool {
            let mounts = properties?["volumeMounts"]?.array ?? []
            guard volumes.count == mounts.count else { return false }
            var kinds: Set<String> = []
            for volume in volumes {
                guard let name = volume["name"]?.string,
                    let mount = mounts.first(where: { $0["name"]?.string == name }), mount["readOnly"] == nil,
                    let path = mount["mountPath"]?.string, add(volume, name, path, &kinds)
                else { return false }
            }
            return true
        }

        /// The command knows one volume of each kind, and none that is empty.
        private mutating func add(_ volume: JSONValue, _ name: String, _ path: String, _ kinds: inout Set<String>)
            -> Bool
        {
            if let share = volume["azureFile"], let account = share["storageAccountName"]?.string {
                guard share["readOnly"] == nil, kinds.insert("azureFile").inserted else { return false }
                add("--azure-file-volume-share-name", share["shareName"]?.string)
                add("--azure-file-volume-account-name", account)
                add("--azure-file-volume-account-key", secret: .storageKey(volume: name, account: account))
                add("--azure-file-volume-mount-path", path)
                return true
            }
            guard let repository = volume["gitRepo"], kinds.insert("gitRepo").inserted else { return false }
            add("--gitrepo-url", repository["repository"]?.string)
            add("--gitrepo-dir", repository["directory"]?.string)
            add("--gitrepo-revision", repository["revision"]?.string)
            add("--gitrepo-mount-path", path)
            return true
        }
    }
}
