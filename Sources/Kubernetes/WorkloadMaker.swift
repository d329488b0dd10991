// SPDX-License-Identifier: Apache-2.0
internal import OCI

extension Workload {
    /// The objects, unchecked.
    var made: [ObjectManifest] {
        let maker = WorkloadMaker(workload: self)
        var list: [ObjectManifest] = []
        if makesNamespace, let namespace {
            var json: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(namespace)]]
            json["metadata"]?["labels"] = ["app.kubernetes.io/managed-by": "coracle"]
            list.append(ObjectManifest(json))
        }
        list += secrets.map { maker.secret($0) }
        list += configMaps.map { maker.configMap($0) }
        list += claims.map { maker.claim($0) }
        if let service { list.append(maker.service(service)) }
        list += furtherServices.map { maker.further($0) }
        list.append(maker.deployment)
        if let ingress { list.append(maker.ingress(ingress)) }
        if let autoscaling { list.append(maker.autoscaler(autoscaling)) }
        if let mayBeAway { list.append(maker.budget(mayBeAway)) }
        return list
    }
}

/// Turns a workload into objects.
struct WorkloadMaker {
    let workload: Workload

    /// What selects the pods; it can never change on a Deployment.
    var selector: [String: String] {
        ["app.kubernetes.io/name": workload.name, "app.kubernetes.io/instance": workload.name]
    }

    /// The recommended labels, and further ones.
    ///
    /// Specification: kubernetes.io, "Recommended Labels".
    var labels: [String: String] {
        var labels = workload.labels
        labels["app.kubernetes.io/part-of"] = workload.partOf ?? labels["app.kubernetes.io/part-of"]
        if let version = workload.version, Names.isLabelValue(version) { labels["app.kubernetes.io/version"] = version }
        labels["app.kubernetes.io/managed-by"] = "coracle"
        return labels.merging(selector) { $1 }
    }

    /// An object without its contents.
    func object(_ apiVersion: String, _ kind: String, _ name: String, _ annotations: [String: String] = [:])
        -> JSONValue
    {
        var metadata: JSONValue = ["name": .string(name), "labels": JSONValue(labels)]
        metadata["namespace"] = workload.namespace.map { .string($0) }
        if !annotations.isEmpty { metadata["annotations"] = JSONValue(annotations) }
        return ["apiVersion": .string(apiVersion), "kind": .string(kind), "metadata": metadata]
    }

    // MARK: What containers are given

    func secret(_ secret: Workload.SecretFiles) -> ObjectManifest {
        var json = object("v1", "Secret", secret.name)
        json["type"] = .string(secret.type)
        json["data"] = .object(secret.files.mapValues { .string(ObjectManifest.base64($0)) })
        return ObjectManifest(json)
    }

    func configMap(_ map: Workload.ConfigFiles) -> ObjectManifest {
        var json = object("v1", "ConfigMap", map.name)
        for (key, bytes) in map.files {
            let text = String(validating: bytes, as: UTF8.self)
            if let text, !text.unicodeScalars.contains("\0") {
                json["data"] = json["data"] ?? [:]
                json["data"]?[key] = .string(text)
            } else {
                json["binaryData"] = json["binaryData"] ?? [:]
                json["binaryData"]?[key] = .string(ObjectManifest.base64(bytes))
            }
        }
        return ObjectManifest(json)
    }

    func claim(_ claim: Workload.Claim) -> ObjectManifest {
        var json = object("v1", "PersistentVolumeClaim", claim.name)
        json["spec"] = [
            "accessModes": [.string(claim.access)], "resources": ["requests": ["storage": .string(claim.size)]],
        ]
        json["spec"]?["storageClassName"] = claim.storageClass.map { .string($0) }
        return ObjectManifest(json)
    }

    // MARK: What is about the pods

    func service(_ service: Workload.Service) -> ObjectManifest {
        var annotations = service.annotations
        // Read by the cloud provider of Azure ("Azure load balancer annotations").
        if service.reach == .private {
            annotations["service.beta.kubernetes.io/azure-load-balancer-internal"] = "true"
        }
        if let label = service.dnsLabel { annotations["service.beta.kubernetes.io/azure-dns-label-name"] = label }
        var json = object("v1", "Service", serviceName, annotations)
        let ports = workload.servicePorts.map { port -> JSONValue in
            var json: JSONValue = [
                "name": .string(port.name), "port": .int(Int64(port.servicePort ?? port.number)),
                "targetPort": .string(port.name),
            ]
            if port.transport != "TCP" { json["protocol"] = .string(port.transport) }
            return json
        }
        json["spec"] = [
            "type": service.reach == .cluster ? "ClusterIP" : "LoadBalancer", "selector": JSONValue(selector),
            "ports": .array(ports),
        ]
        var manifest = ObjectManifest(json)
        manifest.comments[["spec", "type"]] = workload.remarks[.service]
        return manifest
    }

    var serviceName: String { workload.service?.name ?? workload.name }

    func ingress(_ ingress: Workload.Ingress) -> ObjectManifest {
        var json = object("networking.k8s.io/v1", "Ingress", workload.name, ingress.annotations)
        let wanted = ingress.port ?? workload.servicePorts.first?.name ?? "http"
        let port: JSONValue = Int64(wanted).map { ["number": .int($0)] } ?? ["name": .string(wanted)]
        let backend: JSONValue = ["service": ["name": .string(serviceName), "port": port]]
        var hosts: [String?] = []
        for rule in ingress.rules where !hosts.contains(rule.host) { hosts.append(rule.host) }
        let rules = hosts.map { host -> JSONValue in
            let paths = ingress.rules.filter { $0.host == host }
                .map { ["path": .string($0.path), "pathType": "Prefix", "backend": backend] as JSONValue }
            var json: JSONValue = ["http": ["paths": .array(paths)]]
            json["host"] = host.map { .string($0) }
            return json
        }
        json["spec"] = ["rules": .array(rules)]
        json["spec"]?["ingressClassName"] = ingress.className.map { .string($0) }
        if let certificate = ingress.certificate {
            var tls: JSONValue = ["secretName": .string(certificate)]
            if !hosts.compactMap({ $0 }).isEmpty { tls["hosts"] = JSONValue(hosts.compactMap { $0 }) }
            json["spec"]?["tls"] = [tls]
        }
        var manifest = ObjectManifest(json)
        manifest.comments[["spec", "rules"]] = workload.remarks[.ingress]
        return manifest
    }

    func autoscaler(_ scaling: Workload.Autoscaling) -> ObjectManifest {
        var json = object("autoscaling/v2", "HorizontalPodAutoscaler", workload.name)
        let metrics = [("cpu", scaling.cpu), ("memory", scaling.memory)]
            .compactMap { name, share -> JSONValue? in
                guard let share else { return nil }
                return [
                    "type": "Resource",
                    "resource": [
                        "name": .string(name),
                        "target": ["type": "Utilization", "averageUtilization": .int(Int64(share))],
                    ],
                ]
            }
        json["spec"] = [
            "scaleTargetRef": ["apiVersion": "apps/v1", "kind": "Deployment", "name": .string(workload.name)],
            "minReplicas": .int(Int64(scaling.minimum)), "maxReplicas": .int(Int64(scaling.maximum)),
            "metrics": .array(metrics),
        ]
        return ObjectManifest(json)
    }

    func budget(_ away: Int) -> ObjectManifest {
        var json = object("policy/v1", "PodDisruptionBudget", workload.name)
        json["spec"] = ["maxUnavailable": .int(Int64(away)), "selector": ["matchLabels": JSONValue(selector)]]
        var manifest = ObjectManifest(json)
        manifest.comments[["spec", "maxUnavailable"]] = "while nodes are drained, so many pods may be away at once"
        return manifest
    }

    // MARK: The Deployment

    var deployment: ObjectManifest {
        var json = object("apps/v1", "Deployment", workload.name, workload.annotations)
        var spec: JSONValue = ["selector": ["matchLabels": JSONValue(selector)]]
        spec["replicas"] = workload.autoscaling == nil ? workload.replicas.map { .int(Int64($0)) } : nil
        spec["progressDeadlineSeconds"] = workload.progressDeadline.map { .int(Int64($0)) }
        spec["strategy"] = strategy
        var metadata: JSONValue = ["labels": JSONValue(labels)]
        if !workload.podAnnotations.isEmpty { metadata["annotations"] = JSONValue(workload.podAnnotations) }
        let pod = PodMaker(workload: workload)
        spec["template"] = ["metadata": metadata, "spec": pod.spec]
        json["spec"] = spec
        var manifest = ObjectManifest(json)
        let remarks = workload.remarks
        manifest.comments = pod.comments
        manifest.comments[["spec", "replicas"]] = remarks[.replicas]
        manifest.comments[["spec", "strategy"]] = remarks[.strategy] ?? usualStrategyRemark
        return manifest
    }

    private var usualStrategyRemark: String? {
        switch workload.strategy {
        case .rolling: "a new pod answers before an old one goes"
        case .rollingWithin: nil
        case .recreate: "all old pods go before a new one comes"
        }
    }

    private var strategy: JSONValue {
        let number = { (text: String) -> JSONValue in Int64(text).map { .int($0) } ?? .string(text) }
        switch workload.strategy {
        case .rolling: return ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": 1, "maxUnavailable": 0]]
        case .rollingWithin(let surge, let unavailable):
            return [
                "type": "RollingUpdate",
                "rollingUpdate": ["maxSurge": number(surge), "maxUnavailable": number(unavailable)],
            ]
        case .recreate: return ["type": "Recreate"]
        }
    }

    /// `key=value:Effect`, `key:Effect`, `key` for any effect.
    static func toleration(_ text: String) -> JSONValue? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let first = parts.first, !first.isEmpty else { return nil }
        let pair = first.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        var json: JSONValue = ["key": .string(pair[0]), "operator": pair.count == 2 ? "Equal" : "Exists"]
        if pair.count == 2 { json["value"] = .string(pair[1]) }
        if parts.count == 2 {
            guard ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(parts[1]) else { return nil }
            json["effect"] = .string(parts[1])
        }
        return Names.isQualified(pair[0]) ? json : Optional.none
    }
}
