// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import HTTP
internal import OCI

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
        let teller = StateTeller(plan.group, before: plan.existing?.state, isUpdate: plan.action != .unchanged, tell)
        switch plan.action {
        case .unchanged: return try await unchanged(plan, teller)
        case .inPlace:
            teller.tell(.init(.step, "setting tags of \(name)"))
            try await service.setTags(plan.group.tags, of: name)
            return try await report(.running, plan)
        case .recreate:
            try refuseRecreation(plan)
            teller.tell(.init(.step, "deleting \(name)"))
            try await service.delete(name)
        case .create, .restart: break
        }
        do {
            teller.tell(.init(.step, plan.action == .restart ? "updating \(name)" : "creating \(name)"))
            try await put(plan.group, teller)
        } catch let error as ARMError where error.status < 400 {
            // It was accepted, and ended badly.
            return try await fail(plan, error, teller)
        } catch  where teller.isAccepted && !(error is CancellationError) {
            // The operation goes on without us, and the group itself says what comes of it.
            let reason = ACITarget.words(error)
            teller.tell(.init(.warning, "the operation cannot be followed: \(reason); looking at \(name) itself"))
        } catch  where plan.action == .recreate && !(error is CancellationError) {
            return try await fail(plan, error, teller)
        }
        let had = plan.action == .restart ? ACITarget.restarts(teller.known) : [:]
        guard try await watch(teller, had: had) else { return try await fail(plan, nil, teller) }
        return try await report(.running, plan)
    }

    /// Refuses a plan that would delete the group where it may not be.
    ///
    /// - Parameter plan: What ``plan()`` gave.
    /// - Throws: ``DeployError`` that names what cannot be changed.
    public func refuseRecreation(_ plan: GroupPlan) throws(DeployError) {
        guard plan.action == .recreate, !mayRecreate else { return }
        let reasons = plan.changes.filter { $0.effect == .recreate }.map(\.what).joined(separator: ", ")
        throw DeployError(
            "\(name) would have to be deleted and made anew for \(reasons), and may not be",
            hint: "--recreate, once it may stop for some minutes"
        )
    }

    /// What is as it was asked for may still not work, as after a deployment that failed and was left as it is.
    private func unchanged(_ plan: GroupPlan, _ teller: StateTeller) async throws -> DeployReport {
        if let existing = plan.existing {
            let had = ACITarget.restarts(existing.state)
            var works = ACITarget.works(existing, had)
            if !works { works = try await watch(teller, had: had) }
            guard works else {
                return try await explain(plan, nil, teller).report
            }
        }
        return try await report(.unchanged, plan)
    }

    /// An error on one line.
    private static func words(_ error: any Error) -> String {
        switch error {
        case let error as ARMError: error.description
        case let error as ServerError: error.message
        case let error as AzureError: error.message
        default: "\(error)"
        }
    }

    private func report(_ outcome: DeployReport.Outcome, _ plan: GroupPlan) async throws -> DeployReport {
        let group = try await service.find(name)
        var report = DeployReport(outcome, name: name)
        (report.url, report.image) = (group?.url, group?.mainImage(name))
        return report
    }

    /// Looks at a group that is being changed; a look that fails says nothing about what is looked at.
    private func look(_ teller: StateTeller) async {
        let wasAccepted = teller.isAccepted
        // What is seen while Azure takes the change is of before or of after: nobody can say.
        guard let group = try? await service.find(name), teller.isAccepted == wasAccepted else { return }
        wasAccepted ? teller.take(group.state) : teller.know(group.state)
    }

    /// Sends a group, and tells what happens to it meanwhile.
    private func put(_ group: ContainerGroup, _ teller: StateTeller) async throws {
        // A container that crashes again and again may have begun some runs since the plan was made. Where the service is
        // slow to say so, what is known of then has to do.
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await look(teller) }
            tasks.addTask { try? await Task.sleep(for: Self.lookLimit) }
            await tasks.next()
            tasks.cancelAll()
        }
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                try await service.put(group, name: name) { progress in
                    switch progress {
                    case .accepted: teller.accept()
                    case .running(let status, _): teller.take(status)
                    case .busy(let reason, _): teller.tell(.init(.warning, reason))
                    }
                }
                return true
            }
            tasks.addTask {
                while !Task.isCancelled {
                    try await Task.sleep(for: pace.interval)
                    await look(teller)
                }
                return false
            }
            defer { tasks.cancelAll() }
            while let isDone = try await tasks.next() { if isDone { return } }
        }
    }

    /// How long a change is held back for the last look at what is changed.
    private static let lookLimit: Duration = .seconds(10)

    /// How many looks in a row may fail, each of which was repeated already.
    private static let mostMisses = 5

    /// How often each container that was started again was.
    private static func restarts(_ state: GroupState?) -> [String: Int] {
        Dictionary((state?.containers ?? []).map { ($0.name, $0.restarts) }) { $1 }.filter { $0.value > 0 }
    }

    /// Looks until all containers have run for a while, or it is plain that they do not; whether they do.
    ///
    /// Of those that had been started again before, only what is added from the first look on counts.
    private func watch(_ teller: StateTeller, had: [String: Int]) async throws -> Bool {
        let end = ContinuousClock.now + pace.patience
        var first: [String: Int] = [:]
        var since: ContinuousClock.Instant?
        var misses = 0
        while ContinuousClock.now < end {
            var group: ContainerGroup?
            do {
                group = try await service.find(name)
                misses = 0
                if group == nil { return false }
            } catch  where misses < Self.mostMisses && !(error is CancellationError) {
                // What cannot be looked at now may run well: to go back for that would do harm.
                misses += 1
                if misses == 1 {
                    teller.tell(.init(.warning, "\(name) cannot be looked at: \(ACITarget.words(error)); trying on"))
                }
            }
            if let group {
                let state = group.state
                teller.take(state)
                for container in state.containers where had[container.name] != nil && first[container.name] == nil {
                    first[container.name] = container.restarts
                }
                if ACITarget.isLost(teller.new(state), restarts: first) { return false }
                if ACITarget.works(group, first) {
                    let start = since ?? .now
                    since = start
                    if ContinuousClock.now - start >= pace.settling { return true }
                } else {
                    since = nil
                }
            }
            try await Task.sleep(for: pace.interval)
        }
        return false
    }

    /// Whether all containers run, and ARM is done with the group: until then the old ones may be those that run.
    private static func works(_ group: ContainerGroup, _ restarts: [String: Int]) -> Bool {
        let state = group.state
        return ["", "Succeeded"].contains(state.provisioning) && state.isUp
            && state.containers.allSatisfy { $0.restarts <= restarts[$0.name] ?? 0 }
    }

    /// Whether nothing good will come of it.
    static func isLost(_ state: GroupState, restarts: [String: Int] = [:]) -> Bool {
        if ["Failed"].contains(state.provisioning) || state.state == "Failed" { return true }
        return state.containers.contains { container in
            if container.detail == "CrashLoopBackOff" || container.restarts > restarts[container.name] ?? 0 {
                return true
            }
            guard container.state == "Terminated", !container.isInit || container.exitCode != 0 else { return false }
            // One that always runs has no business to end.
            return container.exitCode != 0 || state.runsAlways
        }
    }

    /// Says why it does not work.
    private func explain(
        _ plan: GroupPlan,
        _ error: (any Error)?,
        _ teller: StateTeller
    ) async throws -> (report: DeployReport, state: GroupState?) {
        let group = try? await service.find(name)
        let state = (group?.state).map { teller.new($0) }
        if let state { teller.see(state) }
        let container = group.flatMap { group in group.mainIndex(name).map { group.containers[$0].name } } ?? name
        let faulty = Diagnosis.isAboutImage(error) ? nil : state?.faulty
        // What it wrote before it was changed did not come of that.
        let isOld = (faulty ?? state?[container])?.isOfBefore == true
        let log = isOld ? "" : teller.masked(await lastWords(of: faulty, or: container, teller))
        let known = Diagnosis.of(state, log: log, name: name, main: container, error: error, codes: teller.codes)
        var report = DeployReport(.failed, name: name)
        (report.cause, report.hint, report.log) = (teller.masked(known.cause), known.hint, log)
        report.image = plan.group.mainImage(name)
        report.events = (state?.containers ?? [])
            .flatMap { container in
                container.events.map { teller.masked("\(container.name): \($0.name): \($0.message)") }
            }
        teller.tell(.init(.warning, known.cause))
        return (report, group?.state)
    }

    /// The end of the log of the container that is to blame, or of the main one, which is looked at once.
    ///
    /// One that is started again has none from then until it speaks, so that it is looked at until it ended once more.
    private func lastWords(
        of faulty: GroupState.ContainerState?,
        or main: String,
        _ teller: StateTeller
    ) async -> String {
        let end = ContinuousClock.now + pace.lastWords
        var (before, isLast) = (faulty, faulty == nil)
        while true {
            let log = (try? await service.log(name, container: faulty?.name ?? main, tail: 50)) ?? ""
            guard log.isEmpty, !isLast, ContinuousClock.now < end, let faulty,
                let group = try? await service.find(name), let now = teller.new(group.state)[faulty.name]
            else { return log }
            // Where it had ended before it was asked, and did not start since, it has nothing to say.
            let isSilent = [before, now].allSatisfy { $0?.isBetweenRuns == true } && before?.restarts == now.restarts
            let hasEnded = (now.exitCode ?? now.previousExitCode ?? teller.codes[faulty.name]) != nil
            guard hasEnded, !isSilent, (try? await Task.sleep(for: pace.interval)) != nil else { return log }
            // A whole run passed meanwhile.
            isLast = now.restarts > faulty.restarts && now.state != "Running"
            before = now
        }
    }

    /// Says why it does not work, and goes back to what did.
    private func fail(
        _ plan: GroupPlan,
        _ error: (any Error)?,
        _ teller: StateTeller
    ) async throws -> DeployReport {
        var (report, state) = try await explain(plan, error, teller)
        guard !keepsFailed, let good = plan.lastGood else {
            if plan.existing == nil {
                teller.tell(.init(.warning, "\(name) is left as it is: coracle logs, coracle down"))
            }
            return report
        }
        try await goBack(to: good, from: state, &report, teller)
        return report
    }

    private func goBack(
        to good: ContainerGroup,
        from state: GroupState?,
        _ report: inout DeployReport,
        _ teller: StateTeller
    ) async throws {
        let again = StateTeller(good, before: state, isUpdate: true, teller.tell)
        do {
            again.tell(.init(.step, "going back to \(good.mainImage(name) ?? "what was there")"))
            do {
                try await put(good, again)
            } catch  where again.isAccepted && !(error is CancellationError) && (error as? ARMError)?.status != 200 {
                again.tell(.init(.warning, "the operation cannot be followed: \(ACITarget.words(error))"))
            }
            guard try await watch(again, had: ACITarget.restarts(again.known)) else {
                again.tell(.init(.warning, "what was there before does not work either: coracle ps, coracle logs"))
                return
            }
            (report.outcome, report.image) = (.rolledBack, good.mainImage(name))
            report.url = try await service.find(name)?.url
        } catch  where !(error is CancellationError) {
            again.tell(.init(.warning, "going back failed too: \(ACITarget.words(error))"))
        }
    }
}

extension GroupState.ContainerState {
    /// Whether it ended and does not begin yet: its log is that of the run that ended.
    fileprivate var isBetweenRuns: Bool { state == "Terminated" || detail == "CrashLoopBackOff" }
}
