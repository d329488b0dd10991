// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A control group for one process, where the machine lets us make one.
struct ControlGroup {
    /// Whether the machine has the second version alone, as systemd mounts it.
    static let isUnified = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0

    /// Open `cgroup.procs` files, for the process to join.
    let descriptors: [Int32]
    /// What could not be limited, in words.
    let notes: [String]
    private let folders: [String]

    static func make(for resources: ProcessSpec.Resources) -> ControlGroup {
        ControlGroup(descriptors: [], notes: [], folders: [])
    }

    func closeDescriptors() { for descriptor in descriptors { close(descriptor) } }

    func remove() { for folder in folders { rmdir(folder) } }
}
