// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Rootfs
internal import Sandbox

/// The root that a command sees and changes.
enum StepRoot {
    /// The layers as they are, and a folder on top that takes what changes.
    case overlay(Snapshot)
    /// A full copy of the layers, where nothing can be mounted.
    case copy(TreeCopy)

    /// A fresh one over some folders.
    init(over folders: [String], in snapshots: Snapshots, mounts: Bool) throws {
        self = mounts ? .overlay(try snapshots.begin(over: folders)) : .copy(try snapshots.copy(of: folders))
    }

    /// How the sandbox comes to it.
    func spec(over folders: [String]) -> ProcessSpec.Root {
        switch self {
        case .overlay(let snapshot): .overlay(lower: folders, upper: snapshot.upper, work: snapshot.work)
        case .copy(let copy): .directory(copy.root)
        }
    }

    /// The folder that changes are in.
    var folder: String {
        switch self {
        case .overlay(let snapshot): snapshot.upper
        case .copy(let copy): copy.root
        }
    }

    /// What the command changed, now that it ended.
    func changes(over folders: [String], in snapshots: Snapshots) -> Changes {
        switch self {
        case .overlay(let snapshot): Changes(upper: snapshot.upper, lower: folders, marks: snapshots.marks)
        case .copy(let copy): Changes(copy: copy, lower: folders, marks: snapshots.marks)
        }
    }

    /// Keeps it as the unpacked form of the layer that was made of it.
    func adopt(in snapshots: Snapshots, as diffID: Digest, over below: [Digest]) throws {
        guard case .overlay(let snapshot) = self else { return }
        try snapshots.adopt(snapshot, as: diffID, over: below)
    }
}
