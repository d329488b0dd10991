// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Why a pod does not come up, as far as it can be seen in the pod itself and in what was said of it.
struct PodFault: Hashable {
    /// Kubernetes' own word.
    let reason: String
    let pod: String
    let container: String?
    /// In one sentence, without the container's last words.
    var cause: String
    var hint: String?
    /// Whether it will not pass by itself.
    var isDefinite = true
    /// Whether the container wrote something that tells more.
    var hasLog = false

    /// The first fault of a pod; `nil` where there is none yet.
    ///
    /// Events are oldest first; `pulls` is what pulling ended with by container, which the pod says for a moment only.
    static func find(in pod: JSONValue, events: [JSONValue], pulls: [String: String]) -> PodFault? {
        let name = pod["metadata"]?["name"]?.string ?? ""
        for status in containers(of: pod) {
            if let fault = fault(of: status, name, events, pulls[status["name"]?.string ?? ""]) { return fault }
        }
        return place(of: pod, name, events) ?? mount(name, events)
    }

    /// What is known of each container, those first that run before the others.
    static func containers(of pod: JSONValue) -> [JSONValue] {
        let status = pod["status"]
        return (status?["initContainerStatuses"]?.array ?? []) + (status?["containerStatuses"]?.array ?? [])
    }

    private static func fault(
        of status: JSONValue,
        _ pod: String,
        _ events: [JSONValue],
        _ pull: String?
    ) -> PodFault? {
        guard let waiting = status["state"]?["waiting"], let reason = waiting["reason"]?.string else { return nil }
        let container = status["name"]?.string ?? ""
        let message = line(waiting["message"]?.string ?? "")
        let image = status["image"]?.string ?? "its image"
        switch reason {
        case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError",
            "SignatureValidationFailed":
            let said = events.last {
                $0["reason"]?.string == "Failed" && ($0["message"]?.string ?? "").hasPrefix("Failed to pull")
            }
            let text = pull ?? said?["message"]?.string.map { line($0) } ?? message
            return pulling(reason, pod, container, image, text)
        case "InvalidImageName", "ErrImageNeverPull":
            let cause = "the image \(image) of \(container) cannot be used: \(message.isEmpty ? reason : message)"
            return PodFault(reason: reason, pod: pod, container: container, cause: cause, hint: nil)
        case "CreateContainerConfigError":
            let cause = "\(container) cannot be made: \(message.isEmpty ? reason : message)"
            return PodFault(reason: reason, pod: pod, container: container, cause: cause, hint: configHint(message))
        case "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun", "PostStartHookError",
            "PreCreateHookError", "PreStartHookError":
            let cause = "\(container) cannot be started: \(message.isEmpty ? reason : message)"
            let hint = startHint(message)
            return PodFault(reason: reason, pod: pod, container: container, cause: cause, hint: hint, hasLog: true)
        case "CrashLoopBackOff": return crash(status, pod, container, events)
        default: return nil
        }
    }

    private static func pulling(
        _ reason: String,
        _ pod: String,
        _ container: String,
        _ image: String,
        _ text: String
    ) -> PodFault {
        let words = text.lowercased()
        let isRefused = ["401", "403", "unauthorized", "denied", "forbidden", "authentication required", "anonymous"]
            .contains { words.contains($0) }
        let isAbsent = words.contains("not found") || words.contains("manifest unknown") || words.contains("404")
        let isForeign = words.contains("no match for platform") || words.contains("exec format")
        var hint: String?
        if isForeign {
            hint = "coracle build --platform linux/ARCH, as kubectl get nodes -L kubernetes.io/arch says"
        } else if isRefused {
            let name = image.prefix { $0 != "/" && $0 != "." }
            let host = image.prefix { $0 != "/" }
            hint =
                [".azurecr.io", ".azurecr.cn", ".azurecr.us"].contains { host.hasSuffix($0) }
                ? "az aks update --resource-group GROUP --name CLUSTER --attach-acr \(name) lets the cluster pull"
                : "--pull-with service-principal, user=NAME or secret=NAME gives the cluster a secret to pull with"
        } else if isAbsent {
            hint = "coracle inspect --remote \(image) says whether the registry has it"
        } else {
            hint = "the nodes must reach \(image.prefix { $0 != "/" })"
        }
        let cause = "the image \(image) of \(container) cannot be pulled" + (text.isEmpty ? "" : ": \(text)")
        return PodFault(
            reason: reason,
            pod: pod,
            container: container,
            cause: cause,
            hint: hint,
            isDefinite: reason != "ErrImagePull" || isRefused || isAbsent || isForeign
        )
    }

    private static func configHint(_ message: String) -> String? {
        if message.contains("not found") { return "create it first, or leave the reference out" }
        if message.contains("runAsNonRoot") {
            return "have the image say a user that is not root (USER 1000), or allow root"
        }
        return nil
    }

    private static func startHint(_ message: String) -> String? {
        if message.contains("exec format error") { return "coracle build --platform linux/ARCH, as the nodes have it" }
        if message.contains("executable file not found") || message.contains("no such file or directory") {
            return "check the command, or the image's ENTRYPOINT and CMD"
        }
        if message.contains("read-only file system") { return "give it an emptyDir where it writes" }
        return nil
    }

    private static func crash(
        _ status: JSONValue,
        _ pod: String,
        _ container: String,
        _ events: [JSONValue]
    ) -> PodFault {
        let last = status["lastState"]?["terminated"]
        let code = last?["exitCode"]?.int
        let restarts = status["restartCount"]?.int ?? 0
        let again = restarts > 1 ? ", \(restarts) times by now" : ""
        var fault = PodFault(
            reason: "CrashLoopBackOff",
            pod: pod,
            container: container,
            cause: "\(container) ends again and again",
            hint: nil,
            hasLog: true
        )
        if last?["reason"]?.string == "OOMKilled" {
            (fault.cause, fault.hint) = ("\(container) used more memory than it may\(again)", "--memory")
        } else if let probe = events.last(where: {
            ($0["message"]?.string ?? "").contains("failed liveness probe")
                || ($0["message"]?.string ?? "").hasPrefix("Liveness probe failed")
        }) {
            fault.cause = "\(container) fails its liveness probe: \(line(probe["message"]?.string ?? ""))"
            fault.hint = "give it more time (initialDelaySeconds, failureThreshold), or another probe"
        } else if let code {
            fault.cause = "\(container) ended with exit code \(code)\(again)"
            switch code {
            case 0:
                fault.cause += "; the containers of a deployment must not end"
                fault.hint = "have it stay, or run it as a Job"
            case 126, 127: fault.hint = "check the command, or the image's ENTRYPOINT and CMD"
            case 137: fault.hint = "it was killed: --memory, or its liveness probe"
            default: break
            }
        }
        return fault
    }

    /// That no node has room for it.
    private static func place(of pod: JSONValue, _ name: String, _ events: [JSONValue]) -> PodFault? {
        let conditions = pod["status"]?["conditions"]?.array ?? []
        guard let condition = conditions.first(where: { $0["type"]?.string == "PodScheduled" }),
            condition["status"]?.string == "False", condition["reason"]?.string == "Unschedulable"
        else { return nil }
        let message = line(condition["message"]?.string ?? "")
        // A node is on its way, or a disk.
        let scaling = events.last { ["TriggeredScaleUp", "NotTriggerScaleUp"].contains($0["reason"]?.string) }
        if scaling?["reason"]?.string == "TriggeredScaleUp" || message.contains("unbound immediate") { return nil }
        var hint = "kubectl get nodes, kubectl describe pod \(name)"
        if message.contains("Insufficient") {
            hint = "ask for less (--cpu, --memory), or give the cluster more nodes: az aks nodepool scale"
        } else if message.contains("didn't match Pod's node affinity") {
            hint = "kubectl get nodes --show-labels says which labels nodes have"
        } else if message.contains("untolerated taint") {
            hint = "kubectl describe nodes says which taints keep pods away"
        }
        return PodFault(
            reason: "Unschedulable",
            pod: name,
            container: nil,
            cause: "no node takes the pod \(name): \(message)",
            hint: hint,
            isDefinite: scaling?["reason"]?.string == "NotTriggerScaleUp"
        )
    }

    /// That something to be mounted is not there.
    private static func mount(_ name: String, _ events: [JSONValue]) -> PodFault? {
        guard
            let event = events.last(where: {
                $0["reason"]?.string == "FailedMount" && ($0["message"]?.string ?? "").contains("not found")
            })
        else { return nil }
        return PodFault(
            reason: "FailedMount",
            pod: name,
            container: nil,
            cause: "the pod \(name) lacks a volume: \(line(event["message"]?.string ?? ""))",
            hint: "create it first, or leave the volume out",
            isDefinite: false
        )
    }

    /// One line of what the cluster says.
    static func line(_ text: String) -> String {
        String(text.split(whereSeparator: \.isNewline).joined(separator: "; ").prefix(600))
    }
}
