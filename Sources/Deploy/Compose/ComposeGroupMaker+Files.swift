// SPDX-License-Identifier: Apache-2.0
internal import Azure

/// What containers of a group mount.
extension ComposeGroupMaker {
    mutating func mounts(_ service: ComposeService, _ container: inout ContainerWish) {
        for (index, mount) in service.mounts.enumerated() {
            guard let name = volume(mount, service, index) else { continue }
            container.mounts.append(.init(volume: name, path: mount.target, isReadOnly: mount.isReadOnly))
        }
    }

    /// The volume of the group that a mount is of; `nil` where it cannot be.
    private mutating func volume(_ mount: ComposeMount, _ service: ComposeService, _ index: Int) -> String? {
        switch mount.kind {
        case .volume:
            if mount.part != nil {
                problems.error("\(mount.path): a volume is mounted as a whole", at: mount.place)
                return nil
            }
            guard let source = mount.source, let volume = project.volumes[source] else {
                return empty(mount, service, index, "it is empty whenever the group begins anew")
            }
            return named(source, volume)
        case .tmpfs: return empty(mount, service, index, "it is a folder on disk, not in memory")
        case .bind:
            let source = mount.source ?? ""
            if source.hasSuffix("docker.sock") {
                problems.error("\(mount.path): there is no Docker engine to ask", at: mount.place)
                return nil
            }
            problems.error(
                "\(mount.path): a container group does not see \(source) of this machine",
                at: mount.place,
                "a file of settings: configs:; what the program needs: COPY in the Dockerfile; what is kept: a volume"
            )
        case .image, .npipe, .cluster:
            problems.error("\(mount.path): a container group has no mounts of the type \(mount.kind)", at: mount.place)
        }
        return nil
    }

    private mutating func empty(
        _ mount: ComposeMount,
        _ service: ComposeService,
        _ index: Int,
        _ why: String
    ) -> String {
        let name = ComposeGroupMaker.volumeName("\(service.name)-\(mount.kind.rawValue)-\(index + 1)")
        problems.warn("\(mount.path): \(mount.target) is an empty folder of the group: \(why)", at: mount.place)
        add(.init(name: name, content: .empty))
        return name
    }

    /// Names have 5 to 63 lower-case letters, digits and single dashes.
    static func volumeName(_ text: String) -> String {
        var name = ""
        for letter in text.lowercased() {
            let isPlain = letter.isASCII && (letter.isLetter || letter.isNumber)
            if isPlain { name.append(letter) } else if name.last != "-", !name.isEmpty { name.append("-") }
        }
        while name.last == "-" { name.removeLast() }
        return String((name.utf8.count < 5 ? "volume-" + name : name).prefix(63))
    }

    private static let shape: ComposeShape = .map([
        "type": .word(["emptyDir", "azureFile"]), "share": .text, "account": .text, "key": .text, "readonly": .flag,
    ])

    /// A volume with a name: a file share, or an empty folder where somebody says so.
    private mutating func named(_ key: String, _ volume: ComposeVolume) -> String? {
        let name = ComposeGroupMaker.volumeName(key)
        let path = "volumes.\(key)"
        let own = volume.node["x-aci"]
        if let own {
            let report = ComposeReport()
            ComposeGroupMaker.shape.check(own, report)
            problems.add(report.problems)
            if report.hasErrors { return nil }
        }
        if own?["type"]?.text == "emptyDir" {
            add(.init(name: name, content: .empty))
            return name
        }
        // The names that Docker's own integration had.
        let isShare = volume.driver == "azure_file"
        guard own != nil || isShare else {
            let what = volume.driver.map { "the driver \($0)" } ?? "a volume of this machine"
            problems.error(
                "\(path): \(what) is not there, and what is kept has to be on a file share",
                at: volume.place,
                "x-aci: {type: azureFile, share: NAME, account: STORAGE_ACCOUNT, key: env:STORAGE_KEY}, or "
                    + "x-aci: {type: emptyDir} where it may be lost"
            )
            return nil
        }
        let share = own?["share"]?.text ?? volume.options["share_name"] ?? volume.name
        guard let account = own?["account"]?.text ?? volume.options["storage_account_name"] else {
            problems.error("\(path) names no storage account", at: volume.place, "x-aci: account: NAME")
            return nil
        }
        let isReadOnly = own?["readonly"]?.flag ?? false
        let key = own?["key"].flatMap { self.key($0) }
        add(.init(name: name, content: .share(name: share, account: account, key: key, isReadOnly: isReadOnly)))
        return name
    }

    /// `env:VARIABLE`: a key is named, not written.
    private mutating func key(_ node: ComposeNode) -> SecureText? {
        let text = node.text ?? ""
        guard text.hasPrefix("env:") else {
            problems.error("\(node.path): a key is named, not written", at: node.place, "env:VARIABLE")
            return nil
        }
        let name = String(text.dropFirst(4))
        guard let value = project.variables[name] else {
            problems.error("\(node.path): the environment has no variable \(name)", at: node.place, "export \(name)")
            return nil
        }
        return SecureText(value)
    }

    // MARK: Configs and secrets

    /// The files of a service, a volume for each folder: single files cannot be mounted.
    mutating func files(
        _ service: ComposeService,
        _ container: inout ContainerWish,
        _ read: (String) throws -> [UInt8]?
    ) {
        var folders: [String: [(name: String, bytes: [UInt8])]] = [:]
        var order: [String] = []
        for (grant, contents) in service.configs.map({ ($0, project.configs) })
            + service.secrets.map({ ($0, project.secrets) })
        {
            guard let content = contents[grant.source] else { continue }
            let folder = ComposePath.folder(of: grant.target)
            let file = String(grant.target.split(separator: "/").last ?? "")
            guard folder != "/" else {
                problems.error(
                    "\(grant.path): \(grant.target) would need a volume at /, as a group mounts folders, not files",
                    at: grant.place,
                    "target: /etc/\(service.name)/\(file)"
                )
                continue
            }
            if content.isExternal {
                problems.error(
                    "\(grant.path): \(grant.source) is external, and a group has only what it is given",
                    at: grant.place,
                    "file: or environment: in its place"
                )
                continue
            }
            guard let bytes = problems.bytes(content, project, read) else { continue }
            if grant.mode != nil {
                problems.warn("\(grant.path): files of a group have the permissions that Azure gives", at: grant.place)
            }
            if folders[folder] == nil { order.append(folder) }
            folders[folder, default: []].append((file, bytes))
        }
        for (index, folder) in order.enumerated() {
            if service.mounts.contains(where: { $0.target == folder }) {
                problems.error(
                    "services.\(service.name): something is mounted at \(folder), where its files go",
                    at: service.place
                )
                continue
            }
            let name = ComposeGroupMaker.volumeName("\(service.name)-files-\(index + 1)")
            let files = Dictionary(folders[folder] ?? []) { $1 }
            add(.init(name: name, files: files))
            container.mounts.append(.init(volume: name, path: folder, isReadOnly: true))
            if folder != "/run/secrets" {
                problems.warn(
                    "services.\(service.name): \(folder) holds these files only: what its image has there is hidden",
                    at: service.configs.first?.place ?? service.secrets.first?.place ?? service.place
                )
            }
        }
    }
}

extension ComposeProblems {
    /// What a config or secret holds.
    mutating func bytes(
        _ content: ComposeContent,
        _ project: ComposeProject,
        _ read: (String) throws -> [UInt8]?
    ) -> [UInt8]? {
        if let text = content.node["content"]?.text { return Array(text.utf8) }
        if let node = content.node["environment"], let name = node.text {
            if let value = project.variables[name] { return Array(value.utf8) }
            error("\(node.path): the environment has no variable \(name)", at: node.place, "export \(name)")
            return nil
        }
        guard let node = content.node["file"] else {
            error("there is nothing to read it from", at: content.place)
            return nil
        }
        let path = project.path(node)
        do {
            if let bytes = try read(path) { return bytes }
            error("\(node.path): there is no file \(path)", at: node.place)
        } catch let fault {
            error("\(node.path): \(fault)", at: node.place)
        }
        return nil
    }
}
