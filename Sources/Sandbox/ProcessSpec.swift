// SPDX-License-Identifier: Apache-2.0

/// One process to run in a root of its own: what it runs, as whom, and what it sees.
///
/// Plain values only: nothing is looked at or mounted before ``SandboxedProcess/start(_:isolation:output:)``.
public struct ProcessSpec: Sendable {
    /// Where the process finds its files.
    public enum Root: Sendable {
        /// A folder that holds them all; changes are made in it.
        case directory(String)
        /// Layers beneath an upper directory that takes the changes: `lower` lowest first, at most 500 of them and at
        /// least one; `work` is empty and lies on the same file system as `upper`. Mounted for the process alone.
        case overlay(lower: [String], upper: String, work: String)
    }

    /// Who the process runs as, by number.
    public struct User: Sendable, Hashable {
        /// The user.
        public var uid: UInt32
        /// The group.
        public var gid: UInt32
        /// The other groups, in order; may be empty.
        public var groups: [UInt32]

        /// Creates a user; root where nothing is given.
        ///
        /// - Parameters:
        ///   - uid: The user.
        ///   - gid: The group.
        ///   - groups: The other groups.
        public init(uid: UInt32 = 0, gid: UInt32 = 0, groups: [UInt32] = []) {
            (self.uid, self.gid, self.groups) = (uid, gid, groups)
        }
    }

    /// What the process can reach over the network.
    public enum Network: Sendable {
        /// The network of the machine; what BuildKit's `default` is for us too, who have no bridge.
        case host
        /// Only itself, over the loopback interface.
        case none
    }

    /// A name and its address, for `/etc/hosts`.
    public struct Host: Sendable, Hashable {
        /// The name.
        public var name: String
        /// Its address, as text.
        public var address: String

        /// Creates a line of `/etc/hosts`.
        ///
        /// - Parameters:
        ///   - name: The name.
        ///   - address: Its address.
        public init(name: String, address: String) { (self.name, self.address) = (name, address) }
    }

    /// A limit as `ulimit` sets it.
    public struct Limit: Sendable, Hashable {
        /// Its name, as Docker's `--ulimit` has it: `nofile`, `nproc`, `core` and so on.
        public var name: String
        /// The value that holds; `UInt64.max` is none.
        public var soft: UInt64
        /// The value up to which the process may raise it.
        public var hard: UInt64

        /// Creates a limit.
        ///
        /// - Parameters:
        ///   - name: As in `--ulimit`.
        ///   - soft: The value that holds.
        ///   - hard: The value up to which it may be raised.
        public init(name: String, soft: UInt64, hard: UInt64) {
            (self.name, self.soft, self.hard) = (name, soft, hard)
        }
    }

    /// Limits that need a control group; where none can be had, ``SandboxedProcess/notes`` says so.
    public struct Resources: Sendable, Hashable {
        /// Bytes of memory.
        public var memory: Int64?
        /// Bytes of memory and swap together; -1 for any.
        public var memoryAndSwap: Int64?
        /// Microseconds of processor time in each period.
        public var cpuQuota: Int64?
        /// The period in microseconds; 100,000 where only a quota is given.
        public var cpuPeriod: Int64?
        /// A share among others; 1,024 is the usual one.
        public var cpuShares: Int64?
        /// The processors to run on, as `0-2,4`.
        public var cpus: String?
        /// The memory nodes to use, as `0-1`.
        public var memoryNodes: String?
        /// How many processes and threads there may be at once: enough for any build, too few for a fork bomb.
        public var processes: Int64?

        /// Limits nothing but the number of processes.
        public init() { processes = 8_192 }
    }

    /// What the process reads.
    public enum Input: Sendable {
        /// Nothing: `/dev/null`.
        case null
        /// An open file of the caller, who closes it once the process was started.
        case descriptor(Int32)
    }

    /// Where the process finds its files.
    public var root: Root
    /// Whether nothing of the root can be changed (mounts above it can).
    public var isRootReadOnly = false
    /// The program and its arguments; a program without a slash is looked for in the environment's `PATH`.
    public var arguments: [String]
    /// The variables, as `NAME=value`; nothing of the caller's is added.
    public var environment: [String] = []
    /// Where the process starts; made where it is missing, as the user's own, with mode 0755.
    public var workingDirectory = "/"
    /// Who it runs as.
    public var user = User()
    /// What is mounted after `/proc`, `/sys` and `/dev`, in order; mount points are made where they are missing.
    public var mounts: [MountSpec] = []
    /// What it reaches over the network.
    public var network = Network.host
    /// The machine's name inside; the one that BuildKit gives.
    public var hostname = "buildkitsandbox"
    /// Names for `/etc/hosts`, besides localhost and the host's name.
    public var hosts: [Host] = []
    /// Whether `/etc/hostname` is mounted as well; BuildKit leaves it to the image, `docker run` does not.
    public var hasHostnameFile = false
    /// Whether it has all rights that the caller has: every capability, no filter of system calls, nothing masked.
    public var isInsecure = false
    /// Bytes of `/dev/shm`.
    public var sharedMemorySize: Int64 = 64 << 20
    /// Limits as by `ulimit`; the caller's hold where none is named.
    public var limits: [Limit] = []
    /// Limits that need a control group.
    public var resources = Resources()
    /// Devices of the machine that are added to `/dev`, by their paths there.
    public var devices: [String] = []
    /// Whether the process has a terminal of its own, tied to the caller's terminal (its standard input and output).
    public var hasTerminal = false
    /// Whether what is typed at the caller's terminal goes to that of the process.
    public var passesKeys = true
    /// What is typed at the process's terminal, in place of what is typed at the caller's; the caller closes it once the
    /// process was started.
    public var keys: Int32?
    /// The rows and columns of a terminal whose keys are ``keys``.
    public var terminalSize: (rows: UInt16, columns: UInt16) = (24, 80)
    /// What it reads, where it has no terminal.
    public var input = Input.null

    /// Creates a specification with the defaults of a build step.
    ///
    /// - Parameters:
    ///   - root: Where the process finds its files.
    ///   - arguments: The program and its arguments; not empty.
    public init(root: Root, arguments: [String]) {
        (self.root, self.arguments) = (root, arguments)
    }
}
