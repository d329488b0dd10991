// SPDX-License-Identifier: Apache-2.0

extension Workload {
    /// What a cluster would refuse, each in one line; empty where nothing is wrong.
    ///
    /// Shapes are those of the interface's own validation (Kubernetes 1.36, `pkg/apis/*/validation`).
    var faults: [String] {
        var faults: [String] = []
        func check(_ isGood: Bool, _ message: @autoclosure () -> String) { if !isGood { faults.append(message()) } }
        check(Names.isLabel(name), "\"\(name)\" is no name: \(Names.labelRule)")
        if let namespace { check(Names.isLabel(namespace), "\"\(namespace)\" is no namespace: \(Names.labelRule)") }
        check(!makesNamespace || namespace != nil, "a namespace is to be made, and has no name")
        check(!containers.isEmpty, "there is no container")
        let all = containers + initContainers
        faults += Names.twice(all.map(\.name)).map { "two containers are called \($0)" }
        faults += Names.twice(volumes.map(\.name)).map { "two volumes are called \($0)" }
        for container in all { faults += self.faults(of: container) }
        for volume in volumes {
            check(Names.isLabel(volume.name), "\"\(volume.name)\" is no name of a volume: \(Names.labelRule)")
        }
        let objects = configMaps.map(\.name) + secrets.map(\.name) + claims.map(\.name)
        for object in objects { check(Names.isDomain(object), "\"\(object)\" is no name: \(Names.domainRule)") }
        for files in configMaps.map({ ($0.name, $0.files) }) + secrets.map({ ($0.name, $0.files) }) {
            for key in files.1.keys.sorted() where !Names.isKey(key) {
                faults.append("\"\(key)\" of \(files.0) is no key: letters, digits, \"-\", \"_\" and \".\" only")
            }
            let size = files.1.values.reduce(0) { $0 + $1.count }
            check(size <= 1 << 20, "\(files.0) has \(size) bytes, and may have \(1 << 20)")
        }
        for (key, value) in labels.sorted(by: { $0.key < $1.key }) {
            check(Names.isQualified(key), "\"\(key)\" is no name of a label")
            check(Names.isLabelValue(value), "the label \(key) cannot be \"\(value)\": \(Names.valueRule)")
        }
        for (key, _) in annotations.merging(podAnnotations, uniquingKeysWith: { $1 }) {
            check(Names.isQualified(key), "\"\(key)\" is no name of an annotation")
        }
        return faults + faultsAround
    }

    private func faults(of container: Container) -> [String] {
        let name = container.name
        var faults: [String] = []
        func check(_ isGood: Bool, _ message: @autoclosure () -> String) { if !isGood { faults.append(message()) } }
        check(Names.isLabel(name), "\"\(name)\" is no name of a container: \(Names.labelRule)")
        check(!container.image.isEmpty, "the container \(name) has no image")
        faults += Names.twice(container.environment.map(\.name)).map { "\(name) has the variable \($0) twice" }
        for variable in container.environment {
            check(
                !variable.name.isEmpty && variable.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3D },
                "\"\(variable.name)\" of \(name) is no name of a variable"
            )
        }
        faults += Names.twice(container.ports.map(\.name)).map { "\(name) has two ports called \($0)" }
        for port in container.ports {
            check((1...65535).contains(port.number), "\(name) has the port \(port.number), which is none")
            check((0...65535).contains(port.servicePort ?? 0), "\(port.servicePort ?? 0) is no port of a Service")
            check(
                Names.isLabel(port.name) && port.name.utf8.count <= 15,
                "\"\(port.name)\" of \(name) is no name of a port: at most 15 lowercase letters, digits and \"-\""
            )
        }
        faults += Names.twice(container.mounts.map(\.path)).map { "\(name) has two mounts at \($0)" }
        for mount in container.mounts {
            check(
                volumes.contains { $0.name == mount.volume },
                "\(name) mounts \(mount.volume), and no volume is called so"
            )
            check(
                mount.path.hasPrefix("/"),
                "\(name) mounts \(mount.volume) at \"\(mount.path)\", which is no path from /"
            )
            check(
                !mount.path.contains(":"),
                "\(name) mounts \(mount.volume) at \"\(mount.path)\": no colon may be in it"
            )
        }
        let resources = container.resources
        for (text, what) in [
            (resources.cpu, "cpu"), (resources.memory, "memory"), (resources.cpuLimit, "cpu limit"),
            (resources.memoryLimit, "memory limit"),
        ] {
            if let text { check(Quantity.value(text) != nil, "the \(what) of \(name), \"\(text)\", is no quantity") }
        }
        for (request, limit, what) in [
            (resources.cpu, resources.cpuLimit, "cpu"), (resources.memory, resources.memoryLimit, "memory"),
        ] {
            guard let request, let limit, let least = Quantity.value(request), let most = Quantity.value(limit) else {
                continue
            }
            check(least <= most, "\(name) asks for \(request) of \(what), and may use \(limit) only")
        }
        return faults
    }

    /// Faults of what stands around the pods.
    private var faultsAround: [String] {
        var faults: [String] = []
        func check(_ isGood: Bool, _ message: @autoclosure () -> String) { if !isGood { faults.append(message()) } }
        let served = servicePorts
        faults += WorkloadMaker.faults(of: furtherServices)
        if let service {
            check(!served.isEmpty, "a Service needs a port, and no container has one")
            faults += Names.twice(served.map { "\($0.servicePort ?? $0.number)/\($0.transport)" })
                .map { "two ports of the Service are \($0)" }
            if let own = service.name {
                check(Names.isLabel(own), "\"\(own)\" is no name of a Service: \(Names.labelRule)")
            }
            if let label = service.dnsLabel {
                check(Names.isLabel(label), "\"\(label)\" is no DNS label: \(Names.labelRule)")
                check(service.reach == .public, "the DNS label \(label) needs a Service that everybody reaches")
            }
        }
        if let ingress {
            check(service != nil, "an Ingress needs a Service")
            check(!ingress.rules.isEmpty, "an Ingress needs a host or a path")
            for rule in ingress.rules {
                check(rule.path.hasPrefix("/"), "the path \"\(rule.path)\" of the Ingress does not begin with /")
                if let host = rule.host {
                    check(
                        Names.isDomain(host.hasPrefix("*.") ? String(host.dropFirst(2)) : host),
                        "\"\(host)\" is no host name"
                    )
                }
            }
        }
        if let replicas { check(replicas >= 0, "\(replicas) is no number of pods") }
        if let scaling = autoscaling {
            check(replicas == nil, "the number of pods is fixed (\(replicas ?? 0)), and depends on their load too")
            check(scaling.minimum >= 1, "autoscaling begins with \(scaling.minimum) pods, and needs 1 at least")
            check(
                scaling.minimum <= scaling.maximum,
                "autoscaling goes from \(scaling.minimum) to \(scaling.maximum) pods, which is downwards"
            )
            check(scaling.cpu != nil || scaling.memory != nil, "autoscaling has nothing that it looks at")
            for container in containers {
                check(
                    scaling.cpu == nil || container.resources.cpu != nil,
                    "autoscaling looks at processors, and none are kept for \(container.name)"
                )
                check(
                    scaling.memory == nil || container.resources.memory != nil,
                    "autoscaling looks at memory, and none is kept for \(container.name)"
                )
            }
        }
        for claim in claims {
            check(Quantity.value(claim.size) != nil, "the size of \(claim.name), \"\(claim.size)\", is no quantity")
        }
        for text in pod.tolerations where WorkloadMaker.toleration(text) == nil {
            faults.append("\"\(text)\" is no toleration: key=value:NoSchedule, key:NoExecute")
        }
        return faults
    }

    /// The ports that the Service has: those of all containers, but for those that say that they are none of its.
    public var servicePorts: [Port] { containers.flatMap(\.ports).filter { $0.servicePort != 0 } }
}

/// The forms of names.
enum Names {
    static let labelRule = "1 to 63 lowercase letters, digits and \"-\", which begin with a letter"
    static let domainRule = "lowercase letters, digits, \"-\" and \".\", at most 253"
    static let valueRule =
        "at most 63 letters, digits, \"-\", \"_\" and \".\", which begin and end with a letter or digit"

    /// A DNS label as RFC 1035 has it, which Services demand.
    static func isLabel(_ text: String) -> Bool {
        isPart(text) && text.utf8.first.map { $0 >= 0x61 } == true
    }

    private static func isPart(_ text: some StringProtocol) -> Bool {
        let bytes = text.utf8
        return (1...63).contains(bytes.count) && bytes.allSatisfy { isSmall($0) || $0 == 0x2D } && bytes.first != 0x2D
            && bytes.reversed().first != 0x2D
    }

    /// Labels with dots between them (RFC 1123).
    static func isDomain(_ text: String) -> Bool {
        text.utf8.count <= 253 && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isPart($0) }
    }

    /// A member of a ConfigMap or a Secret.
    static func isKey(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count) && text != "." && !text.hasPrefix("..")
            && text.utf8.allSatisfy { isWord($0) }
    }

    /// `name`, or `domain/name`.
    static func isQualified(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), let last = parts.last, !last.isEmpty, isLabelValue(last) else {
            return false
        }
        return parts.count == 1 || isDomain(parts[0])
    }

    /// The value of a label.
    static func isLabelValue(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last else { return true }
        return bytes.count <= 63 && bytes.allSatisfy { isWord($0) } && isLetter(first) && isLetter(last)
    }

    private static func isSmall(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
    }
    private static func isLetter(_ byte: UInt8) -> Bool { isSmall(byte) || (0x41...0x5A).contains(byte) }
    private static func isWord(_ byte: UInt8) -> Bool { isLetter(byte) || [0x2D, 0x5F, 0x2E].contains(byte) }

    /// What is there more than once, each once, in order.
    static func twice(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        var told: Set<String> = []
        return texts.filter { !seen.insert($0).inserted && told.insert($0).inserted }
    }
}

/// Numbers with units: `250m`, `512Mi`, `1.5G`, `1e3`.
///
/// Specification: `apimachinery/pkg/api/resource`, `Quantity`.
public enum Quantity {
    private static let units: [(suffix: String, factor: Double)] = [
        ("Ki", 1024), ("Mi", 1_048_576), ("Gi", 1_073_741_824), ("Ti", 1_099_511_627_776),
        ("Pi", 1_125_899_906_842_624), ("n", 1e-9), ("u", 1e-6), ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9),
        ("T", 1e12), ("P", 1e15), ("", 1),
    ]

    /// What a quantity is worth.
    ///
    /// - Parameter text: The quantity.
    /// - Returns: The number, in processors or bytes; `nil` where the text is no quantity.
    public static func value(_ text: String) -> Double? {
        for (suffix, factor) in units where text.hasSuffix(suffix) {
            let digits = text.dropLast(suffix.count)
            let isPlain = digits.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
            if isPlain, digits.utf8.contains(where: { $0 != 0x2E }), let number = Double(digits) {
                return number * factor
            }
        }
        guard text.contains("e") || text.contains("E"), text.utf8.first.map({ (0x30...0x39).contains($0) }) == true,
            let number = Double(text), number.isFinite
        else { return nil }
        return number
    }
}
