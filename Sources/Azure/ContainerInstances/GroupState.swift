// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// How a group, or a container of it, is.
public struct GroupState: Hashable, Sendable {
    /// `Pending`, `Creating`, `Succeeded`, `Failed`, `Unhealthy`, `Repairing` …: how far ARM is.
    public let provisioning: String
    /// `Pending`, `Running`, `Stopped`, `Succeeded`, `Failed`: how the containers are; empty where it is not said.
    public let state: String
    /// What happened to the group.
    public let events: [Event]
    /// The containers, the first ones those that run before all others.
    public internal(set) var containers: [ContainerState]
    /// Whether containers are started again however they end: the restart policy `Always`, or none.
    public var runsAlways = true

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
        public let state: String
        /// What the program ended with; `nil` while it runs.
        public internal(set) var exitCode: Int?
        /// `CrashLoopBackOff`, `Completed`, `Error`, `OOMKilled` …; empty where it is not said.
        public internal(set) var detail: String
        /// How often it was started again.
        public let restarts: Int
        /// What the program ended with the time before; `nil` where there was none.
        public internal(set) var previousExitCode: Int?
        /// Why it ended the time before; empty where it is not said.
        public internal(set) var previousDetail: String
        /// Since when, as RFC 3339 has it; empty where it is not said.
        public let started: String
        /// Since when it ran the time before, as RFC 3339 has it; empty where it is not said.
        public let previousStarted: String
        /// What happened to it.
        public let events: [Event]
    }

    /// The container of a name; `nil` where the group has none.
    public subscript(name: String) -> ContainerState? { containers.first { $0.name == name } }

    /// The state without how those runs ended that were there before: an update ends them, which is no fault of theirs.
    ///
    /// - Parameter before: How the group was before the update; `nil` where it was not there.
    /// - Returns: The state; a run is known by the time that it began at.
    public func leavingOutRuns(of before: GroupState?) -> GroupState {
        guard let before else { return self }
        var state = self
        for place in containers.indices {
            guard let old = before[containers[place].name] else { continue }
            let isOld = { (start: String) in !start.isEmpty && [old.started, old.previousStarted].contains(start) }
            if isOld(containers[place].started) {
                (state.containers[place].exitCode, state.containers[place].detail) = (nil, "")
            }
            if isOld(containers[place].previousStarted) {
                (state.containers[place].previousExitCode, state.containers[place].previousDetail) = (nil, "")
            }
        }
        return state
    }

    /// Whether every container runs, or has done what it should.
    public func isUp(restartPolicy: String?) -> Bool {
        let main = containers.filter { !$0.isInit }
        return !main.isEmpty
            && main.allSatisfy { container in
                if container.state == "Running" { return true }
                let isDone = container.state == "Terminated" && container.exitCode == 0
                return isDone && restartPolicy != nil && restartPolicy != "Always"
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
