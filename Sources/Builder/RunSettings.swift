// SPDX-License-Identifier: Apache-2.0
public import Sandbox

/// How commands are kept apart from the machine.
public struct RunPlace: Sendable {
    /// By what.
    public let isolation: Isolation
    /// Whether roots can be overlays; else every command gets a copy of the files.
    public let mountsOverlays: Bool

    /// Describes a place.
    ///
    /// - Parameters:
    ///   - isolation: By what commands are kept apart.
    ///   - mountsOverlays: Whether roots can be overlays.
    public init(_ isolation: Isolation, mountsOverlays: Bool) {
        (self.isolation, self.mountsOverlays) = (isolation, mountsOverlays)
    }
}

/// What commands of a build are given, and what they are allowed.
public struct RunSettings: Sendable {
    /// Says how commands are kept apart; `nil` where none can be run.
    ///
    /// The first command that runs asks, as finding out takes a process. What the user should know is given to `note`
    /// once, not before there is a `note`.
    public var place: (@Sendable (_ note: ((String) -> Void)?) throws -> RunPlace)?
    /// How many commands run at the same time.
    public var width = 1
    /// Gives the value of a secret, or `nil` where there is none of that id; throws where it cannot be read.
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
    /// Whether a shell is opened, on the terminal, in the state before a command that fails.
    public var opensShell = false

    /// Nothing given and nothing allowed.
    public init() {}
}
