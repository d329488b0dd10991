// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax

/// Where a project runs.
public enum ComposeTarget: String, Sendable, CaseIterable {
    /// One container group of Azure Container Instances.
    case aci
    /// A Deployment for each service, on a Kubernetes cluster.
    case aks

    /// What messages call it.
    public var name: String { self == .aci ? "a container group" : "Kubernetes" }
}

/// What becomes of a key at a target.
enum ComposeFate: Sendable {
    /// The target does it, or it is read by Coracle; what of it the target cannot do is said where it is.
    case expressed
    /// The target does without, and nothing breaks: why.
    case harmless(String)
    /// The target cannot do it, and something would break: why, and what to do.
    case refused(String, String? = nil)
}

/// A key of compose files, and what becomes of it at each target: the table of docs/compose.md.
struct ComposeKey: Sendable {
    /// `services.*.cap_add`; `*` for names that people choose.
    let path: String
    let aci: ComposeFate
    let aks: ComposeFate

    init(_ path: String, _ aci: ComposeFate, _ aks: ComposeFate) { (self.path, self.aci, self.aks) = (path, aci, aks) }

    init(_ path: String, both: ComposeFate) { self.init(path, both, both) }

    func fate(_ target: ComposeTarget) -> ComposeFate { target == .aci ? aci : aks }
}

/// Says what of a project a target does not do.
struct ComposeFit {
    let target: ComposeTarget
    private let keys: [String: ComposeKey]

    init(_ target: ComposeTarget) {
        self.target = target
        keys = Dictionary(ComposeKey.all.map { ($0.path, $0) }) { $1 }
    }

    /// All that is refused or left out, in the order of the tree.
    func problems(_ project: ComposeProject) -> [ComposeProblem] {
        var problems: [ComposeProblem] = []
        for entry in project.tree.map ?? [] { look(entry, entry.key, &problems) }
        return problems
    }

    private static let named: Set<String> = [
        "services", "networks", "volumes", "configs", "secrets", "models", "services.*.networks",
        "services.*.depends_on",
    ]

    private func look(_ entry: ComposeNode.Entry, _ pattern: String, _ problems: inout [ComposeProblem]) {
        guard !entry.key.hasPrefix("x-") else { return }
        if let key = keys[pattern] {
            guard !isUsual(entry.value, pattern) else { return }
            switch key.fate(target) {
            case .expressed: break
            case .harmless(let why):
                problems.append(.init(.warning, "\(entry.value.path) is left out: \(why)", at: entry.place))
                return
            case .refused(let why, let hint):
                problems.append(
                    .init(.error, "\(entry.value.path): \(why)", at: entry.place, notes: hint.map { [$0] } ?? [])
                )
                return
            }
        }
        let isNamed = ComposeFit.named.contains(pattern)
        for inner in entry.value.map ?? [] { look(inner, "\(pattern).\(isNamed ? "*" : inner.key)", &problems) }
        for element in entry.value.list ?? [] {
            for inner in element.map ?? [] { look(inner, "\(pattern)[].\(inner.key)", &problems) }
        }
    }

    /// Whether a value says what would be anyway.
    private func isUsual(_ node: ComposeNode, _ pattern: String) -> Bool {
        if node.saysNothing { return !["services.*.networks", "services.*.build"].contains(pattern) }
        let text = node.text?.lowercased()
        return ComposeFit.usual[pattern].map { words in text.map { words.contains($0) } ?? false } ?? false
    }

    private static let usual: [String: [String]] = [
        "services.*.attach": ["true"], "services.*.ipc": ["private", "shareable", "none"],
        "services.*.cgroup": ["private"], "services.*.network_mode": ["bridge", "default"],
        "services.*.isolation": ["default"],
        "services.*.pull_policy": ["always", "missing", "if_not_present", "build"],
        "services.*.runtime": ["runc", "io.containerd.runc.v2"],
        "services.*.deploy.mode": ["replicated"], "services.*.deploy.endpoint_mode": ["vip"],
        "services.*.pids_limit": ["-1"], "services.*.memswap_limit": ["0", "-1"],
        "services.*.stop_signal": ["sigterm", "15"], "volumes.*.driver": ["local", "default"],
        "services.*.logging.driver": ["json-file", "local"],
        "services.*.ports[].mode": ["ingress"], "services.*.secrets[].uid": ["0"], "services.*.secrets[].gid": ["0"],
        "services.*.configs[].uid": ["0"], "services.*.configs[].gid": ["0"],
        "networks.*.driver": ["bridge", "overlay", "default"],
    ]
}

extension ComposeProject {
    /// What a target leaves out, does otherwise or cannot do, as far as it is known without images.
    ///
    /// - Parameters:
    ///   - target: Where it would run.
    ///   - read: Gives the bytes of a file; `nil` where there is none.
    /// - Returns: What is doubtful, in the order of its places.
    /// - Throws: ``ComposeError`` where it cannot run there.
    public func problems(
        for target: ComposeTarget,
        read: (String) throws -> [UInt8]?
    ) throws(ComposeError) -> [ComposeProblem] {
        switch target {
        case .aci: return try ComposeGroup(self, read: read).warnings
        case .aks: return try ComposeWorkloads(self, read: read).warnings
        }
    }
}
