// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What the API server refuses of one container.
struct ContainerRules {
    let field: String
    let volumes: Set<String>
    private var causes: [KubeFault.Cause] = []

    init(field: String, volumes: Set<String>) { (self.field, self.volumes) = (field, volumes) }

    mutating func faults(_ container: JSONValue) -> [KubeFault.Cause] {
        let name = container.text("name")
        if name.isEmpty {
            causes.append(.required("\(field).name"))
        } else if !KubeRules.isLabel(name) {
            causes.append(.invalid("\(field).name", .string(name), KubeRules.label))
        }
        let image = container.text("image")
        if image.isEmpty {
            causes.append(.required("\(field).image"))
        } else if image.contains(" ") {
            causes.append(
                .invalid("\(field).image", .string(image), "must not have leading or trailing whitespace")
            )
        }
        ports(container)
        environment(container)
        mounts(container)
        resources(container["resources"] ?? [:])
        for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
            guard let probe = container[kind], probe.object != nil else { continue }
            self.probe(probe, "\(field).\(kind)", kind, ports: container["ports"]?.array ?? [])
        }
        return causes
    }

    private mutating func ports(_ container: JSONValue) {
        var names: Set<String> = []
        for (index, port) in (container["ports"]?.array ?? []).enumerated() {
            let place = "\(field).ports[\(index)]"
            let number = port["containerPort"]?.int ?? 0
            if !(1...65_535).contains(number) {
                causes.append(
                    .invalid("\(place).containerPort", .int(number), "must be between 1 and 65535, inclusive")
                )
            }
            let name = port.text("name")
            if name.utf8.count > 15 {
                causes.append(.invalid("\(place).name", .string(name), "must be no more than 15 characters"))
            }
            if !name.isEmpty, !names.insert(name).inserted { causes.append(.duplicate("\(place).name", name)) }
            if !["TCP", "UDP", "SCTP"].contains(port.text("protocol")) {
                causes.append(.unsupported("\(place).protocol", port.text("protocol"), ["SCTP", "TCP", "UDP"]))
            }
        }
    }

    private mutating func environment(_ container: JSONValue) {
        for (index, variable) in (container["env"]?.array ?? []).enumerated() {
            let place = "\(field).env[\(index)]"
            let name = variable.text("name")
            if name.isEmpty { causes.append(.required("\(place).name")) }
            if name.contains("=") {
                causes.append(.invalid("\(place).name", .string(name), "a valid environment variable name must not have ="))
            }
            let source = variable["valueFrom"]?.object ?? [:]
            if !source.isEmpty, !variable.text("value").isEmpty {
                causes.append(
                    .invalid("\(place).valueFrom", "", "may not be specified when `value` is not empty")
                )
            }
            if variable["valueFrom"] != nil, source.count != 1 {
                causes.append(
                    .invalid("\(place).valueFrom", "", "must specify one of: `fieldRef`, `configMapKeyRef` or `secretKeyRef`")
                )
            }
        }
    }

    private mutating func mounts(_ container: JSONValue) {
        var paths: Set<String> = []
        for (index, mount) in (container["volumeMounts"]?.array ?? []).enumerated() {
            let place = "\(field).volumeMounts[\(index)]"
            let name = mount.text("name")
            if !volumes.contains(name) { causes.append(.notFound("\(place).name", name)) }
            let path = mount.text("mountPath")
            if path.isEmpty { causes.append(.required("\(place).mountPath")) }
            if !paths.insert(path).inserted {
                causes.append(.invalid("\(place).mountPath", .string(path), "must be unique"))
            }
        }
    }

    private mutating func resources(_ resources: JSONValue) {
        for kind in ["limits", "requests"] {
            for (name, value) in (resources[kind]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
                let place = "\(field).resources.\(kind)[\(name)]"
                guard let amount = KubeQuantity.value(value) else {
                    causes.append(
                        .invalid(
                            place,
                            value,
                            "quantities must match the regular expression "
                                + "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                        )
                    )
                    continue
                }
                if amount < 0 { causes.append(.invalid(place, value, "must be greater than or equal to 0")) }
                let limit = KubeQuantity.value(resources.at("limits", name))
                if kind == "requests", let limit, amount > limit {
                    causes.append(.invalid(place, value, "must be less than or equal to \(name) limit of "
                        + (resources.at("limits", name)?.string ?? "\(limit)")))
                }
            }
        }
    }

    private mutating func probe(_ probe: JSONValue, _ place: String, _ kind: String, ports: [JSONValue]) {
        let handlers = ["exec", "httpGet", "tcpSocket", "grpc"].filter { probe[$0] != nil }
        if handlers.isEmpty { causes.append(.required(place, "must specify a handler type")) }
        if handlers.count > 1 {
            causes.append(.forbidden("\(place).\(handlers[1])", "may not specify more than 1 handler type"))
        }
        if kind != "readinessProbe", let number = probe["successThreshold"]?.int, number != 1 {
            causes.append(.invalid("\(place).successThreshold", .int(number), "must be 1"))
        }
        for name in ["timeoutSeconds", "periodSeconds", "failureThreshold", "initialDelaySeconds"] {
            guard let number = probe[name]?.int, number < 0 else { continue }
            causes.append(.invalid("\(place).\(name)", .int(number), "must be greater than or equal to 0"))
        }
        for handler in ["httpGet", "tcpSocket"] {
            guard let port = probe.at(handler, "port") else {
                if probe[handler] != nil { causes.append(.required("\(place).\(handler).port")) }
                continue
            }
            if let number = port.int, !(1...65_535).contains(number) {
                causes.append(
                    .invalid("\(place).\(handler).port", port, "must be between 1 and 65535, inclusive")
                )
            }
        }
    }
}
