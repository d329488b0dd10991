// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import Glibc
internal import Sandbox
internal import Store
internal import Synchronization

/// What commands of one build share: how they are kept apart, what they are given, where their logs are.
///
/// Nothing is probed or made before the first command needs it.
final class CommandPlace {
    private let options: RunOptions
    private let environment: [String: String]
    private let store: ImageStore
    private var made: RunSettings?
    private var agents: [AgentOption] = []
    private let isolation: IsolationSearch

    /// Checks the flags.
    init(
        _ options: RunOptions,
        _ secrets: @escaping GitLogin.Secrets,
        environment: [String: String],
        in store: ImageStore
    ) throws {
        (self.options, self.environment, self.store) = (options, environment, store)
        do {
            isolation = IsolationSearch(try .init(options.isolation), scratch: store.root + "/tmp")
        } catch {
            throw ExitReason(.usage, "--isolation: \(error.message)", hint: error.hint)
        }
        var settings = RunSettings()
        try options.apply(to: &settings, secrets: secrets, environment: environment, in: store, keeping: &agents)
        checked = settings
    }

    private let checked: RunSettings

    /// Refuses a plan that asks for rights which the flags do not give, before any step is done or found.
    func check(_ plan: Plan) throws(BuildError) { try checked.check(plan) }

    /// The settings, with a place to run commands in.
    func settings() throws -> RunSettings {
        if let made { return made }
        var settings = checked
        settings.width = max(2, Build.cores * 2)
        settings.logs = try CommandPlace.logs(store)
        settings.place = { [isolation] in try isolation.find($0) }
        made = settings
        return settings
    }

    /// Ends what was started for commands.
    func close() { agents = [] }

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

/// Finds out how commands are kept apart, once, when the first is run.
private final class IsolationSearch: Sendable {
    private struct State {
        var result: Result<RunPlace, BuildError>?
        /// Why no better isolation is used, and what this user cannot do, until someone was told.
        var notes: [String] = []
    }

    private let wish: IsolationChoice.Wish
    private let scratch: String
    private let state = Mutex(State())

    init(_ wish: IsolationChoice.Wish, scratch: String) {
        (self.wish, self.scratch) = (wish, scratch)
    }

    /// The place; others wait while it is being found out.
    func find(_ note: ((String) -> Void)?) throws -> RunPlace {
        let (result, notes) = state.withLock { state in
            let result = state.result ?? look(&state.notes)
            state.result = result
            defer { if note != nil { state.notes = [] } }
            return (result, state.notes)
        }
        if let note { for text in notes { note(text) } }
        return try result.get()
    }

    private func look(_ notes: inout [String]) -> Result<RunPlace, BuildError> {
        do {
            let choice = try IsolationChoice.probe(wish, scratch: scratch)
            if choice.isolation != .namespaces || !choice.mountsOverlays {
                let copies = choice.mountsOverlays ? "" : " on full copies of the files, which is slower"
                notes = ["commands are isolated by \(choice.isolation)\(copies)"] + choice.reasons
            }
            if let note = UserRights.entry?.note { notes.append(note) }
            return .success(RunPlace(choice.isolation, mountsOverlays: choice.mountsOverlays))
        } catch let error as SandboxError {
            return .failure(BuildError("running commands: \(error.message)", notes: error.hint.map { [$0] } ?? []))
        } catch {
            return .failure(BuildError("running commands: \(error)"))
        }
    }
}
