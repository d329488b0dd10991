// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax

/// Several services as compose files describe them: read, merged and checked, not yet for any target.
///
/// Specification: compose-spec (compose-spec.io), without what ``read(_:)`` refuses.
public struct ComposeProject: Sendable {
    /// The project's name: letters, digits, `-` and `_`.
    public let name: String
    /// The services that are wanted, those that others depend on first.
    public let services: [ComposeService]
    /// The files that it was read from; places point into them.
    public let sources: [SourceText]
    /// What is doubtful, in the order of its places.
    public let warnings: [ComposeProblem]

    let volumes: [String: ComposeVolume]
    let configs: [String: ComposeContent]
    let secrets: [String: ComposeContent]
    /// Variables of the process and of `.env`.
    let variables: [String: String]
    /// The whole tree, of wanted services only.
    let tree: ComposeNode
    /// The folder that paths in each file start from.
    let folders: [String]

    /// Reads a project.
    ///
    /// - Parameter input: Its files, and what they may ask for.
    /// - Returns: The project.
    /// - Throws: ``ComposeError`` with all that is wrong, each with file, line and key.
    public static func read(_ input: ComposeInput) throws(ComposeError) -> ComposeProject {
        var loader = ComposeLoader(input)
        let tree = try loader.load()
        let reader = ComposeReader(input: input, report: loader.report, variables: loader.variables, tree: tree)
        let project = reader.project()
        try loader.report.check()
        return project
    }

    /// A path that the files name, as seen from here.
    func path(_ node: ComposeNode) -> String {
        ComposePath.join(folders[node.place.source], node.text ?? "", home: variables["HOME"])
    }

    /// What a project says of settings of a target at its top: `x-aci` or `x-aks`, names and texts.
    ///
    /// - Parameter key: `x-aci` or `x-aks`.
    /// - Returns: Each setting in its order, one text or several, and where it is.
    public func settings(_ key: String) -> [(name: String, values: [String], place: ComposePlace)] {
        (tree[key]?.map ?? []).map { ($0.key, $0.value.texts.compactMap(\.text), $0.place) }
    }
}

/// One service.
public struct ComposeService: Sendable {
    /// Its name.
    public let name: String
    /// Where its name is.
    public let place: ComposePlace
    /// The image that it runs, or what the one that is built is called; `nil` where it has no name.
    public let image: String?
    /// How its image is built; `nil` where it is one of a registry.
    public let build: ComposeBuild?

    /// What it has to run on: `linux/arm64`; `nil` where nothing is said.
    public var platform: String? { node["platform"]?.text.flatMap { $0.contains("/") ? $0 : nil } }
    /// The services that have to be there first.
    public var needs: [String] { dependencies.map(\.name) }

    let node: ComposeNode
    /// `nil` for that of the image; empty for none.
    var command: [String]?
    var entrypoint: [String]?
    var environment: [Variable] = []
    var ports: [ComposePort] = []
    /// What only other services reach: `80`, `53/udp`.
    var expose: [ComposePort] = []
    var health: ComposeHealth?
    var mounts: [ComposeMount] = []
    var configs: [ComposeGrant] = []
    var secrets: [ComposeGrant] = []
    var dependencies: [Dependency] = []
    /// Processors and bytes.
    var cpuLimit: Double?
    var cpu: Double?
    var memoryLimit: Double?
    var memory: Double?
    /// How often it runs at once.
    var replicas: Int?
    /// `no`, `always`, `on-failure` or `unless-stopped`, and where it says so.
    var restart: (policy: String, node: ComposeNode)?

    /// A variable that its containers have.
    struct Variable: Hashable, Sendable {
        let name: String
        let value: String
        let place: ComposePlace
    }

    /// A service that has to be there first.
    struct Dependency: Hashable, Sendable {
        let name: String
        let condition: String
        let place: ComposePlace
    }

    init(_ name: String, _ node: ComposeNode, place: ComposePlace, build: ComposeBuild?) {
        (self.name, self.node, self.place, self.build) = (name, node, place, build)
        image = node["image"]?.text
    }
}

/// How the image of a service is built; two that are equal give one image.
public struct ComposeBuild: Hashable, Sendable {
    /// The context: a folder as a path from here, or a URL.
    public var context: String
    /// The Dockerfile, as `--file` has it; `nil` for that of the context.
    public var dockerfile: String?
    /// The text of the Dockerfile, where the compose file holds it.
    public var inline: String?
    /// The stage; `nil` for the last one.
    public var target: String?
    /// Arguments, `NAME=value`.
    public var arguments: [String] = []
    /// Further contexts, `NAME=PLACE`.
    public var contexts: [String] = []
    /// Labels, `NAME=value`.
    public var labels: [String] = []
    /// `linux/amd64`; empty for that of the target.
    public var platforms: [String] = []
    /// As `--secret` has them.
    public var secrets: [String] = []
    /// As `--ssh` has them.
    public var agents: [String] = []
    /// As `--network` has it.
    public var network: String?
    /// As `--add-host` has them.
    public var hosts: [String] = []
    /// As `--cache-from` has them.
    public var cachesFrom: [String] = []
    /// As `--cache-to` has them.
    public var cachesTo: [String] = []
    /// As `--shm-size` has it.
    public var sharedMemory: String?
    /// As `--ulimit` has them.
    public var limits: [String] = []
    /// As `--allow` has them.
    public var allowed: [String] = []
    /// Further names for the image.
    public var tags: [String] = []
    /// Whether the cache is not looked at.
    public var ignoresCache = false
    /// Whether registries are asked for base images that are here.
    public var pulls = false

    init(context: String) { self.context = context }
}

/// A port of a service.
struct ComposePort: Hashable, Sendable {
    let target: Int
    /// `nil` where any will do.
    var published: Int?
    /// The address that it is published at; `nil` for all.
    var address: String?
    var isUDP = false
    var name: String?
    var isSecure = false
    let place: ComposePlace
    let path: String

    var text: String { "\(target)" + (isUDP ? "/udp" : "") }

    /// Whether only the machine itself would reach it.
    var isLoopback: Bool { address.map { $0.hasPrefix("127.") || $0 == "::1" || $0 == "localhost" } ?? false }
}

/// How to see that a service works.
struct ComposeHealth: Hashable, Sendable {
    /// The words of the program; `nil` for those of the image.
    var test: [String]?
    var isOff = false
    /// In seconds, rounded up; `nil` for what the image says.
    var interval: Int?
    var timeout: Int?
    var delay: Int?
    var retries: Int?
}

/// Something that is mounted into a service.
struct ComposeMount: Hashable, Sendable {
    enum Kind: String, Sendable {
        case volume, bind, tmpfs, image, npipe, cluster
    }

    var kind: Kind
    /// `nil` for a volume without a name.
    var source: String?
    var target: String
    var isReadOnly = false
    var part: String?
    /// Bytes, of a tmpfs.
    var size: Double?
    let place: ComposePlace
    let path: String
}

/// A config or secret that a service gets as a file.
struct ComposeGrant: Hashable, Sendable {
    let source: String
    /// An absolute path.
    let target: String
    /// Permissions as a number; `nil` where nothing is said.
    let mode: Int?
    let place: ComposePlace
    let path: String
}

/// A config or secret.
struct ComposeContent: Sendable {
    let node: ComposeNode
    let place: ComposePlace
    let isExternal: Bool
    /// What it is called at the target.
    let name: String
}

/// A volume with a name.
struct ComposeVolume: Sendable {
    let node: ComposeNode
    let place: ComposePlace
    let isExternal: Bool
    let name: String
    let driver: String?
    let options: [String: String]
}
