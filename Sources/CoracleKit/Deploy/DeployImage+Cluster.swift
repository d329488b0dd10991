// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import Kubernetes
internal import OCI
internal import Registry
internal import Store

extension DeployImage {
    /// `coracle deploy aks`: an image runs on a cluster, or is written as manifests.
    func deployToCluster(_ watcher: Watcher) async throws -> Outcome {
        try refuseForeign(to: "aks")
        var wish = try ClusterWish(options, environment)
        if case .emit = mode { wish.readsSecrets = false }
        var workload = try wish.workload()
        if case .emit(let form) = mode, form != "k8s" {
            throw ExitReason(.usage, "--emit \"\(form)\" is of Container Instances", hint: "--emit k8s")
        }
        if case .emit = mode, !options.removedVariables.isEmpty {
            throw ExitReason(
                .usage,
                "--env-rm takes away what a cluster has, and --emit asks none",
                hint: "what is not said is not in the manifests: leave the variable out"
            )
        }
        try warn(watcher)
        let place = try await clusterPlace(watcher)
        var run = ClusterRun(deploy: self, watcher: watcher)
        if let place, options.image == nil, case .apply = mode { try await run.precheck(workload, place) }
        var images = ClusterImages(deploy: self, place: place, watcher: watcher)
        try await images.find(for: &workload)
        // What listens nowhere has no Service, unless somebody asked for one.
        if workload.servicePorts.isEmpty, options.reach == nil, options.dnsLabel == nil, options.serviceName == nil,
            options.ingress.isEmpty, !options.annotations.contains(where: { $0.hasPrefix("service:") })
        {
            workload.service = nil
        }
        (run.images, run.findings, run.pullRemarks) = (images.facts, images.findings, images.remarks)
        guard let place else { return try run.emit([workload], namespace: workload.namespace) }
        let kept = try await KeptVariables(place.client, removed: options.removedVariables).keep(&workload)
        for line in kept.lines(options.removedVariables, of: wish.name) { watcher.line(line) }
        if options.reach == nil, options.dnsLabel == nil, try await KeptAddress(client: place.client).keep(&workload) {
            watcher.line(
                "kept from before: the \(workload.service?.reach.rawValue ?? "") address (--ip says otherwise)"
            )
        }
        return try await run.apply([workload], to: place, name: wish.name)
    }

    /// The cluster, asked whether it answers before anything is built; `nil` where manifests are written only.
    func clusterPlace(_ watcher: Watcher) async throws -> ClusterPlace? {
        if case .emit = mode { return nil }
        let place = try await ClusterPlace(options, access, environment) { watcher.line($0) }
        let version = try await place.client.version()
        watcher.line("cluster \(place.client.access.summary) (\(version)), namespace \(place.namespace)")
        return place
    }
}

/// Workloads on their way to a cluster, or into files.
struct ClusterRun: Sendable {
    let deploy: DeployImage
    var watcher: DeployImage.Watcher
    /// What is known of the images.
    var images: [ImageFacts] = []
    /// What was found while looking at them.
    var findings: [DeployFinding] = []
    /// How what images are pulled with is made by hand.
    var pullRemarks: [String] = []

    /// Writes manifests to standard output, or into the folder that was named.
    func emit(_ workloads: [Workload], namespace: String?) throws -> DeployImage.Outcome {
        try deploy.refuse(findings, watcher)
        let manifests = try self.manifests(workloads)
        var output = ManifestFolder(manifests, namespace: namespace)
        output.remarks = pullRemarks
        guard let folder = deploy.folder else {
            let text = output.stream
            let json = JSONValue.array(manifests.map(\.redacted)).canonical + "\n"
            return .init(text: text, json: json, failure: nil)
        }
        let written = try output.write(to: folder)
        for name in written.removed { watcher.line("removed \(folder)/\(name), which is not wanted any more") }
        for line in output.advice(folder) { watcher.line(line) }
        var json: JSONValue = ["folder": .string(folder), "files": JSONValue(written.files)]
        if !written.removed.isEmpty { json["removed"] = JSONValue(written.removed) }
        return .init(text: folder + "\n", json: json.canonical + "\n", failure: nil)
    }

    /// Looks at the cluster before anything is built or pushed.
    func precheck(_ workload: Workload, _ place: ClusterPlace) async throws {
        var workload = workload
        for index in workload.containers.indices where workload.containers[index].image.isEmpty {
            workload.containers[index].image = workload.name
        }
        for index in workload.initContainers.indices where workload.initContainers[index].image.isEmpty {
            workload.initContainers[index].image = workload.name
        }
        // Where nothing is made to pull with, what is named has to be there.
        if let secret = deploy.options.pull?.suffix(after: "secret=") { workload.pullSecrets = [secret] }
        // Ports are the image's where nobody said them.
        if workload.servicePorts.isEmpty { (workload.service, workload.ingress) = (nil, nil) }
        let manifests = try self.manifests([workload])
        let target = AKSTarget(place.client, name: workload.name, manifests: manifests.map(\.json))
        try deploy.refuse(try await target.check().filter { $0.level == .bad }, watcher)
    }

    /// Shows what would be done, or does it.
    func apply(_ workloads: [Workload], to place: ClusterPlace, name: String) async throws -> DeployImage.Outcome {
        try deploy.refuse(findings, watcher)
        var workloads = workloads
        for index in workloads.indices {
            if case .apply = deploy.mode { try await ClusterScale(place.client).startIfStopped(workloads[index]) }
            try await Settings(place.client).mark(&workloads[index])
        }
        let manifests = try self.manifests(workloads)
        var target = AKSTarget(
            place.client,
            name: name,
            manifests: manifests.map(\.json),
            images: images,
            cluster: place.cluster
        )
        (target.takesOver, target.keepsFailed) = (deploy.takesOver, deploy.keepsFailed)
        if place.cluster != nil { target.arm = try await place.account.open().manager }
        target.predicts = deploy.predicts
        // Whether we may apply is of no interest where nothing is.
        if !deploy.predicts { try deploy.refuse(try await target.check(), watcher) }
        let plan = try await target.plan()
        switch deploy.mode {
        case .dryRun, .diff:
            var outcome = DeployImage.Outcome(text: plan.text, json: plan.json.canonical + "\n", failure: nil)
            outcome.hasChanges = plan.action != .unchanged
            return outcome
        case .apply, .emit: break
        }
        for line in plan.text.split(separator: "\n") { watcher.line(String(line)) }
        let watcher = watcher
        let report = try await target.apply(plan) { event in
            watcher.line((event.kind == .warning ? "warning: " : "") + event.text)
        }
        return deploy.outcome(report, watcher)
    }

    /// All objects: those that several need come once, and first.
    private func manifests(_ workloads: [Workload]) throws -> [ObjectManifest] {
        var manifests: [ObjectManifest] = []
        do {
            for workload in workloads {
                for manifest in try workload.manifests() where !manifests.contains(manifest) {
                    manifests.append(manifest)
                }
            }
        } catch {
            throw ExitReason(.usage, error.description)
        }
        let first = ["Namespace", "Secret", "ConfigMap", "PersistentVolumeClaim", "Service"]
        let rank = { (manifest: ObjectManifest) in first.firstIndex(of: manifest.kind) ?? first.count }
        return manifests.enumerated()
            .sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map(\.element)
    }
}

/// Pods start again where a ConfigMap or a Secret of theirs changes, which Kubernetes does not do by itself.
///
/// The mark is a number that is counted on, and not a hash: that would help whoever guesses secrets.
private struct Settings {
    private static let annotation = "coracle/settings-revision"
    let client: ClusterClient

    init(_ client: ClusterClient) { self.client = client }

    func mark(_ workload: inout Workload) async throws {
        let live = try await client.find(.deployment, workload.name, namespace: workload.namespace)
        guard let live else { return }
        let annotations = live["spec"]?["template"]?["metadata"]?["annotations"]
        let revision = annotations?[Settings.annotation]?.string.flatMap { Int($0) } ?? 0
        let changed = try await hasChanged(workload)
        let next = changed ? revision + 1 : revision
        if next > 0 { workload.podAnnotations[Settings.annotation] = "\(next)" }
    }

    private func hasChanged(_ workload: Workload) async throws -> Bool {
        // What pulls images is not looked at by pods that run.
        let secrets = Set(workload.secrets.map(\.name)).subtracting(workload.pullSecrets)
        for manifest in (try? workload.manifests()) ?? [] {
            let kind: ResourceKind
            switch manifest.kind {
            case "ConfigMap": kind = .configMap
            case "Secret" where secrets.contains(manifest.name): kind = .secret
            default: continue
            }
            do {
                let live = try await client.find(kind, manifest.name, namespace: manifest.namespace)
                let isSame = ["data", "binaryData"].allSatisfy { live?[$0] ?? [:] == manifest.json[$0] ?? [:] }
                if !isSame { return true }
            } catch let error as KubernetesError where error.code == .denied {
                // Who may write and not read cannot know: starting again is what helps.
                return true
            }
        }
        return false
    }
}
