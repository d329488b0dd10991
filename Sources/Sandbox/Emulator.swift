// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Programs that run those of other machines, as the kernel knows them.
///
/// Specification: Linux `admin-guide/binfmt-misc.rst`.
public enum Emulator {
    /// The names that QEMU gives to the architectures of images.
    static let names = [
        "386": "i386", "amd64": "x86_64", "arm": "arm", "arm64": "aarch64", "loong64": "loongarch64",
        "mips64le": "mips64el",
        "ppc64le": "ppc64le", "riscv64": "riscv64", "s390x": "s390x",
    ]

    /// What keeps programs of an architecture from running here; `nil` where they run.
    ///
    /// - Parameter architecture: As images name it: `arm64`.
    /// - Returns: A sentence that says what to install.
    public static func fault(for architecture: String) -> String? {
        if architecture == ElfHeader.native || (ElfHeader.native == "amd64" && architecture == "386") { return nil }
        let install = "apt-get install qemu-user-static binfmt-support"
        guard let name = names[architecture] else { return "no emulator is known for \(architecture)" }
        let entry = "/proc/sys/fs/binfmt_misc/qemu-" + name
        guard let text = try? TextFile.read(entry), text.hasPrefix("enabled") else {
            return "this machine is \(ElfHeader.native), and no emulator runs programs for \(architecture): \(install)"
        }
        // Only with this flag is the emulator found in a root that does not hold it.
        let flags = text.split(separator: "\n").first { $0.hasPrefix("flags:") }?.dropFirst(6) ?? ""
        guard flags.contains("F") else {
            return "the emulator for \(architecture) is not kept open (flag F): \(install)"
        }
        return nil
    }
}
