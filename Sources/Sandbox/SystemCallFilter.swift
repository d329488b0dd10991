// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import CSeccomp
internal import Glibc
internal import Synchronization

/// The filter of system calls that steps run under, as the kernel takes it.
///
/// Made once in a process and kept: libseccomp needs some milliseconds for it.
struct SystemCallFilter: Sendable {
    /// `struct sock_filter`s: code, jumps, value.
    let instructions: [UInt64]

    private static let kept = Mutex<SystemCallFilter?>(nil)

    /// The filter of Docker's default profile.
    static func standard() throws -> SystemCallFilter {
        try kept.withLock { filter in
            if let filter { return filter }
            let made = try SystemCallFilter(SystemCallProfile.standard)
            filter = made
            return made
        }
    }

    /// One program for each architecture, behind a few instructions that choose.
    ///
    /// libseccomp needs seven times as long for one program of three. The third, x32, is answered as by kernels without it.
    private init(_ profile: SystemCallProfile) throws {
        let native = try Self.program(profile, for: SystemCallProfile.nativeArchitecture)
        let compatible = try Self.program(profile, for: SystemCallProfile.compatibleArchitecture)
        let names = profile.rules.flatMap(\.names).filter { seccomp_syscall_resolve_name($0) == -1 }
        let prelude = SystemCallPrelude.instructions(allowing: names, native: native.count)
        instructions = prelude + native + compatible
        guard instructions.count <= 4_096 else {
            throw SandboxError(.system, "the filter of system calls has \(instructions.count) instructions")
        }
    }

    private static func program(_ profile: SystemCallProfile, for architecture: UInt32) throws -> [UInt64] {
        guard let context = seccomp_init(UInt32(0x0005_0000 | EPERM)) else {
            throw SandboxError(.system, "libseccomp: no memory for a filter")
        }
        defer { seccomp_release(context) }
        if architecture != SystemCallProfile.nativeArchitecture {
            seccomp_arch_add(context, architecture)
            seccomp_arch_remove(context, SystemCallProfile.nativeArchitecture)
        }
        // Rights that let a step install it without giving up those of set-user-ID programs are held until it is.
        seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0)
        // A tree instead of a list: the kernel walks it for every call there is when a filter is installed.
        seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2)
        for rule in profile.rules {
            for name in rule.names {
                let number = seccomp_syscall_resolve_name(name)
                if number != -1 { try add(rule, name: name, number: number, to: context) }
            }
        }
        return try export(context)
    }

    private static func add(
        _ rule: SystemCallProfile.Rule,
        name: String,
        number: Int32,
        to context: scmp_filter_ctx
    ) throws {
        let arguments = rule.arguments.map { argument in
            scmp_arg_cmp(
                arg: argument.index,
                op: argument.comparison,
                datum_a: argument.value,
                datum_b: argument.second
            )
        }
        let action: UInt32 = rule.error.map { 0x0005_0000 | UInt32($0) } ?? 0x7FFF_0000
        let result = seccomp_rule_add_array(context, action, number, UInt32(arguments.count), arguments)
        // A call that one of the architectures lacks is no fault; nor is one said twice.
        guard result == 0 || result == -EDOM || result == -EEXIST || result == -EACCES else {
            throw SandboxError("libseccomp: adding a rule for \(name)", errno: -result)
        }
    }

    private static func export(_ context: scmp_filter_ctx) throws -> [UInt64] {
        // A pipe holds 64 KiB, and no filter has more than 4,096 instructions of 8 bytes.
        var ends: [Int32] = [-1, -1]
        let error = clinux_pipe(&ends)
        guard error == 0 else { throw SandboxError("making a pipe", errno: error) }
        defer { close(ends[0]) }
        let result = seccomp_export_bpf(context, ends[1])
        close(ends[1])
        guard result == 0 else { throw SandboxError("libseccomp: writing the filter", errno: -result) }
        var words = [UInt64](repeating: 0, count: 8_192)
        let size = words.withUnsafeMutableBytes { read(ends[0], $0.baseAddress, $0.count) }
        guard size > 0, size % 8 == 0 else { throw SandboxError("reading the filter", errno: errno) }
        words.removeLast(words.count - size / 8)
        return words
    }
}

/// Instructions before libseccomp's own, for calls that are newer than the library.
///
/// What the profile allows is allowed by its number, which is the same on all architectures from 424 on. What is newer
/// than the profile does not exist (ENOSYS), so that C libraries fall back to older calls; EPERM, as for calls that are
/// known and forbidden, would make them give up.
enum SystemCallPrelude {
    /// The newest calls, by name; `lsm_list_modules` and others that the profile forbids are left out.
    static let numbers: [String: UInt32] = [
        "futex_waitv": 449, "set_mempolicy_home_node": 450, "cachestat": 451, "fchmodat2": 452,
        "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456, "statmount": 457,
        "listmount": 458, "mseal": 462, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465, "removexattrat": 466,
    ]
    /// The newest call that the profile was written with in mind: `removexattrat`, Linux 6.13.
    static let newest: UInt32 = 466

    static func instructions(allowing names: [String], native length: Int) -> [UInt64] {
        let allowed = names.compactMap { numbers[$0] }.sorted()
        let count = UInt8(allowed.count)
        var program = [
            load(offset: 4),
            jump(0x15, SystemCallProfile.nativeArchitecture, yes: 1, no: 0),
            // Other architectures get the library's answer to those it was not made for: the end.
            jump(0x15, SystemCallProfile.compatibleArchitecture, yes: 0, no: count + 9),
            load(offset: 0),
            jump(0x35, 0x4000_0000, yes: count + 3, no: 0),
            jump(0x25, newest, yes: count + 2, no: 0),
        ]
        for (index, number) in allowed.enumerated() {
            program.append(jump(0x15, number, yes: count - UInt8(index), no: 0))
        }
        return program + [
            jumpAlways(2), result(0x7FFF_0000), result(0x0005_0000 | UInt32(ENOSYS)),
            load(offset: 4),
            jump(0x15, SystemCallProfile.compatibleArchitecture, yes: 0, no: 1),
            jumpAlways(UInt32(length)),
        ]
    }

    private static func word(_ code: UInt16, _ yes: UInt8, _ no: UInt8, _ value: UInt32) -> UInt64 {
        UInt64(code) | UInt64(yes) << 16 | UInt64(no) << 24 | UInt64(value) << 32
    }
    private static func load(offset: UInt32) -> UInt64 { word(0x20, 0, 0, offset) }
    private static func jump(_ code: UInt16, _ value: UInt32, yes: UInt8, no: UInt8) -> UInt64 {
        word(code, yes, no, value)
    }
    private static func jumpAlways(_ distance: UInt32) -> UInt64 { word(0x05, 0, 0, distance) }
    private static func result(_ value: UInt32) -> UInt64 { word(0x06, 0, 0, value) }
}
