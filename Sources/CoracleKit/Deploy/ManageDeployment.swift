// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import OCI

/// `coracle ps`, `logs`, `exec`, `stop`, `start` and `down` of what was deployed.
public struct ManageDeployment: Sendable {
    /// `--resource-group`.
    public var resourceGroup: String?
    /// `--name`.
    public var name: String?
    /// `--container`: which container of the group; the one called like the group, else the first.
    public var container: String?
    /// `--config`: where `coracle.yaml` is.
    public var config: String?
    /// `--cluster`: a cluster of Azure.
    public var cluster: String?
    /// `--admin`: whether to be the administrator of it.
    public var isAdministrator = false
    /// `--kubeconfig`.
    public var kubeconfig: String?
    /// `--kube-context`.
    public var kubeContext: String?
    /// `--namespace`.
    public var namespace: String?
    /// How Azure is reached.
    public var access = RegistryAccess()
    let environment: [String: String]
    let note: @Sendable (String) -> Void

    /// Works with what was deployed.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - note: Is told what is worth saying, a line each.
    public init(environment: [String: String], note: @escaping @Sendable (String) -> Void) {
        (self.environment, self.note) = (environment, note)
    }

    /// What a name on the command line means.
    public enum Meaning: Hashable, Sendable {
        /// A container of this machine.
        case local
        /// A deployment.
        case deployed
    }

    /// Says what a name means: `--resource-group` and `--name` are of deployments; else a container of this machine that is
    /// called so; else the deployment of `coracle.yaml`, which no name means too.
    ///
    /// - Parameters:
    ///   - text: The name; `nil` where none was given.
    ///   - workspace: Where containers of this machine are kept.
    /// - Returns: What it means.
    /// - Throws: ``ExitReason`` where it means nothing.
    public func meaning(of text: String?, in workspace: Workspace) throws(ExitReason) -> Meaning {
        if isElsewhere || name != nil { return .deployed }
        let remembered = try DeployFile(config, environment: environment).read()
        guard let text else {
            if remembered.name != nil { return .deployed }
            throw ExitReason(
                .usage,
                "there is no name, and no coracle.yaml here that names a deployment",
                hint: "a container's name (coracle ps), or --resource-group GROUP --name NAME"
            )
        }
        do {
            _ = try ContainerFolder.find(text, in: try workspace.storeIfAny())
            return .local
        } catch {
            if remembered.name == text { return .deployed }
            let known = remembered.name.map { "; coracle.yaml names the deployment \"\($0)\"" } ?? ""
            throw ExitReason(error.code, error.message + known, hint: error.hint)
        }
    }

    /// Takes a name of the command line as the deployment's, where flags say that it is about one.
    ///
    /// - Parameter text: The name; `nil` where none was given.
    /// - Throws: ``ExitReason`` where `--name` is another one.
    public mutating func take(_ text: String?) throws(ExitReason) {
        guard let text, isElsewhere || name != nil else { return }
        guard name == nil || name == text else {
            throw ExitReason(
                .usage,
                "\(text) and --name \(name ?? "") are given both",
                hint: "one deployment at a time"
            )
        }
        name = text
    }

    /// Takes a name of the command line as the deployment's, where nothing else can be meant.
    ///
    /// - Parameter text: The name; `nil` where none was given.
    /// - Throws: ``ExitReason`` where `--name` is another one.
    public mutating func choose(_ text: String?) throws(ExitReason) {
        guard let text else { return }
        name = name ?? text
        try take(text)
    }

    /// Whether `coracle.yaml` or a flag names a deployment.
    ///
    /// - Returns: Whether one does.
    /// - Throws: ``ExitReason`` where the file cannot be read.
    public func isNamed() throws(ExitReason) -> Bool {
        if isElsewhere { return true }
        return try DeployFile(config, environment: environment).read().name != nil
    }

    /// Whether flags say where deployments are.
    ///
    /// - Returns: Whether one does.
    public var isElsewhere: Bool { resourceGroup != nil || hasClusterFlags }

    private var hasClusterFlags: Bool {
        cluster != nil || kubeconfig != nil || kubeContext != nil || namespace != nil
    }

    /// Refuses `--admin` where no cluster of Azure is meant.
    ///
    /// - Throws: ``ExitReason`` where it would do nothing.
    public func checkAdministrator() throws(ExitReason) {
        guard isAdministrator, cluster == nil else { return }
        let options = try clusterOptions()?.0
        guard options?.cluster == nil else { return }
        throw ExitReason(.usage, "--admin needs a cluster of Azure", hint: "--cluster NAME --resource-group GROUP")
    }

    /// What is on a cluster; `nil` where this is about Container Instances.
    func onCluster(says: Bool = true) async throws -> ManageCluster? {
        guard let (options, file) = try clusterOptions() else { return nil }
        guard let name = options.name, !name.isEmpty else {
            throw ExitReason(.usage, "the deployment has no name", hint: "--name NAME")
        }
        let place = try await ClusterPlace(options, access, environment, note: note)
        let source = hasClusterFlags && self.name != nil ? "" : ", from \(file)"
        if says {
            note("deployment \(name) in the namespace \(place.namespace) of \(place.summary)\(source)")
        }
        var own = ManageCluster(place: place, name: name, container: container, note: note)
        own.isProject = try isProject()
        return own
    }

    /// Whether the deployment is several services of compose files, which `coracle.yaml` then says.
    private func isProject() throws(ExitReason) -> Bool {
        let remembered = try DeployFile(config, environment: environment).read()
        return (name == nil || name == remembered.name) && !remembered.composeFiles.isEmpty
    }

    /// Which cluster, by flags and `coracle.yaml`; `nil` where neither means one.
    private func clusterOptions() throws(ExitReason) -> (DeployOptions, file: String)? {
        let file = DeployFile(config, environment: environment)
        let remembered = try file.read()
        let isRemembered = remembered.target == "aks" && resourceGroup == nil
        guard hasClusterFlags || isRemembered else { return nil }
        var options = DeployOptions()
        (options.target, options.name) = ("aks", name ?? remembered.name)
        (options.namespace, options.subscription) = (namespace ?? remembered.namespace, remembered.subscription)
        if cluster != nil || kubeconfig != nil || kubeContext != nil || remembered.target != "aks" {
            (options.cluster, options.resourceGroup) = (cluster, resourceGroup)
            (options.kubeconfig, options.kubeContext) = (kubeconfig, kubeContext)
        } else {
            (options.cluster, options.resourceGroup) = (remembered.cluster, remembered.resourceGroup)
            (options.kubeconfig, options.kubeContext) = (remembered.kubeconfig, remembered.kubeContext)
        }
        options.adminAccess = isAdministrator ? "true" : remembered.adminAccess
        return (options, file.path)
    }

    func place(says: Bool = true) async throws -> Deployment.Place {
        let file = DeployFile(config, environment: environment)
        let remembered = try file.read()
        var options = DeployOptions()
        options.resourceGroup = resourceGroup ?? remembered.resourceGroup
        options.name = name ?? remembered.name
        options.subscription = remembered.subscription
        guard options.resourceGroup != nil else {
            throw ExitReason(
                .usage,
                "no deployment is named: there is no --resource-group, and none in \(file.path)",
                hint: "--resource-group GROUP --name NAME; coracle ps --resource-group GROUP lists what is there"
            )
        }
        let place = try await Deployment.Place(options, access, environment, note: note)
        let source = resourceGroup == nil || name == nil ? ", from \(file.path)" : ""
        if says { note("deployment \(place.name) in the resource group \(place.service.resourceGroup)\(source)") }
        return place
    }

    func found(_ place: Deployment.Place) async throws -> ContainerGroup {
        if let group = try await place.service.find(place.name) { return group }
        try await checkHome(place)
        throw ExitReason(
            .usage,
            "there is no container group \(place.name) in \(place.service.resourceGroup)",
            hint: "coracle up, or coracle ps --resource-group \(place.service.resourceGroup)"
        )
    }

    /// Says that the resource group is missing, which is the likeliest reason for a group of containers that is.
    private func checkHome(_ place: Deployment.Place) async throws {
        do {
            if try await place.service.location() != nil { return }
        } catch let error as ARMError where error.status == 403 {
            // Rights on the container groups alone are enough.
            return
        }
        throw ExitReason(
            .usage,
            "there is no resource group \(place.service.resourceGroup) in the subscription \(place.service.subscription)",
            hint:
                "az group list --query [].name --output tsv shows those that there are; --azure-subscription ID is another"
        )
    }

    func chosen(_ group: ContainerGroup, _ place: Deployment.Place) throws(ExitReason) -> String {
        let names = group.containers.map(\.name)
        guard let container else { return names.contains(place.name) ? place.name : names.first ?? place.name }
        guard names.contains(container) else {
            let list = names.joined(separator: ", ")
            throw ExitReason(
                .usage,
                "\(place.name) has no container \(container); it has \(list)",
                hint: "--container NAME"
            )
        }
        return container
    }

    // MARK: Verbs

    /// Lists what is deployed: the one of `coracle.yaml`, or all of `--resource-group`.
    ///
    /// - Parameter format: For whom.
    /// - Returns: A line for each container, or JSON.
    /// - Throws: ``ExitReason``.
    public func list(_ format: OutputFormat) async throws -> String {
        try await ExitReason.explaining { try await listed() }.formatted(format)
    }

    /// The names of what is deployed, a line each.
    ///
    /// - Returns: The lines.
    /// - Throws: ``ExitReason``.
    public func names() async throws -> String {
        let all = try await ExitReason.explaining { try await listed() }.json["deployments"]?.array ?? []
        return all.compactMap { $0["name"]?.string }.map { $0 + "\n" }.joined()
    }

    /// Lists containers of this machine and what is deployed in one document, for programs.
    ///
    /// - Parameters:
    ///   - containers: Lists those of this machine.
    ///   - choice: Which of those.
    /// - Returns: An object with `containers` and `deployments`.
    /// - Throws: ``ExitReason``.
    public func list(with containers: ListContainers, _ choice: ListContainers.Choice) async throws -> String {
        var document = try containers.document(choice)
        document["deployments"] = try await ExitReason.explaining { try await listed() }.json["deployments"]
        return document.pretty + "\n"
    }

    private func listed() async throws -> any Writable {
        if var (options, _) = try clusterOptions() {
            // Flags without a name mean all that is there.
            if hasClusterFlags { options.name = name }
            let place = try await ClusterPlace(options, access, environment, note: note)
            let isWhole = try options.name != nil && isProject()
            return try await ManageCluster.list(place, name: options.name, isProject: isWhole)
        }
        return DeployedList(groups: try await deployed())
    }

    private func deployed() async throws -> [ContainerGroup] {
        guard resourceGroup == nil || name != nil else {
            // Any name will do to get to the others.
            var copy = self
            copy.name = "any"
            return try await copy.place(says: false).service.list()
        }
        let place = try await place()
        // One that was asked for by its name is missed; one that a file remembers may be down.
        if name != nil { return [try await found(place)] }
        if let group = try await place.service.find(place.name) { return [group] }
        note("\(place.name) is not deployed: coracle up")
        return []
    }

    /// Ends all containers; nothing is paid for until they start again.
    ///
    /// - Returns: A line for people.
    /// - Throws: ``ExitReason``.
    public func stop() async throws -> String {
        try await ExitReason.explaining {
            if let own = try await onCluster() { return try await own.stop() }
            let place = try await place()
            _ = try await found(place)
            try await place.service.stop(place.name)
            return place.name + "\n"
        }
    }

    /// Starts all containers again, with their images pulled anew.
    ///
    /// - Returns: The URL, else the name.
    /// - Throws: ``ExitReason``.
    public func start() async throws -> String {
        try await ExitReason.explaining {
            if let own = try await onCluster() { return try await own.start() }
            let place = try await place()
            _ = try await found(place)
            try await place.service.start(place.name)
            return (try await found(place).url ?? place.name) + "\n"
        }
    }

    /// Deletes the deployment; its images stay in the registry, and `coracle.yaml` where it is.
    ///
    /// - Returns: The name; empty where there was none.
    /// - Throws: ``ExitReason``.
    public func down() async throws -> String {
        try await ExitReason.explaining {
            if let own = try await onCluster() { return try await own.down() }
            let place = try await place()
            guard try await place.service.delete(place.name) else {
                try await checkHome(place)
                note("there was no \(place.name)")
                return ""
            }
            return place.name + "\n"
        }
    }

    /// Shows what a container wrote.
    ///
    /// - Parameters:
    ///   - follows: Whether to go on until it has ended.
    ///   - tail: Only so many lines from the end; `nil` for all.
    ///   - hasTimes: Whether each line begins with when it was written.
    ///   - isPrevious: Whether what was written before the container's last start is wanted, which clusters keep.
    ///   - write: Takes what was written; returns whether it wants more.
    /// - Throws: ``ExitReason``.
    public func logs(
        follows: Bool,
        tail: Int?,
        hasTimes: Bool,
        isPrevious: Bool = false,
        write: @escaping @Sendable ([UInt8]) -> Bool
    ) async throws {
        if let tail, tail < 0 { throw ExitReason(.usage, "--tail \(tail) is not a number of lines") }
        if isPrevious, follows {
            throw ExitReason(.usage, "--previous and --follow are given both: what ended does not go on")
        }
        try await ExitReason.explaining {
            if let own = try await onCluster() {
                return try await own.logs(
                    follows: follows,
                    tail: tail,
                    hasTimes: hasTimes,
                    isPrevious: isPrevious,
                    write: write
                )
            }
            guard !isPrevious else {
                throw ExitReason(
                    .usage,
                    "--previous: Container Instances keeps what a container wrote since its last start only",
                    hint: "coracle logs, without it"
                )
            }
            let place = try await place()
            let container = try chosen(try await found(place), place)
            var follower = LogFollower()
            while true {
                // Asked before reading: what is written after the last read belongs to a container that still ran.
                let group = follows ? try await place.service.find(place.name) : nil
                let text = try await place.service.log(
                    place.name,
                    container: container,
                    tail: follower.hasBegun ? nil : tail,
                    hasTimes: hasTimes
                )
                if !write(Array(follower.news(in: text, isPart: tail != nil).utf8)) { return }
                guard follows, let group else { return }
                if ManageDeployment.isOver(group, container) { return }
                try await Task.sleep(for: Deployment.pace(environment).interval)
            }
        }
    }

    private static func isOver(_ group: ContainerGroup, _ container: String) -> Bool {
        if group.state.state == "Stopped" { return true }
        let own = group.state.containers.first { $0.name == container }
        return own?.state == "Terminated" && group.restartPolicy == "Never"
    }
}

/// Finds what is new in a text that is given whole each time, until it is so long that its beginning goes.
struct LogFollower {
    private var last = ""
    private(set) var hasBegun = false

    mutating func news(in text: String, isPart: Bool) -> String {
        defer { (last, hasBegun) = (text, true) }
        guard hasBegun, !last.isEmpty else { return text }
        if text.hasPrefix(last) { return String(text.dropFirst(last.count)) }
        // The end of what was shown is somewhere in it, where its beginning went, or only its end was shown.
        let end = String(last.suffix(1024))
        if let range = text.ranges(of: end).last { return String(text[range.upperBound...]) }
        // The container began anew.
        return text
    }
}

/// Groups of containers, for people and programs.
private struct DeployedList: Writable {
    let groups: [ContainerGroup]

    var text: String {
        let head = ["DEPLOYMENT", "CONTAINER", "IMAGE", "STATUS", "RESTARTS", "URL"]
        let rows = groups.flatMap { group in
            group.containers.map { container -> [String] in
                let state = group.state.containers.first { $0.name == container.name && !$0.isInit }
                return [
                    group.name ?? "", container.name, container.image, DeployedList.status(group, state),
                    "\(state?.restarts ?? 0)", group.url ?? "-",
                ]
            }
        }
        return TextTable.write([head] + rows)
    }

    private static func status(_ group: ContainerGroup, _ state: GroupState.ContainerState?) -> String {
        guard let state, !state.state.isEmpty else {
            return (group.state.state.isEmpty ? group.state.provisioning : group.state.state).lowercased()
        }
        let code = state.exitCode.map { " (\($0))" } ?? ""
        return state.state.lowercased() + code + (state.detail.isEmpty ? "" : " \(state.detail)")
    }

    var json: JSONValue {
        let list = groups.map { group -> JSONValue in
            var json: JSONValue = [
                "name": .string(group.name ?? ""), "state": .string(group.state.state),
                "provisioning": .string(group.state.provisioning),
            ]
            json["url"] = group.url.map { .string($0) }
            json["containers"] = .array(
                group.containers.map { container in
                    let state = group.state.containers.first { $0.name == container.name && !$0.isInit }
                    var json: JSONValue = [
                        "name": .string(container.name), "image": .string(container.image),
                        "state": .string(state?.state ?? ""), "restarts": .int(Int64(state?.restarts ?? 0)),
                    ]
                    json["code"] = state?.exitCode.map { .int(Int64($0)) }
                    return json
                }
            )
            return json
        }
        return ["version": 1, "deployments": .array(list)]
    }
}
