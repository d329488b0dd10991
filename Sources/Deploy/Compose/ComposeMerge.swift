// SPDX-License-Identifier: Apache-2.0

/// Puts one file over another, and a service over the one that it extends.
///
/// Specification: compose-spec, `13-merge.md`, and "extends" of `05-services.md`.
enum ComposeMerge {
    /// Puts one tree over another.
    ///
    /// - Parameters:
    ///   - over: What wins.
    ///   - base: What is kept where the other says nothing.
    ///   - path: The keys that lead to both, those of services and the like as `*`.
    /// - Returns: Both; `nil` where `!reset` takes it away.
    static func merge(_ over: ComposeNode, over base: ComposeNode, path: [String] = []) -> ComposeNode? {
        switch over.change {
        case .reset: return nil
        case .override: return over
        case .none: break
        }
        let rule = rules[path.joined(separator: ".")]
        switch (rule, base.content, over.content) {
        case (.replace, _, _): return over
        // A key that is there and says nothing leaves what was said before.
        case (_, _, .null) where base.map != nil || base.list != nil: return base
        case (.pairs, _, _) where isPairs(base) && isPairs(over): return pairs(over, base)
        case (.named(let missing), _, _) where isNames(base) || isNames(over):
            return maps(named(over, missing), named(base, missing), path)
        case (.build, .scalar, .map), (.build, .map, .scalar):
            return maps(keyed("context", over), keyed("context", base), path)
        case (.logging, .map, .map) where base["driver"]?.text != nil && over["driver"]?.text != nil:
            return base["driver"]?.text == over["driver"]?.text ? maps(over, base, path) : over
        case (.unique(let key), .list(let old), .list(let new)): return unique(new, over: old, by: key, over)
        case (.append, _, _):
            return with(over, .list((base.list ?? base.texts) + (over.list ?? over.texts)))
        case (_, .map, .map): return maps(over, base, path)
        case (_, .list(let old), .list(let new)): return with(over, .list(old + new))
        default: return over
        }
    }

    private enum Rule {
        case replace
        case pairs
        case append
        /// A list of names is a mapping whose values are this; `nil` for nothing.
        case named([String: String]?)
        case build
        case logging
        case unique(@Sendable (ComposeNode) -> String?)
    }

    private static let rules: [String: Rule] = {
        var rules: [String: Rule] = [
            "services.*.command": .replace, "services.*.entrypoint": .replace,
            "services.*.healthcheck.test": .replace, "services.*.provider": .replace,
            "services.*.build": .build, "services.*.logging": .logging,
            "services.*.depends_on": .named(["condition": "service_started"]), "services.*.networks": .named(nil),
            "services.*.models": .named(nil), "services.*.ports": .unique(port),
            "services.*.volumes": .unique { target($0, short: mountTarget) },
            "services.*.devices": .unique { target($0, short: mountTarget) },
            "services.*.secrets": .unique(grant), "services.*.configs": .unique(grant),
            "services.*.build.secrets": .unique(grant),
        ]
        for key in [
            "annotations", "labels", "environment", "sysctls", "extra_hosts", "build.args", "build.labels",
            "build.additional_contexts", "build.extra_hosts", "deploy.labels",
        ] { rules["services.*." + key] = .pairs }
        for key in ["networks", "volumes", "configs", "secrets"] { rules[key + ".*.labels"] = .pairs }
        for key in ["dns", "dns_search", "dns_opt", "env_file", "label_file", "tmpfs"] {
            rules["services.*." + key] = .append
        }
        for key in [
            "cap_add", "cap_drop", "expose", "security_opt", "external_links", "device_cgroup_rules", "profiles",
        ] { rules["services.*." + key] = .unique { $0.text } }
        return rules
    }()

    private static func with(_ node: ComposeNode, _ content: ComposeNode.Content) -> ComposeNode {
        var copy = node
        copy.content = content
        return copy
    }

    /// Names of services, volumes and the like are what people choose.
    private static func step(_ key: String, _ path: [String]) -> String {
        ["services", "networks", "volumes", "configs", "secrets"].contains(path.first ?? "") && path.count == 1
            ? "*" : key
    }

    private static func maps(_ over: ComposeNode, _ base: ComposeNode, _ path: [String]) -> ComposeNode {
        var entries = base.map ?? []
        for entry in over.map ?? [] {
            if let index = entries.firstIndex(where: { $0.key == entry.key }) {
                let inner = path + [step(entry.key, path)]
                if let merged = merge(entry.value, over: entries[index].value, path: inner) {
                    entries[index] = .init(key: entry.key, place: entry.place, value: merged)
                } else {
                    entries.remove(at: index)
                }
            } else if entry.value.change != .reset {
                entries.append(entry)
            }
        }
        return with(over, .map(entries))
    }

    private static func isPairs(_ node: ComposeNode) -> Bool { node.map != nil || node.list != nil }

    /// A mapping of what was a mapping or a list, so that one name is there once.
    private static func pairs(_ over: ComposeNode, _ base: ComposeNode) -> ComposeNode? {
        let make = { (node: ComposeNode) -> ComposeNode in
            guard node.map == nil else { return node }
            var last: [ComposeNode.Entry] = []
            for pair in node.pairs {
                last.removeAll { $0.key == pair.name }
                last.append(
                    .init(key: pair.name, place: pair.place, value: pair.value ?? ComposeNode(.null, pair.place))
                )
            }
            return with(node, .map(last))
        }
        var entries = make(base).map ?? []
        for entry in make(over).map ?? [] {
            entries.removeAll { $0.key == entry.key }
            if entry.value.change != .reset { entries.append(entry) }
        }
        return with(over, .map(entries))
    }

    private static func isNames(_ node: ComposeNode) -> Bool { node.list != nil }

    private static func named(_ node: ComposeNode, _ missing: [String: String]?) -> ComposeNode {
        guard let list = node.list else { return node }
        return with(
            node,
            .map(
                list.map { name in
                    let entries = missing?
                        .map {
                            ComposeNode.Entry(
                                key: $0.key,
                                place: name.place,
                                value: ComposeNode(.scalar($0.value, .text), name.place)
                            )
                        }
                    let value = ComposeNode(entries.map { .map($0) } ?? .null, name.place)
                    return .init(key: name.text ?? "", place: name.place, value: value)
                }
            )
        )
    }

    private static func keyed(_ key: String, _ node: ComposeNode) -> ComposeNode {
        guard node.text != nil else { return node }
        return with(node, .map([.init(key: key, place: node.place, value: node)]))
    }

    // MARK: Lists whose elements are about something

    private static func unique(
        _ new: [ComposeNode],
        over old: [ComposeNode],
        by key: (ComposeNode) -> String?,
        _ node: ComposeNode
    ) -> ComposeNode {
        var list = old
        for element in new {
            if let name = key(element), let index = list.firstIndex(where: { key($0) == name }) {
                list[index] = element
            } else {
                list.append(element)
            }
        }
        return with(node, .list(list))
    }

    private static func target(_ node: ComposeNode, short: (String) -> String?) -> String? {
        node["target"]?.text ?? node.text.flatMap { short($0) }
    }

    /// Of `SOURCE:TARGET:MODE`, the target.
    private static func mountTarget(_ text: String) -> String? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        return parts.count == 1 ? parts[0] : parts[1]
    }

    @Sendable private static func grant(_ node: ComposeNode) -> String? {
        node["target"]?.text ?? node["source"]?.text ?? node.text
    }

    /// Address, target, published port and protocol as one text.
    @Sendable private static func port(_ node: ComposeNode) -> String? {
        if let text = node.text {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let sides = parts[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            let published = sides.count > 1 ? sides[sides.count - 2] : ""
            let address = sides.dropLast(2).joined(separator: ":")
            return [address, sides.last ?? "", published, parts.count > 1 ? parts[1] : "tcp"].joined(separator: " ")
        }
        let member = { (name: String) in node[name]?.text ?? "" }
        return [member("host_ip"), member("target"), member("published"), node["protocol"]?.text ?? "tcp"]
            .joined(separator: " ")
    }
}

extension ComposeNode {
    /// The tree without what `!reset` takes away, and without tags.
    func settled() -> ComposeNode {
        var copy = self
        copy.change = .none
        switch content {
        case .list(let list): copy.content = .list(list.filter { $0.change != .reset }.map { $0.settled() })
        case .map(let map):
            copy.content = .map(
                map.filter { $0.value.change != .reset }
                    .map { entry in
                        var entry = entry
                        entry.value = entry.value.settled()
                        return entry
                    }
            )
        default: break
        }
        return copy
    }
}
