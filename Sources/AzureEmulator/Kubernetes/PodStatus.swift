// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// The status of a pod, made of what became of its containers.
struct PodStatus {
    let run: PodRun

    func json(_ state: inout PodRun.State) -> JSONValue {
        let spec = run.spec
        let main = spec["containers"]?.array ?? []
        let initial = spec["initContainers"]?.array ?? []
        let phase = phase(state, main, initial)
        let isReady = main.allSatisfy { state.containers[$0.text("name")]?.isReady ?? false } && !state.isEnding
        let unready = main.map { $0.text("name") }.filter { !(state.containers[$0]?.isReady ?? false) }
        let why = "containers with unready status: [\(unready.joined(separator: " "))]"
        var status: JSONValue = [
            "phase": .string(phase), "hostIP": "127.0.0.1", "podIP": .string(run.network.address),
            "podIPs": [["ip": .string(run.network.address)]], "startTime": .string(run.started),
            "containerStatuses": .array(main.map { container($0, state.containers[$0.text("name")]) }),
        ]
        if !initial.isEmpty {
            status["initContainerStatuses"] = .array(
                initial.map { container($0, state.containers[$0.text("name")], isInit: true) }
            )
        }
        let isDone = phase == "Succeeded"
        status["conditions"] = [
            condition("PodReadyToStartContainers", state.hasVolumes, "", "", &state),
            condition(
                "Initialized",
                state.areInitContainersDone || initial.isEmpty,
                "ContainersNotInitialized",
                "containers with incomplete status",
                &state
            ), condition("Ready", isReady, isDone ? "PodCompleted" : "ContainersNotReady", why, &state),
            condition("ContainersReady", isReady, isDone ? "PodCompleted" : "ContainersNotReady", why, &state),
        ]
        return status
    }

    private func condition(
        _ type: String,
        _ isTrue: Bool,
        _ reason: String,
        _ message: String,
        _ state: inout PodRun.State
    ) -> JSONValue {
        if state.conditions[type]?.isTrue != isTrue { state.conditions[type] = (isTrue, Moment.text()) }
        var json: JSONValue = [
            "type": .string(type), "status": isTrue ? "True" : "False",
            "lastTransitionTime": .string(state.conditions[type]?.since ?? ""), "lastProbeTime": .null,
        ]
        if !isTrue, !reason.isEmpty {
            json["reason"] = .string(reason)
            json["message"] = .string(message)
        }
        return json
    }

    private func phase(_ state: PodRun.State, _ main: [JSONValue], _ initial: [JSONValue]) -> String {
        let policy = run.spec.text("restartPolicy")
        if initial.contains(where: { container in
            guard case .terminated(let ended)? = state.containers[container.text("name")]?.phase else { return false }
            return ended.code != 0 && policy == "Never"
        }) {
            return "Failed"
        }
        guard state.areInitContainersDone || initial.isEmpty else { return "Pending" }
        let all = main.compactMap { state.containers[$0.text("name")] }
        let codes = all.compactMap { container -> Int32? in
            if case .terminated(let ended) = container.phase { ended.code } else { nil }
        }
        if codes.count == all.count, !all.isEmpty, policy != "Always" {
            if codes.allSatisfy({ $0 == 0 }) { return "Succeeded" }
            if policy == "Never" { return "Failed" }
        }
        return all.contains { $0.wasTried } ? "Running" : "Pending"
    }

    private func container(_ container: JSONValue, _ state: PodContainerState?, isInit: Bool = false) -> JSONValue {
        guard let state else { return [:] }
        var json: JSONValue = [
            "name": container["name"] ?? "", "image": container["image"] ?? "", "imageID": .string(state.imageID),
            "ready": .bool(state.isReady), "started": .bool(state.isStarted),
            "restartCount": .int(Int64(state.restarts)), "state": phase(state.phase), "lastState": [:],
        ]
        if isInit, case .terminated(let ended) = state.phase { json["ready"] = .bool(ended.code == 0) }
        if state.wasTried {
            json["containerID"] = .string("coracle://\(run.uid)/\(container.text("name"))/\(state.restarts)")
        }
        if let last = state.last { json["lastState"] = phase(.terminated(last)) }
        return json
    }

    private func phase(_ phase: PodContainerState.Phase) -> JSONValue {
        switch phase {
        case .waiting(let reason, let message):
            var json: JSONValue = ["reason": .string(reason)]
            if !message.isEmpty { json["message"] = .string(message) }
            return ["waiting": json]
        case .running(let since): return ["running": ["startedAt": .string(Moment.text(since))]]
        case .terminated(let ended):
            var json: JSONValue = [
                "exitCode": .int(Int64(ended.code)), "reason": .string(ended.reason),
                "startedAt": .string(Moment.text(ended.since)), "finishedAt": .string(Moment.text(ended.until)),
            ]
            if ended.code > 128, ended.reason == "Error" { json["signal"] = .int(Int64(ended.code - 128)) }
            if !ended.message.isEmpty { json["message"] = .string(ended.message) }
            return ["terminated": json]
        }
    }
}
