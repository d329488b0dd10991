// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import RegistryServer
internal import Sandbox
internal import Store
internal import Synchronization

/// The volumes of a pod, each a folder: written when the pod begins, and not again when what they are made of changes.
struct PodVolumes {
    let run: PodRun

    private struct File {
        let path: String
        let bytes: [UInt8]
    }

    /// Makes the folders; throws what an event should say.
    func prepare() throws {
        for volume in run.spec["volumes"]?.array ?? [] {
            let name = volume.text("name")
            do {
                try prepare(volume, name)
            } catch let error as PodContainer.Obstacle {
                throw EmulatorError(message: "MountVolume.SetUp failed for volume \"\(name)\" : \(error.message)")
            }
        }
    }

    private func prepare(_ volume: JSONValue, _ name: String) throws {
        let folder = folder(name)
        if let claim = volume.at("persistentVolumeClaim", "claimName")?.string {
            let found = run.cluster.store.withLock { $0.get(.claims, ObjectKey(run.namespace, claim)) }
            guard found != nil else {
                throw EmulatorError(message: "persistentvolumeclaim \"\(claim)\" not found")
            }
            try DiskFile.makeFolder(folderOfClaim(claim))
            chmod(folderOfClaim(claim), 0o777)
            return
        }
        try DiskFile.makeFolder(folder)
        if volume["emptyDir"] != nil {
            // Whoever runs the container may write, as by a kubelet.
            chmod(folder, 0o777)
            return
        }
        let mode = { (given: JSONValue?) in UInt32(truncatingIfNeeded: given?["defaultMode"]?.int ?? 420) }
        if let source = volume["configMap"] {
            try write(files(.configMaps, source, source.text("name")), folder, mode(source))
        } else if let source = volume["secret"] {
            try write(files(.secrets, source, source.text("secretName")), folder, mode(source))
        } else if let source = volume["downwardAPI"] {
            try write(fields(source), folder, mode(source))
        } else if let source = volume["projected"] {
            for part in source["sources"]?.array ?? [] {
                var found: [File] = []
                if let inner = part["configMap"] { found = try files(.configMaps, inner, inner.text("name")) }
                if let inner = part["secret"] { found = try files(.secrets, inner, inner.text("name")) }
                if let inner = part["downwardAPI"] { found = fields(inner) }
                try write(found, folder, mode(source))
            }
        } else {
            let kind = (volume.object ?? [:]).keys.filter { $0 != "name" }.sorted().first ?? "nothing"
            throw PodContainer.Obstacle(reason: "", message: "the emulator has no volumes of the kind \(kind)")
        }
    }

    private func folder(_ name: String) -> String { "\(run.folder)/volumes/\(name)" }

    /// A claim that is made anew begins with nothing.
    private func folderOfClaim(_ name: String) -> String {
        let claim = run.cluster.store.withLock { $0.get(.claims, ObjectKey(run.namespace, name)) }
        return "\(run.cluster.folder)/claims/\(run.namespace)/\(name)-\(claim?.kubeUID ?? "")"
    }

    private func fields(_ source: JSONValue) -> [File] {
        (source["items"]?.array ?? [])
            .map { item in
                let text = Sources(run: run).field(item.text("fieldRef", "fieldPath"))
                return File(path: item.text("path"), bytes: Array(text.utf8))
            }
    }

    private func files(_ type: KubeType, _ source: JSONValue, _ name: String) throws -> [File] {
        let isOptional = source["optional"]?.bool ?? false
        let found = run.cluster.store.withLock { $0.get(type, ObjectKey(run.namespace, name)) }
        guard let found else {
            if isOptional { return [] }
            throw PodContainer.Obstacle(reason: "", message: "\(type.singular) \"\(name)\" not found")
        }
        var all: [String: [UInt8]] = [:]
        if type == .configMaps { all = (found["data"]?.strings ?? [:]).mapValues { Array($0.utf8) } }
        for (key, value) in found[type == .configMaps ? "binaryData" : "data"]?.strings ?? [:] {
            all[key] = Base64.decode(value) ?? []
        }
        guard let items = source["items"]?.array else { return all.map { File(path: $0.key, bytes: $0.value) } }
        return try items.compactMap { item in
            let key = item.text("key")
            if let bytes = all[key] { return File(path: item.text("path"), bytes: bytes) }
            if isOptional { return nil }
            throw PodContainer.Obstacle(reason: "", message: "references non-existent config key: \(key)")
        }
    }

    private func write(_ files: [File], _ folder: String, _ mode: UInt32) throws {
        for file in files {
            let parts = file.path.split(separator: "/").map(String.init)
            guard !parts.isEmpty, !parts.contains(".."), !file.path.hasPrefix("/") else {
                throw PodContainer.Obstacle(reason: "", message: "\"\(file.path)\" is not a path below a volume")
            }
            let place = "\(folder)/\(parts.joined(separator: "/"))"
            if parts.count > 1 { try DiskFile.makeFolder("\(folder)/\(parts.dropLast().joined(separator: "/"))") }
            try DiskFile.write(file.bytes, to: place, isSynced: false)
            chmod(place, mode)
            let group = run.spec.at("securityContext", "fsGroup")?.int
            if let group { chown(place, 0, gid_t(truncatingIfNeeded: group)) }
        }
    }

    /// What is mounted in a container.
    func mounts(of container: JSONValue) throws -> [MountSpec] {
        let volumes = run.spec["volumes"]?.array ?? []
        var mounts: [MountSpec] = []
        for mount in container["volumeMounts"]?.array ?? [] {
            guard let volume = volumes.first(where: { $0["name"] == mount["name"] }) else { continue }
            var source = folder(volume.text("name"))
            if let claim = volume.at("persistentVolumeClaim", "claimName")?.string { source = folderOfClaim(claim) }
            let isWritable = volume["emptyDir"] != nil || volume["persistentVolumeClaim"] != nil
            if let part = mount["subPath"]?.string, !part.isEmpty {
                guard !part.split(separator: "/").contains(".."), !part.hasPrefix("/") else {
                    throw PodContainer.Obstacle(
                        reason: "CreateContainerConfigError",
                        message: "subPath \"\(part)\" is not below its volume"
                    )
                }
                source += "/\(part)"
                if isWritable, access(source, F_OK) != 0 { try DiskFile.makeFolder(source) }
            }
            let isReadOnly = !isWritable || mount["readOnly"]?.bool ?? false
            mounts.append(MountSpec(.bind(source, isReadOnly: isReadOnly), at: mount.text("mountPath")))
        }
        return mounts.sorted { $0.target.count < $1.target.count }
    }
}
