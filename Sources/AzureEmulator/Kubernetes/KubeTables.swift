// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// Objects as rows of a table, which is what `kubectl get` shows.
///
/// Specification: Kubernetes API concepts, "Receiving resources as Tables".
enum KubeTables {
    /// A column: its name, and 0, or 1 where only `-o wide` shows it.
    typealias Column = (name: String, priority: Int64)

    static func table(_ objects: [JSONValue], _ type: KubeType, revision: Int64, include: String?, withColumns: Bool = true)
        -> JSONValue
    {
        let columns: [JSONValue] = self.columns(type)
            .map { column in
                [
                    "name": .string(column.name), "type": "string", "format": column.name == "Name" ? "name" : "",
                    "description": .string(column.name), "priority": .int(column.priority),
                ]
            }
        let rows = objects.map { object -> JSONValue in
            var shown: JSONValue = [
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] ?? [:],
            ]
            if include == "Object" { shown = object }
            if include == "None" { shown = .null }
            return ["cells": .array(cells(object, type)), "object": shown]
        }
        return [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": ["resourceVersion": .string("\(revision)")],
            "columnDefinitions": .array(withColumns ? columns : []), "rows": .array(rows),
        ]
    }

    private static func columns(_ type: KubeType) -> [Column] {
        let own: [Column]
        switch type {
        case .pods:
            own = [("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1), ("Node", 1)]
        case .deployments:
            own = [
                ("Ready", 0), ("Up-to-date", 0), ("Available", 0), ("Age", 0), ("Containers", 1), ("Images", 1),
                ("Selector", 1),
            ]
        case .replicaSets:
            own = [
                ("Desired", 0), ("Current", 0), ("Ready", 0), ("Age", 0), ("Containers", 1), ("Images", 1),
                ("Selector", 1),
            ]
        case .services:
            own = [("Type", 0), ("Cluster-IP", 0), ("External-IP", 0), ("Port(s)", 0), ("Age", 0), ("Selector", 1)]
        case .events: return [("Last Seen", 0), ("Type", 0), ("Reason", 0), ("Object", 0), ("Message", 0)]
        case .configMaps: own = [("Data", 0), ("Age", 0)]
        case .secrets: own = [("Type", 0), ("Data", 0), ("Age", 0)]
        case .namespaces: own = [("Status", 0), ("Age", 0)]
        case .nodes: own = [("Status", 0), ("Roles", 0), ("Age", 0), ("Version", 0)]
        case .endpoints: own = [("Endpoints", 0), ("Age", 0)]
        case .claims: own = [("Status", 0), ("Volume", 0), ("Capacity", 0), ("Access Modes", 0), ("Age", 0)]
        case .ingresses: own = [("Class", 0), ("Hosts", 0), ("Address", 0), ("Ports", 0), ("Age", 0)]
        case .autoscalers:
            own = [("Reference", 0), ("Targets", 0), ("MinPods", 0), ("MaxPods", 0), ("Replicas", 0), ("Age", 0)]
        case .disruptionBudgets:
            own = [("Min Available", 0), ("Max Unavailable", 0), ("Allowed Disruptions", 0), ("Age", 0)]
        default: own = [("Age", 0)]
        }
        return [("Name", 0)] + own
    }

    private static func cells(_ object: JSONValue, _ type: KubeType) -> [JSONValue] {
        let age = age(object.text("metadata", "creationTimestamp"))
        let number = { (path: String...) in JSONValue.string("\(object.at(path[...])?.int ?? 0)") }
        let text = { (path: String...) in
            JSONValue.string(object.at(path[...]).map { $0.string ?? $0.canonical } ?? "<none>")
        }
        let rest: [JSONValue]
        switch type {
        case .pods: rest = pod(object, age)
        case .deployments:
            rest =
                [
                    .string(
                        "\(object.at("status", "readyReplicas")?.int ?? 0)/\(object.at("spec", "replicas")?.int ?? 0)"
                    ), number("status", "updatedReplicas"), number("status", "availableReplicas"), age,
                ] + workload(object)
        case .replicaSets:
            rest =
                [number("spec", "replicas"), number("status", "replicas"), number("status", "readyReplicas"), age]
                + workload(object)
        case .services: rest = service(object, age)
        case .events:
            return [
                self.age(object.text("lastTimestamp")), text("type"), text("reason"),
                .string("\(object.text("involvedObject", "kind").lowercased())/\(object.text("involvedObject", "name"))"),
                text("message"),
            ]
        case .configMaps: rest = [count(object, ["data", "binaryData"]), age]
        case .secrets: rest = [text("type"), count(object, ["data"]), age]
        case .namespaces: rest = [text("status", "phase"), age]
        case .nodes: rest = ["Ready", "<none>", age, text("status", "nodeInfo", "kubeletVersion")]
        case .endpoints: rest = [endpoints(object), age]
        case .claims:
            let modes = (object.at("spec", "accessModes")?.texts ?? []).joined(separator: ",")
            rest = [
                text("status", "phase"), text("spec", "volumeName"), text("status", "capacity", "storage"),
                .string(modes), age,
            ]
        case .ingresses:
            let hosts = (object.at("spec", "rules")?.array ?? []).compactMap { $0["host"]?.string }
            let ports = object.at("spec", "tls") == nil ? "80" : "80, 443"
            rest = [
                text("spec", "ingressClassName"), .string(hosts.isEmpty ? "*" : hosts.joined(separator: ",")), "",
                .string(ports), age,
            ]
        case .autoscalers:
            let target = object.at("spec", "scaleTargetRef")
            rest = [
                .string("\(target?.text("kind") ?? "")/\(target?.text("name") ?? "")"), "<unknown>",
                number("spec", "minReplicas"), number("spec", "maxReplicas"), number("status", "currentReplicas"), age,
            ]
        case .disruptionBudgets:
            rest = [
                text("spec", "minAvailable"), text("spec", "maxUnavailable"), number("status", "disruptionsAllowed"),
                age,
            ]
        default: rest = [age]
        }
        return [.string(object.kubeName)] + rest
    }

    private static func count(_ object: JSONValue, _ fields: [String]) -> JSONValue {
        .string("\(fields.map { (object[$0]?.object ?? [:]).count }.reduce(0, +))")
    }

    private static func pod(_ pod: JSONValue, _ age: JSONValue) -> [JSONValue] {
        let all = pod.at("status", "containerStatuses")?.array ?? []
        let total = (pod.at("spec", "containers")?.array ?? []).count
        let restarts = all.map { $0["restartCount"]?.int ?? 0 }.reduce(0, +)
        let ready = all.filter { $0["ready"] == true }.count
        return [
            .string("\(ready)/\(total)"), .string(status(pod, all)), .string("\(restarts)"), age,
            .string(pod.at("status", "podIP")?.string ?? "<none>"),
            .string(pod.at("spec", "nodeName")?.string ?? "<none>"),
        ]
    }

    /// One word for a pod, as kubectl has it.
    private static func status(_ pod: JSONValue, _ containers: [JSONValue]) -> String {
        if pod.isBeingDeleted { return "Terminating" }
        var word = pod.at("status", "reason")?.string ?? pod.text("status", "phase")
        for status in pod.at("status", "initContainerStatuses")?.array ?? [] {
            if status.at("state", "terminated", "exitCode") == 0 { continue }
            if let reason = status.at("state", "waiting", "reason")?.string, reason != "PodInitializing" {
                return "Init:\(reason)"
            }
            if status.at("state", "terminated") != nil { return "Init:Error" }
            let done = (pod.at("status", "initContainerStatuses")?.array ?? [])
                .filter { $0.at("state", "terminated", "exitCode") == 0 }
            return "Init:\(done.count)/\((pod.at("spec", "initContainers")?.array ?? []).count)"
        }
        for status in containers {
            if let reason = status.at("state", "waiting", "reason")?.string {
                word = reason
            } else if let ended = status.at("state", "terminated") {
                word = ended["reason"]?.string ?? "ExitCode:\(ended["exitCode"]?.int ?? 0)"
            }
        }
        return word
    }

    private static func workload(_ object: JSONValue) -> [JSONValue] {
        let containers = object.at("spec", "template", "spec", "containers")?.array ?? []
        let labels = object.at("spec", "selector", "matchLabels")?.strings ?? [:]
        let selector = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return [
            .string(containers.map { $0.text("name") }.joined(separator: ",")),
            .string(containers.map { $0.text("image") }.joined(separator: ",")),
            .string(selector.joined(separator: ",")),
        ]
    }

    private static func service(_ service: JSONValue, _ age: JSONValue) -> [JSONValue] {
        let kind = service.text("spec", "type")
        let outside = service.at("status", "loadBalancer", "ingress")?.array?.first?.text("ip")
        let ports = (service.at("spec", "ports")?.array ?? [])
            .map { port in
                let node = port["nodePort"]?.int.map { ":\($0)" } ?? ""
                return "\(port["port"]?.int ?? 0)\(node)/\(port.text("protocol"))"
            }
        let labels = service.at("spec", "selector")?.strings ?? [:]
        let selector = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return [
            .string(kind), .string(service.at("spec", "clusterIP")?.string ?? "<none>"),
            .string(outside ?? (kind == "LoadBalancer" ? "<pending>" : "<none>")), .string(ports.joined(separator: ",")),
            age, .string(selector.isEmpty ? "<none>" : selector.joined(separator: ",")),
        ]
    }

    private static func endpoints(_ object: JSONValue) -> JSONValue {
        var texts: [String] = []
        for subset in object["subsets"]?.array ?? [] {
            for address in subset["addresses"]?.array ?? [] {
                for port in subset["ports"]?.array ?? [] {
                    texts.append("\(address.text("ip")):\(port["port"]?.int ?? 0)")
                }
            }
        }
        return .string(texts.isEmpty ? "<none>" : texts.joined(separator: ","))
    }

    /// How long ago something was, as kubectl writes it.
    private static func age(_ moment: String) -> JSONValue {
        guard let then = KubeTime.seconds(moment) else { return "<unknown>" }
        let seconds = max(0, Moment.now - then)
        switch seconds {
        case ..<120: return .string("\(seconds)s")
        case ..<600:
            let rest = seconds % 60
            return .string("\(seconds / 60)m" + (rest == 0 ? "" : "\(rest)s"))
        case ..<10_800: return .string("\(seconds / 60)m")
        case ..<172_800: return .string("\(seconds / 3600)h")
        default: return .string("\(seconds / 86_400)d")
        }
    }
}
