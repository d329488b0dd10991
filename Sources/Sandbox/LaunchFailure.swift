// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Says in words what kept a child from becoming its program.
struct LaunchFailure {
    let spec: ProcessSpec
    let plan: LaunchPlan
    let launch: clinux_launch
    let error: SandboxError

    init(spec: ProcessSpec, plan: LaunchPlan, launch: clinux_launch, error code: Int32) {
        (self.spec, self.plan, self.launch) = (spec, plan, launch)
        error = Self.error(spec, plan, launch, code)
    }

    private static func error(
        _ spec: ProcessSpec,
        _ plan: LaunchPlan,
        _ launch: clinux_launch,
        _ code: Int32
    ) -> SandboxError {
        let text = SandboxError.text(code)
        switch launch.failed_at {
        case CLINUX_AT_NOTHING:
            let message = "making namespaces for a process: \(text)"
            return SandboxError(.refused, message, hint: "coracle doctor says what this machine allows")
        case CLINUX_AT_CGROUP: return SandboxError("joining the step's control group", errno: code)
        case CLINUX_AT_STEP: return stepError(plan, launch, code)
        case CLINUX_AT_TERMINAL: return SandboxError("opening a terminal in the sandbox", errno: code)
        case CLINUX_AT_STREAMS: return SandboxError("setting up the standard streams", errno: code)
        case CLINUX_AT_LIMIT:
            let limit = spec.limits[launch.failed_step]
            return SandboxError(
                .specification,
                "setting the limit \(limit.name)=\(limit.soft):\(limit.hard): \(text)",
                hint: code == EPERM ? "the caller's own limit is lower: ulimit -H shows it" : nil
            )
        case CLINUX_AT_FILTER: return SandboxError("installing the filter of system calls", errno: code)
        case CLINUX_AT_CAPABILITIES: return SandboxError("giving up capabilities", errno: code)
        case CLINUX_AT_GROUPS: return identity("the groups \(spec.user.groups)", code)
        case CLINUX_AT_GROUP: return identity("the group \(spec.user.gid)", code)
        case CLINUX_AT_USER: return identity("the user \(spec.user.uid)", code)
        case CLINUX_AT_EXEC: return ProgramFailure(spec: spec, launch: launch, code: code).error
        default: return SandboxError("starting a process", errno: code)
        }
    }

    private static func identity(_ who: String, _ code: Int32) -> SandboxError {
        let isUnmapped = UserNamespace.isInside
        return SandboxError(
            isUnmapped ? .refused : .system,
            "running as \(who): \(SandboxError.text(code))",
            hint: isUnmapped ? UserNamespace.mappingHint : nil
        )
    }

    private static func stepError(_ plan: LaunchPlan, _ launch: clinux_launch, _ code: Int32) -> SandboxError {
        let step = plan.steps[launch.failed_step]
        let message = "\(plan.words[launch.failed_step]): \(SandboxError.text(code))"
        let isMount = [CLINUX_MOUNT, CLINUX_PRIVATE, CLINUX_OVERLAY, CLINUX_ATTACH, CLINUX_STAGE]
            .contains { Int32($0.rawValue) == step.kind }
        if code == EPERM, isMount {
            return SandboxError(.refused, message, hint: "coracle doctor says what this machine allows")
        }
        return SandboxError(.system, message)
    }
}

/// Says in words why a program could not be executed.
struct ProgramFailure {
    let spec: ProcessSpec
    let path: String
    let header: [UInt8]
    let code: Int32

    init(spec: ProcessSpec, launch: clinux_launch, code: Int32) {
        self.spec = spec
        self.code = code
        path = launch.program.map { String(cString: $0) } ?? ""
        let bytes = UnsafeRawBufferPointer(start: launch.header, count: max(0, launch.header_size))
        header = Array(bytes)
    }

    var error: SandboxError {
        let program = spec.arguments[0]
        if path.isEmpty {
            let place = program.contains("/") ? "in the image" : "in any folder of the PATH"
            guard code != EACCES else {
                return SandboxError(.program, "running \"\(program)\": permission denied on the way to it")
            }
            return SandboxError(missing: "running \"\(program)\": no such file \(place)", hint: missingHint(program))
        }
        let machine = ElfHeader.machine(of: header)
        switch code {
        case EACCES:
            return SandboxError(
                .program,
                "running \"\(path)\": permission denied for the user \(spec.user.uid)",
                hint: "it needs the right to be executed: chmod +x, or COPY --chmod=755"
            )
        case ENOEXEC where machine != nil && machine != ElfHeader.native: return foreign(machine ?? "")
        case ENOEXEC:
            let start = header.isEmpty ? "an empty file" : "neither a program nor a script that begins with #!"
            return SandboxError(.program, "running \"\(path)\": it is \(start)")
        case ENOENT: return interpreterError(machine)
        default: return SandboxError(.program, "running \"\(path)\": \(SandboxError.text(code))")
        }
    }

    private func missingHint(_ program: String) -> String? {
        guard ["/bin/sh", "sh"].contains(program) else { return nil }
        return "the image has no shell: use the exec form, RUN [\"program\", \"argument\"], or another base"
    }

    private func foreign(_ machine: String) -> SandboxError {
        let message = "running \"\(path)\": it is a program for \(machine), this machine is \(ElfHeader.native)"
        let hint = "install an emulator: apt-get install qemu-user-static binfmt-support"
        return SandboxError(.program, message, hint: hint)
    }

    /// The file is there, so what is missing is what it names: a script's interpreter, or a loader.
    private func interpreterError(_ machine: String?) -> SandboxError {
        if header.starts(with: Array("#!".utf8)) {
            let line = String(decoding: header.dropFirst(2).prefix { $0 != 0x0A }, as: UTF8.self)
            let hint = line.hasSuffix("\r") ? "the line ends in a carriage return: save it with Unix line ends" : nil
            let name = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" }).first ?? ""
            return SandboxError(missing: "running \"\(path)\": its interpreter \"\(name)\" is not there", hint: hint)
        }
        if let machine, machine != ElfHeader.native { return foreign(machine) }
        let hint = "it is linked with another C library than the image has (glibc or musl)"
        return SandboxError(missing: "running \"\(path)\": the loader it names is not there", hint: hint)
    }
}

/// What the first bytes of a program say of the machine it is for.
///
/// Specification: ELF, `e_machine` at offset 18.
enum ElfHeader {
    #if arch(arm64)
    static let native = "arm64"
    #elseif arch(x86_64)
    static let native = "amd64"
    #else
    static let native = "this architecture"
    #endif

    private static let machines: [UInt16: String] = [
        3: "386", 8: "mips", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64",
        258: "loong64",
    ]

    static func machine(of header: [UInt8]) -> String? {
        guard header.count >= 20, header.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else { return nil }
        let number =
            header[5] == 2
            ? UInt16(header[18]) << 8 | UInt16(header[19])
            : UInt16(header[19]) << 8 | UInt16(header[18])
        return machines[number] ?? "machine \(number)"
    }
}
