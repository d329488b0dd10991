// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Kubernetes
internal import OCI

extension ClusterWish {
    private static let shared = ["type", "name", "target", "readonly", "part"]

    /// `--volume`: volumes, where the main container sees them, and what they are made of.
    func addVolumes(to workload: inout Workload) throws {
        for text in options.volumes {
            guard text.contains("=") else {
                workload.containers[0].mounts.append(try mount(text))
                continue
            }
            let values = try KeyedValues(text, flag: "--volume")
            let volume = Workload.Volume(try values.required("name"), try content(values, &workload))
            if !workload.volumes.contains(volume) { workload.volumes.append(volume) }
            let isReadOnly = values["readonly"] == "true"
            let target = try values.required("target")
            workload.containers[0].mounts
                .append(
                    .init(volume.name, at: target, part: values["part"], isReadOnly: isReadOnly)
                )
        }
        for container in workload.containers {
            for mount in container.mounts where !workload.volumes.contains(where: { $0.name == mount.volume }) {
                throw ExitReason(
                    .usage,
                    "\(container.name) mounts \(mount.volume), and no --volume is called so",
                    hint: "--volume type=emptyDir,name=\(mount.volume),target=\(mount.path)"
                )
            }
        }
    }

    private func content(_ values: KeyedValues, _ workload: inout Workload) throws -> Workload.Volume.Content {
        let name = try values.required("name")
        let isReadOnly = values["readonly"] == "true"
        switch try values.required("type").lowercased() {
        case "emptydir", "empty", "tmpfs":
            try values.allow(Self.shared + ["medium", "limit"])
            let isInMemory = values["medium"]?.lowercased() == "memory" || values["type"] == "tmpfs"
            return .empty(isInMemory: isInMemory, limit: values["limit"])
        case "secret":
            if let existing = values["secret"] {
                try values.allow(Self.shared + ["secret"])
                return .secret(name: existing, items: [:], mode: nil)
            }
            let files = try self.files(values, isSecret: true)
            workload.secrets.append(.init("\(self.name)-\(name)", files: files))
            return .secret(name: "\(self.name)-\(name)", items: [:], mode: nil)
        case "configmap", "config":
            if let existing = values["config"] {
                try values.allow(Self.shared + ["config"])
                return .config(name: existing, items: [:], mode: nil)
            }
            let files = try self.files(values, isSecret: false)
            workload.configMaps.append(.init("\(self.name)-\(name)", files: files))
            return .config(name: "\(self.name)-\(name)", items: [:], mode: nil)
        case "claim", "pvc":
            try values.allow(Self.shared + ["claim", "size", "class", "access"])
            if let existing = values["claim"] { return .claim(name: existing, isReadOnly: isReadOnly) }
            let claim = Workload.Claim(
                "\(self.name)-\(name)",
                size: try values.required("size"),
                storageClass: values["class"],
                access: try access(values["access"])
            )
            workload.claims.append(claim)
            return .claim(name: claim.name, isReadOnly: isReadOnly)
        case "azurefile": return try share(values, isReadOnly, &workload)
        case "gitrepo":
            throw ExitReason(
                .usage,
                "--volume \(name): Kubernetes has no volumes of git repositories any more",
                hint: "COPY or ADD it into the image"
            )
        case let other:
            throw ExitReason(
                .usage,
                "--volume: there is no type \"\(other)\"",
                hint: "type=emptyDir, secret, configMap, claim or azureFile"
            )
        }
    }

    private func share(_ values: KeyedValues, _ isReadOnly: Bool, _ workload: inout Workload) throws
        -> Workload.Volume.Content
    {
        let share = try values.required("share")
        if let existing = values["secret"] {
            try values.allow(Self.shared + ["share", "secret"])
            return .azureFile(share: share, secret: existing, isReadOnly: isReadOnly)
        }
        try values.allow(Self.shared + ["share", "account", "key"])
        let name = try values.required("name")
        let source = try values.required("key")
        try SecretSource.check(source, for: "--volume \(name)")
        let key = readsSecrets ? try SecretSource.text(source, for: "--volume \(name)", environment).value : ""
        let secret = "\(self.name)-\(name)"
        // The names that the driver reads (kubernetes-sigs/azurefile-csi-driver, driver-parameters.md).
        let files = [
            "azurestorageaccountname": Array(try values.required("account").utf8),
            "azurestorageaccountkey": Array(key.utf8),
        ]
        workload.secrets.append(.init(secret, files: files))
        return .azureFile(share: share, secret: secret, isReadOnly: isReadOnly)
    }

    /// `FILE=file:PATH`, `FILE=env:VARIABLE`.
    private func files(_ values: KeyedValues, isSecret: Bool) throws -> [String: [UInt8]] {
        let name = try values.required("name")
        var files: [String: [UInt8]] = [:]
        for (file, source) in values.pairs where !Self.shared.contains(file) {
            let what = "--volume \(name): \(file)"
            try SecretSource.check(source, for: what)
            files[file] = isSecret && !readsSecrets ? [] : try SecretSource.read(source, for: what, environment)
        }
        guard !files.isEmpty else {
            let type = isSecret ? "secret" : "configMap"
            throw ExitReason(
                .usage,
                "--volume \(name) has no file",
                hint: "type=\(type),name=…,target=…,FILE=file:PATH, or \(isSecret ? "secret" : "config")=NAME for one "
                    + "that is there"
            )
        }
        return files
    }

    private func access(_ text: String?) throws(ExitReason) -> String {
        let known = ["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"]
        let short = ["rwo": known[0], "rwx": known[1], "rox": known[2], "rwop": known[3]]
        guard let text else { return known[0] }
        if let mode = short[text.lowercased()] ?? known.first(where: { $0.lowercased() == text.lowercased() }) {
            return mode
        }
        throw ExitReason(.usage, "--volume access=\(text) is not one of \(known.joined(separator: ", "))")
    }

    /// `NAME:PATH[:ro]`.
    func mount(_ text: String) throws(ExitReason) -> Workload.Mount {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (2...3).contains(parts.count), !parts[0].isEmpty, parts[1].hasPrefix("/"),
            parts.count == 2 || ["ro", "rw"].contains(parts[2])
        else {
            throw ExitReason(.usage, "--volume \"\(text)\" is not NAME:PATH[:ro]", hint: "or type=…,name=…,target=…")
        }
        return .init(parts[0], at: parts[1], isReadOnly: parts.count == 3 && parts[2] == "ro")
    }
}
