// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store

/// The mounts of a RUN, from what the Dockerfile says to what is mounted.
///
/// Specification: Dockerfile reference, "RUN --mount".
final class RunMounts {
    private let run: RunStep
    private let scratch: Scratch
    private var builder: ImageBuilder { run.builder }
    /// The caches in use, by their place in the store.
    private var held: [String: CacheFolder] = [:]
    /// The targets of caches, which keep what a command writes.
    private(set) var caches: Set<String> = []
    private var sockets: [AgentSocket] = []
    /// Variables that hold secrets or lead to agents, `NAME=value`.
    private(set) var environment: [String] = []
    /// The values of secrets, which no log may show.
    private(set) var secretValues: [[UInt8]] = []

    init(_ run: RunStep, _ scratch: Scratch) {
        (self.run, self.scratch) = (run, scratch)
    }

    /// Everything to mount, in order.
    func specs() throws -> [MountSpec] {
        var specs: [MountSpec] = []
        if let script = run.run.script {
            let folder = scratch.path + "/pipes"
            try DiskFile.makeFolder(folder)
            let path = folder + "/" + script.name
            try DiskFile.write(Array(script.content.utf8), to: path, isSynced: false)
            chmod(path, 0o755)
            specs.append(MountSpec(.bind(folder, isReadOnly: true), at: "/dev/pipes"))
        }
        try takeCaches()
        for mount in run.run.mounts { if let spec = try spec(mount) { specs.append(spec) } }
        return specs
    }

    /// Says that the command ended.
    func finish() {
        for socket in sockets { socket.close() }
        held = [:]
    }

    private func spec(_ mount: RunMount) throws -> MountSpec? {
        switch mount.mount.kind {
        case .bind: return try bind(mount)
        case .cache: return try cache(mount)
        case .tmpfs:
            return MountSpec(.tmpfs(size: mount.mount.sizeLimit > 0 ? mount.mount.sizeLimit : nil), at: mount.target)
        case .secret: return try secret(mount)
        case .ssh: return try agent(mount)
        }
    }

    // MARK: Files

    private func bind(_ mount: RunMount) throws -> MountSpec {
        let place = try place(of: mount)
        if mount.mount.isReadOnly {
            switch place {
            case .file(let path): return MountSpec(.bind(path, isReadOnly: true), at: mount.target)
            case .folders(let folders): return MountSpec(try readOnly(folders), at: mount.target)
            }
        }
        // What a step writes into such a mount is thrown away with the step.
        let copy = "\(scratch.path)/\(UInt64.random(in: 0...UInt64.max))"
        switch place {
        case .file(let path):
            try Snapshots.copyFile(path, to: copy)
            return MountSpec(.bind(copy, isReadOnly: false), at: mount.target)
        case .folders(let folders): return MountSpec(try overlay(folders, isReadOnly: false), at: mount.target)
        }
    }

    private func overlay(_ folders: [String], isReadOnly: Bool) throws -> MountSpec.Source {
        let folder = "\(scratch.path)/\(UInt64.random(in: 0...UInt64.max))"
        let (upper, work) = (folder + "/upper", folder + "/work")
        for folder in [folder, upper, work] { try DiskFile.makeFolder(folder) }
        var status = stat()
        if let top = folders.last, stat(top, &status) == 0 {
            _ = chown(upper, status.st_uid, status.st_gid)
            chmod(upper, status.st_mode & 0o7777)
        }
        return .overlay(lower: folders, upper: upper, work: work, isReadOnly: isReadOnly)
    }

    /// Folders on top of each other; none is an empty folder.
    private func readOnly(_ folders: [String]) throws -> MountSpec.Source {
        if folders.count > 1 { return try overlay(folders, isReadOnly: true) }
        if let only = folders.first { return .bind(only, isReadOnly: true) }
        let empty = scratch.path + "/empty"
        try DiskFile.makeFolder(empty)
        return .bind(empty, isReadOnly: true)
    }

    /// Where the files of a mount lie on disk.
    private func place(of mount: RunMount) throws -> LayerPlace {
        guard let origin = CopyAction.Origin(mount.origin) else { throw BuildError("a mount comes from nowhere") }
        let source = Array(mount.mount.source.utf8)
        if let layers = try builder.layers(of: origin) {
            let folders = try builder.folders(of: layers)
            if let place = try builder.snapshots().locate(source, in: folders) { return place }
            throw run.missing(mount)
        }
        let tree = try builder.tree(of: origin)
        let names = try tree.resolve(FileTree.names(source))
        guard let node = try tree.node(at: names) else { throw run.missing(mount) }
        return try builder.contextCopies().place(of: node, at: names, in: origin)
    }

    /// Takes the caches that the command uses, each once and in the order of their places, which is the same for every
    /// command: two that want the same caches never wait for each other.
    private func takeCaches() throws {
        var wanted: [String: (mount: RunMount, sharing: Mount.Sharing)] = [:]
        for mount in run.run.mounts where mount.mount.kind == .cache {
            let place = try cachePlace(mount)
            let sharing = [mount.mount.sharing ?? .shared, wanted[place]?.sharing ?? .shared]
            let strictest: Mount.Sharing =
                sharing.contains(.locked) ? .locked : sharing.contains(.private) ? .private : .shared
            wanted[place] = (wanted[place]?.mount ?? mount, strictest)
        }
        let snapshots = wanted.isEmpty ? nil : try builder.snapshots()
        for (place, want) in wanted.sorted(by: { $0.key < $1.key }) {
            let first = want.mount.origin == .none ? nil : try self.place(of: want.mount)
            held[place] = try builder.turn.away {
                try CacheFolder(at: place, want.mount, want.sharing, wait: builder.held) { folder in
                    if let first { try snapshots?.copy(first, to: folder) }
                }
            }
        }
    }

    private func cachePlace(_ mount: RunMount) throws -> String {
        let origin = mount.origin == .none ? "" : try origin(of: mount)
        return CacheFolder.place(of: mount, origin: origin, in: builder.store)
    }

    private func cache(_ mount: RunMount) throws -> MountSpec {
        guard let folder = held[try cachePlace(mount)] else { throw BuildError("the cache \(mount.id) is not held") }
        caches.insert(mount.target)
        var path = folder.path
        // With "from", the source is the part of it that fills the cache.
        if mount.origin == .none {
            let names = FileTree.names(mount.mount.source.utf8)
            if !names.isEmpty {
                guard
                    case .folders(let found)? = try builder.snapshots()
                        .locate(Array(mount.mount.source.utf8), in: [path])
                else { throw run.missing(mount) }
                path = found.last ?? path
            }
        }
        return MountSpec(.bind(path, isReadOnly: mount.mount.isReadOnly), at: mount.target)
    }

    /// What fills a cache at first, as a key: another origin makes another cache.
    private func origin(of mount: RunMount) throws -> String {
        guard let origin = CopyAction.Origin(mount.origin), let layers = try builder.layers(of: origin) else {
            return "context " + mount.mount.source
        }
        return (layers.map(\.diffID.description) + [mount.mount.source]).joined(separator: " ")
    }

    // MARK: Secrets

    private func secret(_ mount: RunMount) throws -> MountSpec? {
        guard let value = try builder.settings.run.secret(mount.id) else {
            guard mount.mount.isRequired else { return nil }
            throw BuildError(
                "the step needs the secret \"\(mount.id)\", which this build was not given",
                at: run.step.range,
                notes: ["give it with --secret id=\(mount.id),src=FILE or --secret id=\(mount.id),env=VARIABLE"]
            )
        }
        secretValues.append(value)
        if let name = mount.mount.environmentName {
            environment.append("\(name)=\(String(decoding: value, as: UTF8.self))")
        }
        if mount.target.isEmpty { return nil }
        let (uid, gid) = (mount.mount.uid ?? 0, mount.mount.gid ?? 0)
        return MountSpec(
            .file(value, mode: mount.mount.mode ?? 0o400, user: .init(uid: uid, gid: gid)),
            at: mount.target
        )
    }

    private func agent(_ mount: RunMount) throws -> MountSpec? {
        guard let agent = builder.settings.run.agents[mount.id] else {
            guard mount.mount.isRequired else { return nil }
            throw BuildError(
                "the step needs the SSH agent \"\(mount.id)\", which this build was not given",
                at: run.step.range,
                notes: ["give it with --ssh \(mount.id), or with a key: --ssh \(mount.id)=KEYFILE"]
            )
        }
        let target = mount.target.isEmpty ? "/run/buildkit/ssh_agent.\(sockets.count)" : mount.target
        let socket = try AgentSocket(
            in: scratch.path,
            to: agent,
            mode: mount.mount.mode ?? 0o600,
            uid: mount.mount.uid ?? 0,
            gid: mount.mount.gid ?? 0
        )
        sockets.append(socket)
        if sockets.count == 1 { environment.append("SSH_AUTH_SOCK=\(target)") }
        return MountSpec(.bind(socket.path, isReadOnly: false), at: target)
    }
}
