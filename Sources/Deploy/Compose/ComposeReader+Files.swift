// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// Volumes, configs, secrets and builds of a service.
extension ComposeReader {
    func mount(_ node: ComposeNode) -> ComposeMount? {
        guard node.map == nil else { return longMount(node) }
        let text = node.text ?? ""
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 3, parts.allSatisfy({ !$0.isEmpty }) else {
            report.error("\(node.path) \"\(text)\" is not [SOURCE:]TARGET[:MODE]", at: node.place)
            return nil
        }
        let isNamed = parts.count > 1
        var mount = ComposeMount(
            kind: .volume,
            target: isNamed ? parts[1] : parts[0],
            place: node.place,
            path: node.path
        )
        if isNamed {
            mount.source = parts[0]
            if parts[0].hasPrefix(".") || parts[0].hasPrefix("/") || parts[0].hasPrefix("~") {
                (mount.kind, mount.source) = (.bind, path(node, parts[0]))
            }
        }
        for mode in parts.count == 3 ? parts[2].split(separator: ",").map(String.init) : [] {
            switch mode {
            case "ro": mount.isReadOnly = true
            case "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent", "rprivate", "rshared", "rslave": break
            default: report.error("\(node.path): \"\(mode)\" is no mode of a volume, as ro", at: node.place)
            }
        }
        return checked(mount, node)
    }

    private func checked(_ mount: ComposeMount, _ node: ComposeNode) -> ComposeMount? {
        guard mount.target.hasPrefix("/"), mount.target != "/" else {
            report.error("\(node.path): \"\(mount.target)\" is no absolute path of a folder in it", at: node.place)
            return nil
        }
        var mount = mount
        while mount.target.count > 1, mount.target.hasSuffix("/") { mount.target.removeLast() }
        return mount
    }

    private func longMount(_ node: ComposeNode) -> ComposeMount? {
        guard let type = node["type"]?.text, let kind = ComposeMount.Kind(rawValue: type) else {
            report.error("\(node.path) has no type", at: node.place, notes: ["type: volume, bind or tmpfs"])
            return nil
        }
        guard let target = node["target"]?.text else {
            report.error("\(node.path) has no target", at: node.place)
            return nil
        }
        var mount = ComposeMount(kind: kind, target: target, place: node.place, path: node.path)
        mount.source = node["source"].map { kind == .bind ? path($0) : $0.text ?? "" }
        if kind == .bind, mount.source == nil {
            report.error("\(node.path) has no source", at: node.place)
            return nil
        }
        mount.isReadOnly = node["read_only"]?.flag ?? false
        mount.part = node["volume"]?["subpath"]?.text
        mount.size = values.bytes(node["tmpfs"]?["size"])
        return checked(mount, node)
    }

    func temporary(_ node: ComposeNode?) -> [ComposeMount] {
        (node?.texts ?? [])
            .compactMap { element in
                let text = element.text ?? ""
                let path = String(text.prefix { $0 != ":" })
                var mount = ComposeMount(kind: .tmpfs, target: path, place: element.place, path: element.path)
                for option in text.dropFirst(path.count + 1).split(separator: ",") where option.hasPrefix("size=") {
                    var size = ComposeNode(.scalar(String(option.dropFirst(5)), .text), element.place)
                    size.path = element.path
                    mount.size = values.bytes(size)
                }
                return checked(mount, element)
            }
    }

    func grant(_ node: ComposeNode, folder: String) -> ComposeGrant? {
        guard let source = node["source"]?.text ?? node.text else {
            report.error("\(node.path) has no source", at: node.place)
            return nil
        }
        let target = node["target"]?.text ?? source
        var mode: Int?
        if let node = node["mode"], let text = node.text {
            // A number was read as octal or decimal already; a text is octal.
            if case .scalar(_, .number) = node.content { mode = Int(text) } else { mode = Int(text, radix: 8) }
            if mode == nil { report.error("\(node.path) \"\(text)\" is no number, as 0440", at: node.place) }
        }
        return ComposeGrant(
            source: source,
            target: target.hasPrefix("/") ? target : folder + target,
            mode: mode,
            place: node.place,
            path: node.path
        )
    }

    // MARK: Builds

    func build(_ node: ComposeNode) -> ComposeBuild {
        guard node.map != nil else { return ComposeBuild(context: place(node)) }
        let context = node["context"].map { place($0) } ?? report.folders[node.place.source]
        var build = ComposeBuild(context: context)
        // It is looked for below the context.
        build.dockerfile = node["dockerfile"]?.text
        build.inline = node["dockerfile_inline"]?.text
        if build.inline != nil, let file = node.entry("dockerfile") {
            report.error("\(file.value.path) and dockerfile_inline are given both", at: file.place)
        }
        (build.target, build.network) = (node["target"]?.text, node["network"]?.text)
        build.arguments = pairs(node["args"]) { variables[$0] }
        build.labels = pairs(node["labels"]) { _ in "" }
        for (name, value, _) in node["additional_contexts"]?.pairs ?? [] {
            guard let value, let text = value.text else { continue }
            build.contexts.append("\(name)=\(text.hasPrefix("service:") ? text : place(value))")
        }
        build.platforms = texts(node["platforms"])
        build.agents = node["ssh"].map { ssh in ssh.text.map { [$0] } ?? pairs(ssh) { _ in nil } } ?? []
        build.hosts = hosts(node["extra_hosts"])
        (build.cachesFrom, build.cachesTo) = (texts(node["cache_from"]), texts(node["cache_to"]))
        (build.tags, build.allowed) = (texts(node["tags"]), texts(node["entitlements"]))
        (build.ignoresCache, build.pulls) = (node["no_cache"]?.flag ?? false, node["pull"]?.flag ?? false)
        build.sharedMemory = node["shm_size"]?.text
        build.secrets = (node["secrets"]?.list ?? []).compactMap { secret($0) }
        for limit in node["ulimits"]?.map ?? [] {
            let soft = limit.value["soft"]?.text ?? limit.value.text ?? ""
            build.limits.append("\(limit.key)=\(soft)" + (limit.value["hard"]?.text.map { ":\($0)" } ?? ""))
        }
        return build
    }

    /// A secret of a build, as `--secret` has it.
    private func secret(_ node: ComposeNode) -> String? {
        let name = node["source"]?.text ?? node.text ?? ""
        let id = node["target"]?.text ?? name
        guard let definition = tree["secrets"]?[name] else {
            let near = Suggestion.phrase(for: name, among: (tree["secrets"]?.map ?? []).map(\.key))
            report.error("\(node.path): there is no \"\(name)\" among secrets\(near)", at: node.place)
            return nil
        }
        if let file = definition["file"] { return "id=\(id),src=\(path(file))" }
        if let variable = definition["environment"]?.text { return "id=\(id),env=\(variable)" }
        report.error("\(node.path): \(name) is external, and a build has only what it is given", at: node.place)
        return nil
    }

    func texts(_ node: ComposeNode?) -> [String] { (node?.texts ?? []).compactMap(\.text) }

    /// `NAME=value`; of a name alone, what somebody knows of it, else nothing.
    private func pairs(_ node: ComposeNode?, _ known: (String) -> String?) -> [String] {
        (node?.pairs ?? [])
            .compactMap { name, value, _ in (value?.text ?? known(name)).map { "\(name)=\($0)" } }
    }

    func hosts(_ node: ComposeNode?) -> [String] {
        if let map = node?.map {
            return map.flatMap { entry in entry.value.texts.compactMap(\.text).map { "\(entry.key)=\($0)" } }
        }
        return texts(node)
    }

    /// A folder as seen from here; a URL as it is.
    private func place(_ node: ComposeNode) -> String {
        let text = node.text ?? ""
        return text.contains("://") || text.hasPrefix("git@") ? text : path(node)
    }
}
