// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Where a group holds a secret: ARM takes it, and never gives it back.
///
/// What is read of a group lacks its secrets, so that one that is written back without them loses them.
public struct SecretPlace: Hashable, Sendable {
    /// What kind of secret it is, with the names that find it.
    public enum Kind: Hashable, Sendable {
        /// A secure variable of a container.
        case variable(container: String, name: String)
        /// The password for a registry.
        case registryPassword(server: String, user: String)
        /// The key of a storage account.
        case storageKey(volume: String, account: String)
        /// The files of a secret volume; the name of one, or `nil` where not even the names are known.
        case file(volume: String, name: String?)
        /// The key of a Log Analytics workspace.
        case workspaceKey(workspace: String)
    }

    /// What it is.
    public let kind: Kind
    /// Whether the document lacks it.
    public let isMissing: Bool
    let path: [Step]

    enum Step: Hashable, Sendable {
        case member(String)
        case element(Int)
    }

    /// What it is, for people.
    public var text: String {
        switch kind {
        case .variable(let container, let name): "the secure variable \(name) of the container \(container)"
        case .registryPassword(let server, let user): "the password of \(user) for the registry \(server)"
        case .storageKey(let volume, let account): "the key of the storage account \(account), for the volume \(volume)"
        case .file(let volume, let name?): "the file \(name) of the secret volume \(volume)"
        case .file(let volume, nil): "the files of the secret volume \(volume)"
        case .workspaceKey(let workspace): "the key of the Log Analytics workspace \(workspace)"
        }
    }

    /// A name for a parameter of a template: letters and digits, the first a small letter.
    public var parameter: String {
        switch kind {
        case .variable(let container, let name): SecretPlace.camel([container, name])
        case .registryPassword(let server, _): SecretPlace.camel([server, "password"])
        case .storageKey(let volume, _): SecretPlace.camel([volume, "storage", "key"])
        case .file(let volume, let name): SecretPlace.camel([volume, name ?? "files"])
        case .workspaceKey: "workspaceKey"
        }
    }

    private static func camel(_ names: [String]) -> String {
        let words = names.flatMap { $0.split { !$0.isASCII || !($0.isLetter || $0.isNumber) } }
        let joined =
            words.map { word in
                let isLoud = word.allSatisfy { !$0.isLowercase }
                return word.prefix(1).uppercased() + (isLoud ? word.dropFirst().lowercased() : String(word.dropFirst()))
            }
            .joined()
        let name = joined.prefix(1).lowercased() + joined.dropFirst()
        return name.first?.isLetter == true ? name : "secret" + joined
    }
}

extension ContainerGroup {
    /// Every place of a secret, in the order of the document.
    public var secretPlaces: [SecretPlace] {
        variables("containers") + variables("initContainers") + passwords + volumeSecrets + workspaceKeys
    }

    /// The secrets that the document should have and lacks: ARM keeps none that it is not told again.
    public var missingSecrets: [SecretPlace] { secretPlaces.filter(\.isMissing) }

    /// Puts a secret in its place.
    ///
    /// - Parameters:
    ///   - place: Where, of this very document.
    ///   - secret: What.
    public mutating func fill(_ place: SecretPlace, _ secret: SecureText) {
        json = ContainerGroup.setting(json, place.path[...], .string(secret.value))
    }

    /// The document with something else in the place of each secret that it has.
    ///
    /// - Parameter other: Says what, for a template: a reference to a parameter.
    /// - Returns: The document.
    public func replacingSecrets(_ other: (SecretPlace) -> String) -> ContainerGroup {
        var copy = self
        for place in secretPlaces { copy.fill(place, SecureText(other(place))) }
        return copy
    }

    /// What a place holds; `nil` where it is empty.
    ///
    /// - Parameter place: Where, of this very document.
    /// - Returns: The secret.
    public func secret(at place: SecretPlace) -> SecureText? {
        var value: JSONValue? = json
        for step in place.path {
            switch step {
            case .member(let name): value = value?[name]
            case .element(let index): value = value?.array.flatMap { $0.indices.contains(index) ? $0[index] : nil }
            }
        }
        return value?.string.map { SecureText($0) }
    }

    private static func setting(_ value: JSONValue, _ path: ArraySlice<SecretPlace.Step>, _ new: JSONValue) -> JSONValue
    {
        guard let step = path.first else { return new }
        var copy = value
        switch step {
        case .member(let name): copy[name] = setting(value[name] ?? [:], path.dropFirst(), new)
        case .element(let index):
            guard var elements = value.array, elements.indices.contains(index) else { return value }
            elements[index] = setting(elements[index], path.dropFirst(), new)
            copy = .array(elements)
        }
        return copy
    }

    private func elements(_ name: String) -> [(index: Int, json: JSONValue)] {
        (properties[name]?.array ?? []).enumerated().map { ($0.offset, $0.element) }
    }

    private func variables(_ list: String) -> [SecretPlace] {
        elements(list)
            .flatMap { container in
                let variables = container.json["properties"]?["environmentVariables"]?.array ?? []
                return variables.enumerated()
                    .compactMap { index, variable -> SecretPlace? in
                        guard let name = variable["name"]?.string, !ContainerGroup.isSaid(variable["value"]),
                            !ContainerGroup.isSaid(variable["secureValueReference"])
                        else { return nil }
                        return SecretPlace(
                            kind: .variable(container: container.json["name"]?.string ?? "", name: name),
                            isMissing: !ContainerGroup.isSaid(variable["secureValue"]),
                            path: [
                                .member("properties"), .member(list), .element(container.index), .member("properties"),
                                .member("environmentVariables"), .element(index), .member("secureValue"),
                            ]
                        )
                    }
            }
    }

    private var passwords: [SecretPlace] {
        elements("imageRegistryCredentials")
            .compactMap { index, credential in
                guard let user = credential["username"]?.string, !user.isEmpty,
                    !ContainerGroup.isSaid(credential["passwordReference"])
                else { return nil }
                return SecretPlace(
                    kind: .registryPassword(server: credential["server"]?.string ?? "", user: user),
                    isMissing: !ContainerGroup.isSaid(credential["password"]),
                    path: ContainerGroup.path("imageRegistryCredentials", index, "password")
                )
            }
    }

    private var volumeSecrets: [SecretPlace] {
        elements("volumes")
            .flatMap { index, volume -> [SecretPlace] in
                let name = volume["name"]?.string ?? ""
                if let share = volume["azureFile"], share.object != nil {
                    let isKeyless =
                        ContainerGroup.isSaid(share["storageAccountKeyReference"])
                        || ContainerGroup.isSaid(share["userAssignedIdentityClientId"])
                    if isKeyless { return [] }
                    let place = SecretPlace(
                        kind: .storageKey(volume: name, account: share["storageAccountName"]?.string ?? ""),
                        isMissing: !ContainerGroup.isSaid(share["storageAccountKey"]),
                        path: ContainerGroup.path("volumes", index, "azureFile") + [.member("storageAccountKey")]
                    )
                    return [place]
                }
                let others = ["emptyDir", "gitRepo", "secretReference"]
                if others.contains(where: { ContainerGroup.isSaid(volume[$0]) }) { return [] }
                let path = ContainerGroup.path("volumes", index, "secret")
                guard let files = volume["secret"]?.object, !files.isEmpty else {
                    return [SecretPlace(kind: .file(volume: name, name: nil), isMissing: true, path: path)]
                }
                return files.keys.sorted()
                    .map { file in
                        SecretPlace(
                            kind: .file(volume: name, name: file),
                            isMissing: files[file]?.string == nil,
                            path: path + [.member(file)]
                        )
                    }
            }
    }

    private var workspaceKeys: [SecretPlace] {
        guard let analytics = properties["diagnostics"]?["logAnalytics"],
            let workspace = analytics["workspaceId"]?.string
        else { return [] }
        let path = ["properties", "diagnostics", "logAnalytics", "workspaceKey"].map { SecretPlace.Step.member($0) }
        let isMissing = !ContainerGroup.isSaid(analytics["workspaceKey"])
        return [SecretPlace(kind: .workspaceKey(workspace: workspace), isMissing: isMissing, path: path)]
    }

    private static func path(_ list: String, _ index: Int, _ member: String) -> [SecretPlace.Step] {
        [.member("properties"), .member(list), .element(index), .member(member)]
    }

    private static func isSaid(_ value: JSONValue?) -> Bool { value != nil && value != .null }
}

extension ContainerGroup {
    /// Gives a secret volume its files.
    ///
    /// - Parameters:
    ///   - files: What they hold, in base64, by name.
    ///   - volume: The volume's name.
    public mutating func setFiles(_ files: [String: SecureText], of volume: String) {
        guard !files.isEmpty else { return }
        var list = properties["volumes"]?.array ?? []
        for index in list.indices where list[index]["name"]?.string == volume {
            list[index]["secret"] = .object(files.mapValues { .string($0.value) })
        }
        properties["volumes"] = .array(list)
    }
}
