// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import OCI
internal import Registry

/// `coracle deploy aci` and `coracle up`: an image, or what is built of a folder, runs on Azure Container Instances.
public struct DeployImage: Sendable {
    /// What is deployed, and how.
    public var options = DeployOptions()
    /// How registries and Azure are reached.
    public var access = RegistryAccess()
    /// What is done.
    public var mode = Mode.apply
    /// Whether the group may be deleted and made anew.
    public var mayRecreate = false
    /// Whether fields that others own in a cluster become ours.
    public var takesOver = false
    /// Whether what would be done is told from what can be read, and a cluster is not asked what it would make of it.
    public var predicts = false
    /// The folder that manifests are written into; `nil` for standard output.
    public var folder: String?
    /// Whether a group that does not work is left as it is.
    public var keepsFailed = false
    /// Whether a registry's password is given to a group that has one, though nothing else changes.
    public var renewsPasswords = false
    /// How steps of the Dockerfile are run.
    public var run = RunOptions()
    /// Asks somebody for a secret; `nil` where nobody is there.
    public var ask: (@Sendable (String) -> String?)?
    let workspace: Workspace
    let environment: [String: String]

    /// What is done.
    public enum Mode: Sendable {
        /// It is deployed.
        case apply
        /// What would be done is said.
        case dryRun
        /// It is written as a template: `arm`, `bicep`, `az`, or as manifests: `k8s`.
        case emit(String)
        /// What would be different is shown line by line.
        case diff
    }

    /// Is told what happens, from any thread.
    public struct Watcher: Sendable {
        /// What a build tells.
        public var build: @Sendable (BuildProgress) -> Void = { _ in }
        /// What a transfer tells.
        public var transfer: @Sendable (TransferProgress) -> Void = { _ in }
        /// A line on the deployment.
        public var line: @Sendable (String) -> Void = { _ in }
        /// What is wrong with files that somebody wrote, several lines.
        public var fault: @Sendable (String) -> Void = { _ in }

        /// Tells nobody.
        public init() {}
    }

    /// What came of it.
    public struct Outcome: Sendable {
        /// For standard output: the URL, the plan, the template.
        public let text: String
        /// The same for programs.
        public let json: String
        /// Why it does not run; `nil` where it does.
        public let failure: ExitReason?
        /// Whether something would be different, where that was asked.
        public internal(set) var hasChanges = false
    }

    /// Deploys.
    ///
    /// - Parameters:
    ///   - workspace: Where the store is.
    ///   - environment: The environment of the process.
    public init(_ workspace: Workspace, environment: [String: String]) {
        (self.workspace, self.environment) = (workspace, environment)
    }

    /// Whether an argument is a build context, not an image: a folder written as a path, or one with a Dockerfile.
    ///
    /// - Parameter text: The argument.
    /// - Returns: Whether it is.
    public static func isContext(_ text: String) -> Bool {
        if [".", "..", "/", "./", "../"].contains(text) || text.hasPrefix("./") || text.hasPrefix("../") {
            return true
        }
        if text.hasPrefix("/") { return true }
        return TextFile.isFolder(text) && TextFile.isFile(text + "/Dockerfile")
    }

    /// A line on a deployment, as one line of JSON.
    ///
    /// - Parameter line: The line.
    /// - Returns: `{"event":"deploy","message":…}`.
    public static func json(line: String) -> String {
        JSONValue.object(["event": "deploy", "message": .string(line)]).canonical
    }

    /// An error before anything was deployed, as one line of JSON.
    ///
    /// - Parameter error: The error.
    /// - Returns: `{"outcome":"failed","cause":…,"hint":…}`; without a cause where everything was told already.
    public static func json(failure error: any Error) -> String {
        let reason = ExitReason.of(error) as? ExitReason
        let cause = reason?.message ?? "\(error)"
        var json: JSONValue = ["outcome": "failed"]
        if !cause.isEmpty { json["cause"] = .string(cause) }
        json["hint"] = reason?.hint.map { .string($0) }
        return json.canonical + "\n"
    }

    /// The forms of `--emit`.
    public static let forms = Template.Form.allCases.map(\.rawValue) + ["k8s"]

    /// Does it.
    ///
    /// - Parameter watcher: Is told what happens.
    /// - Returns: What came of it.
    /// - Throws: ``ExitReason`` where something is missing, or somebody refused.
    public func run(_ watcher: Watcher) async throws -> Outcome {
        try await ExitReason.explaining {
            do {
                let image = try options.image.map { try ImageLocator.reference($0.suffix(after: "docker://") ?? $0) }
                let deploy = try bound(toImages: image.map { [$0] } ?? [], builds: image == nil)
                return try await options.target == "aks"
                    ? deploy.deployToCluster(watcher) : deploy.asking.deploy(watcher)
            } catch let error as DeployError {
                throw ExitReason(.usage, error.message, hint: error.hint)
            }
        }
    }

    /// The same, with name and password for the one registry that images come from or go to.
    func bound(toImages images: [ImageReference], builds: Bool) throws(ExitReason) -> DeployImage {
        guard access.user != nil || access.password != nil else { return self }
        var hosts = images.map(\.domain)
        if builds {
            guard let host = options.registry, host.contains(".") || host.contains(":") || host == "localhost" else {
                throw ExitReason(
                    .usage,
                    "--username is for one registry, and the one that what is built goes to is not named by its host",
                    hint: "--registry HOST"
                )
            }
            hosts.append(host)
        }
        var copy = self
        copy.access = try access.bound(to: hosts)
        return copy
    }

    /// The same, which asks nobody twice.
    var asking: DeployImage {
        var copy = self
        copy.ask = ask.map { SecretAnswers($0).answer }
        return copy
    }

    private func deploy(_ watcher: Watcher) async throws -> Outcome {
        try options.refuseForeign(to: "aci")
        try refuseForeign(to: "aci")
        let form = try form()
        var wish = try DeployWish(options: options, environment: environment).group()
        let place = try await Deployment.Place(options, access, environment) { watcher.line($0) }
        try warn(watcher)
        let existing = try await place.service.find(place.name)
        try refuseIdle(wish, existing, name: place.name, watcher)
        let images = try await images(place, &wish, existing, watcher)
        let target = target(place, wish, images.facts, images.pulls)
        try refuse(target.checkImages() + images.findings, watcher)
        try refusePortless(ContainerGroup.merging(wish, into: existing, name: place.name))
        if let form { return try await emit(form, place, target) }
        if images.isChecked == false { try refuse(try await target.check(), watcher) }
        return try await finish(target, watcher)
    }

    /// The form that `--emit` names; `nil` without it.
    func form() throws(ExitReason) -> Template.Form? {
        guard case .emit(let text) = mode else { return nil }
        if let form = Template.Form(rawValue: text) { return form }
        throw ExitReason(
            .usage,
            "--emit \"\(text)\" is none of \(Template.Form.allCases.map(\.rawValue).joined(separator: ", "))",
            hint: text == "k8s" ? "coracle deploy aks …, or --target aks" : nil
        )
    }

    /// Plans, and does it where it is to be done.
    func finish(_ target: ACITarget, _ watcher: Watcher) async throws -> Outcome {
        let plan = try await target.plan()
        switch mode {
        case .dryRun, .diff:
            var outcome = Outcome(text: plan.text, json: plan.json.canonical, failure: nil)
            outcome.hasChanges = plan.action != .unchanged
            return outcome
        case .apply, .emit: break
        }
        for line in plan.text.split(separator: "\n") { watcher.line(String(line)) }
        let report = try await target.apply(plan) { event in
            watcher.line((event.kind == .warning ? "warning: " : "") + event.text)
        }
        return outcome(report, watcher)
    }

    func target(
        _ place: Deployment.Place,
        _ wish: GroupWish,
        _ facts: [ImageFacts],
        _ pulls: PullCredentials
    ) -> ACITarget {
        let secrets = DeploySecrets(options: options, environment: environment, pulls: pulls, ask: ask)
        var target = ACITarget(place.service, name: place.name, wish: wish, images: facts) {
            try await secrets.find($0)
        }
        (target.mayRecreate, target.keepsFailed) = (mayRecreate, keepsFailed)
        target.renewsPasswords = renewsPasswords
        target.pace = Deployment.pace(environment)
        return target
    }

    func refuse(_ findings: [DeployFinding], _ watcher: Watcher) throws(ExitReason) {
        for finding in findings {
            switch finding.level {
            case .good: watcher.line("checked \(finding.what): \(finding.message)")
            case .doubtful:
                watcher.line("warning: \(finding.message)" + (finding.hint.map { " (\($0))" } ?? ""))
            case .bad: continue
            }
        }
        let bad = findings.filter { $0.level == .bad }
        guard let first = bad.first else { return }
        for finding in bad.dropFirst() {
            watcher.line("error: \(finding.message)" + (finding.hint.map { " (\($0))" } ?? ""))
        }
        // What is wrong with the group itself is what somebody asked for.
        let code: ExitReason.Code = first.what == "group" ? .usage : .cloud
        throw ExitReason(code, "nothing was changed: \(first.message)", hint: first.hint)
    }

    func emit(_ form: Template.Form, _ place: Deployment.Place, _ target: ACITarget) async throws -> Outcome {
        let group = try await target.merged()
        let faults = GroupRules.faults(of: group, name: place.name)
        if let fault = faults.first { throw ExitReason(.usage, "the group \(place.name): \(fault)") }
        let home = Template.Place(subscription: options.subscription, resourceGroup: place.service.resourceGroup)
        let text = Template(group, name: place.name, place: home).write(form)
        return Outcome(text: text, json: text, failure: nil)
    }

    func outcome(_ report: DeployReport, _ watcher: Watcher) -> Outcome {
        let text = (report.url ?? report.name) + "\n"
        let json = report.json.canonical + "\n"
        switch report.outcome {
        case .running, .unchanged: return Outcome(text: text, json: json, failure: nil)
        case .rolledBack, .failed:
            if !report.log.isEmpty {
                watcher.line("what it wrote last:")
                for line in report.log.split(separator: "\n").suffix(20) { watcher.line("  \(line)") }
            }
            let end = report.outcome == .rolledBack ? "; \(report.image ?? "the last good image") runs again" : ""
            let message = "\(report.name) does not work: \(report.cause ?? "nobody knows why")\(end)"
            return Outcome(text: "", json: json, failure: ExitReason(.cloud, message, hint: report.hint))
        }
    }
}

extension DeployImage {
    /// What is known of the images of a deployment.
    struct Images {
        var facts: [ImageFacts] = []
        var findings: [DeployFinding] = []
        var isChecked = false
        let pulls: PullCredentials
    }

    /// Builds what is to be built, and looks at all images with what they will be pulled with.
    private func images(
        _ place: Deployment.Place,
        _ wish: inout GroupWish,
        _ existing: ContainerGroup?,
        _ watcher: Watcher
    ) async throws -> Images {
        let teller = TransferTeller("pushed", watcher.transfer)
        let registries = try Registries(access, environment: environment, store: workspace.path) { teller.take($0) }
        let pulls = PullCredentials(
            account: place.account,
            registries: registries,
            access: access,
            environment: environment,
            wish: options.pull,
            existing: existing
        )
        var images = Images(pulls: pulls)
        var references: [ImageReference] = []
        if let image = options.image {
            references.append(try ImageLocator.reference(image.suffix(after: "docker://") ?? image))
        } else {
            let home = DeployBuild.Home(name: place.name, resourceGroup: place.service.resourceGroup) { place.account }
            let source = DeployBuild(deploy: self, home: home)
            let name = try await source.name()
            if case .apply = mode {
                try await precheck(place, wish, name, pulls, watcher)
                images.isChecked = true
                references.append(try await source.push(name, watcher))
            } else {
                // What could not be pulled is said before anything is built; a template needs none of it.
                if case .emit = mode {} else { _ = try await pulls.foresee(name) }
                // Nothing is pushed only to be looked at.
                let facts = try await source.build(name, watcher)
                images.facts.append(facts)
                references.append(facts.reference)
            }
        }
        for text in options.containers {
            let (container, image) = try DeployWish(options: options, environment: environment).further(text)
            wish.containers.append(container)
            references.append(try ImageLocator.reference(image))
        }
        for (index, reference) in references.enumerated() {
            try await add(reference, at: index, &wish, &images)
        }
        return images
    }

    /// Looks at the place before anything is built or pushed.
    private func precheck(
        _ place: Deployment.Place,
        _ wish: GroupWish,
        _ name: ImageReference,
        _ pulls: PullCredentials,
        _ watcher: Watcher
    ) async throws {
        var wish = wish
        wish.containers[0].image = name.description
        for text in options.containers {
            var (container, image) = try DeployWish(options: options, environment: environment).further(text)
            container.image = image
            wish.containers.append(container)
        }
        try await foresee(place, wish, [name], pulls, watcher)
    }

    /// Looks at the place, at what would pull, and for what Azure kept to itself, before anything is built or pushed.
    func foresee(
        _ place: Deployment.Place,
        _ wish: GroupWish,
        _ names: [ImageReference],
        _ pulls: PullCredentials,
        _ watcher: Watcher
    ) async throws {
        try refuse(try await target(place, wish, [], pulls).check(), watcher)
        var wish = wish
        for name in names {
            if let credential = try await pulls.foresee(name).credential { add(credential, to: &wish) }
        }
        let target = target(place, wish, [], pulls)
        try target.refuseRecreation(try await target.plan())
    }

    private func add(
        _ reference: ImageReference,
        at index: Int,
        _ wish: inout GroupWish,
        _ images: inout Images
    ) async throws {
        let facts: ImageFacts
        if images.facts.indices.contains(index) {
            facts = images.facts[index]
            // What is not pushed cannot be looked at; who would pull it can be said.
            if let choice = try? await images.pulls.choose(for: reference) {
                if let credential = choice.credential { add(credential, to: &wish) }
            }
        } else {
            let choice = try await images.pulls.choose(for: reference)
            facts = try await images.pulls.look(at: reference, with: choice)
            images.facts.append(facts)
            if let credential = choice.credential { add(credential, to: &wish) }
            let seen = choice.shown.map { shown in
                "\(facts.reference.domain) gives it to \(shown == .anonymous ? "anybody" : shown.description)"
            }
            images.findings += [choice.finding ?? seen.map { DeployFinding("pull", .good, $0) }].compactMap { $0 }
        }
        wish.containers[index].image = facts.reference.description
        wish.containers[index].defaults.ports = facts.defaults.ports.compactMap { try? ContainerGroup.Port($0) }
        wish.containers[index].defaults.liveness = facts.liveness
    }

    private func add(_ credential: GroupWish.Credential, to wish: inout GroupWish) {
        wish.credentials.removeAll { $0.server.lowercased() == credential.server.lowercased() }
        wish.credentials.append(credential)
    }
}
