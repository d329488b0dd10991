// SPDX-License-Identifier: Apache-2.0
internal import Registry

/// What somebody wants of a container group; what is `nil` or empty was not mentioned, and stays as it is.
public struct GroupWish: Sendable {
    /// The region; that of the resource group where a new group names none.
    public var location: String?
    /// Tags to set; others stay.
    public var tags: [String: String] = [:]
    /// Availability zones.
    public var zones: [String]?
    /// `Always`, `OnFailure` or `Never`.
    public var restartPolicy: String?
    /// Whether the group has an address: in the world, in its network, or none.
    public var reach: Reach?
    /// The first part of the group's name in the world.
    public var dnsLabel: String?
    /// Who may take the label once it is free, as ARM names it: `TenantReuse`.
    public var dnsScope: String?
    /// The id of the subnet that the group lives in.
    public var subnet: String?
    /// `Standard`, `Confidential` or `Dedicated`.
    public var sku: String?
    /// `Regular` or `Spot`.
    public var priority: String?
    /// Whether the group gets an identity of its own.
    public var hasSystemIdentity = false
    /// The ids of identities that the group has; others stay.
    public var identities: [String] = []
    /// How images are pulled; credentials of other registries stay as long as an image needs them.
    public var credentials: [Credential] = []
    /// Volumes to make or to change; others stay.
    public var volumes: [Volume] = []
    /// Containers to make or to change; others stay.
    public var containers: [ContainerWish] = []
    /// The names of containers that go.
    public var removedContainers: [String] = []
    /// Containers that run before all others, one after the other: without ports, resources and probes.
    ///
    /// Where it is empty and the wish is not whole, what is there stays.
    public var initContainers: [ContainerWish] = []
    /// Whether the wish names everything: containers, what is in them and volumes that it does not mention go.
    public var isWhole = false

    /// Who reaches a group.
    public enum Reach: String, Sendable {
        /// Everybody.
        case world = "Public"
        /// The virtual network.
        case network = "Private"
        /// Nobody: the group has no open port.
        case nobody = "None"
    }

    /// How images of one registry are pulled.
    public enum Credential: Hashable, Sendable {
        /// With a name and a password: of the admin user, of a service principal, of a token.
        case password(server: String, user: String, SecureText)
        /// With an identity that the group has, by its id.
        case identity(server: String, id: String)

        /// The registry's host.
        public var server: String {
            switch self {
            case .password(let server, _, _), .identity(let server, _): server
            }
        }
    }

    /// A volume.
    public struct Volume: Hashable, Sendable {
        /// What is in it.
        public enum Content: Hashable, Sendable {
            /// A file share of a storage account; the key is asked for where it is `nil`.
            case share(name: String, account: String, key: SecureText?, isReadOnly: Bool)
            /// An empty folder.
            case empty
            /// Files by name, at most a few kilobytes each.
            case files([String: SecureText])
            /// A git repository.
            case repository(url: String, folder: String?, revision: String?)
        }

        /// Its name in the group.
        public let name: String
        /// What is in it.
        public let content: Content

        /// A volume.
        ///
        /// - Parameters:
        ///   - name: Its name in the group.
        ///   - content: What is in it.
        public init(name: String, content: Content) { (self.name, self.content) = (name, content) }

        /// A volume with files.
        ///
        /// - Parameters:
        ///   - name: Its name in the group.
        ///   - files: What is in each, by its name.
        public init(name: String, files: [String: [UInt8]]) {
            self.init(name: name, content: .files(files.mapValues { SecureText(Base64.encode($0)) }))
        }
    }

    /// Asks for nothing.
    public init() {}
}

/// What somebody wants of one container; what is `nil` or empty was not mentioned, and stays as it is.
public struct ContainerWish: Sendable {
    /// Its name in the group; `nil` for the one called like the group, else the first.
    public var name: String?
    /// The image, by its digest.
    public var image: String?
    /// The program and its arguments; empty for those of the image.
    public var command: [String]?
    /// The ports that it listens on.
    public var ports: [ContainerGroup.Port]?
    /// Variables to set, in order; others stay.
    public var environment: [Variable] = []
    /// Variables to remove.
    public var removedVariables: [String] = []
    /// Processors that are kept for it.
    public var cpu: Double?
    /// Gigabytes of memory that are kept for it.
    public var memory: Double?
    /// The most processors that it may use.
    public var cpuLimit: Double?
    /// The most gigabytes of memory that it may use.
    public var memoryLimit: Double?
    /// Volumes to mount; others stay.
    public var mounts: [Mount] = []
    /// How to see that it works; it is started again where it does not.
    public var liveness: ProbeWish?
    /// How to see that it is ready; until then no request reaches it.
    public var readiness: ProbeWish?
    /// What a new container has where nothing else is said: from the image.
    public var defaults = Defaults()

    /// What a new container has where nothing else is said.
    public struct Defaults: Sendable {
        /// EXPOSE.
        public var ports: [ContainerGroup.Port] = []
        /// HEALTHCHECK.
        public var liveness: Probe?

        /// Nothing.
        public init() {}
    }

    /// A variable.
    public struct Variable: Hashable, Sendable {
        /// What it is.
        public enum Value: Hashable, Sendable {
            /// Everybody who reads the group sees it.
            case plain(String)
            /// Nobody sees it.
            case secure(SecureText)
        }

        /// Its name.
        public let name: String
        /// What it is.
        public let value: Value

        /// A variable.
        ///
        /// - Parameters:
        ///   - name: Its name.
        ///   - value: What it is.
        public init(_ name: String, _ value: Value) { (self.name, self.value) = (name, value) }
    }

    /// A volume in a container.
    public struct Mount: Hashable, Sendable {
        /// The volume's name.
        public let volume: String
        /// Where it is, an absolute path.
        public let path: String
        /// Whether it cannot be changed.
        public let isReadOnly: Bool

        /// A volume in a container.
        ///
        /// - Parameters:
        ///   - volume: The volume's name.
        ///   - path: Where it is.
        ///   - isReadOnly: Whether it cannot be changed.
        public init(volume: String, path: String, isReadOnly: Bool = false) {
            (self.volume, self.path, self.isReadOnly) = (volume, path, isReadOnly)
        }
    }

    /// A probe, or none.
    public enum ProbeWish: Hashable, Sendable {
        /// There is none.
        case none
        /// There is this one.
        case probe(Probe)
    }

    /// Asks for nothing.
    public init() {}
}

/// How to see that a container works; times in seconds, `nil` for Azure's default.
public struct Probe: Hashable, Sendable {
    /// What is done.
    public enum Check: Hashable, Sendable {
        /// A program is run; it ends with 0 where all is well.
        case command([String])
        /// A path is asked for; it answers with 200 to 399 where all is well.
        case http(path: String, port: Int, isSecure: Bool)
    }

    /// What is done.
    public var check: Check
    /// How long after the start the first is done.
    public var delay: Int?
    /// The time between two.
    public var period: Int?
    /// How long one may take.
    public var timeout: Int?
    /// How many must fail in a row.
    public var failures: Int?

    /// A probe with Azure's defaults.
    ///
    /// - Parameter check: What is done.
    public init(_ check: Check) { self.check = check }
}
