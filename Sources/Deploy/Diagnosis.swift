// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import HTTP

/// Why a group does not work: the one cause that is most likely, and what to do.
struct Diagnosis: Hashable {
    let cause: String
    let hint: String?

    /// Looks at what is known; the first that fits is the cause.
    static func of(
        _ state: GroupState?,
        log: String,
        name: String,
        main: String? = nil,
        error: (any Error)? = nil,
        codes: [String: Int] = [:]
    ) -> Diagnosis {
        let refusal = error.map { said($0) }
        if let refusal, isAboutImage(error) || state == nil { return refusal }
        guard let state else { return Diagnosis(cause: "the group \(name) is not there any more", hint: nil) }
        guard let seen = seen(state, main, log, codes, isRefused: refusal != nil) else {
            return refusal ?? unknown(state, name)
        }
        // What support asks for is not lost where the containers say more.
        let id = (error as? ARMError)?.correlationID.map { " (correlation id \($0))" } ?? ""
        return Diagnosis(cause: seen.cause + id, hint: seen.hint ?? refusal?.hint)
    }

    /// Whether what Azure said is about an image, which no container tells more of.
    static func isAboutImage(_ error: (any Error)?) -> Bool {
        (error as? ARMError).map { $0.has("InaccessibleImage") || $0.has("RegistryErrorResponse") } ?? false
    }

    /// What Azure said.
    private static func said(_ error: any Error) -> Diagnosis {
        switch error {
        case let error as ARMError: Diagnosis(cause: error.description, hint: error.remedy)
        case let error as AzureError: Diagnosis(cause: error.message, hint: error.hint)
        case let error as ServerError: Diagnosis(cause: error.message, hint: error.hint)
        default: Diagnosis(cause: "\(error)", hint: nil)
        }
    }

    /// What the containers tell; `nil` where they tell nothing.
    private static func seen(
        _ state: GroupState,
        _ main: String?,
        _ log: String,
        _ codes: [String: Int],
        isRefused: Bool
    ) -> Diagnosis? {
        let events = state.events + state.containers.flatMap(\.events)
        if let pull = pulling(events) { return pull }
        guard let container = state.faulty ?? main.flatMap({ state[$0] }) ?? state.containers.first else { return nil }
        if let probe = events.last(where: { $0.name == "Killing" && $0.message.lowercased().contains("probe") })
            ?? events.last(where: { $0.name == "Unhealthy" && $0.message.lowercased().contains("liveness") })
        {
            return Diagnosis(
                cause: "\(container.name) fails its liveness probe: \(probe.message)",
                hint: "give it more time with --liveness …,delay=SECONDS, or leave the probe out with --liveness none"
            )
        }
        // Where all look well, what they wrote or once ended with is not what Azure refused.
        if isRefused, state.faulty == nil { return nil }
        return ended(container, log, codes[container.name], runsAlways: state.runsAlways)
    }

    private static func pulling(_ events: [GroupState.Event]) -> Diagnosis? {
        // What was pulled in the end was slow, and no fault.
        guard !events.contains(where: { $0.name == "Started" }),
            let event = events.last(where: { $0.type == "Warning" && $0.message.lowercased().contains("pull") })
        else { return nil }
        return Diagnosis(
            cause: "the image cannot be pulled: \(event.message)",
            hint: "check the rights of the credential that pulls: coracle deploy aci --dry-run …"
        )
    }

    private static func ended(
        _ container: GroupState.ContainerState,
        _ log: String,
        _ known: Int?,
        runsAlways: Bool
    ) -> Diagnosis? {
        let detail = container.detail + " " + container.previousDetail
        let code = container.exitCode ?? container.previousExitCode ?? known
        let tail = String(log.suffix(4000)).lowercased()
        if detail.contains("OOMKilled") || (code == 137 && tail.contains("out of memory")) {
            return Diagnosis(cause: "\(container.name) used more memory than it has", hint: "--memory, in GB")
        }
        if tail.contains("exec format error") {
            return Diagnosis(
                cause: "\(container.name) is for another processor than linux/amd64",
                hint: "coracle build --platform linux/amd64 …"
            )
        }
        if tail.contains("address already in use") || tail.contains("eaddrinuse") {
            return Diagnosis(
                cause: "\(container.name) listens on a port that another container of the group has",
                hint: "containers of a group share one address: give each a port of its own"
            )
        }
        let isAgain = runsAlways && (container.restarts > 0 || container.state == "Terminated")
        guard let code, code != 0 || isAgain else { return nil }
        let last =
            log.split(separator: "\n").last { !$0.allSatisfy(\.isWhitespace) }.map { ": \($0.prefix(200))" } ?? ""
        switch code {
        case 0:
            return Diagnosis(
                cause: "\(container.name) ended, which starts it again and again with the restart policy Always",
                hint: "--restart-policy OnFailure or Never, for a program that ends"
            )
        case 126, 127:
            return Diagnosis(
                cause: "\(container.name) cannot start its program (exit code \(code))\(last)",
                hint: "check --command, or the image's ENTRYPOINT and CMD"
            )
        case 137:
            return Diagnosis(cause: "\(container.name) was killed (exit code 137)\(last)", hint: "--memory, in GB")
        case 139: return Diagnosis(cause: "\(container.name) crashed (exit code 139)\(last)", hint: nil)
        default:
            let again = container.restarts > 0 ? ", and again after \(container.restarts) restarts" : ""
            return Diagnosis(cause: "\(container.name) ended with exit code \(code)\(again)\(last)", hint: nil)
        }
    }

    private static func unknown(_ state: GroupState, _ name: String) -> Diagnosis {
        let warning = (state.events + state.containers.flatMap(\.events)).last { $0.type == "Warning" }
        let words = [state.provisioning, state.state].filter { !$0.isEmpty }.joined(separator: ", ")
        return Diagnosis(
            cause: warning.map { "\($0.name): \($0.message)" }
                ?? "\(name) is \(words.isEmpty ? "not up" : words.lowercased())",
            hint: "coracle ps"
        )
    }
}

extension GroupState {
    /// The container that a group most likely does not work for, and whose log tells why; `nil` where all look well.
    ///
    /// One that ended is looked for before one that did not begin, and an init container before those that wait for it.
    var faulty: ContainerState? {
        let unwell = containers.filter { $0.exitCode != 0 }
        let idle = unwell.filter { $0.state != "Running" }
        let begun = idle.first { $0.restarts > 0 } ?? unwell.first { $0.restarts > 0 }
        // One that is to run always has no business to end well, either.
        let ended = containers.first { !$0.isInit && $0.state == "Terminated" && runsAlways }
        return idle.first { $0.exitCode != nil } ?? unwell.first(where: \.isInit) ?? begun ?? ended ?? idle.first
    }
}
