// SPDX-License-Identifier: Apache-2.0
public import Azure
public import OCI

/// What is going to be done to a container group.
public struct GroupPlan: DeployPlan {
    /// What becomes of the group.
    public let action: DeployAction
    /// The group's name.
    public let name: String
    /// What becomes different; empty for a new group.
    public let changes: [GroupChange]
    /// What is going to be sent; its secrets are there.
    public let group: ContainerGroup
    /// What there is; `nil` where there is none.
    public let existing: ContainerGroup?
    /// What worked last, to go back to; `nil` where nothing did.
    public let lastGood: ContainerGroup?

    /// Plans.
    ///
    /// - Parameters:
    ///   - group: What should be, its secrets in it.
    ///   - existing: What ARM says there is; `nil` where there is none.
    ///   - name: The group's name.
    ///   - renews: Whether a password that the group has for a registry is given anew.
    public init(
        _ group: ContainerGroup,
        over existing: ContainerGroup?,
        name: String,
        renewingPasswords renews: Bool = false
    ) {
        (self.name, self.existing) = (name, existing)
        var group = group
        guard let existing else {
            (action, changes, lastGood) = (.create, [], nil)
            self.group = group
            return
        }
        let isUp = existing.state.isUp
        let good = isUp ? existing.mainImage(name) : existing.tags[Self.goodTag]
        var changes = GroupChange.list(from: existing, to: group, renewingPasswords: renews)
        if let waking = GroupChange.waking(existing), changes.allSatisfy({ $0.effect == .inPlace }) {
            changes.append(waking)
        }
        switch changes.map(\.effect).max() {
        case nil: action = .unchanged
        case .inPlace: action = .inPlace
        case .restart: action = .restart
        case .recreate: action = .recreate
        }
        self.changes = changes
        if changes.contains(where: { $0.effect > .inPlace }), let good { group.tags[Self.goodTag] = good }
        lastGood = GroupPlan.lastGood(existing, group, isUp: isUp, image: good, name: name)
        self.group = group
    }

    /// Names the image that ran before the one that runs now.
    public static let goodTag = "coracle-last-good"

    /// The group as it was, with the secrets that are known now; where it did not work, with the image that did.
    private static func lastGood(
        _ existing: ContainerGroup,
        _ new: ContainerGroup,
        isUp: Bool,
        image: String?,
        name: String
    ) -> ContainerGroup? {
        guard let image else { return nil }
        var old = existing.writable
        let known = Dictionary(
            new.secretPlaces.compactMap { place in new.secret(at: place).map { (place.kind, $0) } }
        ) { $1 }
        for place in old.missingSecrets { if let secret = known[place.kind] { old.fill(place, secret) } }
        // A secret that only the old one had cannot be had again, and what is sent without it would be refused.
        guard old.missingSecrets.isEmpty else { return nil }
        if !isUp { old.setMainImage(image, name) }
        return old
    }

    /// Whether the address that others know becomes another.
    public var movesAddress: Bool {
        action == .recreate && existing?.address?.ip != nil
    }

    /// For people: what is done, each change on a line, and what becomes of the address; no secrets.
    public var text: String {
        var lines = [headline]
        lines += changes.map { change in
            let effect = change.effect == .recreate && action == .recreate ? "  (needs a new group)" : ""
            switch (change.before, change.after) {
            case (let before?, let after?) where before == after: return "  ~ \(change.what): given again"
            case (let before?, let after?): return "  ~ \(change.what): \(before) -> \(after)\(effect)"
            case (nil, let after): return "  + \(change.what): \(after ?? "")\(effect)"
            case (let before, nil): return "  - \(change.what): \(before ?? "")\(effect)"
            }
        }
        if let line = addressLine { lines.append("  " + line) }
        return lines.joined(separator: "\n") + "\n"
    }

    private var headline: String {
        switch action {
        case .create:
            "create \(name): " + group.containers.map { "\($0.name) from \($0.image)" }.joined(separator: ", ")
        case .unchanged: "\(name) is as it should be: nothing to do"
        case .inPlace: "change \(name) in place: nothing stops"
        case .restart: "change \(name): all its containers start again"
        case .recreate: "delete \(name) and make it anew: Azure cannot change this on a group that runs"
        }
    }

    private var addressLine: String? {
        guard let existing else {
            guard let address = group.address else { return "it gets no address: no port is open" }
            let name = address.label.map { ", called \($0)" } ?? ""
            return "it gets a \(address.isPublic ? "public" : "private") address\(name)"
        }
        guard let ip = existing.address?.ip else { return nil }
        switch action {
        case .recreate:
            let label =
                group.address?.label.map { "; the name \($0) stays" } ?? "; --dns-label gives it a name that stays"
            return "its address \(ip) goes, and another comes\(label)"
        case .restart: return "its address \(ip) stays"
        default: return nil
        }
    }

    /// The plan for programs; no secrets.
    public var json: JSONValue {
        var json: JSONValue = [
            "action": .string(action.rawValue), "name": .string(name), "movesAddress": .bool(movesAddress),
            "group": group.redacted,
        ]
        json["changes"] = .array(
            changes.map { change in
                var json: JSONValue = ["what": .string(change.what)]
                json["before"] = change.before.map { .string($0) }
                json["after"] = change.after.map { .string($0) }
                return json
            }
        )
        return json
    }
}

extension ContainerGroup {
    /// Which container a deployment is about: the one called like the group, else the first.
    func mainIndex(_ name: String) -> Int? {
        containers.firstIndex { $0.name == name } ?? (containers.isEmpty ? nil : 0)
    }

    func mainImage(_ name: String) -> String? { mainIndex(name).map { containers[$0].image } }

    mutating func setMainImage(_ image: String, _ name: String) {
        guard let index = mainIndex(name) else { return }
        var list = containers
        list[index].json["properties"]?["image"] = .string(image)
        containers = list
    }
}
