// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Store

/// What is known of a container: a folder of the store, for as long as anyone may ask.
///
/// `config.json` is written once, `state.json` when something changes, `log` by whom looks after the container; `layers`
/// names unpacked layers that must stay. Whoever looks after it holds `lock` and reads `control`. A folder without a
/// state of its end whose lock is free is that of a container whose keeper was killed.
struct ContainerFolder {
    /// What does not change.
    struct Config {
        var id: String
        var name: String
        /// As it was asked for.
        var image: String
        var digest: String?
        /// The program and its arguments.
        var command: [String]
        /// What it listens on, as `8080/tcp`.
        var ports: [String]
        /// Whether it runs without the one who started it.
        var isDetached: Bool
        /// Whether nothing is kept of it once it has ended.
        var isRemoved: Bool
        /// Seconds since 1970.
        var created: Int64
    }

    /// What changes.
    struct State {
        /// Its process, as this machine numbers it; 0 before it runs.
        var process: Int32 = 0
        /// Seconds since 1970; 0 before it runs.
        var started: Int64 = 0
        /// Seconds since 1970; 0 before it has ended.
        var ended: Int64 = 0
        /// The exit code, 128 and its number for a signal; `nil` before it has ended.
        var code: Int32?
        /// What went wrong; `nil` where nothing did.
        var fault: String?
    }

    /// What it is doing, as people see it.
    enum Status: String {
        case starting, running, exited, killed
    }

    let path: String

    var lockPath: String { path + "/lock" }
    var logPath: String { path + "/log" }
    var controlPath: String { path + "/control" }
    /// What is put in place of files of the image, and removed with the container.
    var volumes: String { path + "/volumes" }

    /// The folder of a container.
    init(_ store: ImageStore, id: String) { path = "\(store.root)/containers/\(id)" }

    private init(path: String) { self.path = path }

    // MARK: Making

    /// Makes a folder with its lock held.
    static func make(_ config: Config, in store: ImageStore) throws -> (ContainerFolder, FileLock) {
        let all = store.root + "/containers"
        try DiskFile.makeFolder(all)
        let naming = try FileLock(store.root + "/locks/containers")
        defer { withExtendedLifetime(naming) {} }
        let others = list(in: store)
        for other in others where !other.config.isDetached && other.status == .killed { other.folder.remove() }
        if let other = others.first(where: { $0.config.name == config.name }) {
            let isOver = [.exited, .killed].contains(other.status)
            throw ExitReason(
                .usage,
                "the name \"\(config.name)\" belongs to a container that \(isOver ? "has ended" : "is running")",
                hint: "coracle stop \(isOver ? "--rm " : "")\(config.name), or another --name"
            )
        }
        let folder = ContainerFolder(store, id: config.id)
        // Output of programs, and what they were given, is for nobody else on this machine.
        guard mkdir(folder.path, 0o700) == 0 else {
            throw StoreError("creating the folder \(folder.path)", errno: errno)
        }
        let lock = try FileLock(folder.lockPath)
        try folder.write(config)
        return (folder, lock)
    }

    /// Makes a channel for those who want the container to end.
    func makeControl() throws {
        guard mkfifo(controlPath, 0o600) == 0 else { throw StoreError("creating \(controlPath)", errno: errno) }
    }

    func remove() { DiskFile.remove(path) }

    // MARK: Documents

    private func write(_ config: Config) throws {
        var members: [String: JSONValue] = [
            "version": 1, "id": .string(config.id), "name": .string(config.name), "image": .string(config.image),
            "command": JSONValue(config.command), "ports": JSONValue(config.ports),
            "detached": .bool(config.isDetached),
            "removed": .bool(config.isRemoved), "created": .int(config.created),
        ]
        members["digest"] = config.digest.map { .string($0) }
        try write(members, "config.json")
    }

    func write(_ state: State) throws {
        var members: [String: JSONValue] = [
            "process": .int(Int64(state.process)), "started": .int(state.started), "ended": .int(state.ended),
        ]
        members["code"] = state.code.map { .int(Int64($0)) }
        members["fault"] = state.fault.map { .string($0) }
        try write(members, "state.json")
    }

    private func write(_ members: [String: JSONValue], _ name: String) throws {
        try DiskFile.write(
            Array((JSONValue.object(members).canonical + "\n").utf8),
            to: "\(path)/\(name)",
            isSynced: false
        )
    }

    /// Says which unpacked layers are in use; paths in the store's folder.
    func write(layers: [String], of store: ImageStore) throws {
        let places = layers.map {
            $0.hasPrefix(store.root + "/") ? String($0.dropFirst(store.root.utf8.count + 1)) : $0
        }
        try DiskFile.write(Array(places.map { $0 + "\n" }.joined().utf8), to: path + "/layers", isSynced: false)
    }

    private func document(_ name: String) -> JSONValue? {
        let bytes = try? DiskFile.read("\(path)/\(name)", limit: 4 << 20)
        return bytes.flatMap { try? JSONValue(parsing: $0) }
    }

    private var config: Config? {
        guard let json = document("config.json"), let id = json["id"]?.string, let name = json["name"]?.string else {
            return nil
        }
        return Config(
            id: id,
            name: name,
            image: json["image"]?.string ?? "",
            digest: json["digest"]?.string,
            command: json["command"]?.texts ?? [],
            ports: json["ports"]?.texts ?? [],
            isDetached: json["detached"]?.bool ?? true,
            isRemoved: json["removed"]?.bool ?? false,
            created: json["created"]?.int ?? 0
        )
    }

    private var state: State {
        guard let json = document("state.json") else { return State() }
        return State(
            process: Int32(truncatingIfNeeded: json["process"]?.int ?? 0),
            started: json["started"]?.int ?? 0,
            ended: json["ended"]?.int ?? 0,
            code: json["code"]?.int.map { Int32(truncatingIfNeeded: $0) },
            fault: json["fault"]?.string
        )
    }

    // MARK: Finding

    /// A container as it was when it was looked at.
    struct Found {
        let folder: ContainerFolder
        let config: Config
        let state: State
        let status: Status
    }

    /// Every container of a store, the oldest first; what cannot be read is left out.
    static func list(in store: ImageStore) -> [Found] {
        let all = store.root + "/containers"
        return DiskFile.names(in: all).compactMap { look(ContainerFolder(path: all + "/" + $0)) }
            .sorted { ($0.config.created, $0.config.id) < ($1.config.created, $1.config.id) }
    }

    private static func look(_ folder: ContainerFolder) -> Found? {
        // The lock first: whoever held it may end, and write that, while the rest is read.
        let isHeld = FileLock.isHeld(folder.lockPath)
        guard let config = folder.config else { return nil }
        let state = folder.state
        let status: Status =
            state.code != nil ? .exited : !isHeld ? .killed : state.started > 0 ? .running : .starting
        return Found(folder: folder, config: config, state: state, status: status)
    }

    /// Finds a container by its name, or by its number or the beginning of it.
    static func find(_ text: String, in store: ImageStore?) throws(ExitReason) -> Found {
        let all = store.map { list(in: $0) } ?? []
        if let found = all.first(where: { $0.config.name == text || $0.config.id == text }) { return found }
        let matching = text.isEmpty ? [] : all.filter { $0.config.id.hasPrefix(text) }
        if matching.count == 1 { return matching[0] }
        if matching.count > 1 {
            let list = matching.map(\.config.id).joined(separator: ", ")
            throw ExitReason(.usage, "\"\(text)\" begins the numbers of several containers: \(list)")
        }
        let near = Near.phrase(for: text, among: all.map(\.config.name))
        throw ExitReason(.usage, "no container is called \"\(text)\"\(near)", hint: "coracle ps -a lists all of them")
    }
}
