// SPDX-License-Identifier: Apache-2.0
public import Azure
internal import DockerfileSyntax
internal import OCI

/// A project as one container group: a container for each service, all with one address.
///
/// Commands and probes of images become known with ``take(_:for:)``; until then the wish is good for the checks that need
/// no image.
public struct ComposeGroup: Sendable {
    /// What the group has to be; the images of its containers are empty until they are taken.
    public private(set) var wish = GroupWish()
    /// What is left out, or works otherwise than with Compose, in the order of its places.
    public private(set) var warnings: [ComposeProblem] = []
    /// The services that are in it, in the order of its containers, those that run before the others last.
    public private(set) var services: [ComposeService] = []
    let project: ComposeProject
    private var first = 0

    /// Makes a group of a project.
    ///
    /// - Parameters:
    ///   - project: The project.
    ///   - read: Gives the bytes of a file; `nil` where there is none.
    /// - Throws: ``ComposeError`` with everything that a group cannot be, each with file, line and key.
    public init(_ project: ComposeProject, read: (String) throws -> [UInt8]?) throws(ComposeError) {
        self.project = project
        var maker = ComposeGroupMaker(project)
        let made = maker.make(read)
        try maker.problems.check(project)
        (wish, services) = (made.wish, made.services)
        first = wish.containers.count
        warnings = maker.problems.sorted
    }

    /// Takes what is known of the image of a service.
    ///
    /// - Parameters:
    ///   - facts: What is known.
    ///   - index: Which service, of ``services``.
    /// - Throws: ``ComposeError`` where the service asks for what the image lacks.
    public mutating func take(_ facts: ImageFacts, for index: Int) throws(ComposeError) {
        var problems = ComposeProblems()
        let service = services[index]
        var container = index < first ? wish.containers[index] : wish.initContainers[index - first]
        container.image = facts.reference.description
        container.command = problems.command(service, facts.config.entrypoint ?? [])
        if container.liveness == nil, let own = facts.liveness {
            container.liveness = .probe(service.health.map { own.with($0) } ?? own)
        }
        if index < first { wish.containers[index] = container } else { wish.initContainers[index - first] = container }
        try problems.check(project)
    }

    /// Adds a setting of the group as a whole.
    ///
    /// - Parameter change: Changes the wish; containers and volumes are to stay.
    public mutating func set(_ change: (inout GroupWish) -> Void) { change(&wish) }
}

/// Collects what is said about a project when it is made for a target.
struct ComposeProblems {
    private(set) var list: [ComposeProblem] = []

    mutating func error(_ message: String, at place: ComposePlace, _ hint: String? = nil) {
        list.append(.init(.error, message, at: place, notes: hint.map { [$0] } ?? []))
    }

    mutating func warn(_ message: String, at place: ComposePlace, _ hint: String? = nil) {
        list.append(.init(.warning, message, at: place, notes: hint.map { [$0] } ?? []))
    }

    mutating func add(_ problems: [ComposeProblem]) { list += problems }

    var sorted: [ComposeProblem] { list.inOrder }

    func check(_ project: ComposeProject) throws(ComposeError) {
        guard list.contains(where: \.isError) else { return }
        throw ComposeError(problems: sorted, sources: project.sources)
    }

    /// The words that replace those of the image; `nil` where none do.
    mutating func command(_ service: ComposeService, _ entrypoint: [String]) -> [String]? {
        guard service.command != nil || service.entrypoint != nil else { return nil }
        let words = (service.entrypoint ?? entrypoint) + (service.command ?? [])
        if words.isEmpty {
            let key = service.node["entrypoint"] ?? service.node["command"] ?? service.node
            error("services.\(service.name) has no program to run", at: key.place)
        }
        return words
    }
}

extension Probe {
    /// The same probe with the times that a compose file gives it.
    func with(_ health: ComposeHealth) -> Probe {
        var probe = self
        probe.period = health.interval.map { max(1, $0) } ?? period
        probe.timeout = health.timeout.map { max(1, $0) } ?? timeout
        probe.delay = health.delay ?? delay
        probe.failures = health.retries.map { max(1, $0) } ?? failures
        return probe
    }
}

extension ImageFacts {
    /// The probe that HEALTHCHECK asks for, with Docker's times: every 30 s, for 30 s, three times; `nil` for none.
    public var liveness: Probe? {
        guard let words = defaults.probe, let check = config.healthcheck else { return nil }
        var probe = Probe(.command(words))
        let seconds = { (nanoseconds: Int64) -> Int? in
            nanoseconds > 0 ? max(1, Int((nanoseconds + 999_999_999) / 1_000_000_000)) : nil
        }
        (probe.period, probe.timeout) = (seconds(check.interval) ?? 30, seconds(check.timeout) ?? 30)
        (probe.delay, probe.failures) = (seconds(check.startPeriod), check.retries > 0 ? check.retries : 3)
        return probe
    }
}

/// Names of variables as secrets have them.
public enum SecretNames {
    /// Whether a variable is probably a secret.
    ///
    /// - Parameter name: Its name.
    /// - Returns: Whether it is.
    public static func looksSecret(_ name: String) -> Bool {
        let name = name.uppercased()
        return ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY", "CONNECTION_STRING"]
            .contains { name.contains($0) }
    }
}
