// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Synchronization

/// What several watches know of one rollout, and what was told of it; the lock protects both.
final class RolloutBoard: Sendable {
    private struct Board {
        var state: RolloutState
        var told: Set<String> = []
        var last = ""
    }

    private let board: Mutex<Board>
    private let tell: @Sendable (Rollout.Event) -> Void

    init(_ name: String, _ tell: @escaping @Sendable (Rollout.Event) -> Void) {
        board = Mutex(Board(state: RolloutState(name)))
        self.tell = tell
    }

    func take(_ event: ClusterClient.WatchEvent, of kind: ResourceKind) {
        let news = board.withLock { board -> [Rollout.Event] in
            board.state.take(event, of: kind)
            var news: [Rollout.Event] = []
            // Which pods are new is known when the ReplicaSets are, whichever come first.
            if kind != .event { news = RolloutBoard.podNews(board.state) }
            if kind == .event, case .changed(let object) = event { news = RolloutBoard.news(object, board.state) }
            return news.filter { board.told.insert($0.text).inserted }
        }
        for event in news { tell(event) }
    }

    /// Says how far the whole is, unless that was said last.
    func say(_ event: Rollout.Event) {
        let isNew = board.withLock { board in
            defer { board.last = event.text }
            return board.last != event.text
        }
        if isNew { tell(event) }
    }

    func verdict() -> RolloutState.Verdict { board.withLock { $0.state.verdict() } }
    var newPods: [JSONValue] { board.withLock { $0.state.newPods } }
    var restarts: Int64 { board.withLock { $0.state.restarts } }
    var isUnprobed: Bool { board.withLock { $0.state.isUnprobed } }
    func events(of uid: String) -> [JSONValue] { board.withLock { $0.state.events(of: uid) } }

    /// How the containers of the new version are.
    private static func podNews(_ state: RolloutState) -> [Rollout.Event] {
        state.newPods.flatMap { pod -> [Rollout.Event] in
            let name = pod["metadata"]?["name"]?.string ?? ""
            return PodFault.containers(of: pod)
                .compactMap { status in
                    guard let words = words(status) else { return nil }
                    return Rollout.Event(kind: .pod, text: "\(name): \(status["name"]?.string ?? "") \(words)")
                }
        }
    }

    private static func words(_ status: JSONValue) -> String? {
        let restarts = status["restartCount"]?.int ?? 0
        let again = restarts > 0 ? " (started \(restarts + 1) times)" : ""
        if status["state"]?["running"] != nil {
            return (status["ready"]?.bool == true ? "runs and is ready" : "runs") + again
        }
        if let ended = status["state"]?["terminated"] {
            return "ended with exit code \(ended["exitCode"]?.int ?? 0)\(again)"
        }
        guard let reason = status["state"]?["waiting"]?["reason"]?.string else { return nil }
        return reason == "PodInitializing" ? nil : "waits: \(reason)"
    }

    /// What the cluster warns of.
    private static func news(_ event: JSONValue, _ state: RolloutState) -> [Rollout.Event] {
        guard event["type"]?.string == "Warning", let uid = event["involvedObject"]?["uid"]?.string else { return [] }
        let ours = state.newPods.map(\.uid) + [state.newest?.uid, state.deployment?.uid].compactMap { $0 }
        guard ours.contains(uid) else { return [] }
        return [Rollout.Event(kind: .warning, text: line(event))]
    }

    /// An event in one line.
    static func line(_ event: JSONValue) -> String {
        let name = event["involvedObject"]?["name"]?.string ?? ""
        let reason = event["reason"]?.string ?? ""
        return "\(name): \(reason): \(PodFault.line(event["message"]?.string ?? ""))"
    }
}
