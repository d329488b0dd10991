// SPDX-License-Identifier: Apache-2.0
internal import Deploy
internal import Kubernetes
internal import OCI

/// Services on their way to a cluster: side by side, each as soon as those that it depends on work.
struct ComposeSchedule: Sendable {
    /// How many are on their way at once.
    static let width = 8

    /// What each workload waits for, by index.
    let waits: [Set<Int>]

    /// Whoever names a ConfigMap, a Secret or a claim that another workload brings waits for that one, too.
    init(_ workloads: [Workload], _ services: [ComposeService]) {
        let names = workloads.map(\.name)
        waits = workloads.indices.map { index in
            let service = services.first { ComposeSchedule.name($0.name) == names[index] }
            let needs = Set((service?.needs ?? []).map(ComposeSchedule.name))
            let read = ComposeSchedule.read(workloads[index])
            return Set(
                workloads.indices.filter { other in
                    other != index
                        && (needs.contains(names[other])
                            || !ComposeSchedule.brought(workloads[other]).isDisjoint(with: read))
                }
            )
        }
    }

    /// A service's name as clusters have names.
    private static func name(_ text: String) -> String {
        String(text.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
    }

    private static func brought(_ workload: Workload) -> Set<String> {
        Set(
            workload.configMaps.map { "config " + $0.name } + workload.secrets.map { "secret " + $0.name }
                + workload.claims.map { "claim " + $0.name }
        )
    }

    private static func read(_ workload: Workload) -> Set<String> {
        var names: Set<String> = []
        for volume in workload.volumes {
            switch volume.content {
            case .secret(let name, _, _): names.insert("secret " + name)
            case .config(let name, _, _): names.insert("config " + name)
            case .claim(let name, _): names.insert("claim " + name)
            default: continue
            }
        }
        return names.subtracting(brought(workload))
    }

    /// Runs all; those that depend on one that did not work are not begun.
    ///
    /// - Parameter step: Brings one up; returns whether it works.
    /// - Returns: For each that was not begun, the first that it waits for and that does not work.
    func run(_ step: @escaping @Sendable (Int) async -> Bool) async -> [Int: Int] {
        await withTaskGroup(of: (Int, Bool).self) { group in
            var (done, failed, begun, left): (Set<Int>, Set<Int>, Set<Int>, [Int: Int]) = ([], [], [], [:])
            func begin() {
                var isOld = false
                while !isOld {
                    isOld = true
                    for index in waits.indices where !begun.contains(index) && left[index] == nil {
                        if let cause = waits[index].sorted().first(where: { failed.contains($0) || left[$0] != nil }) {
                            (left[index], isOld) = (cause, false)
                        }
                    }
                }
                for index in waits.indices where !begun.contains(index) && left[index] == nil {
                    guard begun.count - done.count < ComposeSchedule.width else { return }
                    guard waits[index].isSubset(of: done) else { continue }
                    begun.insert(index)
                    group.addTask { (index, await step(index)) }
                }
            }
            begin()
            while let (index, works) = await group.next() {
                done.insert(index)
                if !works { failed.insert(index) }
                begin()
            }
            return left
        }
    }
}

extension ComposeToCluster {
    /// What came of one service.
    private enum Result: Sendable {
        case outcome(DeployImage.Outcome)
        case error(any Error)
    }

    /// Results of services that are brought up side by side.
    private actor Results {
        private(set) var all: [Int: Result] = [:]

        func put(_ result: Result, at index: Int) { all[index] = result }
    }

    /// Those that nothing waits for first; one that does not work leaves out those that depend on it, and no others.
    func apply(
        _ workloads: [Workload],
        _ services: [ComposeService],
        _ run: ClusterRun,
        _ place: ClusterPlace
    ) async throws -> DeployImage.Outcome {
        try deploy.refuse(run.findings, watcher)
        let schedule = ComposeSchedule(workloads, services)
        let results = Results()
        let left = await schedule.run { index in
            let workload = workloads[index]
            var own = run
            // What was found is said once.
            own.findings = []
            if workloads.count > 1 { own.watcher.line = { watcher.line("\(workload.name): \($0)") } }
            do {
                let outcome = try await own.apply([workload], to: place, name: workload.name)
                await results.put(.outcome(outcome), at: index)
                return outcome.failure == nil
            } catch {
                await results.put(.error(error), at: index)
                return false
            }
        }
        try Task.checkCancellation()
        return try whole(workloads, await results.all, left)
    }

    /// All that came of it, in the services' order; what does not work is said of each.
    private func whole(
        _ workloads: [Workload],
        _ results: [Int: Result],
        _ left: [Int: Int]
    ) throws -> DeployImage.Outcome {
        var (texts, documents, failures): ([String], [JSONValue], [ExitReason]) = ([], [], [])
        var hasChanges = false
        for (index, workload) in workloads.enumerated() {
            if let cause = left[index] {
                watcher.line(
                    "warning: \(workload.name) is left as it was: it waits for \(workloads[cause].name), which does not work"
                )
                documents.append(["name": .string(workload.name), "outcome": "skipped"])
                continue
            }
            switch results[index] {
            case .outcome(let outcome)?:
                hasChanges = hasChanges || outcome.hasChanges
                texts.append(outcome.text)
                if let json = try? JSONValue(parsing: Array(outcome.json.utf8)) { documents.append(json) }
                if let failure = outcome.failure { failures.append(failure) }
            case .error(let error)?:
                guard workloads.count > 1 else { throw error }
                guard let reason = ExitReason.of(error) as? ExitReason else { throw error }
                failures.append(.init(reason.code, "\(workload.name): \(reason.message)", hint: reason.hint))
                var json: JSONValue = ["name": .string(workload.name), "outcome": "failed"]
                json["cause"] = .string(reason.message)
                json["hint"] = reason.hint.map { .string($0) }
                documents.append(json)
            case nil: continue
            }
        }
        let json = JSONValue.object(["project": .string(project.name), "services": .array(documents)]).canonical + "\n"
        guard let first = failures.first else {
            var outcome = DeployImage.Outcome(text: texts.joined(), json: json, failure: nil)
            outcome.hasChanges = hasChanges
            return outcome
        }
        // The last line is that of the first; the others are said before it.
        for failure in failures.dropFirst() {
            watcher.line("error: \(failure.message)" + (failure.hint.map { " (\($0))" } ?? ""))
        }
        return .init(text: "", json: json, failure: first)
    }
}
