// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import RegistryServer

/// What the API server fills in where an object does not say it.
enum KubeDefaults {
    /// Completes an object.
    ///
    /// - Parameters:
    ///   - object: Changed in place.
    ///   - type: Its type.
    ///   - old: The object as it was; `nil` where it is new.
    ///   - addresses: Where addresses of services come from.
    static func complete(
        _ object: inout JSONValue,
        _ type: KubeType,
        _ old: JSONValue?,
        _ addresses: GroupAddresses
    ) {
        var spec = object["spec"] ?? [:]
        switch type {
        case .deployments: deployment(&spec)
        case .replicaSets:
            spec.fill("replicas", 1)
            spec["template"] = template(spec["template"])
        case .pods: pod(&spec)
        case .services: service(&spec, old, addresses)
        case .ingresses: ingress(&spec)
        case .autoscalers: spec.fill("minReplicas", 1)
        case .claims:
            spec.fill("volumeMode", "Filesystem")
            spec.fill("storageClassName", "default")
        case .networkPolicies: spec.fill("policyTypes", ["Ingress"])
        case .secrets: return secret(&object)
        case .namespaces:
            spec.fill("finalizers", ["kubernetes"])
            object.set("metadata", "labels", "kubernetes.io/metadata.name", to: .string(object.kubeName))
            if object.at("status", "phase") == nil { object.set("status", "phase", to: "Active") }
        default: return
        }
        object["spec"] = spec
        if object["status"] == nil, type == .pods {
            object["status"] = ["phase": "Pending", "qosClass": .string(quality(spec))]
        } else if object["status"] == nil, type == .services {
            object["status"] = ["loadBalancer": [:]]
        } else if object["status"] == nil, type.hasStatus {
            object["status"] = [:]
        }
    }

    private static func deployment(_ spec: inout JSONValue) {
        spec.fill("replicas", 1)
        spec.fill("revisionHistoryLimit", 10)
        spec.fill("progressDeadlineSeconds", 600)
        var strategy = spec["strategy"] ?? [:]
        strategy.fill("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate" {
            var rolling = strategy["rollingUpdate"] ?? [:]
            rolling.fill("maxSurge", "25%")
            rolling.fill("maxUnavailable", "25%")
            strategy["rollingUpdate"] = rolling
        }
        spec["strategy"] = strategy
        spec["template"] = template(spec["template"])
    }

    private static func template(_ given: JSONValue?) -> JSONValue? {
        guard var template = given, var spec = template["spec"], spec.object != nil else { return given }
        pod(&spec)
        template["spec"] = spec
        var metadata = template["metadata"] ?? [:]
        metadata["creationTimestamp"] = nil
        template["metadata"] = metadata
        return template
    }

    private static func pod(_ spec: inout JSONValue) {
        spec.fill("restartPolicy", "Always")
        spec.fill("terminationGracePeriodSeconds", 30)
        spec.fill("dnsPolicy", "ClusterFirst")
        spec.fill("schedulerName", "default-scheduler")
        spec.fill("securityContext", [:])
        if let account = spec["serviceAccountName"] { spec.fill("serviceAccount", account) }
        for kind in ["containers", "initContainers"] {
            guard let list = spec[kind]?.array else { continue }
            spec[kind] = .array(list.map(container))
        }
        guard let volumes = spec["volumes"]?.array else { return }
        spec["volumes"] = .array(
            volumes.map { given in
                var volume = given
                for kind in ["configMap", "secret", "projected", "downwardAPI"] where volume[kind]?.object != nil {
                    volume[kind]?.fill("defaultMode", 420)
                }
                if (volume.object ?? [:]).count == 1 { volume["emptyDir"] = [:] }
                return volume
            }
        )
    }

    private static func container(_ given: JSONValue) -> JSONValue {
        guard given.object != nil else { return given }
        var container = given
        container.fill("resources", [:])
        container.fill("terminationMessagePath", "/dev/termination-log")
        container.fill("terminationMessagePolicy", "File")
        if let image = container["image"]?.string {
            let isLatest = !image.contains("@") && ImageName(image).reference == "latest"
            container.fill("imagePullPolicy", isLatest ? "Always" : "IfNotPresent")
        }
        if let ports = container["ports"]?.array {
            container["ports"] = .array(
                ports.map { given in
                    var port = given
                    port.fill("protocol", "TCP")
                    return port
                }
            )
        }
        for kind in ["livenessProbe", "readinessProbe", "startupProbe"] where container[kind]?.object != nil {
            for (name, value) in [
                ("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3),
            ] as [(String, JSONValue)] {
                container[kind]?.fill(name, value)
            }
            if container[kind]?["httpGet"]?.object != nil {
                container[kind]?["httpGet"]?.fill("path", "/")
                container[kind]?["httpGet"]?.fill("scheme", "HTTP")
            }
        }
        // What is limited is also asked for.
        if let limits = container.at("resources", "limits")?.object {
            for (name, value) in limits where container.at("resources", "requests", name) == nil {
                container.set("resources", "requests", name, to: value)
            }
        }
        if let variables = container["env"]?.array {
            container["env"] = .array(
                variables.map { given in
                    var variable = given
                    if variable.at("valueFrom", "fieldRef")?.object != nil {
                        variable["valueFrom"]?["fieldRef"]?.fill("apiVersion", "v1")
                    }
                    return variable
                }
            )
        }
        return container
    }

    private static func service(_ spec: inout JSONValue, _ old: JSONValue?, _ addresses: GroupAddresses) {
        spec.fill("type", "ClusterIP")
        spec.fill("sessionAffinity", "None")
        let kind = spec.text("type")
        if kind != "ExternalName" {
            spec.fill("internalTrafficPolicy", "Cluster")
            spec.fill("ipFamilies", ["IPv4"])
            spec.fill("ipFamilyPolicy", "SingleStack")
            if let before = old?.at("spec", "clusterIP"), spec["clusterIP"] == nil { spec["clusterIP"] = before }
            if spec["clusterIP"] == nil || spec["clusterIP"] == "" {
                spec["clusterIP"] = .string(addresses.take())
            }
            spec["clusterIPs"] = [spec["clusterIP"] ?? ""]
        }
        if ["LoadBalancer", "NodePort"].contains(kind) { spec.fill("externalTrafficPolicy", "Cluster") }
        if kind == "LoadBalancer" { spec.fill("allocateLoadBalancerNodePorts", true) }
        guard let ports = spec["ports"]?.array else { return }
        let before = old?.at("spec", "ports")?.array ?? []
        spec["ports"] = .array(
            ports.map { given in
                var port = given
                port.fill("protocol", "TCP")
                if let number = port["port"] { port.fill("targetPort", number) }
                if ["LoadBalancer", "NodePort"].contains(kind), port["nodePort"] == nil {
                    port["nodePort"] =
                        before.first { $0["port"] == port["port"] }?["nodePort"]
                        ?? .int(Int64.random(in: 30_000...32_767))
                }
                return port
            }
        )
    }

    private static func ingress(_ spec: inout JSONValue) {
        guard let rules = spec["rules"]?.array else { return }
        spec["rules"] = .array(
            rules.map { given in
                var rule = given
                if let paths = rule.at("http", "paths")?.array {
                    rule.set(
                        "http",
                        "paths",
                        to: .array(
                            paths.map { given in
                                var path = given
                                path.fill("pathType", "ImplementationSpecific")
                                return path
                            }
                        )
                    )
                }
                return rule
            }
        )
    }

    private static func secret(_ object: inout JSONValue) {
        object.fill("type", "Opaque")
        for (name, value) in object["stringData"]?.strings ?? [:] {
            object.set("data", name, to: .string(PaddedBase64.encode(Array(value.utf8))))
        }
        object["stringData"] = nil
    }

    /// `qosClass` of a pod.
    private static func quality(_ spec: JSONValue) -> String {
        let all = (spec["containers"]?.array ?? []).map { $0["resources"] ?? [:] }
        if all.allSatisfy({ $0["requests"] == nil && $0["limits"] == nil }) { return "BestEffort" }
        let isGuaranteed = all.allSatisfy { resources in
            ["cpu", "memory"].allSatisfy {
                resources.at("limits", $0) != nil && resources.at("limits", $0) == resources.at("requests", $0)
            }
        }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }
}
