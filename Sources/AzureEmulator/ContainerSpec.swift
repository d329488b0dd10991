// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import RegistryServer
internal import Rootfs
internal import Sandbox
internal import Store

/// What is run for a container of a group, and what it sees.
struct ContainerSpec {
    let keeper: ContainerKeeper
    let image: GroupImage
    let folders: [String]
    let snapshots: Snapshots

    private var properties: JSONValue { keeper.properties }

    func spec(_ root: ProcessSpec.Root) throws -> ProcessSpec {
        let config = image.config
        // The command of a group replaces both parts of the image's.
        let own = properties.member("command")?.texts ?? []
        let command = own.isEmpty ? (config.entrypoint ?? []) + (config.command ?? []) : own
        guard !command.isEmpty, command[0].isEmpty == false else {
            throw EmulatorError(message: "no command specified: neither the group nor the image \(image.name) has one")
        }
        var spec = ProcessSpec(root: root, arguments: command)
        let user = try ContainerUser(config.user) { try snapshots.read(Array($0.utf8), in: folders, limit: 10 << 20) }
        spec.user = ProcessSpec.User(uid: user.uid, gid: user.gid, groups: user.groups)
        if let context = properties.member("securityContext") {
            if let uid = context.member("runAsUser")?.int { spec.user.uid = UInt32(truncatingIfNeeded: uid) }
            if let gid = context.member("runAsGroup")?.int { spec.user.gid = UInt32(truncatingIfNeeded: gid) }
            spec.isInsecure = context.member("privileged")?.bool ?? false
        }
        let folder = config.workingDirectory
        spec.workingDirectory = folder.isEmpty ? "/" : folder.hasPrefix("/") ? folder : "/" + folder
        let host = "SandboxHost-\(keeper.group.folder.suffix(12))"
        spec.environment = environment(host, home: user.home)
        (spec.hostname, spec.hasHostnameFile) = (host, true)
        spec.mounts = try mounts()
        if let memory = properties[path: "resources", "limits", "memoryInGB"]?.number
            ?? properties[path: "resources", "requests", "memoryInGB"]?.number
        {
            spec.resources.memory = Int64(memory * Double(1 << 30))
        }
        return spec
    }

    /// The variables: those of the image, and over them those of the group.
    private func environment(_ host: String, home: String) -> [String] {
        var list = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=\(host)"]
        func set(_ name: String, _ value: String) {
            let text = "\(name)=\(value)"
            if let place = list.firstIndex(where: { $0.hasPrefix(name + "=") }) {
                list[place] = text
            } else {
                list.append(text)
            }
        }
        for text in image.config.environment {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            set(String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
        for variable in properties.member("environmentVariables")?.array ?? [] {
            let value = variable.member("value")?.string ?? variable.member("secureValue")?.string ?? ""
            set(variable.member("name")?.string ?? "", value)
        }
        if !list.contains(where: { $0.hasPrefix("HOME=") }) { list.append("HOME=\(home)") }
        return list
    }

    private func mounts() throws -> [MountSpec] {
        let volumes = keeper.group.body[path: "properties", "volumes"]?.array ?? []
        var mounts: [MountSpec] = []
        for mount in properties.member("volumeMounts")?.array ?? [] {
            let name = mount.member("name")?.string ?? ""
            guard let volume = volumes.first(where: { $0.member("name")?.string == name }),
                let target = mount.member("mountPath")?.string
            else { continue }
            let isReadOnly = mount.member("readOnly")?.bool ?? false
            let (source, isFixed) = try folder(volume, name)
            mounts.append(MountSpec(.bind(source, isReadOnly: isReadOnly || isFixed), at: target))
        }
        return mounts.sorted { $0.target.count < $1.target.count }
    }

    /// The folder of a volume, made where it is missing, and whether nobody may write to it.
    private func folder(_ volume: JSONValue, _ name: String) throws -> (String, Bool) {
        if let share = volume.member("azureFile"), share.isSomething {
            // A share is a folder of this machine, which stays when groups go.
            let parts = [share.member("storageAccountName"), share.member("shareName")].map { $0?.string ?? "" }
            guard parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" } }) else {
                throw EmulatorError(message: "the volume \(name) names no share")
            }
            let path = "\(keeper.group.world.options.folder)/shares/\(parts.joined(separator: "/"))"
            try DiskFile.makeFolder(path)
            return (path, share.member("readOnly")?.bool ?? false)
        }
        let path = "\(keeper.group.folder)/volumes/\(name)"
        if let secret = volume.member("secret")?.object {
            try DiskFile.makeFolder(path)
            for (file, value) in secret {
                guard !file.contains("/"), let bytes = Base64.decode(value.string ?? "") else { continue }
                try DiskFile.write(bytes, to: "\(path)/\(file)", isSynced: false)
            }
            return (path, true)
        }
        if let repository = volume.member("gitRepo"), repository.isSomething {
            try GitVolume(repository: repository, path: path).fill()
            return (path, false)
        }
        guard volume.member("emptyDir")?.isSomething ?? false else {
            throw EmulatorError(message: "the volume \(name) is of a kind that the emulator does not have")
        }
        try DiskFile.makeFolder(path)
        chmod(path, 0o777)
        return (path, false)
    }
}

/// Who runs a command of an image, as numbers: `USER[:GROUP]` looked up in the image's own files.
struct ContainerUser {
    private(set) var uid: UInt32 = 0
    private(set) var gid: UInt32 = 0
    private(set) var groups: [UInt32] = []
    private(set) var home = "/"

    init(_ text: String, read: (String) throws -> [UInt8]?) throws {
        let parts = (text.isEmpty ? "0" : text).split(separator: ":", maxSplits: 1).map(String.init)
        let lines = { (bytes: [UInt8]?) in
            String(decoding: bytes ?? [], as: UTF8.self).split(whereSeparator: \.isNewline)
                .map { $0.split(separator: ":", omittingEmptySubsequences: false).map(String.init) }
        }
        let users = lines(try read("/etc/passwd"))
        let entry = users.first { $0[0] == parts[0] } ?? users.first { $0.count > 2 && $0[2] == parts[0] }
        if let entry, entry.count > 5 {
            (uid, gid, home) = (UInt32(entry[2]) ?? 0, UInt32(entry[3]) ?? 0, entry[5].isEmpty ? "/" : entry[5])
        } else if let number = UInt32(parts[0]) {
            uid = number
        } else {
            throw EmulatorError(message: "unable to find user \(parts[0]): no matching entries in passwd file")
        }
        let all = lines(try read("/etc/group"))
        if parts.count == 2 {
            guard let number = UInt32(parts[1]) ?? all.first(where: { $0[0] == parts[1] }).flatMap({ UInt32($0[2]) })
            else {
                throw EmulatorError(message: "unable to find group \(parts[1]): no matching entries in group file")
            }
            gid = number
        } else if let name = entry?.first {
            groups = all.filter { $0.count > 3 && $0[3].split(separator: ",").contains(name[...]) }
                .compactMap { UInt32($0[2]) }
        }
    }
}
