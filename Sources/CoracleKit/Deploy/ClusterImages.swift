// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import Kubernetes
internal import OCI
internal import Registry
internal import Store

/// Finds the images of a workload: builds what is to be built, looks at all, and puts what they say into the workload.
struct ClusterImages {
    let deploy: DeployImage
    /// The cluster; `nil` where manifests are written only.
    let place: ClusterPlace?
    let watcher: DeployImage.Watcher
    private(set) var facts: [ImageFacts] = []
    private(set) var findings: [DeployFinding] = []
    private(set) var remarks: [String] = []

    init(deploy: DeployImage, place: ClusterPlace?, watcher: DeployImage.Watcher) {
        (self.deploy, self.place, self.watcher) = (deploy, place, watcher)
    }

    private var options: DeployOptions { deploy.options }

    /// What images have to run on, where they are for several.
    func platform() throws(ExitReason) -> Platform {
        do {
            let platform = try Platform(options.platform ?? "linux/amd64")
            guard platform.os == "linux" else {
                throw ExitReason(.usage, "--platform \(platform): pods of Windows are not made")
            }
            return platform
        } catch let error as ContentError {
            throw ExitReason(.usage, "--platform \(error.message)")
        } catch let error as ExitReason {
            throw error
        } catch {
            throw ExitReason(.usage, "--platform \"\(options.platform ?? "")\" is none")
        }
    }

    /// What looks at images, what chooses what pulls them, and who we are at Azure.
    func tools(_ platform: Platform, _ name: String) throws -> (ImageLook, ClusterPull, LazyAccount) {
        let teller = TransferTeller("pushed", watcher.transfer)
        let registries = try Registries(
            deploy.access,
            environment: deploy.environment,
            store: deploy.workspace.path
        ) { teller.take($0) }
        var look = ImageLook(registries: registries, access: deploy.access, environment: deploy.environment)
        (look.platform, look.takesIndexes) = (platform, options.platform == nil)
        let watcher = watcher
        let account =
            place?.account ?? LazyAccount(deploy.access, deploy.environment) { watcher.line($0) }
        var pull = ClusterPull(
            registries: registries,
            look: look,
            environment: deploy.environment,
            wish: options.pull,
            name: name,
            cluster: place?.cluster,
            account: account
        )
        if case .emit = deploy.mode { pull.readsSecrets = false }
        return (look, pull, account)
    }

    mutating func find(for workload: inout Workload) async throws {
        let platform = try platform()
        let (look, pull, account) = try tools(platform, workload.name)
        for index in workload.containers.indices {
            let built = index == 0 && options.image == nil
            let reference: ImageReference
            var known: ImageFacts?
            if built {
                (reference, known) = try await build(platform, account, pull)
            } else {
                let text = index == 0 ? options.image ?? "" : workload.containers[index].image
                reference = try ImageLocator.reference(text.suffix(after: "docker://") ?? text)
            }
            try await add(reference, known, to: &workload, index, look, pull)
        }
    }

    /// Builds the main image; what came of it where it was not pushed, as nothing is pushed only to be looked at.
    private func build(
        _ platform: Platform,
        _ account: LazyAccount,
        _ pull: ClusterPull
    ) async throws -> (ImageReference, ImageFacts?) {
        var home = DeployBuild.Home(name: options.name ?? "", resourceGroup: options.resourceGroup) {
            try await account.open()
        }
        home.platform = platform.description
        let source = DeployBuild(deploy: deploy, home: home)
        let name = try await source.name()
        // What could not be pulled is said before anything is built; manifests need none of it.
        if place != nil { try await pull.foresee(name) }
        if case .apply = deploy.mode {
            let pinned = try await source.push(name, watcher)
            let tagged = try ImageReference("\(name.description)@\(pinned.digest ?? "")")
            return (tagged, nil)
        }
        let facts = try await source.build(name, watcher)
        if case .emit = deploy.mode {
            watcher.line(
                "\(name.familiar) is built and not pushed, and the manifests name it: coracle push \(name.familiar)"
            )
        }
        return (name, facts)
    }

    mutating func add(
        _ reference: ImageReference,
        _ known: ImageFacts?,
        to workload: inout Workload,
        _ index: Int,
        _ look: ImageLook,
        _ pull: ClusterPull
    ) async throws {
        let found: ImageFacts
        let isPulled: Bool
        // What is not pushed cannot be looked at in the registry; who would pull it can be said.
        let choice = known == nil ? try await pull.choose(for: reference) : await expected(pull, reference)
        if let known {
            (found, isPulled) = (known, false)
        } else {
            found = try await look.look(at: reference, shown: choice?.shown, puller: "the cluster")
            isPulled = true
        }
        if let choice { take(choice, for: found.reference, isPulled: isPulled, into: &workload) }
        facts.append(found)
        var defaults = ImageDefaults(
            facts: found,
            rights: try await rights(found, look),
            reference: reference
        )
        let isMain = index == 0
        defaults.readOnlyRoot = isMain ? try readOnlyRoot() : nil
        defaults.hasProbes = isMain && (options.liveness != nil || options.readiness != nil || options.httpProbe != nil)
        defaults.fill(&workload, container: index)
    }

    /// What will pull an image that is not pushed yet.
    private func expected(_ pull: ClusterPull, _ reference: ImageReference) async -> ClusterPull.Choice? {
        do {
            return try await pull.choose(for: reference)
        } catch let reason as ExitReason {
            watcher.line("warning: \(reason.message)" + (reason.hint.map { " (\($0))" } ?? ""))
        } catch {
            watcher.line("warning: what pulls \(reference.familiar) is not known: \(error)")
        }
        return nil
    }

    private func readOnlyRoot() throws(ExitReason) -> Bool? {
        switch options.readOnlyRoot?.lowercased() {
        case nil, "auto": return nil
        case "yes", "true": return true
        case "no", "false": return false
        case let text?: throw ExitReason(.usage, "--read-only-root \"\(text)\" is not one of auto, yes, no")
        }
    }

    private mutating func take(
        _ choice: ClusterPull.Choice,
        for reference: ImageReference,
        isPulled: Bool,
        into workload: inout Workload
    ) {
        if let name = choice.name, !workload.pullSecrets.contains(name) { workload.pullSecrets.append(name) }
        if let secret = choice.secret {
            // Two registries are two members of one Secret's only file; the first one's name is taken.
            if let old = workload.secrets.firstIndex(where: { $0.name == secret.name }) {
                workload.secrets[old] = ClusterImages.merged(workload.secrets[old], secret)
            } else {
                workload.secrets.append(secret)
            }
        }
        if let remark = choice.remark, !remarks.contains(remark) { remarks.append(remark) }
        if let finding = choice.finding {
            if !findings.contains(finding) { findings.append(finding) }
        } else if isPulled, let shown = choice.shown {
            let who = shown == .anonymous ? "anybody" : shown.description
            let finding = DeployFinding("pull", .good, "\(reference.domain) gives it to \(who)")
            if !findings.contains(finding) { findings.append(finding) }
        }
    }

    /// Logins of two registries in one Secret.
    private static func merged(_ first: Workload.SecretFiles, _ second: Workload.SecretFiles) -> Workload.SecretFiles {
        let file = ".dockerconfigjson"
        var result = first
        guard var one = first.files[file].flatMap({ try? JSONValue(parsing: $0) }),
            let two = second.files[file].flatMap({ try? JSONValue(parsing: $0) })
        else { return result }
        let logins = (one["auths"]?.object ?? [:]).merging(two["auths"]?.object ?? [:]) { $1 }
        one["auths"] = .object(logins)
        result.files[file] = Array(one.canonical.utf8)
        return result
    }

    /// Who the image runs as.
    private func rights(_ facts: ImageFacts, _ look: ImageLook) async throws -> ImageRights? {
        let store = try deploy.workspace.store()
        let source = look.registries.client.source(Repository(facts.reference))
        do {
            return try await ImageRights.look(facts, in: store) { layers in
                let missing = layers.filter { !store.has($0) }
                let size = missing.reduce(0) { $0 + $1.size }
                let megabytes = (size + 999_999) / 1_000_000
                watcher.line("looking the user \(facts.config.user) up in the image: \(megabytes) MB are fetched")
                try await Transfer(from: source, to: StoreTarget(store: store), events: { _ in }).move(missing)
            }
        } catch {
            watcher.line(
                "warning: the user \(facts.config.user) of \(facts.reference.familiar) is not known in numbers: \(error)"
            )
            return nil
        }
    }
}
