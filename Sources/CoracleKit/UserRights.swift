// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Sandbox
internal import Synchronization

/// What the person who runs a command may do on this machine.
public enum UserRights {
    /// Verbs that make or remove files of images, which belong to many users.
    private static let verbs: Set<String> = [
        "build", "run", "stop", "doctor", "prune", "rm", "du", "up", "deploy", "diff",
    ]

    /// Goes into a user namespace where an ordinary user runs a verb that needs one; called while the process has one
    /// thread.
    ///
    /// Where that is refused the command goes on without, and a step that needs it says so.
    ///
    /// - Parameter arguments: The arguments of the process.
    public static func prepare(_ arguments: [String]) {
        guard let verb = arguments.dropFirst().first, verbs.contains(verb) else { return }
        // Behind an image, these are for the program.
        if verb != "run", arguments.contains("--help") || arguments.contains("-h") { return }
        let entry = UserNamespace.enter()
        state.withLock { $0 = entry }
    }

    private static let state = Mutex<UserNamespace.Entry?>(nil)

    /// What came of it; `nil` where nothing was tried.
    static var entry: UserNamespace.Entry? { state.withLock { $0 } }

    /// Whether root of the machine runs the command, not root of a user namespace of ours.
    static var isRoot: Bool { entry.map { $0.uid == 0 } ?? (geteuid() == 0) }

    /// Ends the process by the signal that ended the command, where one did.
    public static func passSignal() { Interruption.pass() }
}
