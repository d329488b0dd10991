// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes
internal import OCI
internal import Registry

/// Variables that a deployment was given before and that nobody mentions now: they stay, until `--env-rm` takes them away.
///
/// A server-side apply removes what its owner leaves out, so what is to stay is put into what is applied: entries of
/// `env`, sources of `envFrom`, and members of the ConfigMap and the Secret that Coracle made for them. What others own is
/// left to them, as everywhere.
struct KeptVariables {
    let client: ClusterClient
    /// `--env-rm`: names of variables, and `config/NAME` or `secret/NAME` for all of one.
    let removed: Set<String>

    /// What came of it.
    struct Result {
        /// What stays, sorted.
        var kept: Set<String> = []
        /// What `--env-rm` took away.
        var gone: Set<String> = []
        /// What `--env-rm` names and is given as well.
        var given: Set<String> = []
        /// What `--env-rm` names and others set: the name, and who.
        var foreign: [String: String] = [:]
    }

    init(_ client: ClusterClient, removed: [String]) { (self.client, self.removed) = (client, Set(removed)) }

    /// Puts what stays into a workload.
    func keep(_ workload: inout Workload) async throws -> Result {
        var result = Result()
        guard let live = try await client.find(.deployment, workload.name, namespace: workload.namespace) else {
            return result
        }
        let ours = ManagedFields(live).ours
        let own = ours.isEmpty ? nil : ours.part(of: live)
        for index in workload.containers.indices {
            let container = workload.containers[index]
            let whole = KeptVariables.container(container.name, in: live)
            let mentioned = mentioned(in: container, workload)
            if let old = KeptVariables.container(container.name, in: own) {
                try await keep(old, mentioned, in: index, &workload, &result)
            }
            result.given.formUnion(mentioned.intersection(removed))
            KeptVariables.sort(&workload.containers[index].environment, as: whole)
            for entry in whole?["env"]?.array ?? [] {
                guard let name = entry["name"]?.string, removed.contains(name), !mentioned.contains(name) else {
                    continue
                }
                if !result.gone.contains(name) {
                    result.foreign[name] = KeptVariables.owner(of: name, container.name, live)
                }
            }
        }
        return result
    }

    /// Variables stay in their places, as another order would be another version of the pods.
    private static func sort(_ variables: inout [Workload.Variable], as live: JSONValue?) {
        let names = (live?["env"]?.array ?? []).map { $0["name"]?.string ?? "" }
        let places = Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
        variables = variables.enumerated()
            .sorted {
                (places[$0.element.name] ?? names.count, $0.offset) < (
                    places[$1.element.name] ?? names.count, $1.offset
                )
            }
            .map(\.element)
    }

    private static func container(_ name: String, in deployment: JSONValue?) -> JSONValue? {
        deployment?["spec"]?["template"]?["spec"]?["containers"]?.array?.first { $0["name"]?.string == name }
    }

    /// Who set a variable that is not ours.
    private static func owner(of name: String, _ container: String, _ live: JSONValue) -> String {
        let path = ["spec", "template", "spec", "containers"]
        let entry = (live["metadata"]?["managedFields"]?.array ?? [])
            .first { entry in
                guard entry["manager"]?.string != ClusterClient.manager else { return false }
                let part = FieldSet(entry["fieldsV1"] ?? [:]).part(of: live)
                let list = path.reduce(part) { $0?[$1] }?.array ?? []
                let variables = list.first { $0["name"]?.string == container }?["env"]?.array ?? []
                return variables.contains { $0["name"]?.string == name }
            }
        return entry?["manager"]?.string ?? "somebody else"
    }

    /// The names that are given now: as variables, and as members of the ConfigMap of `--env-file`.
    private func mentioned(in container: Workload.Container, _ workload: Workload) -> Set<String> {
        var names = Set(container.environment.map(\.name))
        for source in container.environmentSources where source.kind == .config && source.prefix.isEmpty {
            names.formUnion(workload.configMaps.first { $0.name == source.name }?.files.keys.map { $0 } ?? [])
        }
        return names
    }

    // MARK: One container

    private func keep(
        _ old: JSONValue,
        _ mentioned: Set<String>,
        in index: Int,
        _ workload: inout Workload,
        _ result: inout Result
    ) async throws {
        var needed: [String: Set<String>] = [:]
        for entry in old["env"]?.array ?? [] {
            guard let name = entry["name"]?.string, !mentioned.contains(name) else { continue }
            guard !removed.contains(name) else {
                result.gone.insert(name)
                continue
            }
            guard let value = KeptVariables.value(entry) else { continue }
            workload.containers[index].environment.append(.init(name, value))
            result.kept.insert(name)
            if case .secret(let secret, let key) = value { needed[secret, default: []].insert(key) }
        }
        // A Secret of which nothing is needed any more is named in the plan, and not touched.
        for (secret, keys) in needed { try await keep(keys, of: secret, &workload) }
        try await keepSources(old, mentioned, in: index, &workload, &result)
    }

    /// A variable as it was applied.
    private static func value(_ entry: JSONValue) -> Workload.Variable.Value? {
        guard let source = entry["valueFrom"] else { return .plain(meant(entry["value"]?.string ?? "")) }
        for (member, make) in [
            ("secretKeyRef", Workload.Variable.Value.secret), ("configMapKeyRef", Workload.Variable.Value.config),
        ] {
            if let name = source[member]?["name"]?.string, let key = source[member]?["key"]?.string {
                return make(name, key)
            }
        }
        return source["fieldRef"]?["fieldPath"]?.string.map { .field($0) }
    }

    /// What somebody typed, of what the kubelet is told (`PodMaker.escaped`): `$$` is one `$`.
    static func meant(_ text: String) -> String {
        var result = ""
        var dollars = 0
        for letter in text {
            if letter == "$" {
                dollars += 1
                continue
            }
            result += String(repeating: "$", count: dollars > 1 ? dollars / 2 : dollars)
            dollars = 0
            result.append(letter)
        }
        return result + String(repeating: "$", count: dollars > 1 ? dollars / 2 : dollars)
    }

    /// Members of a Secret that we made stay in it; one of others, or one that is not applied now, stays by itself.
    private func keep(_ keys: Set<String>, of secret: String, _ workload: inout Workload) async throws {
        let index = workload.secrets.firstIndex { $0.name == secret }
        let missing = keys.subtracting(index.map { Set(workload.secrets[$0].files.keys) } ?? [])
        guard !missing.isEmpty else { return }
        let found: JSONValue?
        do {
            found = try await client.find(.secret, secret, namespace: workload.namespace)
        } catch let error as KubernetesError where error.code == .denied {
            guard index != nil else { return }
            throw ExitReason(
                .cloud,
                "\(missing.sorted().joined(separator: ", ")) would be lost from secret/\(secret), which may be "
                    + "written and not read: \(error.message)",
                hint: "the right to get secrets; or give each again with --secure-env, or take it away with --env-rm"
            )
        }
        guard let found, let data = ManagedFields(found).ours.part(of: found)?["data"]?.strings else { return }
        var files: [String: [UInt8]] = [:]
        for key in missing { files[key] = data[key].flatMap { Base64.decode($0) } }
        guard !files.isEmpty else { return }
        if let index {
            workload.secrets[index].files.merge(files) { given, _ in given }
        } else {
            workload.secrets.append(.init(secret, files: files))
        }
    }

    // MARK: Sources

    private func keepSources(
        _ old: JSONValue,
        _ mentioned: Set<String>,
        in index: Int,
        _ workload: inout Workload,
        _ result: inout Result
    ) async throws {
        let own = workload.name + "-env"
        var further: [Workload.EnvironmentSource] = []
        for entry in old["envFrom"]?.array ?? [] {
            guard let source = KeptVariables.source(entry) else { continue }
            let given = workload.containers[index].environmentSources
            if source.kind == .config, source.name == own, source.prefix.isEmpty {
                let stays = try await keepFile(own, mentioned, &workload, &result)
                if stays, !given.contains(source) { further.insert(source, at: 0) }
                continue
            }
            guard !given.contains(where: { $0.kind == source.kind && $0.name == source.name }) else { continue }
            let title = "\(source.kind.rawValue)/\(source.name)"
            if removed.contains(title) {
                result.gone.insert(title)
            } else {
                further.append(source)
                result.kept.insert(title)
            }
        }
        workload.containers[index].environmentSources += further
    }

    private static func source(_ entry: JSONValue) -> Workload.EnvironmentSource? {
        let prefix = entry["prefix"]?.string ?? ""
        if let name = entry["configMapRef"]?["name"]?.string { return .init(.config, name, prefix: prefix) }
        return entry["secretRef"]?["name"]?.string.map { .init(.secret, $0, prefix: prefix) }
    }

    /// What an earlier `--env-file` gave; whether anything of it is left.
    private func keepFile(
        _ name: String,
        _ mentioned: Set<String>,
        _ workload: inout Workload,
        _ result: inout Result
    ) async throws -> Bool {
        let found = try await client.find(.configMap, name, namespace: workload.namespace)
        let data = found.flatMap { ManagedFields($0).ours.part(of: $0)?["data"]?.strings } ?? [:]
        var files: [String: [UInt8]] = [:]
        for (key, value) in data where !mentioned.contains(key) {
            if removed.contains(key) {
                result.gone.insert(key)
            } else {
                files[key] = Array(value.utf8)
                result.kept.insert(key)
            }
        }
        if let index = workload.configMaps.firstIndex(where: { $0.name == name }) {
            workload.configMaps[index].files.merge(files) { given, _ in given }
            return true
        }
        if !files.isEmpty { workload.configMaps.append(.init(name, files: files)) }
        return !files.isEmpty
    }
}

extension KeptVariables.Result {
    /// What is worth saying, a line each.
    func lines(_ removed: [String], of deployment: String) -> [String] {
        var lines: [String] = []
        if !kept.isEmpty {
            lines.append("kept from before: \(kept.sorted().joined(separator: ", ")) (--env-rm takes one away)")
        }
        for name in removed where !gone.contains(name) {
            if given.contains(name) {
                lines.append("warning: --env-rm \(name): it is given as well, and stays")
            } else if let owner = foreign[name] {
                lines.append(
                    "warning: --env-rm \(name): \(owner) set it, and it stays "
                        + "(kubectl set env deployment/\(deployment) \(name)-)"
                )
            } else {
                lines.append("warning: --env-rm \(name): \(deployment) has no such variable")
            }
        }
        return lines
    }
}

/// How a Service that we made is reached stays, where nobody says otherwise: an address that goes does not come back.
struct KeptAddress {
    let client: ClusterClient

    /// Puts what stays into a workload; whether that is more than there was.
    func keep(_ workload: inout Workload) async throws -> Bool {
        guard var service = workload.service, service.reach == .cluster else { return false }
        let name = service.name ?? workload.name
        guard let live = try await client.find(.service, name, namespace: workload.namespace) else { return false }
        let ours = ManagedFields(live).ours
        guard !ours.isEmpty, let own = ours.part(of: live), own["spec"]?["type"] == "LoadBalancer" else { return false }
        let annotations = own["metadata"]?["annotations"]?.strings ?? [:]
        let isInternal = annotations["service.beta.kubernetes.io/azure-load-balancer-internal"] == "true"
        service.reach = isInternal ? .private : .public
        service.dnsLabel = service.dnsLabel ?? annotations["service.beta.kubernetes.io/azure-dns-label-name"]
        workload.service = service
        return true
    }
}
