// SPDX-License-Identifier: Apache-2.0
public import BuildPlan
internal import DockerfileSyntax
public import Sandbox
internal import Synchronization

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

    /// What the user was told of how commands are kept apart; the builds of all platforms share it.
    let told = ToldNotes()

    /// Nothing given and nothing allowed.
    public init() {}

    /// Refuses a plan with commands that ask for what they are not allowed, or cannot have.
    ///
    /// - Parameter plan: The plan.
    /// - Throws: ``BuildError`` which points to the first such command.
    public func check(_ plan: Plan) throws(BuildError) {
        for step in plan.steps {
            if case .run(let run) = step.action { try check(run, step) }
        }
    }

    func check(_ run: RunAction, _ step: Step) throws(BuildError) {
        if run.security == "insecure", !allowsInsecure {
            throw BuildError(
                "RUN --security=insecure gives the command every right, and this build does not allow it",
                at: step.range,
                notes: ["allow it with --allow security.insecure, where you trust the Dockerfile"]
            )
        }
        if let device = run.devices.first(where: { $0.isRequired }) {
            throw BuildError("the device \"\(device.name)\" is not here: coracle knows no CDI devices", at: step.range)
        }
    }
}

/// Texts that were told once, which the lock protects.
final class ToldNotes: Sendable {
    private let texts = Mutex<Set<String>>([])

    /// Whether a text is told for the first time.
    func isNew(_ text: String) -> Bool { texts.withLock { $0.insert(text).inserted } }
}
