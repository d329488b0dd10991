// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import Kubernetes
internal import OCI

/// A project on a cluster: a Deployment and a Service for each service.
struct ComposeToCluster {
    let deploy: DeployImage
    let project: ComposeProject
    let watcher: DeployImage.Watcher

    private var options: DeployOptions { deploy.options }

    func run() async throws -> DeployImage.Outcome {
        if case .emit(let form) = deploy.mode, form != "k8s" {
            throw ExitReason(.usage, "--emit \"\(form)\" is of Container Instances", hint: "--emit k8s")
        }
        var secrets = ComposeWorkloads.Secrets.values
        if case .emit = deploy.mode { secrets = .names }
        var made = try ComposeWorkloads(project, namespace: options.namespace, secrets: secrets) {
            try TextFile.read($0)
        }
        if !made.warnings.isEmpty { watcher.line(ComposeFiles.trimmed(made.warnings, project.sources)) }
        // What ps, stop and down find it by.
        for index in made.workloads.indices { made.workloads[index].partOf = options.name ?? project.name }
        if options.makesNamespace == "true" {
            for index in made.workloads.indices { made.workloads[index].makesNamespace = options.namespace != nil }
        }
        let place = try await deploy.clusterPlace(watcher)
        var images = ClusterImages(deploy: deploy, place: place, watcher: watcher)
        var run = ClusterRun(deploy: deploy, watcher: watcher)
        if let place, case .apply = deploy.mode, made.services.contains(where: { $0.build != nil }) {
            // Nothing is built or pushed for a cluster that would refuse it.
            for workload in made.workloads { try await run.precheck(workload, place) }
        }
        try await look(&made, &images)
        (run.images, run.findings, run.pullRemarks) = (images.facts, images.findings, images.remarks)
        guard let place else { return try run.emit(made.workloads, namespace: options.namespace) }
        return try await apply(made.workloads, made.services, run, place)
    }

    // MARK: Images

    /// Builds what is to be built, and looks at every image with what it will be pulled with.
    private func look(_ made: inout ComposeWorkloads, _ images: inout ClusterImages) async throws {
        let platform = try images.platform()
        let (look, pull, account) = try images.tools(platform, project.name)
        let built = try await build(made, account, pull)
        for service in made.services {
            let image = built[service.name]
            var reference = try image?.name ?? ImageLocator.reference(service.image ?? "")
            if let digest = image?.reference.digest, image?.facts == nil {
                reference = try ImageReference("\(reference.description)@\(digest)")
            }
            var look = look
            if let text = service.platform { look.platform = try PlanSettings.platform(text) }
            for (index, initial) in made.places(of: service.name) {
                // A Secret of its own for each, as one that two applied would change hands each time.
                let pull = try images.tools(platform, made.workloads[index].name).1
                let facts = try await fill(
                    &made.workloads[index],
                    initial,
                    reference,
                    image?.facts,
                    &images,
                    (look, pull)
                )
                if let facts { try made.take(facts, for: service) }
            }
        }
        for workload in made.workloads where workload.service == nil {
            let name = workload.name
            guard let other = made.services.first(where: { $0.needs.contains(name) }) else { continue }
            watcher.line("warning: \(name) has no port, so that \(other.name) does not reach it: expose: [PORT]")
        }
    }

    /// Puts what an image says into the container of a service.
    private func fill(
        _ workload: inout Workload,
        _ initial: Int?,
        _ reference: ImageReference,
        _ known: ImageFacts?,
        _ images: inout ClusterImages,
        _ tools: (look: ImageLook, pull: ClusterPull)
    ) async throws -> ImageFacts? {
        guard let initial else {
            try await images.add(reference, known, to: &workload, 0, tools.look, tools.pull)
            return images.facts.last
        }
        // What images say is put into main containers; one that runs before is made one for a moment.
        var other = workload
        other.containers = [workload.initContainers[initial]]
        (other.pod.user, other.pod.group, other.pod.refusesRoot) = (nil, nil, false)
        try await images.add(reference, known, to: &other, 0, tools.look, tools.pull)
        var container = other.containers[0]
        container.ports = []
        (container.liveness, container.readiness, container.startup) = (nil, nil, nil)
        if container.security.user == nil, workload.pod.user != other.pod.user {
            // The pod's user is that of the main image.
            (container.security.user, container.security.group) = (other.pod.user ?? 0, other.pod.group)
            container.security.refusesRoot = other.pod.user != nil
        }
        workload.initContainers[initial] = container
        for volume in other.volumes where !workload.volumes.contains(where: { $0.name == volume.name }) {
            workload.volumes.append(volume)
        }
        (workload.secrets, workload.pullSecrets) = (other.secrets, other.pullSecrets)
        return images.facts.last
    }

    private func build(
        _ made: ComposeWorkloads,
        _ account: LazyAccount,
        _ pull: ClusterPull
    ) async throws -> [String: ComposeBuilds.Built] {
        guard made.services.contains(where: { $0.build != nil }) else { return [:] }
        let home = DeployBuild.Home(name: project.name, resourceGroup: options.resourceGroup) {
            try await account.open()
        }
        let builds = ComposeBuilds(
            deploy: deploy,
            services: project.services,
            registry: try await DeployBuild(deploy: deploy, home: home).registry(),
            prefix: options.repository ?? project.name,
            watcher: watcher
        )
        if case .emit = deploy.mode {
            // Manifests need nothing to pull with.
        } else {
            for service in made.services where service.build != nil { try await pull.foresee(builds.name(service)) }
        }
        var pushes = false
        if case .apply = deploy.mode { pushes = true }
        let built = try await builds.run(pushes: pushes)
        if case .emit = deploy.mode {
            for image in Set(built.values.map(\.name.familiar)).sorted() {
                watcher.line("\(image) is built and not pushed, and the manifests name it: coracle push \(image)")
            }
        }
        return built
    }
}
