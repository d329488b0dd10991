// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import OCI
internal import Synchronization

/// Flags that would do nothing: nothing that somebody said is dropped in silence.
extension DeployImage {
    /// Refuses flags of a build where an image is named that is deployed as it is.
    ///
    /// Of what was typed; what `coracle.yaml` remembers is for the next build.
    ///
    /// - Throws: ``ExitReason`` that names the first of them.
    public func checkFlags() throws(ExitReason) {
        guard options.image != nil else { return }
        let said: [(String, Bool)] = [
            ("file", options.file != nil), ("build-target", options.stage != nil),
            ("build-arg", !options.buildArguments.isEmpty), ("build-context", !options.buildContexts.isEmpty),
            ("registry", options.registry != nil), ("repository", options.repository != nil),
        ]
        guard let name = said.first(where: \.1)?.0 else { return }
        throw ExitReason(
            .usage,
            "--\(name) is about a build, and an image is named, which is deployed as it is",
            hint: "a folder in its place, as ., is built; or leave --\(name) out"
        )
    }

    /// Refuses what the target does not have, besides what ``DeployOptions/refuseForeign(to:)`` knows.
    func refuseForeign(to target: String) throws(ExitReason) {
        if target == "aks", mayRecreate {
            throw ExitReason(
                .usage,
                "--recreate is of Container Instances, and the target is Kubernetes",
                hint: "leave it out: pods are always made anew"
            )
        }
        if target == "aci", takesOver {
            throw ExitReason(
                .usage,
                "--force-conflicts is of Kubernetes, and the target is Container Instances",
                hint: "leave it out; or coracle deploy aks, coracle up --target aks"
            )
        }
    }

    /// Says which variables everybody sees, and which are left out.
    func warn(_ watcher: Watcher) throws {
        for variable in options.environment where SecretSource.looksSecret(variable) {
            let name = variable.prefix { $0 != "=" }
            watcher.line(
                "warning: everybody who may read the deployment sees \(name): --secure-env keeps it to the container"
            )
        }
        for name in try DeployWish(options: options, environment: environment).absentVariables() {
            watcher.line(
                "warning: the variable \(name) is left out: it has no value here (\(name)=VALUE, or export \(name))"
            )
        }
    }

    /// Refuses, or warns of, what a group that is there, or is not, leaves without an effect.
    func refuseIdle(_ wish: GroupWish, _ existing: ContainerGroup?, name: String, _ watcher: Watcher) throws(ExitReason)
    {
        if options.dnsScope != nil, options.dnsLabel == nil, existing?.address?.label == nil {
            throw ExitReason(
                .usage,
                "--dns-scope is given, and no --dns-label that it is about",
                hint: "--dns-label LABEL"
            )
        }
        let notYet = "\(name) is not there yet, and has nothing to take away"
        let containers = (existing?.containers ?? []).map(\.name)
        for gone in options.removedContainers where !containers.contains(gone) {
            let reason = existing == nil ? notYet : "\(name) has no such container; it has \(list(containers))"
            watcher.line("warning: --container-rm \(gone): \(reason)")
        }
        let wanted = options.containerName
        let main = existing?.containers.first { $0.name == wanted ?? name }
        let container = main ?? (wanted == nil ? existing?.containers.first : nil)
        let variables = (container?.json["properties"]?["environmentVariables"]?.array ?? [])
            .compactMap { $0["name"]?.string }
        for gone in options.removedVariables where !variables.contains(gone) {
            let reason =
                container.map { "the container \($0.name) has no such variable; it has \(list(variables))" } ?? notYet
            watcher.line("warning: --env-rm \(gone): \(reason)")
        }
        let kept = ContainerGroup.merging(wish, into: existing, name: name).secretPlaces.compactMap(\.key)
        for text in options.secretSources {
            let source = text.prefix { $0 != "=" }
            guard !kept.contains(String(source)) else { continue }
            watcher.line(
                "warning: --secret-source \(source): Azure keeps nothing of that name to itself; it keeps "
                    + list(Array(Set(kept)).sorted())
            )
        }
    }

    private func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }

    /// Refuses an address that no port leads to, which a group does not have.
    func refusePortless(_ group: ContainerGroup) throws(ExitReason) {
        guard group.address == nil else { return }
        let reach = options.reach?.lowercased()
        guard let flag = options.dnsLabel != nil ? "--dns-label" : reach == "none" || reach == nil ? nil : "--ip" else {
            return
        }
        throw ExitReason(
            .usage,
            "\(flag) is given, and no container listens on a port that it could lead to",
            hint: "--port NUMBER, or EXPOSE in the Dockerfile"
        )
    }
}

extension SecretPlace {
    /// What `--secret-source` calls it: the variable, the volume; `nil` for what `--pull-with` finds.
    var key: String? {
        switch kind {
        case .variable(_, let name): name
        case .registryPassword: nil
        case .storageKey(let volume, _), .file(let volume, _): volume
        case .workspaceKey: "log-analytics"
        }
    }
}

/// Asks somebody for each secret once, however often it is needed.
///
/// The lock protects what was answered.
final class SecretAnswers: Sendable {
    private let ask: @Sendable (String) -> String?
    private let known = Mutex<[String: String]>([:])

    init(_ ask: @escaping @Sendable (String) -> String?) { self.ask = ask }

    func answer(_ question: String) -> String? {
        if let given = known.withLock({ $0[question] }) { return given }
        guard let given = ask(question) else { return nil }
        known.withLock { $0[question] = given }
        return given
    }
}
