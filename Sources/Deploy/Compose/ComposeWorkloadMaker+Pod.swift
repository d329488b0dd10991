// SPDX-License-Identifier: Apache-2.0
internal import Kubernetes

/// Pods, and what they mount.
extension ComposeWorkloadMaker {
    mutating func pod(_ service: ComposeService, _ own: ComposeNode?, _ workload: inout Workload) {
        let node = service.node
        workload.pod.hostname = node["hostname"]?.text
        workload.pod.sysctls = pairs(node["sysctls"])
        workload.pod.nameservers = (node["dns"]?.texts ?? []).compactMap(\.text)
        workload.pod.searchDomains = (node["dns_search"]?.texts ?? []).compactMap(\.text)
        workload.pod.resolverOptions = (node["dns_opt"]?.texts ?? []).compactMap(\.text)
        workload.pod.account = own?["service-account"]?.text
        workload.pod.nodes = pairs(own?["nodes"])
        let report = ComposeReport()
        let values = ComposeValues(report: report)
        workload.pod.grace = values.seconds(node["stop_grace_period"])
        if let scaling = own?["replicas"], let most = values.integer(scaling["max"]) {
            let (cpu, memory) = (values.integer(scaling["cpu"]), values.integer(scaling["memory"]))
            workload.autoscaling = .init(
                values.integer(scaling["min"]) ?? 1,
                most,
                cpu: cpu ?? (memory == nil ? 80 : nil),
                memory: memory
            )
            workload.replicas = nil
        }
        problems.add(report.problems)
        hosts(node["extra_hosts"], &workload)
        platform(node["platform"], &workload)
        if (workload.autoscaling?.minimum ?? workload.replicas ?? 1) > 1 { workload.mayBeAway = 1 }
    }

    private mutating func hosts(_ node: ComposeNode?, _ workload: inout Workload) {
        guard let node else { return }
        var pairs: [(String, String)] = []
        if let map = node.map {
            pairs = map.flatMap { entry in entry.value.texts.compactMap(\.text).map { (entry.key, $0) } }
        } else {
            for text in node.texts.compactMap(\.text) {
                guard let mark = text.firstIndex(where: { $0 == "=" || $0 == ":" }) else { continue }
                pairs.append((String(text[..<mark]), String(text[text.index(after: mark)...])))
            }
        }
        for (name, address) in pairs {
            guard address != "host-gateway" else {
                problems.error(
                    "\(node.path): \(name) would be this machine, which a cluster does not reach",
                    at: node.place
                )
                continue
            }
            workload.pod.hosts[name] = address.filter { $0 != "[" && $0 != "]" }
        }
    }

    private mutating func platform(_ node: ComposeNode?, _ workload: inout Workload) {
        guard let node, let text = node.text else { return }
        let parts = text.split(separator: "/").map(String.init)
        guard parts.first == "linux", parts.count == 1 || ["amd64", "arm64"].contains(parts[1]) else {
            problems.error("\(node.path): nodes are linux/amd64 or linux/arm64, not \(text)", at: node.place)
            return
        }
        if parts.count > 1 { workload.pod.nodes["kubernetes.io/arch"] = parts[1] }
    }

    func strategy(_ service: ComposeService, _ workload: inout Workload) {
        if workload.claims.contains(where: { $0.access == "ReadWriteOnce" }) { workload.strategy = .recreate }
        guard let update = service.node["deploy"]?["update_config"], workload.strategy != .recreate else { return }
        let parallel = update["parallelism"]?.text.flatMap { Int($0) } ?? 1
        // 0 is all at once.
        let count = parallel == 0 ? "100%" : "\(parallel)"
        let startsFirst = update["order"]?.text == "start-first"
        workload.strategy = .rollingWithin(surge: startsFirst ? count : "0", unavailable: startsFirst ? "0" : count)
    }

    // MARK: Volumes

    mutating func mounts(
        _ service: ComposeService,
        _ container: inout Workload.Container,
        _ workload: inout Workload
    ) {
        for (index, mount) in service.mounts.enumerated() {
            let own = "\(container.name.prefix(40))-\(mount.kind.rawValue)-\(index + 1)"
            switch mount.kind {
            case .tmpfs:
                let limit = mount.size.map { "\(Int($0))" }
                workload.volumes.append(.init(own, .empty(isInMemory: true, limit: limit)))
                container.mounts.append(.init(own, at: mount.target))
            case .volume:
                guard let source = mount.source, let volume = project.volumes[source] else {
                    problems.warn(
                        "\(mount.path): \(mount.target) is an empty folder that goes with its pod",
                        at: mount.place
                    )
                    workload.volumes.append(.init(own, .empty(isInMemory: false, limit: nil)))
                    container.mounts.append(.init(own, at: mount.target))
                    continue
                }
                guard let name = named(source, volume, service, &workload) else { continue }
                container.mounts.append(
                    .init(name, at: mount.target, part: mount.part, isReadOnly: mount.isReadOnly)
                )
            case .bind:
                problems.error(
                    "\(mount.path): a cluster does not see \(mount.source ?? "") of this machine",
                    at: mount.place,
                    "a file of settings: configs:; what the program needs: COPY in the Dockerfile; what is kept: a volume"
                )
            case .image, .npipe, .cluster:
                problems.error("\(mount.path): pods have no mounts of the type \(mount.kind)", at: mount.place)
            }
        }
        if let size = service.node["shm_size"] {
            let report = ComposeReport()
            let bytes = ComposeValues(report: report).bytes(size)
            problems.add(report.problems)
            let own = "\(container.name.prefix(40))-shm"
            workload.volumes.append(.init(own, .empty(isInMemory: true, limit: bytes.map { "\(Int($0))" })))
            container.mounts.append(.init(own, at: "/dev/shm"))
        }
    }

    private static let shape: ComposeShape = .map([
        "type": .word(["claim", "emptyDir"]), "size": .text, "class": .text, "access": .text, "claim": .text,
    ])

    /// A volume with a name is a claim, or an empty folder where somebody says so.
    private mutating func named(
        _ key: String,
        _ volume: ComposeVolume,
        _ service: ComposeService,
        _ workload: inout Workload
    ) -> String? {
        let name = ComposeWorkloadMaker.name(key)
        guard !workload.volumes.contains(where: { $0.name == name }) else { return name }
        let own = volume.node["x-aks"]
        if let own {
            let report = ComposeReport()
            ComposeWorkloadMaker.shape.check(own, report)
            problems.add(report.problems)
            if report.hasErrors { return nil }
        }
        if own?["type"]?.text == "emptyDir" {
            workload.volumes.append(.init(name, .empty(isInMemory: false, limit: nil)))
            return name
        }
        let path = "volumes.\(key)"
        let driver = volume.driver ?? "local"
        if own == nil, !["local", "default"].contains(driver) || !volume.options.isEmpty {
            problems.error(
                "\(path): a cluster has no driver \(driver)\(volume.options.isEmpty ? "" : " with options")",
                at: volume.place,
                "x-aks: {size: 10Gi, class: managed-csi, access: ReadWriteOnce}"
            )
            return nil
        }
        let existing = own?["claim"]?.text ?? (volume.isExternal ? ComposeWorkloadMaker.name(volume.name) : nil)
        let claim = existing ?? ComposeWorkloadMaker.name("\(project.name)-\(key)")
        workload.volumes.append(.init(name, .claim(name: claim, isReadOnly: false)))
        guard existing == nil else { return name }
        let access = own?["access"]?.text ?? "ReadWriteOnce"
        let users = project.services.filter { other in other.mounts.contains { $0.kind == .volume && $0.source == key }
        }
        let isMany = users.count > 1 || (service.replicas ?? 1) > 1 || service.node["x-aks"]?["replicas"] != nil
        if isMany, access == "ReadWriteOnce" {
            problems.error(
                "\(path): several pods want it, and a disk is on one node at a time",
                at: volume.place,
                "x-aks: {size: 10Gi, class: azurefile-csi, access: ReadWriteMany}"
            )
        }
        if own?["size"] == nil {
            problems.warn(
                "\(path): nobody said how large it is, and it is 1Gi",
                at: volume.place,
                "x-aks: {size: 10Gi}"
            )
        }
        if brought.insert("claim \(claim)").inserted {
            workload.claims.append(
                .init(claim, size: own?["size"]?.text ?? "1Gi", storageClass: own?["class"]?.text, access: access)
            )
        }
        return name
    }

    // MARK: Configs and secrets

    mutating func files(
        _ service: ComposeService,
        _ container: inout Workload.Container,
        _ workload: inout Workload,
        _ read: (String) throws -> [UInt8]?
    ) {
        for (grant, isSecret) in service.configs.map({ ($0, false) }) + service.secrets.map({ ($0, true) }) {
            guard let content = (isSecret ? project.secrets : project.configs)[grant.source] else { continue }
            let key = String(
                grant.source.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "-" }
            )
            let name = ComposeWorkloadMaker.name(
                content.isExternal || content.node["name"] != nil ? content.name : "\(project.name)-\(grant.source)"
            )
            if !content.isExternal {
                let isRead = !isSecret || readsSecrets
                guard let bytes = isRead ? problems.bytes(content, project, read) : [] else { continue }
                let kind = isSecret ? "secret" : "config"
                if brought.insert("\(kind) \(name)").inserted {
                    if isSecret {
                        workload.secrets.append(.init(name, files: [key: bytes]))
                    } else {
                        workload.configMaps.append(.init(name, files: [key: bytes]))
                    }
                }
            }
            let volume = ComposeWorkloadMaker.name("\(isSecret ? "secret" : "config")-\(grant.source)")
            if !workload.volumes.contains(where: { $0.name == volume }) {
                workload.volumes.append(
                    .init(
                        volume,
                        isSecret
                            ? .secret(name: name, items: [:], mode: grant.mode)
                            : .config(name: name, items: [:], mode: grant.mode)
                    )
                )
            }
            // One file, beside what the image has in its folder.
            container.mounts.append(.init(volume, at: grant.target, part: key, isReadOnly: true))
        }
    }
}
