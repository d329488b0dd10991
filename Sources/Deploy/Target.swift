// SPDX-License-Identifier: Apache-2.0

/// A place that containers are deployed to: it checks before anything is changed, plans, does, and watches.
public protocol Target: Sendable {
    /// What it is going to do.
    associatedtype Plan: DeployPlan

    /// Looks at everything that can be looked at without changing anything.
    ///
    /// - Returns: What was found, good and bad, in the order it was looked at.
    /// - Throws: Where the target cannot be asked at all.
    func check() async throws -> [DeployFinding]

    /// Says what would be done; the same state and wish give the same plan.
    ///
    /// - Returns: The plan.
    /// - Throws: Where the target cannot be asked, or a secret is missing.
    func plan() async throws -> Plan

    /// Does what was planned, watches until it works or does not, and goes back to what worked where it does not.
    ///
    /// - Parameters:
    ///   - plan: What ``plan()`` gave.
    ///   - tell: Is told what happens, from any thread.
    /// - Returns: What came of it, also where it failed and was rolled back.
    /// - Throws: Where nothing was changed.
    func apply(_ plan: Plan, tell: @escaping @Sendable (DeployEvent) -> Void) async throws -> DeployReport
}

/// Something that was looked at before anything is changed.
public struct DeployFinding: Hashable, Sendable {
    /// How it is.
    public enum Level: String, Sendable {
        /// As it should be.
        case good
        /// It may work, or could not be looked at.
        case doubtful
        /// It would fail.
        case bad
    }

    /// What was looked at, in a word or two: `region`, `pull`.
    public let what: String
    /// How it is.
    public let level: Level
    /// One line, no full stop.
    public let message: String
    /// What to type or to change; `nil` where nothing needs to be.
    public let hint: String?

    /// A finding.
    ///
    /// - Parameters:
    ///   - what: What was looked at.
    ///   - level: How it is.
    ///   - message: One line, no full stop.
    ///   - hint: What to type or to change.
    public init(_ what: String, _ level: Level, _ message: String, hint: String? = nil) {
        (self.what, self.level, self.message, self.hint) = (what, level, message, hint)
    }
}

/// Something that happens while a plan is carried out.
public struct DeployEvent: Hashable, Sendable {
    /// What kind of thing it is.
    public enum Kind: String, Sendable {
        /// Coracle does something.
        case step
        /// The target says how far it is.
        case state
        /// The target says what happened to a container.
        case container
        /// Something is wrong, or tried again.
        case warning
    }

    /// What kind of thing it is.
    public let kind: Kind
    /// One line, no secrets.
    public let text: String

    /// An event.
    ///
    /// - Parameters:
    ///   - kind: What kind of thing it is.
    ///   - text: One line, no secrets.
    public init(_ kind: Kind, _ text: String) { (self.kind, self.text) = (kind, text) }
}
