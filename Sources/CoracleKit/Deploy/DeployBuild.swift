// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import OCI
internal import Registry
internal import Store

/// Builds what is deployed, and pushes it.
struct DeployBuild {
    let deploy: DeployImage
    let home: Home

    /// What is built for.
    struct Home: Sendable {
        /// The deployment's name.
        let name: String
        /// The resource group that a registry is looked for in; `nil` where there is none.
        let resourceGroup: String?
        /// What the image has to run on.
        var platform = "linux/amd64"
        /// Who we are at Azure, asked for only where a registry is looked for.
        let account: @Sendable () async throws -> AzureAccount
    }

    /// What the image is called: registry, repository, and a tag for people, as the group has it by its digest.
    func name() async throws -> ImageReference {
        let registry = try await registry()
        let repository = deploy.options.repository ?? home.name
        return try ImageLocator.reference(
            repository.contains(":") ? "\(registry)/\(repository)" : "\(registry)/\(repository):latest"
        )
    }

    /// The registry: a host, the name of one of Azure's, or the only one of the resource group.
    func registry() async throws -> String {
        if let named = deploy.options.registry {
            if named.contains(".") || named.contains(":") || named == "localhost" { return named }
            let account = try await home.account()
            let known = try await account.manager.registry(named, in: account.subscriptions())
            guard let known else {
                throw ExitReason(
                    .usage,
                    "there is no registry \(named) that \(account.tokens.identity.summary) sees",
                    hint: "--registry HOST, or az acr create --name \(named) --resource-group … --sku Basic"
                )
            }
            return known.loginServer
        }
        guard let group = home.resourceGroup else {
            throw ExitReason(
                .usage,
                "what is built needs a registry to go to",
                hint: "--registry HOST, or --resource-group NAME for the only one there"
            )
        }
        let account = try await home.account()
        let subscription = try await account.subscription()
        let id =
            "/subscriptions/\(subscription)/resourceGroups/\(group)/providers/Microsoft.ContainerRegistry/registries"
        let all = try await account.manager.list(id, apiVersion: "2023-07-01").compactMap { ContainerRegistry($0) }
        if all.count == 1 { return all[0].loginServer }
        let names = all.map(\.name).joined(separator: ", ")
        throw ExitReason(
            .usage,
            all.isEmpty
                ? "the resource group \(group) has no registry"
                : "the resource group \(group) has several registries: \(names)",
            hint: all.isEmpty
                ? "--registry HOST, or az acr create --resource-group \(group) --name … --sku Basic" : "--registry NAME"
        )
    }

    private func built(_ name: ImageReference, pushes: Bool, _ watcher: DeployImage.Watcher) async throws -> BuildReport
    {
        let options = deploy.options
        var build = Build(
            DockerfileInput(file: options.file, path: options.context ?? "."),
            store: deploy.workspace.path
        )
        // In the form that all of Azure reads.
        (build.platforms, build.compression) = ([home.platform], "gzip")
        (build.settings.target, build.settings.buildArguments) = (options.stage, options.buildArguments)
        build.settings.buildContexts = options.buildContexts
        (build.tags, build.run) = ([name.description], deploy.run)
        build.registries.access = try deploy.access.bound(to: [name.domain])
        (build.registries.pushes, build.registries.progress) = (pushes, watcher.transfer)
        switch try await build.run(environment: deploy.environment, events: watcher.build) {
        case .failed(let text, let code):
            // Shown by --quiet, too: nothing else says what is wrong.
            watcher.fault(text)
            throw ExitReason(code, "")
        case .built(let report): return report
        }
    }

    /// Builds and pushes.
    func push(_ name: ImageReference, _ watcher: DeployImage.Watcher) async throws -> ImageReference {
        let report = try await built(name, pushes: true, watcher)
        watcher.line("built \(name.familiar) (\(report.digest))")
        return try ImageLocator.reference("\(name.domain)/\(name.repository)@\(report.digest)")
    }

    /// Builds into the store only, and looks at the image there.
    func build(_ name: ImageReference, _ watcher: DeployImage.Watcher) async throws -> ImageFacts {
        _ = try await built(name, pushes: false, watcher)
        let registries = try Registries(deploy.access.anonymous, environment: deploy.environment) { _ in }
        let image = try await ImageOpener(workspace: deploy.workspace, registries: registries)
            .open(.store(name.familiar))
        return try await facts(image, name, image.blobs)
    }

    private func facts(_ image: OpenedImage, _ name: ImageReference, _ blobs: some BlobSource) async throws
        -> ImageFacts
    {
        let platform = try Platform(home.platform)
        return try await ImageFacts.read(image.root, called: name, for: platform, from: blobs, image.document)
    }
}
