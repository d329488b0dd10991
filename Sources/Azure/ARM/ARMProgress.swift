// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What happens while an operation of the resource manager runs, for people who watch: no secrets.
public enum ARMProgress: Sendable {
    /// It was accepted; an operation runs.
    case accepted
    /// It still runs: its status as the service has it, as `Creating`; what the service last said of it.
    case running(status: String, JSONValue)
    /// The resource is busy with something else, and the request is sent again after a while.
    case busy(reason: String, delay: Duration)
}
