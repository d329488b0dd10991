// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// Makes a project of a tree whose shapes were checked.
struct ComposeReader {
    let input: ComposeInput
    let report: ComposeReport
    let variables: [String: String]
    /// The whole tree, for what services name.
    let tree: ComposeNode

    var values: ComposeValues { ComposeValues(report: report) }

    /// A path of a file, as seen from here.
    func path(_ node: ComposeNode, _ text: String? = nil) -> String {
        ComposePath.join(report.folders[node.place.source], text ?? node.text ?? "", home: variables["HOME"])
    }

    func project() -> ComposeProject {
        if let version = tree.entry("version") {
            report.warn("version means nothing any more, and can go", at: version.place)
        }
        let all = (tree["services"]?.map ?? [])
        if all.isEmpty {
            report.error("services: there is no service", at: tree.entry("services")?.place ?? tree.place)
        }
        let wanted = wanted(all)
        let name = projectName(tree)
        var services = wanted.map { service($0) }
        for (index, entry) in wanted.enumerated() where entry.value.map != nil {
            check(services[index], entry, tree, wanted, all)
        }
        services = ordered(services)
        let kept = tree.entry("services") == nil ? tree : tree.replacing("services", with: wanted)
        return ComposeProject(
            name: name,
            services: services,
            sources: report.sources,
            warnings: report.sorted,
            volumes: volumes(tree),
            configs: contents("configs", tree),
            secrets: contents("secrets", tree),
            variables: variables,
            tree: kept,
            folders: report.folders
        )
    }

    /// The name as Compose would have it.
    private func projectName(_ tree: ComposeNode) -> String {
        let name = variables["COMPOSE_PROJECT_NAME"] ?? input.usualName
        let isGood = name.utf8.enumerated()
            .allSatisfy { index, byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || (index > 0 && "-_".utf8.contains(byte))
            }
        if !isGood || name.isEmpty {
            report.error(
                "the project's name \"\(name)\" has to be of lower-case letters, digits, - and _, a letter or digit first",
                at: tree["name"]?.place ?? tree.place
            )
        }
        return name
    }

    // MARK: Profiles

    /// Those without a profile, and those of an active one.
    private func wanted(_ all: [ComposeNode.Entry]) -> [ComposeNode.Entry] {
        all.filter { entry in
            let own = entry.value["profiles"]?.texts.compactMap(\.text) ?? []
            return own.isEmpty || input.profiles.contains("*") || own.contains { input.profiles.contains($0) }
        }
    }

    private func check(
        _ service: ComposeService,
        _ entry: ComposeNode.Entry,
        _ tree: ComposeNode,
        _ wanted: [ComposeNode.Entry],
        _ all: [ComposeNode.Entry]
    ) {
        let path = "services.\(service.name)"
        if service.image == nil, service.build == nil, service.node["provider"] == nil {
            report.error("\(path) has neither image nor build", at: entry.place)
        }
        for name in service.dependencies where !wanted.contains(where: { $0.key == name.name }) {
            let isRequired = service.node["depends_on"]?[name.name]?["required"]?.flag ?? true
            let what = "\(path).depends_on: "
            if let other = all.first(where: { $0.key == name.name }) {
                let profiles = other.value["profiles"]?.texts.compactMap(\.text) ?? []
                guard isRequired else { continue }
                report.error(
                    what + "\(name.name) is of the profile \(profiles.joined(separator: ", ")), which is not active",
                    at: name.place,
                    notes: ["--profile \(profiles.first ?? "NAME")"]
                )
            } else if isRequired {
                let near = Suggestion.phrase(for: name.name, among: all.map(\.key))
                report.error(what + "there is no service \"\(name.name)\"\(near)", at: name.place)
            }
        }
        references(service, tree)
    }

    /// What a service names has to be there.
    private func references(_ service: ComposeService, _ tree: ComposeNode) {
        let check = { (section: String, name: String, place: ComposePlace, path: String) in
            let names = (tree[section]?.map ?? []).map(\.key)
            guard !names.contains(name) else { return }
            let near = Suggestion.phrase(for: name, among: names)
            report.error(
                "\(path): there is no \"\(name)\" among \(section)\(near)",
                at: place,
                notes: ["at the top of the file: \(section): \(name): …"]
            )
        }
        for grant in service.configs { check("configs", grant.source, grant.place, grant.path) }
        for grant in service.secrets { check("secrets", grant.source, grant.place, grant.path) }
        for mount in service.mounts where mount.kind == .volume {
            if let name = mount.source { check("volumes", name, mount.place, mount.path) }
        }
        let networks = service.node["networks"]
        for entry in networks?.map ?? [] where entry.key != "default" {
            check("networks", entry.key, entry.place, networks?.path ?? "")
        }
        for name in networks?.list ?? [] where name.text != "default" {
            check("networks", name.text ?? "", name.place, name.path)
        }
        if networks != nil, let mode = service.node.entry("network_mode") {
            report.error("\(mode.value.path) and networks are given both", at: mode.place)
        }
    }

    /// Those that others depend on first, otherwise as they are written.
    private func ordered(_ services: [ComposeService]) -> [ComposeService] {
        var result: [ComposeService] = []
        var state: [String: Bool] = [:]
        func visit(_ service: ComposeService, _ above: [String]) {
            if state[service.name] == true { return }
            if state[service.name] == false {
                let chain = (above.drop { $0 != service.name } + [service.name]).joined(separator: " -> ")
                report.error("services.\(service.name).depends_on goes in a circle: \(chain)", at: service.place)
                return
            }
            state[service.name] = false
            for dependency in service.dependencies {
                if let other = services.first(where: { $0.name == dependency.name }) {
                    visit(other, above + [service.name])
                }
            }
            state[service.name] = true
            result.append(service)
        }
        for service in services { visit(service, []) }
        return result
    }

    // MARK: Volumes, configs, secrets

    private func isExternal(_ node: ComposeNode) -> Bool {
        guard let external = node["external"] else { return false }
        return external.map != nil || external.flag == true
    }

    private func name(_ key: String, _ node: ComposeNode) -> String {
        node["name"]?.text ?? node["external"]?["name"]?.text ?? key
    }

    private func volumes(_ tree: ComposeNode) -> [String: ComposeVolume] {
        var result: [String: ComposeVolume] = [:]
        for entry in tree["volumes"]?.map ?? [] {
            let options = (entry.value["driver_opts"]?.map ?? []).map { ($0.key, $0.value.text ?? "") }
            result[entry.key] = ComposeVolume(
                node: entry.value,
                place: entry.place,
                isExternal: isExternal(entry.value),
                name: name(entry.key, entry.value),
                driver: entry.value["driver"]?.text,
                options: Dictionary(options) { $1 }
            )
        }
        return result
    }

    private func contents(_ section: String, _ tree: ComposeNode) -> [String: ComposeContent] {
        var result: [String: ComposeContent] = [:]
        for entry in tree[section]?.map ?? [] {
            let node = entry.value
            let sources = ["file", "environment", "content"].filter { node[$0] != nil }
            let path = "\(section).\(entry.key)"
            if isExternal(node), !sources.isEmpty {
                report.error("\(path) is external, and has \(sources[0]) too", at: entry.place)
            } else if !isExternal(node), sources.count != 1, node["driver"] == nil {
                let forms = section == "configs" ? "file, environment or content" : "file or environment"
                report.error("\(path) needs one of \(forms)", at: entry.place)
            }
            result[entry.key] = ComposeContent(
                node: node,
                place: entry.place,
                isExternal: isExternal(node),
                name: name(entry.key, node)
            )
        }
        return result
    }
}
