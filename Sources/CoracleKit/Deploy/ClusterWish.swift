// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Azure
internal import Kubernetes
internal import OCI

/// Puts what flags say into a workload; what images say comes later (``ImageDefaults``).
struct ClusterWish {
    let options: DeployOptions
    let environment: [String: String]
    /// The workload's name, checked.
    let name: String
    /// Whether secrets are read; else their names are what counts, and each is empty.
    var readsSecrets = true

    /// Reads variables; secret ones as far as they are wanted.
    var reader: DeployWish {
        var reader = DeployWish(options: options, environment: environment)
        reader.readsSecrets = readsSecrets
        return reader
    }

    init(_ options: DeployOptions, _ environment: [String: String]) throws(ExitReason) {
        guard let name = options.name, !name.isEmpty else {
            throw ExitReason(.usage, "the deployment has no name", hint: "--name NAME")
        }
        (self.options, self.environment, self.name) = (options, environment, name)
    }

    /// Everything but what images say.
    func workload() throws -> Workload {
        try options.refuseForeign(to: "aks")
        var workload = Workload(name)
        workload.namespace = options.namespace
        workload.makesNamespace = isYes(options.makesNamespace)
        if workload.makesNamespace, workload.namespace == nil {
            throw ExitReason(.usage, "--create-namespace is given, and no --namespace", hint: "--namespace NAME")
        }
        workload.partOf = options.partOf
        workload.labels = try pairs(options.labels, "--label")
        try annotate(&workload)
        try count(&workload)
        workload.progressDeadline = try number(options.progressDeadline, "--progress-deadline", 1...86400)
        workload.containers = [try container(&workload)]
        for text in options.containers { workload.containers.append(try further(text, &workload)) }
        try addVolumes(to: &workload)
        try addPod(to: &workload)
        try addAddress(to: &workload)
        try chooseStrategy(&workload)
        return workload
    }

    private func isYes(_ text: String?) -> Bool { text == "true" || text == "yes" }

    /// A whole number within bounds.
    func number(_ text: String?, _ flag: String, _ range: ClosedRange<Int>) throws(ExitReason) -> Int? {
        guard let text else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw ExitReason(
                .usage,
                "\(flag) \"\(text)\" is not a whole number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }

    func pairs(_ texts: [String], _ flag: String) throws(ExitReason) -> [String: String] {
        var result: [String: String] = [:]
        for text in texts {
            let (name, value) = PlanSettings.split(text)
            guard !name.isEmpty, let value else { throw ExitReason(.usage, "\(flag) \"\(text)\" is not NAME=value") }
            result[name] = value
        }
        return result
    }

    // MARK: How many

    private func count(_ workload: inout Workload) throws {
        workload.replicas = try number(options.replicas, "--replicas", 0...10_000)
        let most = try number(options.maximumReplicas, "--max-replicas", 1...10_000)
        let least = try number(options.minimumReplicas, "--min-replicas", 1...10_000)
        let cpu = try number(options.targetCPU, "--target-cpu", 1...1000)
        let memory = try number(options.targetMemory, "--target-memory", 1...1000)
        if let most {
            guard workload.replicas == nil else {
                throw ExitReason(
                    .usage,
                    "--replicas and --max-replicas are given both",
                    hint: "--replicas for a fixed number, --min-replicas and --max-replicas for one by load"
                )
            }
            workload.autoscaling = .init(least ?? 1, most, cpu: cpu ?? (memory == nil ? 80 : nil), memory: memory)
        } else if least != nil || cpu != nil || memory != nil {
            let flag = least != nil ? "--min-replicas" : cpu != nil ? "--target-cpu" : "--target-memory"
            throw ExitReason(.usage, "\(flag) is given, and no --max-replicas", hint: "--max-replicas NUMBER")
        }
        if let away = options.disruptions {
            if away != "none" { workload.mayBeAway = try number(away, "--disruptions", 1...10_000) }
        } else if (workload.autoscaling?.minimum ?? workload.replicas ?? 1) > 1 {
            workload.mayBeAway = 1
        }
        if workload.autoscaling != nil {
            workload.remarks[.replicas] = "no number of replicas: the HorizontalPodAutoscaler sets it"
        }
    }

    private func chooseStrategy(_ workload: inout Workload) throws {
        let alone = workload.claims.filter { $0.access.hasPrefix("ReadWriteOnce") }
        let isMany = max(workload.replicas ?? 1, workload.autoscaling?.maximum ?? 1) > 1
        if isMany, let claim = alone.first {
            throw ExitReason(
                .usage,
                "the claim \(claim.name) is for one node at a time, and there may be several pods",
                hint: "--volume …,access=ReadWriteMany,class=azurefile-csi"
            )
        }
        guard let text = options.strategy else {
            if let claim = alone.first {
                workload.strategy = .recreate
                workload.remarks[.strategy] =
                    "all old pods go before a new one comes: one node has the claim \(claim.name) at a time"
            }
            return
        }
        let values = try KeyedValues("type=" + text, flag: "--strategy")
        try values.allow(["type", "surge", "unavailable"])
        switch values["type"]?.lowercased() {
        case "recreate":
            guard values["surge"] == nil, values["unavailable"] == nil else {
                throw ExitReason(.usage, "--strategy recreate has no surge and no unavailable: all old pods go first")
            }
            workload.strategy = .recreate
        case "rolling", "rollingupdate":
            let (surge, unavailable) = (values["surge"] ?? "1", values["unavailable"] ?? "0")
            for (text, what) in [(surge, "surge"), (unavailable, "unavailable")] {
                let digits = text.hasSuffix("%") ? String(text.dropLast()) : text
                guard Int(digits).map({ (0...1000).contains($0) }) == true else {
                    throw ExitReason(.usage, "--strategy \(what)=\(text) is no number of pods, and no share as 25%")
                }
            }
            guard surge.filter({ $0 != "%" }) != "0" || unavailable.filter({ $0 != "%" }) != "0" else {
                throw ExitReason(.usage, "--strategy: with surge=0 and unavailable=0 nothing can move")
            }
            workload.strategy = .rollingWithin(surge: surge, unavailable: unavailable)
        default:
            throw ExitReason(
                .usage,
                "--strategy \"\(text)\" is neither rolling nor recreate",
                hint: "rolling,surge=25%,unavailable=0"
            )
        }
    }

    // MARK: Pods

    private func addPod(to workload: inout Workload) throws {
        workload.pod.account = options.serviceAccount
        workload.pod.grace = try number(options.grace, "--grace", 0...86400)
        workload.pod.tolerations = options.tolerations
        workload.pod.nodes = try pairs(options.nodes, "--node")
        if let drain = try number(options.drain, "--drain", 0...3600) {
            for index in workload.containers.indices { workload.containers[index].drain = drain }
            if let grace = workload.pod.grace, grace <= drain {
                throw ExitReason(
                    .usage,
                    "--drain \(drain) leaves nothing of --grace \(grace), which it is a part of",
                    hint: "--grace \(drain + 30)"
                )
            }
            // What drains has to end after that as well.
            if workload.pod.grace == nil, drain > 15 { workload.pod.grace = drain + 30 }
        }
        if let text = options.runAs {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
            guard (1...2).contains(parts.count), parts.allSatisfy({ $0.map { $0 >= 0 } == true }), let user = parts[0]
            else {
                throw ExitReason(
                    .usage,
                    "--run-as \"\(text)\" is not USER[:GROUP] as numbers",
                    hint: "clusters know no names of users: --run-as 1000:1000"
                )
            }
            workload.pod.user = user
            if parts.count == 2 { workload.pod.group = parts[1] }
            workload.pod.refusesRoot = user != 0
            if user == 0 { workload.remarks[.podSecurity] = "root, as --run-as says" }
        }
    }

    private func annotate(_ workload: inout Workload) throws {
        for text in options.annotations {
            var (name, value) = PlanSettings.split(text)
            guard !name.isEmpty, let value else {
                throw ExitReason(.usage, "--annotation \"\(text)\" is not NAME=value")
            }
            var object = "deployment"
            for known in ["deployment", "pod", "service", "ingress"] where name.hasPrefix(known + ":") {
                (object, name) = (known, String(name.dropFirst(known.count + 1)))
            }
            switch object {
            case "pod": workload.podAnnotations[name] = value
            case "deployment": workload.annotations[name] = value
            default: continue
            }
        }
    }

    /// The annotations of one kind of object.
    private func annotations(of object: String) -> [String: String] {
        var result: [String: String] = [:]
        for text in options.annotations {
            guard let rest = text.suffix(after: object + ":") else { continue }
            let (name, value) = PlanSettings.split(rest)
            result[name] = value ?? ""
        }
        return result
    }

    // MARK: How it is reached

    /// Refuses what needs a Service where there is none.
    private func refuseServiceless() throws(ExitReason) {
        guard options.ingress.isEmpty else {
            throw ExitReason(.usage, "--ingress needs a Service, and --ip none leaves it out", hint: "--ip cluster")
        }
        guard options.dnsLabel == nil else {
            throw ExitReason(.usage, "--dns-label needs an address in the world", hint: "--ip public")
        }
        guard options.serviceName == nil else {
            throw ExitReason(
                .usage,
                "--service-name is given, and --ip none leaves the Service out",
                hint: "--ip cluster"
            )
        }
    }

    /// Refuses annotations of objects that are not made.
    private func refuseIdleAnnotations() throws(ExitReason) {
        let hasService = options.reach?.lowercased() != "none"
        for text in options.annotations {
            let (name, _) = PlanSettings.split(text)
            if name.hasPrefix("ingress:"), options.ingress.isEmpty {
                throw ExitReason(
                    .usage,
                    "--annotation \"\(name)\" is given, and no --ingress",
                    hint: "--ingress HOST[/PATH]"
                )
            }
            if name.hasPrefix("service:"), !hasService {
                throw ExitReason(
                    .usage,
                    "--annotation \"\(name)\" is given, and --ip none leaves the Service out",
                    hint: "--ip cluster"
                )
            }
        }
    }

    private func addAddress(to workload: inout Workload) throws {
        try refuseIdleAnnotations()
        let reach = (options.reach ?? "cluster").lowercased()
        guard ["cluster", "private", "public", "none"].contains(reach) else {
            throw ExitReason(.usage, "--ip \"\(reach)\" is not one of cluster, private, public, none")
        }
        if reach == "none" {
            try refuseServiceless()
        } else if let reach = Workload.Service.Reach(rawValue: reach) {
            var service = Workload.Service(reach)
            service.name = options.serviceName
            service.annotations = annotations(of: "service")
            if let label = options.dnsLabel {
                guard options.reach == nil || reach == .public else {
                    throw ExitReason(.usage, "--dns-label needs an address in the world", hint: "--ip public")
                }
                (service.dnsLabel, service.reach) = (label, .public)
            }
            switch service.reach {
            case .cluster: break
            case .private: workload.remarks[.service] = "an address in the virtual network"
            case .public: workload.remarks[.service] = "an address that everybody reaches"
            }
            workload.service = service
        }
        guard !options.ingress.isEmpty else {
            if options.ingressClass != nil || options.ingressCertificate != nil {
                throw ExitReason(.usage, "--ingress-class or --ingress-tls is given, and no --ingress")
            }
            return
        }
        let rules = try options.ingress.map { text throws(ExitReason) -> Workload.Ingress.Rule in
            guard !text.contains("://") else {
                throw ExitReason(.usage, "--ingress \"\(text)\" is not HOST[/PATH]", hint: "www.example.com/shop")
            }
            let slash = text.firstIndex(of: "/") ?? text.endIndex
            let host = String(text[..<slash]).lowercased()
            return .init(
                host: host.isEmpty || host == "*" ? nil : host,
                path: slash == text.endIndex ? "/" : String(text[slash...])
            )
        }
        var ingress = Workload.Ingress(rules)
        (ingress.className, ingress.certificate) = (options.ingressClass, options.ingressCertificate)
        ingress.annotations = annotations(of: "ingress")
        if ingress.className == nil {
            workload.remarks[.ingress] = "served by the cluster's default class of Ingress"
        }
        workload.ingress = ingress
    }
}
