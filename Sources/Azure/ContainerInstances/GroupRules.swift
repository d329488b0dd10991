// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What Azure Container Instances takes, as far as it can be seen before anything is asked.
public enum GroupRules {
    /// What is wrong with a group.
    ///
    /// - Parameters:
    ///   - group: What is going to be sent.
    ///   - name: What it is called.
    /// - Returns: Sentences without full stops, each of its own fault; empty where nothing is wrong.
    public static func faults(of group: ContainerGroup, name: String) -> [String] {
        var faults: [String] = []
        check(name, "the group's name", 1...63, &faults)
        let all = group.containers + group.initContainers
        if group.containers.isEmpty { faults.append("a group needs a container") }
        if all.count > 60 { faults.append("a group has at most 60 containers, not \(all.count)") }
        for (index, container) in all.enumerated() {
            check(container.name, "the name of a container", 1...63, &faults)
            if all[..<index].contains(where: { $0.name == container.name }) {
                faults.append("two containers are called \"\(container.name)\"")
            }
            if container.image.isEmpty { faults.append("the container \(container.name) has no image") }
            variables(container, &faults)
        }
        volumes(group, &faults)
        resources(group, &faults)
        network(group, &faults)
        return faults
    }

    /// What is wrong with the name of a group, before there is one.
    ///
    /// - Parameter name: The name.
    /// - Returns: A sentence without a full stop; `nil` where nothing is wrong.
    public static func fault(ofName name: String) -> String? {
        var faults: [String] = []
        check(name, "the group's name", 1...63, &faults)
        return faults.first
    }

    /// Whether a text is lower-case letters, digits and dashes, with no dash at either end.
    private static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let isPlain = { (byte: UInt8) in (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) }
        guard let first = bytes.first, let last = bytes.last, isPlain(first), isPlain(last) else { return false }
        return bytes.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "-") }
    }

    private static func check(_ text: String, _ what: String, _ length: ClosedRange<Int>, _ faults: inout [String]) {
        guard !isName(text) || !length.contains(text.utf8.count) else { return }
        faults.append(
            "\(what) \"\(text)\" has to be \(length.lowerBound) to \(length.upperBound) lower-case letters, digits and "
                + "dashes, with no dash at either end"
        )
    }

    private static func variables(_ container: ContainerGroup.Container, _ faults: inout [String]) {
        for variable in container.properties["environmentVariables"]?.array ?? [] {
            let name = variable["name"]?.string ?? ""
            let isGood = name.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F
            }
            if !isGood || name.isEmpty || name.utf8.count > 63 {
                faults.append(
                    "the variable \"\(name)\" of \(container.name) needs a name of at most 63 letters, digits and \"_\""
                )
            }
        }
    }

    private static func volumes(_ group: ContainerGroup, _ faults: inout [String]) {
        let volumes = group.properties["volumes"]?.array ?? []
        if volumes.count > 20 { faults.append("a group has at most 20 volumes, not \(volumes.count)") }
        let names = volumes.map { $0["name"]?.string ?? "" }
        for name in names {
            check(name, "the name of a volume", 5...63, &faults)
            if name.contains("--") { faults.append("the name of a volume \"\(name)\" has two dashes in a row") }
        }
        for container in group.containers + group.initContainers {
            for mount in container.properties["volumeMounts"]?.array ?? [] {
                let (name, path) = (mount["name"]?.string ?? "", mount["mountPath"]?.string ?? "")
                if !names.contains(name) {
                    faults.append("\(container.name) mounts the volume \"\(name)\", which the group does not have")
                }
                if !path.hasPrefix("/") || path.contains(":") {
                    faults.append(
                        "\(container.name): a volume is mounted at an absolute path without \":\", not \"\(path)\""
                    )
                }
            }
        }
    }

    private static func resources(_ group: ContainerGroup, _ faults: inout [String]) {
        let isSpot = group.properties["priority"]?.string == "Spot"
        let (mostCPU, mostMemory) = isSpot ? (4.0, 16.0) : (31.0, 240.0)
        let cpu = group.containers.compactMap(\.cpu).reduce(0, +)
        let memory = group.containers.compactMap(\.memory).reduce(0, +)
        for container in group.containers {
            for (value, what) in [(container.cpu, "CPU"), (container.memory, "memory")] where (value ?? 0) <= 0 {
                faults.append("\(container.name) has no \(what)")
            }
            let limits = container.properties["resources"]?["limits"]
            if let limit = limits?["cpu"]?.number, limit < (container.cpu ?? 0) || limit > cpu {
                faults.append(
                    "\(container.name): a limit of \(text(limit)) CPU is not between its own and all of the group's"
                )
            }
            if let limit = limits?["memoryInGB"]?.number, limit < (container.memory ?? 0) || limit > memory {
                faults.append(
                    "\(container.name): a limit of \(text(limit)) GB is not between its own and all of the group's"
                )
            }
            if container.properties["resources"]?["requests"]?["gpu"] != nil {
                faults.append("\(container.name) wants a GPU, which Container Instances has no more since July 2025")
            }
        }
        if cpu > mostCPU { faults.append("the group wants \(text(cpu)) CPU, and may have \(Int(mostCPU))") }
        if memory > mostMemory {
            faults.append("the group wants \(text(memory)) GB of memory, and may have \(Int(mostMemory))")
        }
        if cpu > 0, cpu < 1 {
            faults.append("the group wants \(text(cpu)) CPU; all containers together need at least 1")
        }
        if memory > 0, memory < 1 {
            faults.append("the group wants \(text(memory)) GB of memory; all containers together need at least 1")
        }
    }

    /// A number as people write it: `4`, `0.5`.
    private static func text(_ number: Double) -> String { JSONValue(number).canonical }

    private static func network(_ group: ContainerGroup, _ faults: inout [String]) {
        var ports: [ContainerGroup.Port] = []
        for container in group.containers {
            for port in container.ports {
                if ports.contains(port) {
                    faults.append(
                        "two containers listen on port \(port): they share one address, so each needs ports of its own"
                    )
                }
                ports.append(port)
            }
        }
        guard let address = group.address else { return }
        if address.ports.count > 5 { faults.append("an address has at most 5 open ports, not \(address.ports.count)") }
        if let label = address.label { check(label, "the DNS label", 5...63, &faults) }
        let isInside = !(group.properties["subnetIds"]?.array ?? []).isEmpty
        if isInside, address.isPublic { faults.append("a group in a subnet has no public address: --ip private") }
        if isInside, address.label != nil { faults.append("a group in a subnet has no DNS label") }
        if !isInside, !address.isPublic { faults.append("a private address needs a subnet: --subnet ID") }
        guard group.properties["priority"]?.string == "Spot" else { return }
        if address.isPublic || isInside { faults.append("a Spot group has no address and no subnet: --ip none") }
    }
}
