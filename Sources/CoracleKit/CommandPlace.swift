// SPDX-License-Identifier: Apache-2.0
internal import Builder
internal import Glibc
internal import Sandbox
internal import Store

/// What commands of one build share: how they are kept apart, what they are given, where their logs are.
///
/// Nothing is probed or made before the first command needs it.
final class CommandPlace {
    private let options: RunOptions
    private let environment: [String: String]
    private let store: ImageStore
    private var made: RunSettings?
    private var agents: [AgentOption] = []
    /// Why no better isolation is used, and what this user cannot do; known once there are settings.
    private var notes: [String] = []

    /// Checks the flags.
    init(_ options: RunOptions, environment: [String: String], in store: ImageStore) throws {
        (self.options, self.environment, self.store) = (options, environment, store)
        var settings = RunSettings()
        try options.apply(to: &settings, environment: environment, in: store, keeping: &agents)
        checked = settings
    }

    private let checked: RunSettings

    /// The settings, with a place to run commands in.
    func settings() throws -> RunSettings {
        if let made { return made }
        var settings = checked
        settings.width = max(2, Build.cores * 2)
        settings.logs = try CommandPlace.logs(store)
        do {
            let choice = try IsolationChoice.probe(.init(options.isolation), scratch: store.root + "/tmp")
            (settings.isolation, settings.mountsOverlays) = (choice.isolation, choice.mountsOverlays)
            if choice.isolation != .namespaces || !choice.mountsOverlays {
                let copies = choice.mountsOverlays ? "" : " on full copies of the files, which is slower"
                notes = ["commands are isolated by \(choice.isolation)\(copies)"] + choice.reasons
            }
            if let note = UserRights.entry?.note { notes.append(note) }
        } catch let error as SandboxError {
            let refused = error.code == .refused
            throw ExitReason(refused ? .step : .usage, "running commands: \(error.message)", hint: error.hint)
        }
        made = settings
        return settings
    }

    /// Ends what was started for commands.
    func close() { agents = [] }

    /// The notes, once.
    func takeNotes() -> [String] {
        defer { notes = [] }
        return notes
    }

    /// Builds whose logs are kept.
    private static let kept = 50

    /// A folder for the logs of this build, named by its time.
    private static func logs(_ store: ImageStore) throws -> String {
        let folder = store.root + "/logs"
        try DiskFile.makeFolder(folder)
        for name in DiskFile.names(in: folder).dropLast(kept - 1) { DiskFile.remove("\(folder)/\(name)") }
        var (now, parts) = (time(nil), tm())
        gmtime_r(&now, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y%m%dT%H%M%SZ", &parts)
        let stamp = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "\(folder)/\(stamp)-\(getpid())"
    }
}
