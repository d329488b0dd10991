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
                key.utf8.allSatisfy { ManifestFolder.isWord($0) }
                    ? "--from-literal=\(key)=\"$\(key)\"" : "--from-file=\(key)=…"
            }
            return "kubectl create secret generic \(name)\(place) " + members.joined(separator: " ")
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x5F
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
        for secret in secrets {
            lines.append(
                "before that, \(folder)/\(ManifestFolder.file(ofSecret: secret)) has to be written: its remarks are in kustomization.yaml"
            )
        }
        return lines + notes
    }

    private static func file(ofSecret secret: ObjectManifest) -> String {
        secret.json["type"] == "kubernetes.io/dockerconfigjson" ? "\(secret.name).json" : "\(secret.name).env"
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
            let names = secrets.map { "/" + ManifestFolder.file(ofSecret: $0) }
            files.append(
                (".gitignore", ([ManifestFolder.mark + " Secrets stay here."] + names).joined(separator: "\n") + "\n")
            )
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
            let list = secrets.map { secret -> JSONValue in
                let file = ManifestFolder.file(ofSecret: secret)
                if file.hasSuffix(".json") {
                    return [
                        "name": .string(secret.name), "type": "kubernetes.io/dockerconfigjson",
                        "files": [.string(".dockerconfigjson=" + file)],
                    ]
                }
                return ["name": .string(secret.name), "envs": [.string(file)]]
            }
            manifest.json["secretGenerator"] = .array(list)
            manifest.comments[["secretGenerator"]] = "no secret is in here: write these files, which git ignores"
            for (index, secret) in secrets.enumerated() {
                let keys = (secret.json["data"]?.object ?? [:]).keys.sorted().joined(separator: ", ")
                manifest.comments[["secretGenerator", "\(index)"]] =
                    secret.json["type"] == "kubernetes.io/dockerconfigjson"
                    ? "as ~/.docker/config.json: {\"auths\": {…}}" : "lines NAME=value: \(keys)"
            }
        }
        return ManifestFolder.mark + "\n" + ManifestWriter().document(manifest)
    }

    /// Writes the folder; what others wrote in it stays, and is not written over.
    func write(to folder: String) throws(ExitReason) -> [String] {
        let files = files
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
        return files.map(\.name)
    }
}
