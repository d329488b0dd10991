// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import HTTP
internal import Kubernetes
internal import OCI
internal import Synchronization

extension AKSTarget {
    /// Applies in order, watches the rollouts, and goes back to what worked where they do not.
    ///
    /// - Parameters:
    ///   - plan: What ``plan()`` gave.
    ///   - tell: Is told what happens, from any thread.
    /// - Returns: What came of it, also where it failed and was rolled back.
    /// - Throws: `KubernetesError` where nothing was changed.
    public func apply(
        _ plan: ClusterPlan,
        tell: @escaping @Sendable (DeployEvent) -> Void
    ) async throws -> DeployReport {
        var done: [Applied] = []
        if plan.action != .unchanged {
            for item in plan.items {
                do {
                    if item.isChanged {
                        tell(.init(.step, (item.live == nil ? "creating " : "changing ") + item.title))
                    }
                    let result = try await client.apply(item.manifest, .init(takesOver: takesOver))
                    if item.isChanged { done.append(Applied(item: item, result: result)) }
                } catch  where !done.isEmpty && !(error is CancellationError) {
                    // The first refusal throws; a later one must not leave half of it behind.
                    return await fail(plan, done, Trouble(error), tell)
                }
            }
        }
        let renewed = await retry(plan.items, tell)
        if let trouble = try await watch(plan.items.filter { $0.kind == .deployment }, renewed, tell) {
            return await fail(plan, done, trouble, tell)
        }
        var report = DeployReport(plan.action == .unchanged ? .unchanged : .running, name: name)
        report.image = AKSTarget.image(AKSTarget.main(manifests, name))
        report.url = await address(plan.items, tell)
        return report
    }

    /// An object that was applied, and what it became.
    struct Applied: Sendable {
        let item: ClusterPlan.Item
        let result: JSONValue
    }

    /// Why it does not work.
    struct Trouble: Sendable {
        var cause: String
        var hint: String?
        var log = ""
        var events: [String] = []

        /// Whether the version itself is at fault, and not our sight of it.
        var goesBack = true

        init(_ error: any Error) {
            let known = error as? KubernetesError
            (cause, hint) = (known?.message ?? "\(error)", known?.hint)
        }

        init(_ failure: Rollout.Failure) {
            (cause, hint, log, events) = (failure.cause, failure.hint, failure.log, failure.events)
        }
    }

    /// Watches rollouts side by side until all are done; why the first that fails does.
    private func watch(
        _ items: [ClusterPlan.Item],
        _ renewed: Set<String>,
        _ tell: @escaping @Sendable (DeployEvent) -> Void
    ) async throws -> Trouble? {
        let severalNames = items.count > 1
        let addsNodes = await addsNodes()
        return try await withThrowingTaskGroup(of: Trouble?.self) { group in
            for item in items {
                group.addTask {
                    var rollout = Rollout(client, item.name, namespace: item.namespace)
                    rollout.pace = pace.rollout
                    rollout.addsNodes = addsNodes
                    // What runs already has shown that it does.
                    if item.live != nil, !item.replacesPods, !renewed.contains(item.title) {
                        rollout.pace.settling = .zero
                    }
                    do {
                        let outcome = try await rollout.watch { event in
                            let kind: DeployEvent.Kind =
                                switch event.kind {
                                case .progress: .state
                                case .pod: .container
                                case .warning: .warning
                                }
                            let isNamed = !severalNames || event.kind != .progress
                            tell(.init(kind, isNamed ? event.text : "\(item.name): \(event.text)"))
                        }
                        if case .failed(let failure) = outcome { return Trouble(failure) }
                        return nil
                    } catch let error as KubernetesError {
                        var trouble = Trouble(error)
                        trouble.goesBack = false
                        return trouble
                    }
                }
            }
            defer { group.cancelAll() }
            while let trouble = try await group.next() { if let trouble { return trouble } }
            return nil
        }
    }

    /// Whether the cluster adds nodes by itself; where Azure does not say, the autoscaler's own note does.
    private func addsNodes() async -> Bool {
        if let cluster { return cluster.addsNodes }
        let note = try? await client.find(.configMap, "cluster-autoscaler-status", namespace: "kube-system")
        return note.flatMap { $0 } != nil
    }

    /// Says why it does not work, and goes back to what did.
    private func fail(
        _ plan: ClusterPlan,
        _ done: [Applied],
        _ trouble: Trouble,
        _ tell: @escaping @Sendable (DeployEvent) -> Void
    ) async -> DeployReport {
        tell(.init(.warning, trouble.cause))
        var report = DeployReport(.failed, name: name)
        (report.cause, report.hint) = (trouble.cause, trouble.hint)
        (report.log, report.events) = (trouble.log, trouble.events)
        report.image = AKSTarget.image(AKSTarget.main(manifests, name))
        if done.isEmpty || keepsFailed || !trouble.goesBack { return report }
        let deployments = plan.items.filter { $0.kind == .deployment }
        guard deployments.contains(where: { $0.live != nil }) else {
            tell(.init(.warning, "there is nothing to go back to: it is left as it is, to be looked at"))
            return report
        }
        do {
            guard let back = try await goodVersions(done, tell) else { return report }
            try await restore(done, back, tell)
            tell(.init(.step, "watching what was there come back"))
            let changed = deployments.filter { item in item.live != nil && done.contains { $0.item.title == item.title }
            }
            if let again = try await watch(changed, [], tell) {
                tell(.init(.warning, "going back failed too: \(again.cause)"))
                return report
            }
            report.outcome = .rolledBack
            let main = AKSTarget.main(manifests, name)?["metadata"]?["name"]?.string
            let item = deployments.first { $0.name == main }
            report.image = AKSTarget.image(item.flatMap { back[$0.title] ?? $0.live })
            report.url = await address(plan.items.filter { $0.live != nil }, tell)
        } catch let error as KubernetesError {
            tell(.init(.warning, "going back failed too: \(error.message)"))
        } catch {
            tell(.init(.warning, "going back was broken off"))
        }
        return report
    }
}
