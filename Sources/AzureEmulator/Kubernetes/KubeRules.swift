// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What the API server refuses although it has the right form, in its words: rules that a schema cannot tell.
struct KubeRules {
    let type: KubeType
    let store: ObjectStore
    private var causes: [KubeFault.Cause] = []

    init(type: KubeType, store: ObjectStore) { (self.type, self.store) = (type, store) }

    func check(_ object: JSONValue, _ old: JSONValue?) throws(KubeFault) {
        var copy = self
        copy.metadata(object)
        let spec = object["spec"] ?? [:]
        switch type {
        case .deployments, .replicaSets: copy.workload(spec, old?["spec"])
        case .pods: copy.pod(spec, "spec", old?["spec"])
        case .services: copy.service(spec, old?["spec"])
        case .secrets: copy.secret(object, old)
        case .configMaps: copy.names(object, ["data", "binaryData"])
        case .ingresses: copy.ingress(spec)
        case .autoscalers: copy.autoscaler(spec)
        case .disruptionBudgets:
            if spec["minAvailable"] != nil, spec["maxUnavailable"] != nil {
                copy.causes.append(
                    .invalid("spec", "", "minAvailable and maxUnavailable cannot be both set")
                )
            }
        case .claims:
            if (spec["accessModes"]?.array ?? []).isEmpty {
                copy.causes.append(.required("spec.accessModes", "at least 1 access mode is required"))
            }
            if spec.at("resources", "requests", "storage") == nil {
                copy.causes.append(.required("spec.resources[storage]"))
            }
        default: break
        }
        guard !copy.causes.isEmpty else { return }
        throw .invalid(type, object.kubeName, copy.causes)
    }

    // MARK: Names

    private static let subdomain =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        + "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    static let label =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        + "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

    static func isLabel(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let isEdge = { (byte: UInt8) in (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 63, isEdge(first), isEdge(last) else {
            return false
        }
        return bytes.allSatisfy { isEdge($0) || $0 == 0x2D }
    }

    private static func isSubdomain(_ text: String) -> Bool {
        text.utf8.count <= 253
            && text.split(separator: ".", omittingEmptySubsequences: false)
                .allSatisfy { part in
                    // Parts of subdomains may be longer than labels.
                    isLabel(String(part.prefix(63)))
                }
    }

    /// A value of a label, or the name of one.
    private static func isLabelValue(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let isEdge = { (byte: UInt8) in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
        }
        guard let first = bytes.first, let last = bytes.last else { return true }
        return bytes.count <= 63 && isEdge(first) && isEdge(last)
            && bytes.allSatisfy { isEdge($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }
    }

    private static func isLabelName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let name = parts.last, !name.isEmpty, isLabelValue(name) else { return false }
        return parts.count == 1 || isSubdomain(parts[0])
    }

    private mutating func metadata(_ object: JSONValue) {
        let name = object.kubeName
        if name.isEmpty {
            causes.append(.required("metadata.name", "name or generateName is required"))
        } else if [.namespaces, .services].contains(type) ? !Self.isLabel(name) : !Self.isSubdomain(name) {
            let words = [.namespaces, .services].contains(type) ? Self.label : Self.subdomain
            causes.append(.invalid("metadata.name", .string(name), words))
        }
        labels(object.at("metadata", "labels"), "metadata.labels")
        for (key, value) in object.at("metadata", "annotations")?.object ?? [:]
        where !Self.isLabelName(key.lowercased()) || value.string == nil {
            causes.append(.invalid("metadata.annotations", .string(key), "name part must be a qualified name"))
        }
    }

    private mutating func labels(_ labels: JSONValue?, _ field: String) {
        for (key, value) in (labels?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            if !Self.isLabelName(key) {
                causes.append(
                    .invalid(
                        field,
                        .string(key),
                        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
                            + "an alphanumeric character"
                    )
                )
            }
            guard !Self.isLabelValue(value.string ?? "") else { continue }
            causes.append(
                .invalid(
                    field,
                    value,
                    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                        + "must start and end with an alphanumeric character"
                )
            )
        }
    }

    /// Names of files: keys of config maps and secrets.
    private mutating func names(_ object: JSONValue, _ fields: [String]) {
        for field in fields {
            for key in (object[field]?.object ?? [:]).keys.sorted() {
                let isGood =
                    !key.isEmpty && key.utf8.count <= 253 && key != "." && !key.hasPrefix("..")
                    && key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
                guard !isGood else { continue }
                causes.append(
                    .invalid(
                        "\(field)[\(key)]",
                        .string(key),
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  "
                            + "or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                    )
                )
            }
        }
    }

    private mutating func secret(_ object: JSONValue, _ old: JSONValue?) {
        names(object, ["data"])
        if let old, old["type"] != object["type"] {
            causes.append(.invalid("type", object["type"] ?? "", "field is immutable"))
        }
        if object.text("type") == "kubernetes.io/dockerconfigjson", object.at("data", ".dockerconfigjson") == nil {
            causes.append(.required("data[.dockerconfigjson]"))
        }
        if object.text("type") == "kubernetes.io/tls" {
            for name in ["tls.crt", "tls.key"] where object.at("data", name) == nil {
                causes.append(.required("data[\(name)]"))
            }
        }
    }

    // MARK: Workloads

    private mutating func workload(_ spec: JSONValue, _ old: JSONValue?) {
        if let count = spec["replicas"]?.int, count < 0 {
            causes.append(
                .invalid("spec.replicas", .int(count), "must be greater than or equal to 0")
            )
        }
        let selector = spec["selector"] ?? .null
        let isEmpty = (selector["matchLabels"]?.object ?? [:]).isEmpty
            && (selector["matchExpressions"]?.array ?? []).isEmpty
        let labels = spec.at("template", "metadata", "labels")
        if spec["selector"] == nil {
            causes.append(.required("spec.selector"))
        } else if isEmpty {
            causes.append(.invalid("spec.selector", selector, "empty selector is invalid for deployment"))
        } else if !ObjectFilter(selector: selector).matches(labels: labels?.strings ?? [:]) {
            causes.append(
                .invalid(
                    "spec.template.metadata.labels",
                    labels ?? [:],
                    "`selector` does not match template `labels`"
                )
            )
        }
        if let old, old["selector"] != spec["selector"] {
            causes.append(.invalid("spec.selector", selector, "field is immutable"))
        }
        if type == .deployments { strategy(spec) }
        self.labels(labels, "spec.template.metadata.labels")
        let template = spec.at("template", "spec") ?? [:]
        pod(template, "spec.template.spec", nil)
        if let policy = template["restartPolicy"]?.string, policy != "Always" {
            causes.append(.unsupported("spec.template.spec.restartPolicy", policy, ["Always"]))
        }
    }

    private mutating func strategy(_ spec: JSONValue) {
        let kind = spec.text("strategy", "type")
        if !["RollingUpdate", "Recreate"].contains(kind) {
            causes.append(.unsupported("spec.strategy.type", kind, ["Recreate", "RollingUpdate"]))
        }
        if kind == "Recreate", spec.at("strategy", "rollingUpdate") != nil {
            causes.append(
                .forbidden(
                    "spec.strategy.rollingUpdate",
                    "may not be specified when strategy `type` is 'Recreate'"
                )
            )
        }
        let both = ["maxSurge", "maxUnavailable"].map { spec.at("strategy", "rollingUpdate", $0) }
        if kind == "RollingUpdate", both.allSatisfy({ $0 == 0 || $0 == "0%" || $0 == "0" }) {
            causes.append(
                .invalid(
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    both[1] ?? 0,
                    "may not be 0 when `maxSurge` is 0"
                )
            )
        }
        let deadline = spec["progressDeadlineSeconds"]?.int ?? 600
        if deadline <= spec["minReadySeconds"]?.int ?? 0 {
            causes.append(
                .invalid("spec.progressDeadlineSeconds", .int(deadline), "must be greater than minReadySeconds")
            )
        }
    }

    private mutating func pod(_ spec: JSONValue, _ field: String, _ old: JSONValue?) {
        var volumes: Set<String> = []
        for (index, volume) in (spec["volumes"]?.array ?? []).enumerated() {
            let name = volume.text("name")
            let place = "\(field).volumes[\(index)]"
            if !Self.isLabel(name) { causes.append(.invalid("\(place).name", .string(name), Self.label)) }
            if !volumes.insert(name).inserted { causes.append(.duplicate("\(place).name", name)) }
            if (volume.object ?? [:]).count > 2 {
                causes.append(.forbidden(place, "may not specify more than 1 volume type"))
            }
        }
        if (spec["containers"]?.array ?? []).isEmpty { causes.append(.required("\(field).containers")) }
        var names: Set<String> = []
        for kind in ["initContainers", "containers"] {
            for (index, container) in (spec[kind]?.array ?? []).enumerated() {
                let place = "\(field).\(kind)[\(index)]"
                if !names.insert(container.text("name")).inserted {
                    causes.append(.duplicate("\(place).name", container.text("name")))
                }
                var rules = ContainerRules(field: place, volumes: volumes)
                causes += rules.faults(container)
            }
        }
        if let old, type == .pods {
            let (before, after) = (Self.fixed(old), Self.fixed(spec))
            if before != after {
                causes.append(
                    .forbidden(
                        "spec",
                        "pod updates may not change fields other than `spec.containers[*].image`,"
                            + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
                            + "additions to existing tolerations),`spec.terminationGracePeriodSeconds`"
                    )
                )
            }
        }
    }

    /// What of a pod never changes.
    private static func fixed(_ spec: JSONValue) -> JSONValue {
        var rest = spec
        for name in ["nodeName", "tolerations", "terminationGracePeriodSeconds", "activeDeadlineSeconds"] {
            rest[name] = nil
        }
        for kind in ["containers", "initContainers"] {
            rest[kind] = rest[kind]?.array
                .map { .array($0.map { container in
                    var container = container
                    container["image"] = nil
                    return container
                }) }
        }
        return rest
    }

    // MARK: Others

    private mutating func service(_ spec: JSONValue, _ old: JSONValue?) {
        let kind = spec.text("type")
        let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
        if !known.contains(kind) { causes.append(.unsupported("spec.type", kind, known)) }
        if kind == "ExternalName", spec.text("externalName").isEmpty { causes.append(.required("spec.externalName")) }
        let ports = spec["ports"]?.array ?? []
        if ports.isEmpty, kind != "ExternalName", spec["clusterIP"] != "None" { causes.append(.required("spec.ports")) }
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let place = "spec.ports[\(index)]"
            let name = port.text("name")
            if ports.count > 1, name.isEmpty { causes.append(.required("\(place).name")) }
            if !name.isEmpty, !names.insert(name).inserted { causes.append(.duplicate("\(place).name", name)) }
            let number = port["port"]?.int ?? 0
            if !(1...65_535).contains(number) {
                causes.append(.invalid("\(place).port", .int(number), "must be between 1 and 65535, inclusive"))
            }
            if let target = port["targetPort"]?.int, !(1...65_535).contains(target) {
                causes.append(.invalid("\(place).targetPort", .int(target), "must be between 1 and 65535, inclusive"))
            }
        }
        if let old, let before = old["clusterIP"], before != spec["clusterIP"], kind != "ExternalName" {
            causes.append(.invalid("spec.clusterIPs[0]", spec["clusterIPs"] ?? [], "may not change once set"))
        }
    }

    private mutating func ingress(_ spec: JSONValue) {
        if spec["defaultBackend"] == nil, (spec["rules"]?.array ?? []).isEmpty {
            causes.append(.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified"))
        }
        for (index, rule) in (spec["rules"]?.array ?? []).enumerated() {
            for (number, path) in (rule.at("http", "paths")?.array ?? []).enumerated() {
                let place = "spec.rules[\(index)].http.paths[\(number)]"
                if ["Exact", "Prefix"].contains(path.text("pathType")), !path.text("path").hasPrefix("/") {
                    causes.append(.invalid("\(place).path", path["path"] ?? "", "must be an absolute path"))
                }
                if path.at("backend", "service", "name") == nil, path.at("backend", "resource") == nil {
                    causes.append(.required("\(place).backend"))
                }
            }
        }
    }

    private mutating func autoscaler(_ spec: JSONValue) {
        let most = spec["maxReplicas"]?.int ?? 0
        let least = spec["minReplicas"]?.int ?? 1
        if most < 1 { causes.append(.invalid("spec.maxReplicas", .int(most), "must be greater than 0")) }
        if most < least {
            causes.append(
                .invalid("spec.maxReplicas", .int(most), "must be greater than or equal to `minReplicas`")
            )
        }
    }
}
