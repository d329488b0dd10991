// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kubernetes
internal import OCI

/// Manifests in a folder that `kubectl apply -k` takes, or as one stream; no secret is in either.
struct ManifestFolder {
    let manifests: [ObjectManifest]
    let namespace: String?
    /// How what images are pulled with is made by hand, or what its owner has to see to.
    var remarks: [String] = []

    /// The first line of every file that may be written anew.
    static let mark = "# Written by coracle."

    init(_ manifests: [ObjectManifest], namespace: String?) {
        (self.manifests, self.namespace) = (manifests, namespace)
    }

    private var secrets: [ObjectManifest] { manifests.filter { $0.kind == "Secret" } }
    private var shown: [ObjectManifest] { manifests.filter { $0.kind != "Secret" } }

    /// What has to be typed for each Secret, as none is in what is written.
    private var commands: [String] {
        secrets.map { secret in
            let place = (secret.namespace ?? namespace).map { " --namespace=\($0)" } ?? ""
            let name = secret.name
            if secret.json["type"] == "kubernetes.io/dockerconfigjson",
                let remark = remarks.first(where: { $0.contains("docker-registry \(name) ") })
            {
                return remark + place
            }
            let keys = (secret.json["data"]?.object ?? [:]).keys.sorted()
            let members = keys.map { key in
                ManifestFolder.isVariables(secret) ? "--from-literal=\(key)=\"$\(key)\"" : "--from-file=\(key)=FILE"
            }
            return "kubectl create secret generic \(name)\(place) " + members.joined(separator: " ")
        }
    }

    /// Whether a Secret holds variables; others hold files, which may have many lines.
    private static func isVariables(_ secret: ObjectManifest) -> Bool { secret.name.hasSuffix("-env") }

    private static func isPull(_ secret: ObjectManifest) -> Bool {
        secret.json["type"] == "kubernetes.io/dockerconfigjson"
    }

    /// What is worth saying that makes no Secret.
    private var notes: [String] { remarks.filter { !$0.contains("docker-registry") } }

    /// All manifests as one stream of documents.
    var stream: String {
        var head = ["Written by coracle. To a cluster: kubectl apply -f FILE"]
        if !secrets.isEmpty {
            head.append("No secret is in here. Before that:")
            head += commands.map { "  " + $0 }
        }
        return ManifestWriter().write(shown, head: head + notes)
    }

    // MARK: A folder

    /// What is told of the folder.
    func advice(_ folder: String) -> [String] {
        var lines = ["kubectl apply -k \(folder)"]
        let missing = secrets.flatMap { ManifestFolder.sources(of: $0) }.map(\.file)
        if !missing.isEmpty {
            let list = missing.joined(separator: ", ")
            lines.append("before that, write \(list) there: no secret is in what was written")
        }
        return lines + notes
    }

    /// The files that a Secret is made of, as a generator names them: key and path, or variables alone.
    private static func sources(of secret: ObjectManifest) -> [(key: String?, file: String)] {
        if isPull(secret) { return [(".dockerconfigjson", secret.name + ".json")] }
        if isVariables(secret) { return [(nil, secret.name + ".env")] }
        return (secret.json["data"]?.object ?? [:]).keys.sorted().map { ($0, "\(secret.name)/\($0)") }
    }

    /// The files by their names.
    var files: [(name: String, text: String)] {
        var files: [(name: String, text: String)] = []
        for manifest in shown {
            var name = manifest.kind.lowercased() + ".yaml"
            let others = shown.filter { $0.kind == manifest.kind }
            if others.count > 1 { name = "\(manifest.kind.lowercased())-\(manifest.name).yaml" }
            files.append((name, ManifestFolder.mark + "\n" + ManifestWriter().document(manifest)))
        }
        files.append(("kustomization.yaml", kustomization(files.map(\.name))))
        if !secrets.isEmpty {
            let names = secrets.flatMap { ManifestFolder.sources(of: $0) }.map { "/" + $0.file }
            let lines = [ManifestFolder.mark + " Secrets stay here."] + names
            files.append((".gitignore", lines.joined(separator: "\n") + "\n"))
        }
        return files
    }

    /// Specification: kustomize's `kustomize.config.k8s.io/v1beta1`.
    private func kustomization(_ names: [String]) -> String {
        var json: JSONValue = [
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": JSONValue(names),
        ]
        json["namespace"] = namespace.map { .string($0) }
        var manifest = ObjectManifest(json)
        if !secrets.isEmpty {
            manifest.json["secretGenerator"] = .array(secrets.map { ManifestFolder.generator($0) })
            manifest.comments[["secretGenerator"]] = "no secret is in here: write these files, which git ignores"
            for (index, secret) in secrets.enumerated() {
                let keys = (secret.json["data"]?.object ?? [:]).keys.sorted().joined(separator: ", ")
                let place = ["secretGenerator", "\(index)"]
                if ManifestFolder.isPull(secret) {
                    manifest.comments[place] = "as ~/.docker/config.json: {\"auths\": {…}}"
                } else if ManifestFolder.isVariables(secret) {
                    manifest.comments[place] = "lines NAME=value: \(keys)"
                }
            }
        }
        return ManifestFolder.mark + "\n" + ManifestWriter().document(manifest)
    }

    private static func generator(_ secret: ObjectManifest) -> JSONValue {
        var json: JSONValue = ["name": .string(secret.name)]
        if isPull(secret) { json["type"] = secret.json["type"] }
        let sources = sources(of: secret)
        if isVariables(secret) {
            json["envs"] = JSONValue(sources.map(\.file))
        } else {
            json["files"] = JSONValue(sources.map { "\($0.key ?? "")=\($0.file)" })
        }
        // Drivers of volumes name Secrets where kustomize does not look, and would not find one of another name.
        if secret.json["data"]?["azurestorageaccountkey"] != nil {
            json["options"] = ["disableNameSuffixHash": true]
        }
        return json
    }

    /// What was done to a folder.
    struct Written {
        /// The files that were written.
        var files: [String] = []
        /// Files of an earlier time that nothing wants any more, and that are gone.
        var removed: [String] = []
    }

    /// Writes the folder, and removes what was written into it before and is not wanted any more; what others wrote in it
    /// stays, and is not written over.
    func write(to folder: String) throws(ExitReason) -> Written {
        var files = files
        for (name, _) in files {
            guard let old = try TextFile.read(folder + "/" + name) else { continue }
            guard String(decoding: old.prefix(ManifestFolder.mark.utf8.count), as: UTF8.self) == ManifestFolder.mark
            else {
                throw ExitReason(
                    .usage,
                    "\(folder)/\(name) was not written by coracle, and is not written over",
                    hint: "-o with another folder, as a base that yours builds upon"
                )
            }
        }
        // Only a list of ours is read: any other was an error.
        let own = files.first { $0.name == ".gitignore" }?.text
        files.removeAll { $0.name == ".gitignore" }
        if try TextFile.read(folder + "/.gitignore")?.starts(with: ManifestFolder.mark.utf8) ?? true,
            let list = try ManifestFolder.ignored(own, in: folder)
        {
            files.append((".gitignore", list))
        }
        var path = folder.hasPrefix("/") ? "/" : ""
        for part in folder.split(separator: "/") {
            path += part + "/"
            guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
                throw ExitReason(.usage, "\(path) cannot be made: \(String(cString: strerror(errno)).lowercased())")
            }
        }
        for (name, text) in files {
            do {
                try OutputFile(folder + "/" + name).write(Array(text.utf8))
            } catch {
                throw ExitReason(.usage, "\(folder)/\(name): cannot be written: \(error)")
            }
        }
        return Written(files: files.map(\.name), removed: try removeOld(folder, Set(files.map(\.name))))
    }

    /// A list of what git ignores keeps what it named, as long as that is there: it is a secret still.
    private static func ignored(_ new: String?, in folder: String) throws(ExitReason) -> String? {
        let old = try TextFile.read(folder + "/.gitignore").map { String(decoding: $0, as: UTF8.self) } ?? ""
        var lines = (new ?? "").split(separator: "\n").map(String.init)
        if lines.isEmpty { lines = [mark + " Secrets stay here."] }
        for line in old.split(separator: "\n").map(String.init) where line.hasPrefix("/") && !lines.contains(line) {
            if TextFile.isFile(folder + line) { lines.append(line) }
        }
        return lines.count > 1 ? lines.joined(separator: "\n") + "\n" : nil
    }

    /// Removes files that have our mark and the name that we give to what is in them.
    private func removeOld(_ folder: String, _ wanted: Set<String>) throws(ExitReason) -> [String] {
        var removed: [String] = []
        for name in TextFile.names(in: folder).sorted() where !wanted.contains(name) {
            guard name.hasSuffix(".yaml") || name == ".gitignore" else { continue }
            guard let bytes = try TextFile.read(folder + "/" + name) else { continue }
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
            guard let first = lines.first, first.hasPrefix(ManifestFolder.mark),
                name == ".gitignore" || ManifestFolder.names(lines).contains(name)
            else { continue }
            guard unlink(folder + "/" + name) == 0 else {
                throw ExitReason(
                    .usage,
                    "\(folder)/\(name) is not wanted any more, and cannot be removed: "
                        + String(cString: strerror(errno)).lowercased()
                )
            }
            removed.append(name)
        }
        return removed
    }

    /// The names that a manifest of ours may have had, by its lines.
    private static func names(_ lines: [String]) -> Set<String> {
        guard let kind = lines.first(where: { $0.hasPrefix("kind: ") })?.dropFirst(6).lowercased() else { return [] }
        let name = lines.first { $0.hasPrefix("  name: ") }?.dropFirst(8) ?? ""
        return ["\(kind).yaml", "\(kind)-\(name).yaml"]
    }
}
