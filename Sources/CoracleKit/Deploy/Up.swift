// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Glibc

/// `coracle up`: from a Dockerfile to a URL, and `coracle.yaml` remembers how.
public struct Up: Sendable {
    /// What is done in the end.
    public var deploy: DeployImage
    private let file: DeployFile

    /// Prepares to bring something up.
    ///
    /// - Parameters:
    ///   - deploy: What flags say.
    ///   - config: `--config`; `nil` for `coracle.yaml` in the current folder.
    ///   - environment: The environment of the process.
    public init(_ deploy: DeployImage, config: String?, environment: [String: String]) {
        self.deploy = deploy
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
        if deploy.options.image == nil { deploy.options.context = deploy.options.context ?? "." }
        if deploy.options.name == nil { deploy.options.name = try Up.name(of: deploy.options) }
        for name in DeployFile.secrets(in: typed) {
            watcher.line(
                "\(file.path) does not remember what \(name) is: the next coracle up takes it from the environment"
            )
        }
        for name in DeployFile.doubtful(in: typed) {
            watcher.line("\(file.path) does not remember \(name), which looks like a secret")
        }
        guard case .apply = deploy.mode, deploy.options.resourceGroup != nil || deploy.options.target == "aks" else {
            return try await deploy.run(watcher)
        }
        return try await remembering(deploy, watcher)
    }

    /// The file is written before the build, so that a context with it in is the same the next time; what did not work is
    /// not remembered.
    private func remembering(
        _ deploy: DeployImage,
        _ watcher: DeployImage.Watcher
    ) async throws -> DeployImage.Outcome {
        let old = try TextFile.read(file.path)
        try file.write(deploy.options)
        do {
            let outcome = try await deploy.run(watcher)
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
