// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import HTTP
internal import OCI
internal import Synchronization

extension ACITarget {
    /// Does what was planned, watches until it works or does not, and goes back to what worked where it does not.
    ///
    /// - Parameters:
    ///   - plan: What ``plan()`` gave.
    ///   - tell: Is told what happens, from any thread.
    /// - Returns: What came of it.
    /// - Throws: ``DeployError`` where the group would have to be deleted, and may not be; `ARMError` where Azure refused
    ///   before anything was changed.
    public func apply(
        _ plan: GroupPlan,
        tell: @escaping @Sendable (DeployEvent) -> Void
    ) async throws -> DeployReport {
        let teller = StateTeller(tell)
        switch plan.action {
        case .unchanged: return try await report(.unchanged, plan)
        case .inPlace:
            tell(.init(.step, "setting tags of \(name)"))
            try await service.setTags(plan.group.tags, of: name)
            return try await report(.running, plan)
        case .recreate:
            guard mayRecreate else {
                throw DeployError(
                    "\(name) would have to be deleted and made anew, and may not be",
                    hint: "--recreate, once it may stop for some minutes"
                )
            }
            tell(.init(.step, "deleting \(name)"))
            try await service.delete(name)
        case .create, .restart: break
        }
        do {
            tell(.init(.step, plan.action == .restart ? "updating \(name)" : "creating \(name)"))
            try await put(plan.group, teller)
        } catch let error as ARMError where plan.action != .recreate && error.status >= 400 {
            // Refused before anything was changed.
            throw error
        } catch let error as ARMError {
            return try await fail(plan, error, teller)
        }
        guard try await watch(teller) else { return try await fail(plan, nil, teller) }
        return try await report(.running, plan)
    }

    private func report(_ outcome: DeployReport.Outcome, _ plan: GroupPlan) async throws -> DeployReport {
        let group = try await service.find(name)
        var report = DeployReport(outcome, name: name)
        (report.url, report.image) = (group?.url, group?.mainImage(name))
        return report
    }

    /// Sends a group, and tells what happens to it meanwhile.
    private func put(_ group: ContainerGroup, _ teller: StateTeller) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                try await service.put(group, name: name) { progress in
                    if case .running(let status, _) = progress { teller.take(status) }
                    if case .busy(let reason, _) = progress { teller.tell(.init(.warning, reason)) }
                }
                return true
            }
            tasks.addTask {
                while !Task.isCancelled {
                    try await Task.sleep(for: pace.interval)
                    // A look that fails says nothing about what is looked at.
                    if let group = try? await service.find(name) { teller.take(group.state) }
                }
                return false
            }
            defer { tasks.cancelAll() }
            while let isDone = try await tasks.next() { if isDone { return } }
        }
    }

    /// Looks until all containers have run for a while, or it is plain that they do not; whether they do.
    private func watch(_ teller: StateTeller) async throws -> Bool {
        let end = ContinuousClock.now + pace.patience
        var since: ContinuousClock.Instant?
        while ContinuousClock.now < end {
            guard let group = try await service.find(name) else { return false }
            let state = group.state
            teller.take(state)
            if ACITarget.isLost(state, policy: group.restartPolicy) { return false }
            if state.isUp(restartPolicy: group.restartPolicy), state.containers.allSatisfy({ $0.restarts == 0 }) {
                let start = since ?? .now
                since = start
                if ContinuousClock.now - start >= pace.settling { return true }
            } else {
                since = nil
            }
            try await Task.sleep(for: pace.interval)
        }
        return false
    }

    /// Whether nothing good will come of it.
    static func isLost(_ state: GroupState, policy: String?) -> Bool {
        if ["Failed"].contains(state.provisioning) || state.state == "Failed" { return true }
        return state.containers.contains { container in
            if container.detail == "CrashLoopBackOff" || container.restarts > 0 { return true }
            guard container.state == "Terminated", !container.isInit || container.exitCode != 0 else { return false }
            // One that always runs has no business to end.
            return container.exitCode != 0 || policy == nil || policy == "Always"
        }
    }

    /// Says why it does not work, and goes back to what did.
    private func fail(
        _ plan: GroupPlan,
        _ error: ARMError?,
        _ teller: StateTeller
    ) async throws -> DeployReport {
        let tell = teller.tell
        let group = try? await service.find(name)
        let state = group?.state
        if let state { teller.see(state) }
        let container = group.flatMap { group in group.mainIndex(name).map { group.containers[$0].name } } ?? name
        let broken = state?.containers.first { $0.state != "Running" && !$0.isInit }?.name ?? container
        let log = (try? await service.log(name, container: broken, tail: 50)) ?? ""
        let seesImage = error.map { $0.has("InaccessibleImage") || $0.has("RegistryErrorResponse") } ?? false
        let known = Diagnosis.of(
            state,
            log: log,
            name: name,
            error: seesImage || state == nil ? error : nil,
            codes: teller.codes
        )
        var report = DeployReport(.failed, name: name)
        (report.cause, report.hint, report.log) = (known.cause, known.hint, log)
        report.image = plan.group.mainImage(name)
        report.events = (state?.containers ?? [])
            .flatMap { container in
                container.events.map { "\(container.name): \($0.name): \($0.message)" }
            }
        tell(.init(.warning, known.cause))
        guard !keepsFailed, let good = plan.lastGood else {
            if plan.existing == nil { tell(.init(.warning, "\(name) is left as it is: coracle logs, coracle down")) }
            return report
        }
        do {
            tell(.init(.step, "going back to \(good.mainImage(name) ?? "what was there")"))
            let again = StateTeller(tell)
            try await put(good, again)
            if try await watch(again) {
                report.outcome = .rolledBack
                report.image = good.mainImage(name)
                report.url = try await service.find(name)?.url
            }
        } catch let error as ARMError {
            tell(.init(.warning, "going back failed too: \(error.description)"))
        } catch let error as ServerError {
            tell(.init(.warning, "going back failed too: \(error.message)"))
        }
        return report
    }
}

/// Tells each thing once; the lock protects what was told.
private final class StateTeller: Sendable {
    let tell: @Sendable (DeployEvent) -> Void
    private let told = Mutex<Set<String>>([])
    private let seen = Mutex<[String: Int]>([:])

    /// What each container ended with when it was last seen to have ended.
    var codes: [String: Int] { seen.withLock { $0 } }

    /// Keeps what containers ended with: one that starts again says so for a moment only.
    func see(_ state: GroupState) {
        for container in state.containers {
            guard let code = container.exitCode ?? container.previousExitCode else { continue }
            seen.withLock { $0[container.name] = code }
        }
    }

    init(_ tell: @escaping @Sendable (DeployEvent) -> Void) { self.tell = tell }

    func take(_ status: String) {
        guard told.withLock({ $0.insert(status).inserted }) else { return }
        tell(.init(.state, status.lowercased()))
    }

    func take(_ state: GroupState) {
        see(state)
        for container in state.containers {
            for event in container.events {
                let key = "\(container.name) \(event.name) \(event.message) \(event.count)"
                guard told.withLock({ $0.insert(key).inserted }) else { continue }
                let kind: DeployEvent.Kind = event.type == "Warning" ? .warning : .container
                tell(.init(kind, "\(container.name): \(event.name): \(event.message)"))
            }
            guard !container.state.isEmpty else { continue }
            let line =
                "\(container.name) is \(container.state.lowercased())"
                + (container.restarts > 0 ? ", after \(container.restarts) restarts" : "")
            if told.withLock({ $0.insert(line).inserted }) { tell(.init(.state, line)) }
        }
    }
}
