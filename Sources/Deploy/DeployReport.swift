// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What came of a deployment.
public struct DeployReport: Hashable, Sendable {
    /// How it ended.
    public enum Outcome: String, Sendable {
        /// It runs, or has done what it should.
        case running
        /// It does not work, and what worked before runs again.
        case rolledBack = "rolled-back"
        /// It does not work, and there was nothing to go back to, or going back failed too.
        case failed
        /// Nothing had to be done.
        case unchanged
    }

    /// How it ended.
    public var outcome: Outcome
    /// The group's name.
    public var name: String
    /// Where it answers; `nil` where it has no address.
    public var url: String?
    /// The image of the container that this was about, by its digest.
    public var image: String?
    /// Why it failed, in one sentence; `nil` where it did not.
    public var cause: String?
    /// What to type or to change; `nil` where nothing is known.
    public var hint: String?
    /// What the container wrote last, where it failed; may be empty.
    public var log = ""
    /// What happened to the containers, where it failed; may be empty.
    public var events: [String] = []

    /// A report.
    ///
    /// - Parameters:
    ///   - outcome: How it ended.
    ///   - name: The group's name.
    public init(_ outcome: Outcome, name: String) { (self.outcome, self.name) = (outcome, name) }

    /// The report for programs.
    public var json: JSONValue {
        var json: JSONValue = ["outcome": .string(outcome.rawValue), "name": .string(name)]
        json["url"] = url.map { .string($0) }
        json["image"] = image.map { .string($0) }
        json["cause"] = cause.map { .string($0) }
        json["hint"] = hint.map { .string($0) }
        if !log.isEmpty { json["log"] = .string(log) }
        if !events.isEmpty { json["events"] = JSONValue(events) }
        return json
    }
}
