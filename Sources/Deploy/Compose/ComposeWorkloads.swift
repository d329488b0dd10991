// SPDX-License-Identifier: Apache-2.0
public import Kubernetes
internal import OCI

/// A project on a Kubernetes cluster: a workload for each service, which others reach by the service's name.
///
/// What images say becomes known with ``take(_:for:)``.
public struct ComposeWorkloads: Sendable {
    /// The workloads; those that others depend on first.
    public var workloads: [Workload] = []
    /// The service of each workload, and, behind them, those that run before others, in containers of theirs.
    public private(set) var services: [ComposeService] = []
    /// What is left out, or works otherwise than with Compose, in the order of its places.
    public private(set) var warnings: [ComposeProblem] = []
    /// Names beside the services' own: aliases, and ports that the world reaches by another number.
    let further: [String: [ComposeName]]
    let project: ComposeProject

    /// Makes workloads of a project.
    ///
    /// - Parameters:
    ///   - project: The project.
    ///   - namespace: Where they live; `nil` for whatever the context says.
    ///   - read: Gives the bytes of a file; `nil` where there is none.
    /// - Throws: ``ComposeError`` with everything that a cluster cannot be told, each with file, line and key.
    public init(
        _ project: ComposeProject,
        namespace: String? = nil,
        read: (String) throws -> [UInt8]?
    ) throws(ComposeError) {
        self.project = project
        var maker = ComposeWorkloadMaker(project, namespace)
        workloads = maker.make(read)
        (services, further) = (maker.services, maker.further)
        try maker.problems.check(project)
        warnings = maker.problems.sorted
    }

    /// The place of a service's container: which workload, and which of its init containers, `nil` for the main one.
    ///
    /// - Parameter service: The service's name.
    /// - Returns: The places; several where several workloads wait for it.
    public func places(of service: String) -> [(workload: Int, initial: Int?)] {
        var places: [(workload: Int, initial: Int?)] = []
        for (index, workload) in workloads.enumerated() {
            let name = ComposeWorkloadMaker.name(service)
            if workload.containers.first?.name == name { places.append((index, nil)) }
            for (inner, container) in workload.initContainers.enumerated() where container.name == name {
                places.append((index, inner))
            }
        }
        return places
    }

    /// Takes what is known of the image of a service: its words for the command, its probe with other times.
    ///
    /// - Parameters:
    ///   - facts: What is known.
    ///   - service: Of which service.
    /// - Throws: ``ComposeError`` where the service asks for what the image lacks.
    public mutating func take(_ facts: ImageFacts, for service: ComposeService) throws(ComposeError) {
        var problems = ComposeProblems()
        for (index, initial) in places(of: service.name) {
            var container =
                initial.map { workloads[index].initContainers[$0] } ?? workloads[index].containers[0]
            container.image = facts.reference.description
            // To a cluster, no arguments are those of the image.
            if service.command?.isEmpty == true || service.entrypoint?.isEmpty == true {
                container.command = problems.command(service, facts.config.entrypoint ?? [])
                container.arguments = nil
            }
            if let health = service.health, health.test == nil, !health.isOff, let own = facts.liveness,
                case .command(let words) = own.check, initial == nil
            {
                var probe = Workload.Probe(.command(words))
                let times = own.with(health)
                (probe.period, probe.timeout, probe.failures) = (times.period, times.timeout, times.failures)
                probe.delay = times.delay
                (container.liveness, container.readiness) = (probe, probe)
            }
            if let initial {
                workloads[index].initContainers[initial] = container
            } else {
                workloads[index].containers[0] = container
            }
        }
        try problems.check(project)
    }

    /// The objects of a workload, its further names among them.
    ///
    /// - Parameter index: Which.
    /// - Returns: The objects, in the order in which they can be applied.
    /// - Throws: `WorkloadError` with everything that a cluster would refuse.
    public func manifests(of index: Int) throws(WorkloadError) -> [ObjectManifest] {
        var list = try workloads[index].manifests()
        guard let place = list.firstIndex(where: { $0.kind == "Service" }) else { return list }
        let more = (further[workloads[index].name] ?? []).map { $0.manifest(like: list[place]) }
        list.insert(contentsOf: more, at: place + 1)
        return list
    }
}

/// A further Service for the pods of one that has a Service.
struct ComposeName: Sendable {
    let name: String
    /// The port that is asked for, and the name of the one that answers; empty for those of the other Service.
    var ports: [(published: Int, target: String, isUDP: Bool)] = []
    var isPublic = false
    var label: String?

    func manifest(like service: ObjectManifest) -> ObjectManifest {
        var json = service.json
        json["metadata"]?["name"] = .string(name)
        var annotations = json["metadata"]?["annotations"] ?? [:]
        if let label { annotations["service.beta.kubernetes.io/azure-dns-label-name"] = .string(label) }
        json["metadata"]?["annotations"] = annotations.object?.isEmpty == false ? annotations : nil
        json["spec"]?["type"] = isPublic ? "LoadBalancer" : "ClusterIP"
        if !ports.isEmpty {
            json["spec"]?["ports"] = .array(
                ports.map { port in
                    var json: JSONValue = [
                        "name": .string("port-\(port.published)" + (port.isUDP ? "u" : "")),
                        "port": .int(Int64(port.published)), "targetPort": .string(port.target),
                    ]
                    if port.isUDP { json["protocol"] = "UDP" }
                    return json
                }
            )
        }
        var manifest = ObjectManifest(json)
        manifest.comments[["spec", "type"]] =
            isPublic ? "the ports that the world reaches, by the numbers that it asks for" : "an alias"
        return manifest
    }
}
