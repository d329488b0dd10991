// SPDX-License-Identifier: Apache-2.0

/// How a process is kept apart from the machine.
public enum Isolation: Sendable, Hashable, CustomStringConvertible {
    /// Namespaces of our own making, Docker's capabilities and filter of system calls.
    case namespaces
    /// Only another root, where the machine refuses namespaces.
    case chroot
    /// What an OCI runtime makes of it; `runtime` is its path: runc or crun.
    case oci(runtime: String)

    /// As people write it after `--isolation`.
    public var description: String {
        switch self {
        case .namespaces: "namespaces"
        case .chroot: "chroot"
        case .oci(let runtime): "oci (\(runtime))"
        }
    }

    var launcher: any Launcher {
        switch self {
        case .namespaces: NamespaceLauncher()
        case .chroot: ChrootLauncher()
        case .oci(let runtime): RuntimeLauncher(runtime: runtime)
        }
    }
}
