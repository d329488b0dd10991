// SPDX-License-Identifier: Apache-2.0

extension Workload {
    /// A container of a pod.
    public struct Container: Sendable {
        /// What it is called: a DNS label.
        public var name: String
        /// What it is made of, by its digest where that is known.
        public var image: String
        /// The program, in place of the image's ENTRYPOINT; `nil` for that one.
        public var command: [String]?
        /// The arguments, in place of the image's CMD; `nil` for these.
        public var arguments: [String]?
        /// The working directory; `nil` for the image's.
        public var workingDirectory: String?
        /// What it listens on.
        public var ports: [Port] = []
        /// Its variables, in order; each is named once.
        public var environment: [Variable] = []
        /// ConfigMaps and Secrets whose members all become variables.
        public var environmentSources: [EnvironmentSource] = []
        /// What it needs and may use.
        public var resources = Resources()
        /// How to see that it has started.
        public var startup: Probe?
        /// How to see that it still works; it is started again where it does not.
        public var liveness: Probe?
        /// How to see that it can be asked; it is not while it cannot.
        public var readiness: Probe?
        /// What it may do.
        public var security = Security()
        /// What it sees of volumes.
        public var mounts: [Mount] = []
        /// Whether it has a terminal.
        public var hasTerminal = false
        /// Whether its standard input stays open.
        public var hasInput = false
        /// How many seconds it goes on before it is told to end, for balancers that have not heard yet; `nil` for none.
        public var drain: Int?

        /// A container.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - image: What it is made of.
        public init(_ name: String, image: String) { (self.name, self.image) = (name, image) }
    }

    /// A port that a container listens on.
    public struct Port: Hashable, Sendable {
        /// What it is called: at most 15 lowercase letters, digits and dashes (an IANA service name).
        public var name: String
        /// Its number.
        public var number: Int
        /// TCP, UDP or SCTP.
        public var transport: String
        /// Its number at the Service; `nil` for the same, 0 where the Service does not have it.
        public var servicePort: Int?

        /// A port.
        ///
        /// - Parameters:
        ///   - number: Its number.
        ///   - transport: TCP, UDP or SCTP.
        ///   - name: What it is called; `nil` for a name by what the port usually is.
        ///   - servicePort: Its number at the Service; `nil` for the same.
        public init(_ number: Int, _ transport: String = "TCP", name: String? = nil, servicePort: Int? = nil) {
            (self.number, self.transport, self.servicePort) = (number, transport, servicePort)
            self.name = name ?? Port.usualName(number, transport)
        }

        static func usualName(_ number: Int, _ transport: String) -> String {
            guard transport == "TCP" else { return "\(transport.lowercased())-\(number)" }
            switch number {
            case 80, 3000, 5000, 8000, 8080: return number == 80 || number == 8080 ? "http" : "http-\(number)"
            case 443, 8443: return "https"
            default: return "tcp-\(number)"
            }
        }
    }

    /// A variable of a container.
    public struct Variable: Hashable, Sendable {
        /// Where its value is.
        public enum Value: Hashable, Sendable {
            /// In the manifest, for everybody to read.
            case plain(String)
            /// In a Secret.
            case secret(name: String, key: String)
            /// In a ConfigMap.
            case config(name: String, key: String)
            /// In the pod itself: `metadata.name`, `status.podIP`.
            case field(String)
        }

        /// What it is called.
        public var name: String
        /// Where its value is.
        public var value: Value

        /// A variable.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - value: Where its value is.
        public init(_ name: String, _ value: Value) { (self.name, self.value) = (name, value) }
    }

    /// Something whose members all become variables.
    public struct EnvironmentSource: Hashable, Sendable {
        /// What it is.
        public enum Kind: String, Sendable {
            /// A ConfigMap.
            case config
            /// A Secret.
            case secret
        }

        /// What it is.
        public var kind: Kind
        /// What it is called.
        public var name: String
        /// What goes before each name; empty for nothing.
        public var prefix: String

        /// A source.
        ///
        /// - Parameters:
        ///   - kind: What it is.
        ///   - name: What it is called.
        ///   - prefix: What goes before each name.
        public init(_ kind: Kind, _ name: String, prefix: String = "") {
            (self.kind, self.name, self.prefix) = (kind, name, prefix)
        }
    }

    /// What a container needs and may use, as Kubernetes writes quantities (`250m`, `512Mi`); `nil` for no say.
    public struct Resources: Hashable, Sendable {
        /// Processors kept for it.
        public var cpu: String?
        /// Memory kept for it.
        public var memory: String?
        /// The most processors that it may use; a limit slows it down even where others idle.
        public var cpuLimit: String?
        /// The most memory that it may use; it is killed above.
        public var memoryLimit: String?
        /// Further resources kept for it, which are limits as well: `nvidia.com/gpu`.
        public var further: [String: String] = [:]

        /// No say.
        public init() {}
    }

    /// How to see that a container works; `nil` for Kubernetes' own numbers.
    public struct Probe: Hashable, Sendable {
        /// What is tried.
        public enum Check: Hashable, Sendable {
            /// A command in the container ends with 0.
            case command([String])
            /// A request is answered with a status from 200 to 399; the port by number or name.
            case http(path: String, port: String, isSecure: Bool)
            /// A connection is taken; the port by number or name.
            case connection(port: String)
            /// The health service of gRPC answers.
            case grpc(port: Int, service: String?)
        }

        /// What is tried.
        public var check: Check
        /// Seconds until the first try.
        public var delay: Int?
        /// Seconds from one try to the next.
        public var period: Int?
        /// Seconds that a try may take.
        public var timeout: Int?
        /// How many tries in a row must fail.
        public var failures: Int?

        /// A probe.
        ///
        /// - Parameter check: What is tried.
        public init(_ check: Check) { self.check = check }
    }

    /// What a container may do.
    public struct Security: Hashable, Sendable {
        /// The user's number; `nil` for the pod's, else the image's.
        public var user: Int?
        /// The group's number; `nil` for the pod's, else the image's.
        public var group: Int?
        /// Whether root is refused; `nil` for the pod's.
        public var refusesRoot: Bool?
        /// Whether the root file system can only be read.
        public var hasReadOnlyRoot = false
        /// Capabilities that it is given after ``drops`` are taken away, without `CAP_`.
        public var adds: [String] = []
        /// Capabilities that are taken away, without `CAP_`.
        public var drops: [String] = ["ALL"]
        /// Whether it may become more than it is, as `sudo` does.
        public var mayGainRights = false
        /// Whether it may do everything that the node may.
        public var isPrivileged = false

        /// Nothing but what every program needs.
        public init() {}
    }

    /// A volume as a container sees it.
    public struct Mount: Hashable, Sendable {
        /// The volume's name.
        public var volume: String
        /// Where it is, from `/`.
        public var path: String
        /// The part of it that is seen; `nil` for all.
        public var part: String?
        /// Whether it can only be read.
        public var isReadOnly: Bool

        /// A mount.
        ///
        /// - Parameters:
        ///   - volume: The volume's name.
        ///   - path: Where it is.
        ///   - part: The part of it that is seen.
        ///   - isReadOnly: Whether it can only be read.
        public init(_ volume: String, at path: String, part: String? = nil, isReadOnly: Bool = false) {
            (self.volume, self.path, self.part, self.isReadOnly) = (volume, path, part, isReadOnly)
        }
    }
}
