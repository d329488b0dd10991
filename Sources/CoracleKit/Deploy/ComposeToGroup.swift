// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import OCI

/// A project on Azure Container Instances: one container group.
struct ComposeToGroup {
    let deploy: DeployImage
    let project: ComposeProject
    let watcher: DeployImage.Watcher

    func run() async throws -> DeployImage.Outcome {
        let form = try deploy.form()
        var group = try ComposeGroup(project) { try TextFile.read($0) }
        if !group.warnings.isEmpty { watcher.line(ComposeFiles.trimmed(group.warnings, project.sources)) }
        try settle(&group)
        let place = try await Deployment.Place(deploy.options, deploy.access, deploy.environment) { watcher.line($0) }
        let existing = try await place.service.find(place.name)
        try deploy.refuseIdle(group.wish, existing, name: place.name, watcher)
        let pulls = try pulls(place, existing)
        let builds = try await builds(group, place)
        var isChecked = false
        if case .apply = deploy.mode, let builds {
            // Nothing is built or pushed for a place that would refuse it.
            let named = try builds.naming(group.wish, group.services)
            let names = try group.services.filter { $0.build != nil }.map { try builds.name($0) }
            try await deploy.foresee(place, named, names, pulls, watcher)
            isChecked = true
        }
        let built = try await builds?.run(pushes: isChecked) ?? [:]
        let (facts, findings) = try await look(&group, built, pulls)
        let target = deploy.target(place, group.wish, facts, pulls)
        try deploy.refuse(target.checkImages() + findings, watcher)
        if let form { return try await deploy.emit(form, place, target) }
        if !isChecked { try deploy.refuse(try await target.check(), watcher) }
        return try await deploy.finish(target, watcher)
    }

    /// Puts what flags say of the group as a whole into the wish.
    private func settle(_ group: inout ComposeGroup) throws {
        let flags = try DeployWish(options: deploy.options, environment: deploy.environment).group()
        group.set { wish in
            wish.location = flags.location
            wish.tags = flags.tags
            wish.zones = flags.zones
            wish.restartPolicy = flags.restartPolicy ?? wish.restartPolicy
            wish.reach = flags.reach
            wish.dnsLabel = flags.dnsLabel ?? wish.dnsLabel
            (wish.dnsScope, wish.subnet, wish.sku, wish.priority) =
                (flags.dnsScope, flags.subnet, flags.sku, flags.priority)
            (wish.hasSystemIdentity, wish.identities) = (flags.hasSystemIdentity, flags.identities)
        }
    }

    private func pulls(_ place: Deployment.Place, _ existing: ContainerGroup?) throws -> PullCredentials {
        let teller = TransferTeller("pushed", watcher.transfer)
        let registries = try Registries(
            deploy.access,
            environment: deploy.environment,
            store: deploy.workspace.path
        ) { teller.take($0) }
        return PullCredentials(
            account: place.account,
            registries: registries,
            access: deploy.access,
            environment: deploy.environment,
            wish: deploy.options.pull,
            existing: existing
        )
    }

    /// What builds the images; `nil` where there is nothing to build.
    private func builds(_ group: ComposeGroup, _ place: Deployment.Place) async throws -> ComposeBuilds? {
        guard group.services.contains(where: { $0.build != nil }) else { return nil }
        let home = DeployBuild.Home(name: place.name, resourceGroup: place.service.resourceGroup) { place.account }
        return ComposeBuilds(
            deploy: deploy,
            services: project.services,
            registry: try await DeployBuild(deploy: deploy, home: home).registry(),
            prefix: deploy.options.repository ?? project.name,
            watcher: watcher
        )
    }

    /// Looks at every image with what it will be pulled with.
    private func look(
        _ group: inout ComposeGroup,
        _ built: [String: ComposeBuilds.Built],
        _ pulls: PullCredentials
    ) async throws -> (facts: [ImageFacts], findings: [DeployFinding]) {
        var all: [ImageFacts] = []
        var findings: [DeployFinding] = []
        var known: [ImageReference: (PullCredentials.Choice?, ImageFacts)] = [:]
        for (index, service) in group.services.enumerated() {
            let image = built[service.name]
            let reference = try image?.reference ?? ImageLocator.reference(service.image ?? "")
            if known[reference] == nil {
                if let facts = image?.facts {
                    // What is not pushed cannot be looked at; who would pull it can be said.
                    known[reference] = (try? await pulls.choose(for: reference), facts)
                } else {
                    let choice = try await pulls.choose(for: reference)
                    known[reference] = (choice, try await pulls.look(at: reference, with: choice))
                    if let finding = choice.finding { findings.append(finding) }
                }
            }
            guard let (choice, facts) = known[reference] else { continue }
            if let credential = choice?.credential {
                group.set { wish in
                    wish.credentials.removeAll { $0.server.lowercased() == credential.server.lowercased() }
                    wish.credentials.append(credential)
                }
            }
            try group.take(facts, for: index)
            all.append(facts)
        }
        return (all, findings)
    }
}
