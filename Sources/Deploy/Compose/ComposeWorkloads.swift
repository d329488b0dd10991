// SPDX-License-Identifier: Apache-2.0
internal import Azure
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
    let project: ComposeProject

    /// What is read of secrets.
    public enum Secrets: Sendable {
        /// What they are: variables of the environment, files.
        case values
        /// What they are called, for manifests without them; each is empty.
        case names
    }

    /// Makes workloads of a project.
    ///
    /// - Parameters:
    ///   - project: The project.
    ///   - namespace: Where they live; `nil` for whatever the context says.
    ///   - secrets: What is read of secrets.
    ///   - read: Gives the bytes of a file; `nil` where there is none.
    /// - Throws: ``ComposeError`` with everything that a cluster cannot be told, each with file, line and key.
    public init(
        _ project: ComposeProject,
        namespace: String? = nil,
        secrets: Secrets = .values,
        read: (String) throws -> [UInt8]?
    ) throws(ComposeError) {
        self.project = project
        var maker = ComposeWorkloadMaker(project, namespace)
        maker.readsSecrets = secrets == .values
        workloads = maker.make(read)
        services = maker.services
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
            if service.health?.isOff == true {
                (container.liveness, container.readiness, container.startup) = (nil, nil, nil)
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
                // What EXPOSE says others reach by the service's name, as with Compose.
                if workloads[index].service == nil, !container.ports.isEmpty {
                    workloads[index].service = Workload.Service(.cluster)
                }
            }
        }
        try problems.check(project)
    }
}
