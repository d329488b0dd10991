// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import Glibc

/// `coracle up`: from a Dockerfile to a URL, and `coracle.yaml` remembers how.
public struct Up: Sendable {
    /// What is done in the end.
    public var deploy: DeployImage
    private let file: DeployFile
    private let environment: [String: String]

    /// Prepares to bring something up.
    ///
    /// - Parameters:
    ///   - deploy: What flags say.
    ///   - config: `--config`; `nil` for `coracle.yaml` in the current folder.
    ///   - environment: The environment of the process.
    public init(_ deploy: DeployImage, config: String?, environment: [String: String]) {
        (self.deploy, self.environment) = (deploy, environment)
        file = DeployFile(config, environment: environment)
    }

    /// Brings it up.
    ///
    /// - Parameter watcher: Is told what happens.
    /// - Returns: What came of it.
    /// - Throws: ``ExitReason`` where something is missing, or somebody refused.
    public func run(_ watcher: DeployImage.Watcher) async throws -> DeployImage.Outcome {
        var deploy = deploy
        let typed = deploy.options
        deploy.options = typed.over(try file.read())
        deploy.options.target = deploy.options.target ?? "aci"
        if let files = composeFiles(typed, deploy.options) { return try await compose(deploy, files, watcher) }
        if deploy.options.image == nil { deploy.options.context = deploy.options.context ?? "." }
        if deploy.options.name == nil { deploy.options.name = try Up.name(of: deploy.options) }
        for name in DeployFile.secrets(in: typed) {
            watcher.line(
                "\(file.path) does not remember what \(name) is: the next coracle up takes it from the environment"
            )
        }
        for name in DeployFile.doubtful(in: typed) {
            watcher.line(
                "warning: \(file.path) does not remember \(name), which looks like a secret: it has to be given "
                    + "to each coracle up, or once as --secure-env \(name)"
            )
        }
        guard case .apply = deploy.mode, deploy.options.resourceGroup != nil || deploy.options.target == "aks" else {
            return try await deploy.run(watcher)
        }
        return try await remembering(deploy.options, watcher) { [deploy] in try await deploy.run(watcher) }
    }

    /// The compose files that describe what is brought up; `nil` where one image or folder does.
    private func composeFiles(_ typed: DeployOptions, _ options: DeployOptions) -> [String]? {
        if !typed.composeFiles.isEmpty { return typed.composeFiles }
        // What is named now wins over what was before, and what was before over what lies here.
        if typed.context != nil || typed.image != nil { return nil }
        if !options.composeFiles.isEmpty { return options.composeFiles }
        if options.context != nil || options.image != nil { return nil }
        let usual = ComposeFiles.usual(in: ".", environment)
        return usual.isEmpty ? nil : usual
    }

    private func compose(
        _ deploy: DeployImage,
        _ paths: [String],
        _ watcher: DeployImage.Watcher
    ) async throws -> DeployImage.Outcome {
        var deploy = deploy
        var files = ComposeFiles(environment: environment)
        (files.files, files.profiles, files.name) = (paths, deploy.options.profiles, nil)
        deploy.options.composeFiles = paths
        let up = ComposeUp(deploy: deploy, files: files)
        let ready = try await up.prepared(watcher)
        watcher.line("\(paths.joined(separator: ", ")): \(ready.project.services.map(\.name).joined(separator: ", "))")
        guard case .apply = deploy.mode else { return try await up.run(ready, watcher) }
        // The next one is to find its deployment, whoever named it.
        var remembered = deploy.options
        (remembered.name, remembered.resourceGroup) = (ready.options.name, ready.options.resourceGroup)
        (remembered.subscription, remembered.cluster) = (ready.options.subscription, ready.options.cluster)
        (remembered.namespace, remembered.adminAccess) = (ready.options.namespace, ready.options.adminAccess)
        (remembered.kubeconfig, remembered.kubeContext) = (ready.options.kubeconfig, ready.options.kubeContext)
        guard ready.options.resourceGroup != nil || deploy.options.target == "aks" else {
            return try await up.run(ready, watcher)
        }
        return try await remembering(remembered, watcher) { try await up.run(ready, watcher) }
    }

    /// The file is written before the build, so that a context with it in is the same the next time; what did not work is
    /// not remembered.
    private func remembering(
        _ options: DeployOptions,
        _ watcher: DeployImage.Watcher,
        _ run: () async throws -> DeployImage.Outcome
    ) async throws -> DeployImage.Outcome {
        let old = try TextFile.read(file.path)
        try file.write(options)
        do {
            let outcome = try await run()
            // A first one that does not work is there to be looked at, and is found by the file.
            if outcome.failure != nil, let old { try file.restore(old) }
            return outcome
        } catch {
            try file.restore(old)
            throw error
        }
    }

    /// A name of the folder or the image.
    private static func name(of options: DeployOptions) throws(ExitReason) -> String {
        var path = options.image.map { String($0.prefix { $0 != "@" }) } ?? options.context ?? "."
        if options.image == nil, let resolved = realpath(path, nil) {
            path = String(cString: resolved)
            free(resolved)
        }
        let last = path.split(separator: "/").last.map { $0.prefix { $0 != ":" } } ?? ""
        let name = last.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        let trimmed = String(String(name).drop { $0 == "-" }.reversed().drop { $0 == "-" }.reversed().prefix(63))
        guard !trimmed.isEmpty else { throw ExitReason(.usage, "the deployment has no name", hint: "--name NAME") }
        return trimmed
    }
}
