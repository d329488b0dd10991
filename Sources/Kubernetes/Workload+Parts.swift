// SPDX-License-Identifier: Apache-2.0
public import OCI

extension Workload {
    /// What containers can mount.
    public struct Volume: Hashable, Sendable {
        /// What is in it.
        public enum Content: Hashable, Sendable {
            /// Nothing; it goes with the pod. In memory where that is said; at most so much (`64Mi`).
            case empty(isInMemory: Bool, limit: String?)
            /// The members of a ConfigMap as files: all, or these by their key and path.
            case config(name: String, items: [String: String], mode: Int?)
            /// The members of a Secret as files: all, or these by their key and path.
            case secret(name: String, items: [String: String], mode: Int?)
            /// A PersistentVolumeClaim.
            case claim(name: String, isReadOnly: Bool)
            /// A share of Azure Files; the Secret has `azurestorageaccountname` and `azurestorageaccountkey`.
            case azureFile(share: String, secret: String, isReadOnly: Bool)
            /// What a driver of the cluster gives, with its attributes.
            case driver(name: String, isReadOnly: Bool, attributes: [String: String])
        }

        /// What it is called: a DNS label.
        public var name: String
        /// What is in it.
        public var content: Content

        /// A volume.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - content: What is in it.
        public init(_ name: String, _ content: Content) { (self.name, self.content) = (name, content) }
    }

    /// A ConfigMap.
    public struct ConfigFiles: Hashable, Sendable {
        /// What it is called.
        public var name: String
        /// Its members; those that are no text in UTF-8 are kept as Base64.
        public var files: [String: [UInt8]]

        /// A ConfigMap.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - files: Its members.
        public init(_ name: String, files: [String: [UInt8]]) { (self.name, self.files) = (name, files) }
    }

    /// A Secret; no message and no dump of it shows what is in it.
    public struct SecretFiles: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
        CustomReflectable
    {
        /// What it is called.
        public var name: String
        /// `Opaque`, or what Kubernetes calls a well-known form.
        public var type: String
        /// Its members.
        public var files: [String: [UInt8]]

        /// A Secret.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - files: Its members.
        ///   - type: Its form.
        public init(_ name: String, files: [String: [UInt8]], type: String = "Opaque") {
            (self.name, self.type, self.files) = (name, type, files)
        }

        /// A Secret that images are pulled with: `.dockerconfigjson` with one registry.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - registry: The registry's host, with its port where it has one.
        ///   - user: The user.
        ///   - password: The password.
        public init(pulling name: String, from registry: String, user: String, password: String) {
            let auth = ObjectManifest.base64(Array("\(user):\(password)".utf8))
            let login: JSONValue = [
                "username": .string(user), "password": .string(password), "auth": .string(auth),
            ]
            let json: JSONValue = ["auths": .object([registry: login])]
            self.init(
                name,
                files: [".dockerconfigjson": Array(json.canonical.utf8)],
                type: "kubernetes.io/dockerconfigjson"
            )
        }

        /// Its name and the names of its members.
        public var description: String { "Secret \(name) (\(files.keys.sorted().joined(separator: ", ")))" }
        /// Its name and the names of its members.
        public var debugDescription: String { description }
        /// Nothing.
        public var customMirror: Mirror { Mirror(self, children: []) }
    }

    /// A PersistentVolumeClaim.
    public struct Claim: Hashable, Sendable {
        /// What it is called.
        public var name: String
        /// How much: `10Gi`.
        public var size: String
        /// The class of storage; `nil` for the cluster's default.
        public var storageClass: String?
        /// `ReadWriteOnce`, `ReadWriteMany`, `ReadOnlyMany` or `ReadWriteOncePod`.
        public var access: String

        /// A claim.
        ///
        /// - Parameters:
        ///   - name: What it is called.
        ///   - size: How much.
        ///   - storageClass: The class of storage.
        ///   - access: Who may have it at once.
        public init(_ name: String, size: String, storageClass: String? = nil, access: String = "ReadWriteOnce") {
            (self.name, self.size, self.storageClass, self.access) = (name, size, storageClass, access)
        }
    }

    /// What holds for a pod as a whole.
    public struct Pod: Sendable {
        /// The user's number; `nil` for each image's.
        public var user: Int?
        /// The group's number; `nil` for each image's.
        public var group: Int?
        /// The group that volumes belong to; `nil` for none.
        public var volumeGroup: Int?
        /// Whether root is refused.
        public var refusesRoot = false
        /// Settings of the kernel, by name.
        public var sysctls: [String: String] = [:]
        /// Labels that nodes must have.
        public var nodes: [String: String] = [:]
        /// Taints of nodes that it takes: `key=value:Effect`, `key:Effect`.
        public var tolerations: [String] = []
        /// The service account; `nil` for the namespace's default, without its token.
        public var account: String?
        /// Seconds from the signal that ends it until it is killed; `nil` for the cluster's 30.
        public var grace: Int?
        /// What it calls itself; `nil` for the pod's name.
        public var hostname: String?
        /// Names that it knows, and their addresses.
        public var hosts: [String: String] = [:]
        /// Servers of names that it asks; empty for the cluster's.
        public var nameservers: [String] = []
        /// Domains that names are looked for in; empty for the cluster's.
        public var searchDomains: [String] = []
        /// Options of the resolver: `ndots:2`; empty for the cluster's.
        public var resolverOptions: [String] = []
        /// Whether its processes see one another.
        public var sharesProcesses = false

        /// As the cluster has it.
        public init() {}
    }

    /// A Service.
    public struct Service: Hashable, Sendable {
        /// Who reaches it.
        public enum Reach: String, Sendable, CaseIterable {
            /// The cluster.
            case cluster
            /// The virtual network.
            case `private`
            /// Everybody.
            case `public`
        }

        /// What it is called; `nil` for the workload's name.
        public var name: String?
        /// Who reaches it.
        public var reach: Reach
        /// The first part of its name in the world, `LABEL.REGION.cloudapp.azure.com`; `nil` for none.
        public var dnsLabel: String?
        /// Further annotations.
        public var annotations: [String: String] = [:]

        /// A Service.
        ///
        /// - Parameter reach: Who reaches it.
        public init(_ reach: Reach = .cluster) { self.reach = reach }
    }

    /// An Ingress.
    public struct Ingress: Hashable, Sendable {
        /// A host and a path of it.
        public struct Rule: Hashable, Sendable {
            /// The host; `nil` for any.
            public var host: String?
            /// Where paths begin.
            public var path: String

            /// A rule.
            ///
            /// - Parameters:
            ///   - host: The host.
            ///   - path: Where paths begin.
            public init(host: String?, path: String = "/") { (self.host, self.path) = (host, path) }
        }

        /// What it answers to; at least one.
        public var rules: [Rule]
        /// Which controller serves it; `nil` for the cluster's default.
        public var className: String?
        /// The Secret with the certificate of all its hosts; `nil` for none.
        public var certificate: String?
        /// The port of the Service, by name or number; `nil` for the first.
        public var port: String?
        /// Annotations, which controllers read.
        public var annotations: [String: String] = [:]

        /// An Ingress.
        ///
        /// - Parameter rules: What it answers to.
        public init(_ rules: [Rule]) { self.rules = rules }
    }

    /// How many pods there are, by their load.
    public struct Autoscaling: Hashable, Sendable {
        /// The fewest.
        public var minimum: Int
        /// The most.
        public var maximum: Int
        /// The share of the processors kept for a pod that it should use on average, in percent; `nil` for no say.
        public var cpu: Int?
        /// The share of the memory kept for a pod that it should use on average, in percent; `nil` for no say.
        public var memory: Int?

        /// Numbers of pods.
        ///
        /// - Parameters:
        ///   - minimum: The fewest.
        ///   - maximum: The most.
        ///   - cpu: The share of processors, in percent.
        ///   - memory: The share of memory, in percent.
        public init(_ minimum: Int, _ maximum: Int, cpu: Int? = 80, memory: Int? = nil) {
            (self.minimum, self.maximum, self.cpu, self.memory) = (minimum, maximum, cpu, memory)
        }
    }
}
