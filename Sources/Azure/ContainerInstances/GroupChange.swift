// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// One thing that becomes different.
public struct GroupChange: Hashable, Sendable {
    /// What it takes.
    public enum Effect: Int, Comparable, Sendable {
        /// Nothing stops.
        case inPlace = 0
        /// All containers of the group start again.
        case restart = 1
        /// The group is deleted and made anew.
        case recreate = 2

        /// Orders effects by how much they take.
        ///
        /// - Parameters:
        ///   - one: An effect.
        ///   - other: Another.
        /// - Returns: Whether the first takes less.
        public static func < (one: Effect, other: Effect) -> Bool { one.rawValue < other.rawValue }
    }

    /// What it is: `web: image`.
    public let what: String
    /// What it was, on one line without secrets; `nil` where there was none.
    public let before: String?
    /// What it becomes; `nil` where it goes.
    public let after: String?
    /// What it takes.
    public let effect: Effect

    /// What becomes different from one group to another.
    ///
    /// - Parameters:
    ///   - old: What there is.
    ///   - new: What should be.
    ///   - renews: Whether a password that the group has for a registry is given anew; else it is sent with other changes,
    ///     and is none itself, as a group that runs has no use for it.
    /// - Returns: The changes, in the order of what they are about; other secrets that are given again are changes.
    public static func list(
        from old: ContainerGroup,
        to new: ContainerGroup,
        renewingPasswords renews: Bool = false
    ) -> [GroupChange] {
        var changes = Changes()
        let (one, two) = (old.writable, new.writable)
        changes.compare("location", one.json["location"].map(normal), two.json["location"].map(normal), .recreate)
        changes.compare("zones", one.json["zones"], two.json["zones"], .recreate)
        changes.compare("tags", one.json["tags"], two.json["tags"], .inPlace)
        changes.compare("identity", one.json["identity"], two.json["identity"], .restart)
        changes.groups(one, two)
        changes.lists("container", one.containers, two.containers, Changes.container)
        changes.lists("init container", one.initContainers, two.initContainers, Changes.container)
        changes.secrets(two, renews ? [] : Set(one.secretPlaces.map(\.kind).filter(\.isRegistryPassword)))
        return changes.list
    }

    /// What becomes different where a group should run, and was stopped or has failed; `nil` where it runs, has done its
    /// work, or is on its way.
    ///
    /// - Parameter old: What there is.
    /// - Returns: The change.
    public static func waking(_ old: ContainerGroup) -> GroupChange? {
        let state = old.state
        guard ["Stopped", "Failed"].contains(state.state), !state.isUp else {
            return nil
        }
        return GroupChange(what: "state", before: state.state.lowercased(), after: "running", effect: .restart)
    }

    /// Regions are written in many ways: `West Europe` is `westeurope`.
    private static func normal(_ value: JSONValue) -> JSONValue {
        .string((value.string ?? "").lowercased().filter { $0 != " " })
    }
}

/// Collects changes.
private struct Changes {
    var list: [GroupChange] = []

    mutating func compare(_ what: String, _ old: JSONValue?, _ new: JSONValue?, _ effect: GroupChange.Effect) {
        guard old != new else { return }
        let change = GroupChange(
            what: what,
            before: old.map(Changes.text),
            after: new.map(Changes.text),
            effect: effect
        )
        list.append(change)
    }

    private static func text(_ value: JSONValue) -> String {
        if let texts = value.texts, let all = value.array, texts.count == all.count {
            return texts.joined(separator: " ")
        }
        if let members = value.strings, members.count == value.object?.count {
            return members.keys.sorted().map { "\($0)=\(members[$0] ?? "")" }.joined(separator: " ")
        }
        return value.string ?? value.canonical
    }

    /// What Azure cannot change on a group that runs.
    private static let fixed: Set<String> = [
        "osType", "restartPolicy", "subnetIds", "sku", "priority", "encryptionProperties",
        "confidentialComputeProperties", "dnsConfig",
    ]

    mutating func groups(_ old: ContainerGroup, _ new: ContainerGroup) {
        let (one, two) = (Changes.redacted(old), Changes.redacted(new))
        let names = Set((one.object ?? [:]).keys).union((two.object ?? [:]).keys).sorted()
        for name in names where !["containers", "initContainers", "ipAddress"].contains(name) {
            compare(name, one[name], two[name], Changes.fixed.contains(name) ? .recreate : .restart)
        }
        let (before, after) = (one["ipAddress"], two["ipAddress"])
        compare("address type", before?["type"], after?["type"], .recreate)
        let ports = { (json: JSONValue?) in
            json.map { JSONValue(ContainerGroup.Port.list($0["ports"]).map(\.description).sorted()) }
        }
        compare("open ports", ports(before), ports(after), .recreate)
        compare("DNS label", before?["dnsNameLabel"], after?["dnsNameLabel"], .restart)
        let scope = "autoGeneratedDomainNameLabelScope"
        compare("DNS label scope", before?[scope], after?[scope], .restart)
    }

    private static func redacted(_ group: ContainerGroup) -> JSONValue {
        var copy = group
        for place in group.secretPlaces { copy.fill(place, SecureText(SecureText.mask)) }
        return copy.properties
    }

    mutating func lists(
        _ kind: String,
        _ old: [ContainerGroup.Container],
        _ new: [ContainerGroup.Container],
        _ compare: (inout Changes, ContainerGroup.Container, ContainerGroup.Container) -> Void
    ) {
        for container in old where !new.contains(where: { $0.name == container.name }) {
            list.append(
                .init(what: "\(kind) \(container.name)", before: container.image, after: nil, effect: .recreate)
            )
        }
        for container in new {
            if let before = old.first(where: { $0.name == container.name }) {
                compare(&self, before, container)
            } else {
                list.append(
                    .init(what: "\(kind) \(container.name)", before: nil, after: container.image, effect: .recreate)
                )
            }
        }
    }

    static func container(_ changes: inout Changes, _ old: ContainerGroup.Container, _ new: ContainerGroup.Container) {
        let names = Set((old.properties.object ?? [:]).keys).union((new.properties.object ?? [:]).keys).sorted()
        for name in names {
            let (before, after) = (old.properties[name], new.properties[name])
            switch name {
            case "environmentVariables": changes.variables(new.name, before, after)
            case "ports":
                let ports = { (json: JSONValue?) in
                    json.map { JSONValue(ContainerGroup.Port.list($0).map(\.description)) }
                }
                changes.compare("\(new.name): ports", ports(before), ports(after), .recreate)
            case "resources": changes.resources(new.name, before, after)
            default: changes.compare("\(new.name): \(name)", before, after, .restart)
            }
        }
    }

    private mutating func resources(_ name: String, _ old: JSONValue?, _ new: JSONValue?) {
        for (kind, word) in [("requests", ""), ("limits", " limit")] {
            for (member, text) in [("cpu", "CPU"), ("memoryInGB", "memory in GB"), ("gpu", "GPU")] {
                compare("\(name): \(text)\(word)", old?[kind]?[member], new?[kind]?[member], .recreate)
            }
        }
    }

    private mutating func variables(_ container: String, _ old: JSONValue?, _ new: JSONValue?) {
        let read = { (list: JSONValue?) in
            Dictionary((list?.array ?? []).map { ($0["name"]?.string ?? "", $0) }) { $1 }
        }
        let (before, after) = (read(old), read(new))
        for name in Set(before.keys).union(after.keys).sorted() {
            let texts = [before[name], after[name]]
                .map { variable -> String? in
                    guard let variable else { return nil }
                    return variable["value"]?.string ?? variable["secureValueReference"]?.string ?? SecureText.mask
                }
            guard texts[0] != texts[1] else { continue }
            list.append(
                .init(what: "\(container): variable \(name)", before: texts[0], after: texts[1], effect: .restart)
            )
        }
    }

    /// A secret that is sent is a change, as nobody can say whether it is the one that is there.
    mutating func secrets(_ new: ContainerGroup, _ kept: Set<SecretPlace.Kind>) {
        let given = new.secretPlaces.filter { !$0.isMissing && !kept.contains($0.kind) }
        guard !given.isEmpty, !list.contains(where: { $0.effect > .inPlace }) else { return }
        for place in given {
            list.append(.init(what: place.text, before: SecureText.mask, after: SecureText.mask, effect: .restart))
        }
    }
}

extension SecretPlace.Kind {
    fileprivate var isRegistryPassword: Bool { if case .registryPassword = self { true } else { false } }
}
