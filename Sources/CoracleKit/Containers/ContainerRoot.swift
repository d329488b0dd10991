// SPDX-License-Identifier: Apache-2.0
internal import Rootfs
internal import Sandbox

/// The files that a container sees and changes; removed with the last reference.
enum ContainerRoot {
    /// The layers as they are, and a folder on top that takes what changes.
    case overlay(Snapshot, [String])
    /// A full copy of the layers, where nothing can be mounted.
    case copy(TreeCopy)

    /// How the sandbox comes to it.
    var spec: ProcessSpec.Root {
        switch self {
        case .overlay(let snapshot, let folders): .overlay(lower: folders, upper: snapshot.upper, work: snapshot.work)
        case .copy(let copy): .directory(copy.root)
        }
    }

    /// Removes it.
    func close() {
        switch self {
        case .overlay(let snapshot, _): snapshot.close()
        case .copy(let copy): copy.close()
        }
    }
}
