// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes
internal import OCI
internal import Synchronization

extension ManageCluster {
    /// Shows what the pods wrote; with several of them, each line begins with the end of its pod's name.
    func logs(
        follows: Bool,
        tail: Int?,
        hasTimes: Bool,
        isPrevious: Bool,
        write: @escaping @Sendable ([UInt8]) -> Bool
    ) async throws {
        let deployment = try await deployment()
        var pods = try await pods(of: deployment).reversed().filter { ManageCluster.hasBegun($0) }
        if isPrevious {
            pods = try pods.filter { pod throws(ExitReason) in
                (ClusterList.state(of: try container(in: pod), in: pod)?["restartCount"]?.int ?? 0) > 0
            }
            guard !pods.isEmpty else {
                throw ExitReason(
                    .usage,
                    "no container of \(name) was started again",
                    hint: "coracle logs, without --previous"
                )
            }
        }
        guard !pods.isEmpty else {
            throw ExitReason(.usage, "no pod of \(name) has begun", hint: "coracle ps, or kubectl describe pods")
        }
        var wish = ClusterClient.LogWish("")
        (wish.tail, wish.follows, wish.hasTimes) = (tail, follows, hasTimes)
        wish.isPrevious = isPrevious
        guard follows else {
            for pod in pods {
                try await show(pod, wish, isOne: pods.count == 1, write)
            }
            return
        }
        try await follow(deployment, wish, isOne: (deployment["spec"]?["replicas"]?.int ?? 1) <= 1, write)
    }

    private static func hasBegun(_ pod: JSONValue) -> Bool {
        let states = pod["status"]?["containerStatuses"]?.array ?? []
        return states.contains {
            $0["state"]?["running"] != nil || $0["state"]?["terminated"] != nil
                || ($0["restartCount"]?.int ?? 0) > 0
        }
    }

    /// Follows pods as they come and go, until the deployment is gone or nobody reads any more.
    private func follow(
        _ deployment: JSONValue,
        _ wish: ClusterClient.LogWish,
        isOne: Bool,
        _ write: @escaping @Sendable ([UInt8]) -> Bool
    ) async throws {
        let reader = PodLogReader(write)
        let name = deployment["metadata"]?["name"]?.string ?? name
        try await withThrowingTaskGroup(of: Void.self) { group in
            var known: Set<String> = []
            var wish = wish
            while reader.wantsMore, try await client.find(.deployment, name) != nil {
                for pod in try await pods(of: deployment) where ManageCluster.hasBegun(pod) {
                    // A container that started again has a log of its own.
                    let restarts = (pod["status"]?["containerStatuses"]?.array ?? [])
                        .reduce(0) { $0 + ($1["restartCount"]?.int ?? 0) }
                    let key = "\(pod["metadata"]?["uid"]?.string ?? "") \(restarts)"
                    guard known.insert(key).inserted else { continue }
                    let own = wish
                    group.addTask { try await show(pod, own, isOne: isOne) { reader.take($0) } }
                }
                // What comes later is new as a whole.
                wish.tail = nil
                try await Task.sleep(for: .seconds(1))
            }
            group.cancelAll()
        }
    }

    private func show(
        _ pod: JSONValue,
        _ wish: ClusterClient.LogWish,
        isOne: Bool,
        _ write: @escaping @Sendable ([UInt8]) -> Bool
    ) async throws {
        var wish = wish
        wish.pod = pod["metadata"]?["name"]?.string ?? ""
        wish.container = try container(in: pod)
        let short = wish.pod.split(separator: "-").last.map(String.init) ?? wish.pod
        var lines = PrefixedLines(prefix: isOne ? "" : short + " | ")
        do {
            try await client.logs(wish) { bytes in
                let text = lines.take(bytes)
                if !text.isEmpty, !write(text) { throw NobodyReads() }
            }
        } catch is NobodyReads {
            return
        } catch let error as KubernetesError where wish.follows {
            // A pod that went is nothing to say; the others go on.
            if error.code != .notFound { note("warning: \(error.message)") }
            return
        }
        let rest = lines.end()
        if !rest.isEmpty { _ = write(rest) }
    }

    /// Ends reading.
    private struct NobodyReads: Error {}

    // MARK: Programs in containers

    /// A pod that a program can be run in: one that is ready, the newest first, else one whose container runs.
    private func running() async throws -> (pod: String, container: String) {
        let pods = try await pods(of: deployment()).filter { $0["metadata"]?["deletionTimestamp"] == nil }
        let runs = try pods.filter { pod throws(ExitReason) in
            ClusterList.state(of: try container(in: pod), in: pod)?["state"]?["running"] != nil
        }
        let isReady = { (pod: JSONValue) in
            (pod["status"]?["conditions"]?.array ?? []).contains { $0["type"] == "Ready" && $0["status"] == "True" }
        }
        if let pod = runs.first(where: isReady) ?? runs.first, let name = pod["metadata"]?["name"]?.string {
            return (name, try container(in: pod))
        }
        guard let newest = pods.first else {
            throw ExitReason(.usage, "no pod of \(name) runs", hint: "coracle ps, or coracle start")
        }
        throw stopped(try container(in: newest), newest)
    }

    /// Why nothing can be run in a container.
    private func stopped(_ container: String, _ pod: JSONValue) -> ExitReason {
        let status = ClusterList.state(of: container, in: pod)
        let owner = pod["metadata"]?["name"]?.string ?? name
        var text = "the container \(container) of \(owner) does not run"
        let waiting = status?["state"]?["waiting"]
        let ended = status?["state"]?["terminated"] ?? status?["lastState"]?["terminated"]
        var reasons: [String] = []
        if let reason = waiting?["reason"]?.string { reasons.append(reason) }
        if let ended {
            let reason = ended["reason"]?.string.map { " (\($0))" } ?? ""
            reasons.append("it ended with \(ended["exitCode"]?.int ?? 0)\(reason)")
        } else if let message = waiting?["message"]?.string {
            reasons.append(message)
        }
        if let count = status?["restartCount"]?.int, count > 0 {
            reasons.append("\(count) restart\(count == 1 ? "" : "s")")
        }
        if reasons.isEmpty { reasons.append(pod["status"]?["phase"]?.string ?? "Pending") }
        text += ": " + reasons.joined(separator: ", ")
        let more = self.container.map { " --container \($0)" } ?? ""
        let place = " --name \(name)\(more)"
        return ExitReason(
            .usage,
            text,
            hint: ended == nil ? "coracle ps" : "coracle logs\(place), with --previous for the start before"
        )
    }

    /// Runs a program, connected as it is wanted; its exit code.
    func execute(
        _ words: [String],
        _ connection: ExecConnection,
        write: @escaping @Sendable (Bool, [UInt8]) -> Bool
    ) async throws -> Int32 {
        let place = try await running()
        var wish = ClusterClient.ExecWish(place.pod, words)
        (wish.container, wish.hasTerminal) = (place.container, connection.hasTerminal)
        wish.hasInput = connection.passesInput
        let code = try await client.exec(
            wish,
            feed: { try await feed($0, connection) },
            { output in
                switch output {
                case .output(let bytes): if !write(false, bytes) { throw CancellationError() }
                case .errors(let bytes): if !write(true, bytes) { throw CancellationError() }
                }
            }
        )
        return Int32(clamping: code)
    }

    /// Passes on what is typed, and how large the terminal is, until the program ends.
    private func feed(_ input: ClusterClient.ExecInput, _ connection: ExecConnection) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if connection.hasTerminal {
                group.addTask {
                    var last = (rows: 0, columns: 0)
                    while true {
                        let size = RawTerminal.size
                        if size != last { try await input.resize(columns: size.columns, rows: size.rows) }
                        last = size
                        try await Task.sleep(for: .milliseconds(250))
                    }
                }
            }
            if connection.passesInput {
                group.addTask {
                    let keys = TerminalInput()
                    defer { keys.stop() }
                    for await bytes in keys.bytes { try await input.write(bytes) }
                    if try await !input.end(), !connection.hasTerminal {
                        note(
                            "warning: the cluster is older than 1.30 and cannot be told that the input has ended: "
                                + "the command may wait for more"
                        )
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

/// Whoever reads the log of several pods, until nobody does; the flag is what tasks share.
private final class PodLogReader: Sendable {
    private let write: @Sendable ([UInt8]) -> Bool
    private let isOver = Atomic(false)

    init(_ write: @escaping @Sendable ([UInt8]) -> Bool) { self.write = write }

    var wantsMore: Bool { !isOver.load(ordering: .relaxed) }

    func take(_ bytes: [UInt8]) -> Bool {
        if !write(bytes) { isOver.store(true, ordering: .relaxed) }
        return wantsMore
    }
}

/// Puts something before each line.
struct PrefixedLines {
    let prefix: String
    private var pending: [UInt8] = []

    init(prefix: String) { self.prefix = prefix }

    /// Gives the whole lines that there are; what is no line yet waits.
    mutating func take(_ bytes: [UInt8]) -> [UInt8] {
        guard !prefix.isEmpty else { return bytes }
        pending += bytes
        guard let last = pending.lastIndex(of: 0x0A) else { return [] }
        defer { pending.removeSubrange(...last) }
        return pending[..<last].split(separator: 0x0A, omittingEmptySubsequences: false)
            .flatMap { Array(prefix.utf8) + $0 + [0x0A] }
    }

    mutating func end() -> [UInt8] {
        defer { pending = [] }
        return pending.isEmpty ? [] : Array(prefix.utf8) + pending + [0x0A]
    }
}
