// SPDX-License-Identifier: Apache-2.0
public import BuildPlan
public import OCI

/// What a build tells while it runs, in order.
public enum BuildEvent: Sendable {
    /// The plan is made; these steps will be done or found.
    case planned(Plan)
    /// A step starts.
    case started(Step)
    /// A step's layer grew to so many bytes before compression.
    case progress(Step, bytes: Int64)
    /// A step's command wrote something; secrets are blotted out.
    case output(Step, [UInt8])
    /// A step was done before; its layer was found.
    case cached(Step, layer: Descriptor)
    /// A step is done; its layer has so many bytes before compression.
    case finished(Step, layer: Descriptor, size: Int64)
    /// A shell opens on the terminal in the state before a step that failed.
    case shell(Step)
    /// Something that is probably not what was meant.
    case warning(Step, String)
    /// A step failed.
    case failed(Step, String)
    /// A step that was started is ended without a result, as another failed or the build was to end.
    case canceled(Step)
}
