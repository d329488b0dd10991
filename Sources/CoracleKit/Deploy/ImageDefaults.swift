// SPDX-License-Identifier: Apache-2.0
internal import Deploy
internal import Kubernetes
internal import OCI

/// Puts what an image says where nobody said anything else: its user, ports, health check and processor, and how tight
/// its pods can be.
struct ImageDefaults {
    let facts: ImageFacts
    /// Who it runs as; `nil` where its user has a name that could not be looked up.
    let rights: ImageRights?
    /// The name it was asked for by, for people.
    let reference: ImageReference
    /// `--read-only-root`: whether it was said.
    var readOnlyRoot: Bool?
    /// Whether probes were said, `none` among them.
    var hasProbes = false

    /// Fills in what is left to the image.
    func fill(_ workload: inout Workload, container index: Int) {
        let name = workload.containers[index].name
        workload.containers[index].image = facts.reference.description
        if let tag = reference.tag {
            workload.remarks[.image(container: name)] = "\(tag), by the digest that it had"
            if index == 0, tag != "latest" { workload.version = workload.version ?? tag }
        }
        fillPorts(&workload.containers[index])
        fillProbes(&workload, index)
        fillResources(&workload, index)
        fillNodes(&workload)
        fillSecurity(&workload, index)
    }

    private func fillPorts(_ container: inout Workload.Container) {
        guard container.ports.isEmpty else { return }
        for text in facts.defaults.ports {
            let parts = text.split(separator: "/").map(String.init)
            guard let number = parts.first.flatMap({ Int($0) }), (1...65535).contains(number) else { continue }
            var port = Workload.Port(number, parts.count == 2 ? parts[1].uppercased() : "TCP")
            if container.ports.contains(where: { $0.name == port.name }) {
                port.name = "\(port.transport.lowercased())-\(number)"
            }
            container.ports.append(port)
        }
    }

    /// HEALTHCHECK is both: what fails it is not asked, and is started again.
    private func fillProbes(_ workload: inout Workload, _ index: Int) {
        let container = workload.containers[index]
        guard !hasProbes, container.liveness == nil, container.readiness == nil,
            let command = facts.defaults.probe, let check = facts.config.healthcheck
        else { return }
        let seconds = { (nanoseconds: Int64) -> Int? in
            nanoseconds > 0 ? max(1, Int((nanoseconds + 999_999_999) / 1_000_000_000)) : nil
        }
        var probe = Workload.Probe(.command(command))
        // Docker's defaults: every 30 s, for 30 s, three times.
        (probe.period, probe.timeout) = (seconds(check.interval) ?? 30, seconds(check.timeout) ?? 30)
        probe.failures = check.retries > 0 ? check.retries : 3
        workload.containers[index].liveness = probe
        var ready = probe
        // A rollout waits for it.
        ready.period = min(probe.period ?? 30, seconds(check.startInterval) ?? 5)
        workload.containers[index].readiness = ready
        if workload.containers[index].startup == nil, let start = seconds(check.startPeriod) {
            var startup = probe
            let period = min(probe.period ?? 30, seconds(check.startInterval) ?? 5)
            (startup.period, startup.failures) = (period, (start + period - 1) / period + (probe.failures ?? 3))
            workload.containers[index].startup = startup
        }
        workload.remarks[.probes(container: container.name)] = "HEALTHCHECK of the image"
    }

    private func fillResources(_ workload: inout Workload, _ index: Int) {
        var resources = workload.containers[index].resources
        let isSaid = resources != Workload.Resources()
        // What asks for nothing is the first to be put out of a full node, and cannot be scaled by its load.
        resources.cpu = resources.cpu ?? resources.cpuLimit ?? "100m"
        resources.memory = resources.memory ?? resources.memoryLimit ?? "128Mi"
        workload.containers[index].resources = resources
        if !isSaid {
            workload.remarks[.resources(container: workload.containers[index].name)] =
                "nobody said what it needs: --cpu and --memory"
        }
    }

    private func fillNodes(_ workload: inout Workload) {
        workload.pod.nodes["kubernetes.io/os"] = workload.pod.nodes["kubernetes.io/os"] ?? "linux"
        // An index has each node choose its own.
        guard !facts.mediaType.isIndex, workload.pod.nodes["kubernetes.io/arch"] == nil else { return }
        workload.pod.nodes["kubernetes.io/arch"] = facts.platform.architecture
        workload.remarks[.nodes] = "what the image is made for"
    }

    // MARK: Security

    private func fillSecurity(_ workload: inout Workload, _ index: Int) {
        let name = workload.containers[index].name
        let isMain = index == 0
        var security = workload.containers[index].security
        var remarks: [String] = []
        if workload.pod.user == nil || !isMain {
            if let rights, rights.user != 0 {
                if isMain, workload.containers.count == 1 {
                    workload.pod.user = Int(rights.user)
                    workload.pod.group = rights.group.map { Int($0) }
                    workload.pod.refusesRoot = true
                    workload.remarks[.podSecurity] = "USER \(facts.config.user) of the image"
                } else {
                    (security.user, security.group) = (Int(rights.user), rights.group.map { Int($0) })
                    security.refusesRoot = true
                    remarks.append("USER \(facts.config.user) of the image")
                }
            } else if rights == nil {
                remarks.append(
                    "USER \(facts.config.user) of the image is a name, which clusters cannot check: --run-as says its number"
                )
            }
        }
        let isRoot = (security.user ?? workload.pod.user ?? rights.map { Int($0.user) }) == 0
        if isRoot {
            // What programs need that begin as root and give it up, as servers do; Docker gives more.
            security.adds = ImageDefaults.rootNeeds + security.adds.filter { !ImageDefaults.rootNeeds.contains($0) }
            remarks.append(
                "the image runs as root, with what servers need to give that up: USER in the Dockerfile is better"
            )
        } else if workload.containers[index].ports.contains(where: { $0.number < 1024 }) {
            // As Docker has it. A safe sysctl since 1.22, and in the restricted profile.
            workload.pod.sysctls["net.ipv4.ip_unprivileged_port_start"] = "0"
        }
        workload.containers[index].security = security
        fillReadOnlyRoot(&workload, index, &remarks)
        if !remarks.isEmpty { workload.remarks[.security(container: name)] = remarks.joined(separator: "\n") }
        let user = workload.pod.group ?? workload.pod.user
        if let user, user != 0, !workload.claims.isEmpty { workload.pod.volumeGroup = user }
    }

    private static let rootNeeds = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE", "SETGID", "SETUID"]

    private func fillReadOnlyRoot(_ workload: inout Workload, _ index: Int, _ remarks: inout [String]) {
        // As another user than the image's, what it may write is not known.
        let isOwn = workload.pod.user.map { $0 == rights.map { Int($0.user) } } ?? true
        let isWanted = readOnlyRoot ?? (isOwn && rights?.canBeReadOnly == true)
        guard isWanted else { return }
        workload.containers[index].security.hasReadOnlyRoot = true
        if readOnlyRoot == nil {
            remarks.append("its user can write nowhere else in the image, so that this takes nothing away")
        }
        let known = rights?.canBeReadOnly == true ? rights?.scratch ?? [] : ["/tmp"]
        let folders = Set(known).union(facts.config.volumes).sorted()
        for folder in folders {
            let mounts = workload.containers[index].mounts
            guard !mounts.contains(where: { $0.path == folder }) else { continue }
            let words = folder.split(whereSeparator: { !($0.isASCII && ($0.isLetter || $0.isNumber)) })
            var volume = words.joined(separator: "-").lowercased()
            if volume.first?.isLetter != true { volume = "scratch" + (volume.isEmpty ? "" : "-" + volume) }
            volume = String(volume.prefix(50))
            if index > 0 { volume = workload.containers[index].name.prefix(12) + "-" + volume }
            while workload.volumes.contains(where: { $0.name == volume }) { volume += "-x" }
            workload.volumes.append(.init(volume, .empty(isInMemory: false, limit: nil)))
            workload.containers[index].mounts.append(.init(volume, at: folder))
        }
    }
}
