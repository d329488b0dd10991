// SPDX-License-Identifier: Apache-2.0
public import Sandbox

/// What commands of a build are given, and what they are allowed.
public struct RunSettings: Sendable {
    /// How commands are kept apart from the machine; `nil` where none can be run.
    public var isolation: Isolation?
    /// How many commands run at the same time.
    public var width = 1
    /// Gives the value of a secret; `nil` where there is none of that id.
    ///
    /// Throws where it cannot be read.
    public var secret: @Sendable (_ id: String) throws -> [UInt8]? = { _ in nil }
    /// The sockets of SSH agents, by id.
    public var agents: [String: String] = [:]
    /// The network of commands that ask for none: `default`, `host` or `none`.
    public var network = "default"
    /// Further names in `/etc/hosts`, each with its address.
    public var hosts: [ProcessSpec.Host] = []
    /// The name of the machine that commands see; `nil` for BuildKit's.
    public var hostname: String?
    /// Whether `RUN --security=insecure` is allowed.
    public var allowsInsecure = false
    /// Bytes of `/dev/shm`.
    public var sharedMemory: Int64 = 64 << 20
    /// Limits of processes.
    public var limits: [ProcessSpec.Limit] = []
    /// What a command may use of the machine.
    public var resources = ProcessSpec.Resources()
    /// The folder that logs are kept in.
    public var logs = ""
    /// Whether roots can be overlays; else every command gets a copy of the files.
    public var mountsOverlays = true
    /// Whether a shell is opened, on the terminal, in the state before a command that fails.
    public var opensShell = false

    /// Nothing given and nothing allowed.
    public init() {}
}
