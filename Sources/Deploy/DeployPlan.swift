// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What a deployment is going to do, before it does; each ``Target`` has its own.
public protocol DeployPlan: Sendable {
    /// What becomes of it.
    var action: DeployAction { get }
    /// What it is called.
    var name: String { get }
    /// For people: what is done, each change on a line; no secrets.
    var text: String { get }
    /// For programs; no secrets.
    var json: JSONValue { get }
}

/// What becomes of what is there.
public enum DeployAction: String, Sendable {
    /// It is made.
    case create
    /// Nothing is to be done.
    case unchanged
    /// It is changed, and nothing stops.
    case inPlace = "in-place"
    /// It is changed, and its containers start again; where a target replaces them one by one, nothing stops.
    case restart
    /// It is deleted and made anew.
    case recreate
}
