// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What is going to be done in a cluster: what there is, against what the cluster says it would become.
public struct ClusterPlan: DeployPlan {
    /// What becomes of it all.
    public let action: DeployAction
    /// The deployment's name.
    public let name: String
    /// For people: what is done, each change on a line; no secrets.
    public var text: String { "" }
    /// The plan for programs; no secrets.
    public var json: JSONValue { [:] }
}
