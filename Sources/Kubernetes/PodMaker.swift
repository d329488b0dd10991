// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Turns what is in a pod into its specification.
struct PodMaker {
    let workload: Workload

    private static func number(_ value: Int?) -> JSONValue? { value.map { .int(Int64($0)) } }

    var spec: JSONValue {
        let pod = workload.pod
        var spec: JSONValue = ["containers": .array(workload.containers.map { container($0) })]
        if !workload.initContainers.isEmpty {
            spec["initContainers"] = .array(workload.initContainers.map { container($0) })
        }
        if !workload.volumes.isEmpty { spec["volumes"] = .array(workload.volumes.map { volume($0) }) }
        if !workload.pullSecrets.isEmpty {
            spec["imagePullSecrets"] = .array(workload.pullSecrets.map { ["name": .string($0)] })
        }
        spec["securityContext"] = security
        spec["serviceAccountName"] = pod.account.map { .string($0) }
        // A token that nothing asked for is one that can be stolen.
        if pod.account == nil { spec["automountServiceAccountToken"] = false }
        // As everywhere else, variables are those that were set, and not one set for each Service around.
        spec["enableServiceLinks"] = false
        if !pod.nodes.isEmpty { spec["nodeSelector"] = JSONValue(pod.nodes) }
        if !pod.tolerations.isEmpty {
            spec["tolerations"] = .array(pod.tolerations.compactMap { WorkloadMaker.toleration($0) })
        }
        spec["terminationGracePeriodSeconds"] = PodMaker.number(pod.grace)
        spec["hostname"] = pod.hostname.map { .string($0) }
        if pod.sharesProcesses { spec["shareProcessNamespace"] = true }
        return resolving(spec)
    }

    private func resolving(_ spec: JSONValue) -> JSONValue {
        var spec = spec
        let pod = workload.pod
        if !pod.hosts.isEmpty {
            let addresses = Set(pod.hosts.values).sorted()
            spec["hostAliases"] = .array(
                addresses.map { address in
                    let names = pod.hosts.filter { $0.value == address }.keys.sorted()
                    return ["ip": .string(address), "hostnames": JSONValue(names)]
                }
            )
        }
        var resolver: JSONValue = [:]
        if !pod.nameservers.isEmpty { resolver["nameservers"] = JSONValue(pod.nameservers) }
        if !pod.searchDomains.isEmpty { resolver["searches"] = JSONValue(pod.searchDomains) }
        if !pod.resolverOptions.isEmpty {
            resolver["options"] = .array(
                pod.resolverOptions.map { text in
                    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
                    var json: JSONValue = ["name": .string(parts.first ?? text)]
                    if parts.count == 2 { json["value"] = .string(parts[1]) }
                    return json
                }
            )
        }
        if resolver != [:] {
            spec["dnsConfig"] = resolver
            if !pod.nameservers.isEmpty { spec["dnsPolicy"] = "None" }
        }
        return spec
    }

    private var security: JSONValue {
        let pod = workload.pod
        var json: JSONValue = ["seccompProfile": ["type": "RuntimeDefault"]]
        if pod.refusesRoot { json["runAsNonRoot"] = true }
        json["runAsUser"] = PodMaker.number(pod.user)
        json["runAsGroup"] = PodMaker.number(pod.group)
        if let group = pod.volumeGroup {
            json["fsGroup"] = .int(Int64(group))
            // Else every file of a large volume is looked at before a pod starts.
            json["fsGroupChangePolicy"] = "OnRootMismatch"
        }
        if !pod.sysctls.isEmpty {
            json["sysctls"] = .array(
                pod.sysctls.sorted { $0.key < $1.key }.map { ["name": .string($0.key), "value": .string($0.value)] }
            )
        }
        return json
    }

    // MARK: Containers

    private func container(_ container: Workload.Container) -> JSONValue {
        var json: JSONValue = ["name": .string(container.name), "image": .string(container.image)]
        json["command"] = container.command.map { JSONValue($0.map(PodMaker.escaped)) }
        json["args"] = container.arguments.map { JSONValue($0.map(PodMaker.escaped)) }
        json["workingDir"] = container.workingDirectory.map { .string($0) }
        if !container.ports.isEmpty {
            json["ports"] = .array(
                container.ports.map { port in
                    var json: JSONValue = ["name": .string(port.name), "containerPort": .int(Int64(port.number))]
                    if port.transport != "TCP" { json["protocol"] = .string(port.transport) }
                    return json
                }
            )
        }
        if !container.environmentSources.isEmpty {
            json["envFrom"] = .array(container.environmentSources.map { PodMaker.source($0) })
        }
        if !container.environment.isEmpty {
            json["env"] = .array(container.environment.map { PodMaker.variable($0) })
        }
        json["resources"] = PodMaker.resources(container.resources)
        json["startupProbe"] = container.startup.map { PodMaker.probe($0) }
        json["livenessProbe"] = container.liveness.map { PodMaker.probe($0) }
        json["readinessProbe"] = container.readiness.map { PodMaker.probe($0) }
        if let drain = container.drain { json["lifecycle"] = ["preStop": ["sleep": ["seconds": .int(Int64(drain))]]] }
        json["securityContext"] = PodMaker.security(container.security)
        if !container.mounts.isEmpty {
            json["volumeMounts"] = .array(
                container.mounts.map { mount in
                    var json: JSONValue = ["name": .string(mount.volume), "mountPath": .string(mount.path)]
                    json["subPath"] = mount.part.map { .string($0) }
                    if mount.isReadOnly { json["readOnly"] = true }
                    return json
                }
            )
        }
        if container.hasTerminal { json["tty"] = true }
        if container.hasInput { json["stdin"] = true }
        return json
    }

    private static func source(_ source: Workload.EnvironmentSource) -> JSONValue {
        let member = source.kind == .config ? "configMapRef" : "secretRef"
        var json: JSONValue = .object([member: ["name": .string(source.name)]])
        if !source.prefix.isEmpty { json["prefix"] = .string(source.prefix) }
        return json
    }

    private static func variable(_ variable: Workload.Variable) -> JSONValue {
        let reference = { (name: String, key: String) -> JSONValue in ["name": .string(name), "key": .string(key)] }
        let name = JSONValue.string(variable.name)
        switch variable.value {
        case .plain(let text): return ["name": name, "value": .string(escaped(text))]
        case .secret(let secret, let key):
            return ["name": name, "valueFrom": ["secretKeyRef": reference(secret, key)]]
        case .config(let map, let key):
            return ["name": name, "valueFrom": ["configMapKeyRef": reference(map, key)]]
        case .field(let path):
            return ["name": name, "valueFrom": ["fieldRef": ["fieldPath": .string(path)]]]
        }
    }

    /// The kubelet puts `$(NAME)` in place and makes `$$` one `$`; people meant what they wrote.
    ///
    /// Specification: Kubernetes, `third_party/forked/golang/expansion`.
    static func escaped(_ text: String) -> String {
        var result = ""
        var dollars = 0
        for letter in text {
            if letter == "$" {
                dollars += 1
                continue
            }
            result += String(repeating: "$", count: dollars > 1 || letter == "(" ? 2 * dollars : dollars)
            dollars = 0
            result.append(letter)
        }
        return result + String(repeating: "$", count: dollars > 1 ? 2 * dollars : dollars)
    }

    private static func resources(_ resources: Workload.Resources) -> JSONValue? {
        var requests = resources.further
        var limits = resources.further
        requests["cpu"] = resources.cpu
        requests["memory"] = resources.memory
        limits["cpu"] = resources.cpuLimit
        limits["memory"] = resources.memoryLimit
        var json: JSONValue = [:]
        if !requests.isEmpty { json["requests"] = JSONValue(requests) }
        if !limits.isEmpty { json["limits"] = JSONValue(limits) }
        // A nil alone would be the null of JSON.
        return json == [:] ? JSONValue?.none : json
    }

    private static func probe(_ probe: Workload.Probe) -> JSONValue {
        let port = { (text: String) -> JSONValue in Int64(text).map { .int($0) } ?? .string(text) }
        var json: JSONValue = [:]
        switch probe.check {
        case .command(let words): json["exec"] = ["command": JSONValue(words)]
        case .http(let path, let place, let isSecure):
            var get: JSONValue = ["path": .string(path), "port": port(place)]
            if isSecure { get["scheme"] = "HTTPS" }
            json["httpGet"] = get
        case .connection(let place): json["tcpSocket"] = ["port": port(place)]
        case .grpc(let place, let service):
            var grpc: JSONValue = ["port": .int(Int64(place))]
            grpc["service"] = service.map { .string($0) }
            json["grpc"] = grpc
        }
        json["initialDelaySeconds"] = number(probe.delay)
        json["periodSeconds"] = number(probe.period)
        json["timeoutSeconds"] = number(probe.timeout)
        json["failureThreshold"] = number(probe.failures)
        return json
    }

    private static func security(_ security: Workload.Security) -> JSONValue {
        var json: JSONValue = [:]
        if security.isPrivileged {
            json["privileged"] = true
        } else {
            json["allowPrivilegeEscalation"] = .bool(security.mayGainRights)
            var capabilities: JSONValue = [:]
            if !security.drops.isEmpty { capabilities["drop"] = JSONValue(security.drops) }
            if !security.adds.isEmpty { capabilities["add"] = JSONValue(security.adds) }
            if capabilities != [:] { json["capabilities"] = capabilities }
        }
        if security.hasReadOnlyRoot { json["readOnlyRootFilesystem"] = true }
        json["runAsUser"] = number(security.user)
        json["runAsGroup"] = number(security.group)
        json["runAsNonRoot"] = security.refusesRoot.map { .bool($0) }
        return json
    }

    // MARK: Volumes

    private func volume(_ volume: Workload.Volume) -> JSONValue {
        var json: JSONValue = ["name": .string(volume.name)]
        switch volume.content {
        case .empty(let isInMemory, let limit):
            var empty: JSONValue = [:]
            if isInMemory { empty["medium"] = "Memory" }
            empty["sizeLimit"] = limit.map { .string($0) }
            json["emptyDir"] = empty
        case .config(let name, let items, let mode):
            json["configMap"] = PodMaker.files(["name": .string(name)], items, mode)
        case .secret(let name, let items, let mode):
            json["secret"] = PodMaker.files(["secretName": .string(name)], items, mode)
        case .claim(let name, let isReadOnly):
            var claim: JSONValue = ["claimName": .string(name)]
            if isReadOnly { claim["readOnly"] = true }
            json["persistentVolumeClaim"] = claim
        case .azureFile(let share, let secret, let isReadOnly):
            // The driver that AKS has; the volume type azureFile of old is only handed on to it.
            var csi: JSONValue = [
                "driver": "file.csi.azure.com",
                "volumeAttributes": ["shareName": .string(share), "secretName": .string(secret)],
            ]
            if isReadOnly { csi["readOnly"] = true }
            json["csi"] = csi
        case .driver(let name, let isReadOnly, let attributes):
            var csi: JSONValue = ["driver": .string(name)]
            if !attributes.isEmpty { csi["volumeAttributes"] = JSONValue(attributes) }
            if isReadOnly { csi["readOnly"] = true }
            json["csi"] = csi
        }
        return json
    }

    private static func files(_ source: JSONValue, _ items: [String: String], _ mode: Int?) -> JSONValue {
        var json = source
        json["defaultMode"] = number(mode)
        if !items.isEmpty {
            json["items"] = .array(
                items.sorted { $0.key < $1.key }.map { ["key": .string($0.key), "path": .string($0.value)] }
            )
        }
        return json
    }

    // MARK: Remarks

    /// Remarks by their places in the Deployment.
    var comments: [[String]: String] {
        var comments: [[String]: String] = [:]
        let spec = ["spec", "template", "spec"]
        for (member, containers) in [
            ("containers", workload.containers), ("initContainers", workload.initContainers),
        ] {
            for (index, container) in containers.enumerated() {
                let place = spec + [member, "\(index)"]
                let remarks = workload.remarks
                comments[place + ["image"]] = remarks[.image(container: container.name)]
                comments[place + ["securityContext"]] = remarks[.security(container: container.name)]
                comments[place + ["resources"]] = remarks[.resources(container: container.name)]
                if let remark = remarks[.probes(container: container.name)] {
                    let first =
                        container.startup != nil
                        ? "startupProbe" : container.liveness != nil ? "livenessProbe" : "readinessProbe"
                    comments[place + [first]] = remark
                }
            }
        }
        comments[spec + ["securityContext"]] = workload.remarks[.podSecurity]
        comments[spec + ["nodeSelector"]] = workload.remarks[.nodes]
        comments[spec + ["imagePullSecrets"]] = workload.remarks[.pullSecrets]
        return comments
    }
}
