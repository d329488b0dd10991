// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// How a group, or a container of it, is.
public struct GroupState: Hashable, Sendable {
    /// `Pending`, `Creating`, `Succeeded`, `Failed`, `Unhealthy`, `Repairing` …: how far ARM is.
    public let provisioning: String
    /// `Pending`, `Running`, `Stopped`, `Succeeded`, `Failed`: how the containers are; empty where it is not said.
    public internal(set) var state: String
    /// What happened to the group.
    public internal(set) var events: [Event]
    /// The containers, the first ones those that run before all others.
    public internal(set) var containers: [ContainerState]
    /// Whether containers are started again however they end: the restart policy `Always`, or none.
    public let runsAlways: Bool

    /// Something that happened.
    public struct Event: Hashable, Sendable {
        /// What it was, in a word: `Pulling`, `Pulled`, `Started`, `Killing`, `Unhealthy`.
        public let name: String
        /// One or more lines.
        public let message: String
        /// `Normal` or `Warning`.
        public let type: String
        /// How often.
        public let count: Int
        /// When it last happened, as RFC 3339 has it; empty where it is not said.
        public let time: String
    }

    /// How a container is.
    public struct ContainerState: Hashable, Sendable {
        /// Its name.
        public let name: String
        /// Whether it runs before all others, and ends.
        public let isInit: Bool
        /// `Running`, `Waiting` or `Terminated`; empty where nothing is known yet.
        public internal(set) var state: String
        /// What the program ended with; `nil` while it runs.
        public internal(set) var exitCode: Int?
        /// `CrashLoopBackOff`, `Completed`, `Error`, `OOMKilled` …; empty where it is not said.
        public internal(set) var detail: String
        /// How often it was started again.
        public internal(set) var restarts: Int
        /// What the program ended with the time before; `nil` where there was none.
        public internal(set) var previousExitCode: Int?
        /// Why it ended the time before; empty where it is not said.
        public internal(set) var previousDetail: String
        /// Since when, as RFC 3339 has it; empty where it is not said.
        public let started: String
        /// Since when it ran the time before, as RFC 3339 has it; empty where it is not said.
        public let previousStarted: String
        /// What happened to it.
        public internal(set) var events: [Event]
        /// Whether its last run, and all that it wrote, is of before an update; see ``GroupState/leavingOut(_:isUpdated:)``.
        public internal(set) var isOfBefore = false

        /// Forgets what is known of before.
        fileprivate mutating func leaveOut(_ old: ContainerState, isUpdated: Bool, runsAlways: Bool) {
            let isOld = { (start: String) in !start.isEmpty && [old.started, old.previousStarted].contains(start) }
            if state == "Running", isOld(started) {
                (restarts, previousExitCode, previousDetail) = (0, nil, "")
            }
            guard isUpdated else { return }
            isOfBefore = isOld(state == "Waiting" ? previousStarted : started)
            events.removeAll { old.events.contains($0) }
            let isDone = exitCode == 0 && (isInit || !runsAlways)
            if state == "Terminated", isOld(started) {
                restarts = 0
                if !isDone { (state, exitCode, detail) = ("Waiting", nil, "") }
            }
            if isOld(previousStarted) {
                (previousExitCode, previousDetail) = (nil, "")
                if state == "Waiting" { (detail, restarts) = ("", 0) }
            }
        }
    }

    /// The container of a name; `nil` where the group has none.
    public subscript(name: String) -> ContainerState? { containers.first { $0.name == name } }

    /// The state without what is known of before something was done to the group, which that cannot have caused.
    ///
    /// A container that has run since before was not started again; where it was updated, how the runs of before ended is
    /// no fault, for the update ended them: such a container waits for its first run. A run is known by when it began.
    ///
    /// - Parameters:
    ///   - before: How the group was before; `nil` where it was not there.
    ///   - isUpdated: Whether the containers are replaced.
    /// - Returns: What is new.
    public func leavingOut(_ before: GroupState?, isUpdated: Bool) -> GroupState {
        guard let before else { return self }
        var state = self
        if isUpdated { state.events.removeAll { before.events.contains($0) } }
        for place in containers.indices {
            guard let old = before[containers[place].name] else { continue }
            state.containers[place].leaveOut(old, isUpdated: isUpdated, runsAlways: runsAlways)
        }
        // Until ARM is done, and all have begun anew, the group has failed for what ended before.
        if state.state == "Failed", provisioning != "Succeeded", state.containers.contains(where: \.isOfBefore) {
            state.state = "Pending"
        }
        return state
    }

    /// Whether every container runs, or has done what it should.
    public var isUp: Bool {
        let main = containers.filter { !$0.isInit }
        return !main.isEmpty
            && main.allSatisfy { container in
                if container.state == "Running" { return true }
                return !runsAlways && container.state == "Terminated" && container.exitCode == 0
            }
    }
}

extension ContainerGroup {
    /// How the group is, as its document says.
    public var state: GroupState {
        GroupState(
            provisioning: properties["provisioningState"]?.string ?? "",
            state: properties["instanceView"]?["state"]?.string ?? "",
            events: ContainerGroup.events(properties["instanceView"]),
            containers: initContainers.map { ContainerGroup.state($0, isInit: true) }
                + containers.map { ContainerGroup.state($0, isInit: false) },
            runsAlways: [nil, "Always"].contains(restartPolicy)
        )
    }

    private static func state(_ container: Container, isInit: Bool) -> GroupState.ContainerState {
        let view = container.properties["instanceView"]
        let (now, before) = (view?["currentState"], view?["previousState"])
        return GroupState.ContainerState(
            name: container.name,
            isInit: isInit,
            state: now?["state"]?.string ?? "",
            exitCode: now?["state"]?.string == "Running" ? nil : now?["exitCode"]?.int.map { Int($0) },
            detail: now?["detailStatus"]?.string ?? "",
            restarts: Int(view?["restartCount"]?.int ?? 0),
            previousExitCode: before?["exitCode"]?.int.map { Int($0) },
            previousDetail: before?["detailStatus"]?.string ?? "",
            started: now?["startTime"]?.string ?? "",
            previousStarted: before?["startTime"]?.string ?? "",
            events: events(view)
        )
    }

    private static func events(_ view: JSONValue?) -> [GroupState.Event] {
        (view?["events"]?.array ?? [])
            .map { event in
                GroupState.Event(
                    name: event["name"]?.string ?? "",
                    message: event["message"]?.string ?? "",
                    type: event["type"]?.string ?? "Normal",
                    count: Int(event["count"]?.int ?? 1),
                    time: event["lastTimestamp"]?.string ?? event["firstTimestamp"]?.string ?? ""
                )
            }
    }
}
