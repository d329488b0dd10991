// SPDX-License-Identifier: Apache-2.0
internal import Deploy
internal import Kubernetes
internal import OCI

/// What is deployed on a cluster: listed, stopped, started, deleted.
struct ManageCluster: Sendable {
    let place: ClusterPlace
    /// The deployment's name.
    let name: String
    /// The container that was named; `nil` for the one called like the deployment, else the first.
    let container: String?
    let note: @Sendable (String) -> Void
    /// Whether the name is that of a project of several services, each with a deployment of its own.
    var isProject = false

    /// What selects everything of it.
    private var selection: ClusterClient.Selection {
        guard isProject else { return .init(labels: ManageCluster.labels(name)) }
        return .init(
            labels: "app.kubernetes.io/part-of=\(name),app.kubernetes.io/managed-by=\(ClusterClient.manager)"
        )
    }

    /// The deployments of a project; of anything else, the one.
    private func deployments() async throws -> [JSONValue] {
        guard isProject else { return [try await deployment()] }
        let all = try await client.list(.deployment, selection)
        if !all.isEmpty { return all }
        throw ExitReason(
            .usage,
            "there is no service of \(name) in the namespace \(place.namespace) of \(client.access.summary)",
            hint: "coracle up"
        )
    }

    /// The service of a project that `--container` names.
    private func chosen() async throws -> JSONValue {
        let all = try await deployments()
        let names = all.map { $0["metadata"]?["name"]?.string ?? "" }
        guard let container else {
            if all.count == 1 { return all[0] }
            throw ExitReason(
                .usage,
                "\(name) has several services: \(names.joined(separator: ", "))",
                hint: "--container SERVICE"
            )
        }
        if let index = names.firstIndex(of: container) { return all[index] }
        throw ExitReason(
            .usage,
            "\(name) has no service \(container); it has \(names.joined(separator: ", "))",
            hint: "--container SERVICE"
        )
    }

    var client: ClusterClient { place.client }

    /// What selects everything that belongs to a deployment of ours.
    static func labels(_ name: String) -> String {
        "app.kubernetes.io/instance=\(name),app.kubernetes.io/managed-by=\(ClusterClient.manager)"
    }

    func deployment() async throws -> JSONValue {
        if isProject { return try await chosen() }
        if let found = try await client.find(.deployment, name) { return found }
        throw ExitReason(
            .usage,
            "there is no deployment \(name) in the namespace \(place.namespace) of \(client.access.summary)",
            hint: "coracle up, or kubectl get deployments --all-namespaces"
        )
    }

    /// The pods of a deployment, the newest first.
    func pods(of deployment: JSONValue) async throws -> [JSONValue] {
        let labels = (deployment["spec"]?["selector"]?["matchLabels"]?.strings ?? [:]).sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }
        return try await client.list(.pod, .init(labels: labels.joined(separator: ",")))
            .sorted { created($0) > created($1) }
    }

    private func created(_ pod: JSONValue) -> String { pod["metadata"]?["creationTimestamp"]?.string ?? "" }

    /// The container that is meant, in one of its pods.
    func container(in pod: JSONValue) throws(ExitReason) -> String {
        let names = (pod["spec"]?["containers"]?.array ?? []).compactMap { $0["name"]?.string }
        guard let container, !isProject else { return names.contains(name) ? name : names.first ?? name }
        guard names.contains(container) else {
            throw ExitReason(
                .usage,
                "\(name) has no container \(container); it has \(names.joined(separator: ", "))",
                hint: "--container NAME"
            )
        }
        return container
    }

    // MARK: Verbs

    /// The one deployment, or all of ours in the namespace.
    static func list(
        _ place: ClusterPlace,
        name: String?,
        isProject: Bool = false
    ) async throws -> ClusterList {
        var manage = ManageCluster(place: place, name: name ?? "", container: nil) { _ in }
        manage.isProject = isProject
        let all =
            name == nil
            ? try await place.client.list(
                .deployment,
                .init(labels: "app.kubernetes.io/managed-by=\(ClusterClient.manager)")
            ) : try await manage.deployments()
        var entries: [ClusterList.Entry] = []
        for deployment in all {
            entries.append(
                .init(
                    deployment: deployment,
                    pods: try await manage.pods(of: deployment),
                    url: await manage.url(deployment["metadata"]?["name"]?.string ?? "")
                )
            )
        }
        return ClusterList(entries: entries)
    }

    /// Where it answers, as far as that is known.
    private func url(_ name: String) async -> String? {
        let selection = ClusterClient.Selection(labels: ManageCluster.labels(name))
        if let ingress = try? await client.list(.ingress, selection).first,
            let rule = ingress["spec"]?["rules"]?.array?.first, let host = rule["host"]?.string
        {
            let isSecure = ingress["spec"]?["tls"] != nil
            let path = rule["http"]?["paths"]?.array?.first?["path"]?.string ?? "/"
            return (isSecure ? "https://" : "http://") + host + path
        }
        let services = (try? await client.list(.service, selection)) ?? []
        let open = services.first { $0["status"]?["loadBalancer"]?["ingress"]?.array?.isEmpty == false }
        guard let service = open, let address = service["status"]?["loadBalancer"]?["ingress"]?.array?.first,
            let host = address["ip"]?.string ?? address["hostname"]?.string
        else { return nil }
        let port = service["spec"]?["ports"]?.array?.first?["port"]?.int ?? 80
        let bracketed = host.contains(":") ? "[\(host)]" : host
        switch port {
        case 80: return "http://\(bracketed)/"
        case 443: return "https://\(bracketed)/"
        default: return "http://\(bracketed):\(port)/"
        }
    }

    func stop() async throws -> String {
        for live in try await deployments() { try await ClusterScale(client).stop(live) }
        return name + "\n"
    }

    func start() async throws -> String {
        var urls: [String] = []
        for live in try await deployments() {
            try await ClusterScale(client).start(live)
            if let url = await url(live["metadata"]?["name"]?.string ?? "") { urls.append(url) }
        }
        return (urls.isEmpty ? name : urls.joined(separator: "\n")) + "\n"
    }

    /// Deletes what is ours of a deployment; claims stay, as what is in them is nobody's to make again.
    func down() async throws -> String {
        let kinds: [ResourceKind] = [
            .ingress, .autoscaler, .disruptionBudget, .deployment, .service, .configMap, .secret,
        ]
        var count = 0
        for kind in kinds {
            let found: [JSONValue]
            do {
                found = try await client.list(kind, selection)
            } catch let error as KubernetesError where error.code == .denied || error.code == .notFound {
                note("warning: \(kind.plural) are not looked at: \(error.message)")
                continue
            }
            for object in found {
                guard let own = object["metadata"]?["name"]?.string else { continue }
                if try await client.delete(kind, own) {
                    note("deleted \(kind)/\(own)")
                    count += 1
                }
            }
        }
        for claim in (try? await client.list(.volumeClaim, selection)) ?? [] {
            let own = claim["metadata"]?["name"]?.string ?? ""
            note("kept persistentvolumeclaim/\(own): kubectl delete pvc \(own) --namespace \(place.namespace)")
        }
        guard count > 0 else {
            note("there was no \(name)")
            return ""
        }
        return name + "\n"
    }
}

/// Deployments and their pods, for people and programs.
struct ClusterList: Writable {
    struct Entry {
        let deployment: JSONValue
        let pods: [JSONValue]
        let url: String?

        var name: String { deployment["metadata"]?["name"]?.string ?? "" }

        private static func isStuck(_ pod: JSONValue) -> Bool {
            let reasons = ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError"]
            return (pod["status"]?["containerStatuses"]?.array ?? [])
                .contains { status in
                    status["state"]?["waiting"]?["reason"]?.string.map { reasons.contains($0) } ?? false
                }
        }

        /// In one word: `Running`, `Stopped`, `Updating` or `Failing`.
        var state: String {
            let wanted = deployment["spec"]?["replicas"]?.int ?? 1
            if wanted == 0 { return "Stopped" }
            let conditions = deployment["status"]?["conditions"]?.array ?? []
            let stuck = conditions.contains {
                $0["type"] == "Progressing" && $0["status"] == "False" || $0["type"] == "ReplicaFailure"
            }
            let ready = deployment["status"]?["availableReplicas"]?.int ?? 0
            // The deadline of the rollout may be far away.
            if stuck || ready < wanted && pods.contains(where: Entry.isStuck) { return "Failing" }
            let updated = deployment["status"]?["updatedReplicas"]?.int ?? 0
            return ready >= wanted && updated >= wanted ? "Running" : "Updating"
        }
    }

    /// A container of a pod.
    private struct Row {
        let pod: String
        let container: String
        let image: String
        let state: String
        let restarts: Int64
        let code: Int64?
    }

    let entries: [Entry]

    /// The status of a container in a pod.
    static func state(of container: String, in pod: JSONValue) -> JSONValue? {
        pod["status"]?["containerStatuses"]?.array?.first { $0["name"]?.string == container }
    }

    private static func rows(_ entry: Entry) -> [Row] {
        entry.pods.flatMap { pod -> [Row] in
            let name = pod["metadata"]?["name"]?.string ?? ""
            let states = pod["status"]?["containerStatuses"]?.array ?? []
            return (pod["spec"]?["containers"]?.array ?? [])
                .map { container in
                    let own = container["name"]?.string ?? ""
                    let state = states.first { $0["name"]?.string == own }
                    return Row(
                        pod: name,
                        container: own,
                        image: container["image"]?.string ?? "",
                        state: word(pod, state),
                        restarts: state?["restartCount"]?.int ?? 0,
                        code: state?["state"]?["terminated"]?["exitCode"]?.int
                    )
                }
        }
    }

    /// As `kubectl get pods` has it.
    private static func word(_ pod: JSONValue, _ state: JSONValue?) -> String {
        if pod["metadata"]?["deletionTimestamp"] != nil { return "Terminating" }
        if let waiting = state?["state"]?["waiting"]?["reason"]?.string { return waiting }
        if let ended = state?["state"]?["terminated"] { return ended["reason"]?.string ?? "Terminated" }
        if state?["state"]?["running"] != nil { return state?["ready"]?.bool == true ? "Running" : "NotReady" }
        return pod["status"]?["phase"]?.string ?? "Pending"
    }

    var text: String {
        let head = ["DEPLOYMENT", "POD", "CONTAINER", "IMAGE", "STATUS", "RESTARTS", "URL"]
        let rows = entries.flatMap { entry -> [[String]] in
            let rows = ClusterList.rows(entry)
            let url = entry.url ?? "-"
            guard !rows.isEmpty else {
                return [[entry.name, "-", "-", "-", entry.state.lowercased(), "0", url]]
            }
            return rows.map { row in
                let code = row.code.map { " (\($0))" } ?? ""
                return [entry.name, row.pod, row.container, row.image, row.state + code, "\(row.restarts)", url]
            }
        }
        return TextTable.write([head] + rows)
    }

    var json: JSONValue {
        let list = entries.map { entry -> JSONValue in
            var json: JSONValue = ["name": .string(entry.name), "state": .string(entry.state)]
            json["replicas"] = .int(entry.deployment["spec"]?["replicas"]?.int ?? 1)
            json["ready"] = .int(entry.deployment["status"]?["readyReplicas"]?.int ?? 0)
            json["url"] = entry.url.map { .string($0) }
            json["containers"] = .array(
                ClusterList.rows(entry)
                    .map { row in
                        var json: JSONValue = [
                            "name": .string(row.container), "pod": .string(row.pod), "image": .string(row.image),
                            "state": .string(row.state), "restarts": .int(row.restarts),
                        ]
                        json["code"] = row.code.map { .int($0) }
                        return json
                    }
            )
            return json
        }
        return ["version": 1, "deployments": .array(list)]
    }
}
