// SPDX-License-Identifier: Apache-2.0

/// Rights that root has in parts.
///
/// Specification: `capabilities(7)`; the set is the one Docker gives (moby, `oci/caps/defaults.go`).
public enum Capabilities {
    /// Names by number, as `linux/capability.h` has them.
    public static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ]

    /// What a step has.
    static let standard: UInt64 = bits([
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    ])

    /// Bits of some names.
    static func bits(_ chosen: Set<String>) -> UInt64 {
        names.enumerated().reduce(0) { chosen.contains($1.element) ? $0 | 1 << UInt64($1.offset) : $0 }
    }

    /// The names of some bits, as runtimes spell them; bits the kernel has and we do not know are left out.
    static func names(of bits: UInt64) -> [String] {
        names.enumerated().filter { bits >> UInt64($0.offset) & 1 == 1 }.map { "CAP_" + $0.element }
    }

    /// What this process may do, by `/proc/self/status`; nothing where it can't be read.
    static func held() -> UInt64 {
        let lines = (try? TextFile.read("/proc/self/status"))?.split(separator: "\n") ?? []
        let words = lines.first { $0.hasPrefix("CapEff:") }?.split { $0 == "\t" || $0 == " " }
        return words?.last.flatMap { UInt64($0, radix: 16) } ?? 0
    }
}
