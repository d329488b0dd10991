// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import DockerfileSyntax
internal import OCI

/// `coracle up` of several services: all images built and pushed, and one container group of them.
struct ComposeUp {
    let deploy: DeployImage
    let files: ComposeFiles

    /// A project, and the settings that hold for it.
    struct Ready {
        let project: ComposeProject
        let options: DeployOptions
    }

    /// Reads the files, and says what is doubtful in them.
    func prepared(_ watcher: DeployImage.Watcher) async throws -> Ready {
        try await explaining(watcher) {
            let project = try files.read()
            say(project.warnings, project, watcher)
            return Ready(project: project, options: try settings(project))
        }
    }

    /// Does it.
    func run(_ ready: Ready, _ watcher: DeployImage.Watcher) async throws -> DeployImage.Outcome {
        try await explaining(watcher) {
            var deploy = deploy.asking
            deploy.options = ready.options
            let images = try ready.project.services.filter { $0.build == nil }
                .map { try ImageLocator.reference($0.image ?? "") }
            deploy = try deploy.bound(toImages: images, builds: images.count < ready.project.services.count)
            if deploy.options.target == "aks" {
                return try await ComposeToCluster(deploy: deploy, project: ready.project, watcher: watcher).run()
            }
            return try await ComposeToGroup(deploy: deploy, project: ready.project, watcher: watcher).run()
        }
    }

    private func explaining<Value>(
        _ watcher: DeployImage.Watcher,
        _ body: () async throws -> Value
    ) async throws -> Value {
        try await ExitReason.explaining {
            do {
                return try await body()
            } catch let error as ComposeError {
                watcher.fault(ComposeFiles.trimmed(error.problems, error.sources))
                throw ExitReason(.usage, "")
            } catch let error as DeployError {
                throw ExitReason(.usage, error.message, hint: error.hint)
            }
        }
    }

    private func say(_ problems: [ComposeProblem], _ project: ComposeProject, _ watcher: DeployImage.Watcher) {
        if !problems.isEmpty { watcher.line(ComposeFiles.trimmed(problems, project.sources)) }
    }

    /// Flags over what `coracle.yaml` says over `x-aci` of the file.
    private func settings(_ project: ComposeProject) throws -> DeployOptions {
        var own = DeployOptions()
        let target = try ComposeFiles.target(deploy.options.target ?? "aci")
        let allowed = target == .aci ? ComposeUp.groupSettings : ComposeUp.clusterSettings
        let key = "x-\(target.rawValue)"
        for (name, values, place) in project.settings(key) {
            let source = project.sources[place.source]
            let position = source.position(of: place.range.start)
            let at = "\(source.name):\(position.line):\(position.column): \(key): "
            guard allowed.contains(name),
                let field = DeployOptions.fields.first(where: { $0.name == name })?.field
            else {
                throw ExitReason(
                    .usage,
                    at + "there is no setting \"\(name)\"" + Near.phrase(for: name, among: allowed),
                    hint: allowed.joined(separator: ", ")
                )
            }
            switch field {
            case .text(let path):
                guard values.count == 1 else { throw ExitReason(.usage, at + "\(name) is one text") }
                own[keyPath: path] = values[0]
            case .list(let path): own[keyPath: path] = values
            }
        }
        var options = deploy.options.over(own)
        try options.refuseForeign(to: target.rawValue)
        try deploy.refuseForeign(to: target.rawValue)
        try refuseContainer(options, allowed)
        guard options.removedVariables.isEmpty else {
            throw ExitReason(
                .usage,
                "--env-rm is about one container, and \(files.files[0]) describes several services",
                hint: "what \(files.files[0]) does not say is not there: leave the variable out"
            )
        }
        // A container group's name has no underscores.
        options.name = options.name ?? String(project.name.map { $0 == "_" ? "-" : $0 })
        return options
    }

    /// What is of the group as a whole.
    static let groupSettings = [
        "resource-group", "name", "registry", "repository", "subscription", "location", "ip", "dns-label", "dns-scope",
        "restart-policy", "identity", "pull-with", "subnet", "zone", "tag", "sku", "priority", "secret-source",
    ]

    /// What is of the cluster, and of all its workloads.
    static let clusterSettings = [
        "resource-group", "name", "registry", "repository", "subscription", "pull-with", "cluster", "admin",
        "kubeconfig", "kube-context", "namespace", "create-namespace", "platform",
    ]

    /// Flags of a single container say nothing about several services.
    private func refuseContainer(_ options: DeployOptions, _ allowed: [String]) throws(ExitReason) {
        let gone = [("env-rm", options.removedVariables), ("container-rm", options.removedContainers)]
        if let (name, _) = gone.first(where: { !$0.1.isEmpty }) {
            throw ExitReason(
                .usage,
                "--\(name) is about one container, and \(files.files[0]) describes several services",
                hint: "what is not in \(files.files[0]) goes: leave it out there"
            )
        }
        let known = Set(allowed + ["target", "context", "image", "compose", "profile", "build-context", "build-arg"])
        for (name, field) in DeployOptions.fields where !known.contains(name) {
            let isSaid: Bool
            switch field {
            case .text(let path): isSaid = options[keyPath: path] != nil
            case .list(let path): isSaid = !options[keyPath: path].isEmpty
            }
            guard isSaid else { continue }
            throw ExitReason(
                .usage,
                "--\(name) is about one container, and \(files.files[0]) describes several services",
                hint: "say it in \(files.files[0]); or coracle up FOLDER, for the Dockerfile of a folder alone"
            )
        }
    }
}

extension ComposeFiles {
    static func trimmed(_ problems: [ComposeProblem], _ sources: [SourceText]) -> String {
        let text = text(problems, sources)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
