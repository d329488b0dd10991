// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import HTTP
internal import OCI
internal import Synchronization

/// Tells each thing once; the lock protects what was told.
final class StateTeller: Sendable {
    private let receive: @Sendable (DeployEvent) -> Void
    /// What was sent and nobody may see: a program may write down what it was given.
    private let secrets: [String]
    private let accepted = Atomic(false)
    private let told = Mutex<Set<String>>([])
    private let seen = Mutex<[String: Int]>([:])
    /// How the group was before it was changed; `nil` where it was not there.
    private let before: Mutex<GroupState?>
    private let isUpdate: Bool

    /// What each container ended with when it was last seen to have ended.
    var codes: [String: Int] { seen.withLock { $0 } }

    /// Keeps what containers ended with: one that starts again says so for a moment only.
    func see(_ state: GroupState) {
        for container in new(state).containers {
            guard let code = container.exitCode ?? container.previousExitCode else { continue }
            seen.withLock { $0[container.name] = code }
        }
    }

    init(
        _ group: ContainerGroup,
        before: GroupState?,
        isUpdate: Bool,
        _ receive: @escaping @Sendable (DeployEvent) -> Void
    ) {
        self.before = Mutex(before)
        (self.isUpdate, self.receive) = (isUpdate, receive)
        secrets = group.secretPlaces.compactMap { group.secret(at: $0)?.value }.filter { $0.utf8.count >= 4 }
            .sorted { $0.utf8.count > $1.utf8.count }
    }

    /// How the group was before it was changed, as far as that was seen; `nil` where it was not there.
    var known: GroupState? { before.withLock { $0 } }

    /// Whether Azure took what it was sent: from then on the group changes, whatever comes.
    var isAccepted: Bool { accepted.load(ordering: .relaxed) }

    /// What of a state is news since the group was changed.
    func new(_ state: GroupState) -> GroupState {
        state.leavingOut(known, isUpdated: isUpdate)
    }

    func accept() { accepted.store(true, ordering: .relaxed) }

    func tell(_ event: DeployEvent) { receive(.init(event.kind, masked(event.text))) }

    func masked(_ text: String) -> String {
        secrets.reduce(text) { $0.replacing($1, with: SecureText.mask) }
    }

    func take(_ status: String) {
        guard told.withLock({ $0.insert(status).inserted }) else { return }
        tell(.init(.state, status.lowercased()))
    }

    /// Keeps how the group was before Azure took the change, which may wait for another.
    func know(_ state: GroupState) { before.withLock { $0 = state } }

    /// Tells what is new.
    func take(_ state: GroupState) {
        see(state)
        for (container, new) in zip(state.containers, new(state).containers) {
            for event in new.events {
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
