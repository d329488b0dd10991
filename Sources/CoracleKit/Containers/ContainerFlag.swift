// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Sandbox

/// A folder or file of this machine in a container: `SOURCE:TARGET[:ro]`, as `-v` has it; `TARGET` alone is a folder
/// of the container's own.
struct VolumeFlag: Equatable {
    /// An absolute path on this machine; `nil` for a folder of the container's own.
    var source: String?
    /// Where, as a path in the container.
    var target: String
    /// Whether the container may only look.
    var isReadOnly = false

    /// Reads a flag; relative sources begin with a dot.
    init(_ text: String) throws(ExitReason) {
        var parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        var options: [String] = []
        if parts.count == 3 { options = parts.removeLast().split(separator: ",").map(String.init) }
        guard (1...2).contains(parts.count), let target = parts.last, target.hasPrefix("/") else {
            throw ExitReason(
                .usage,
                "-v \"\(text)\" is not SOURCE:TARGET[:ro] with an absolute target",
                hint: "-v $PWD/data:/data"
            )
        }
        self.target = target
        if target.split(separator: "/").isEmpty {
            throw ExitReason(.usage, "-v \"\(text)\": the root itself cannot be replaced")
        }
        for option in options {
            switch option {
            case "ro": isReadOnly = true
            // Labels of SELinux and ways to pass mounts on: as it is here anyway.
            case "rw", "z", "Z", "rprivate", "private", "rbind": break
            default: throw ExitReason(.usage, "-v \"\(text)\": the option \"\(option)\" is not known: ro or rw")
            }
        }
        guard parts.count == 2 else { return }
        let path = parts[0]
        guard path.hasPrefix("/") || path.hasPrefix("./") || path.hasPrefix("../") || path == "." || path == ".." else {
            throw ExitReason(
                .usage,
                "-v \"\(text)\": volumes with a name are not kept; \"\(path)\" would be one",
                hint: "a folder of this machine: -v ./\(path):\(target)"
            )
        }
        guard let found = realpath(path, nil) else {
            let reason = String(cString: strerror(errno)).lowercased()
            throw ExitReason(.usage, "-v \"\(text)\": \(path): \(reason)", hint: "mkdir -p \(path)")
        }
        source = String(cString: found)
        free(found)
    }
}

/// A file system in memory: `TARGET[:size=BYTES,mode=OCTAL]`, as `--tmpfs` has it.
struct MemoryFlag: Equatable {
    /// Where.
    var target: String
    /// The most bytes; `nil` for half of the memory.
    var size: Int64?
    /// Permissions of its root.
    var mode: UInt32 = 0o1777

    /// Reads a flag.
    init(_ text: String) throws(ExitReason) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        target = parts[0]
        guard target.hasPrefix("/"), !target.split(separator: "/").isEmpty else {
            throw ExitReason(
                .usage,
                "--tmpfs \"\(text)\" is not TARGET[:OPTIONS] with an absolute target",
                hint: "--tmpfs /tmp:size=64m"
            )
        }
        for option in parts.dropFirst().flatMap({ $0.split(separator: ",") }) {
            let (name, value) = PlanSettings.split(String(option))
            switch (name, value) {
            case ("size", let value?):
                do {
                    size = try DataSize(value).bytes
                } catch {
                    throw ExitReason(.usage, "--tmpfs \"\(text)\": \(error.message)")
                }
            case ("mode", let value?):
                guard let number = UInt32(value, radix: 8), number <= 0o7777 else {
                    throw ExitReason(.usage, "--tmpfs \"\(text)\": the mode \"\(value)\" is not octal, as 1777")
                }
                mode = number
            case ("rw", nil), ("exec", nil), ("nosuid", nil), ("nodev", nil): break
            default:
                throw ExitReason(
                    .usage,
                    "--tmpfs \"\(text)\": \"\(option)\" cannot be had: size=, mode=, exec, nosuid and nodev can"
                )
            }
        }
    }
}

/// A port that a program listens on: `[ADDRESS:]PORT:PORT[/tcp|/udp]` or `PORT`, as `-p` has it.
///
/// Containers share the network of the machine, so a port is the same inside and outside.
struct PortFlag: Equatable {
    /// The first and the last port.
    var ports: ClosedRange<UInt16>
    /// Whether it is for datagrams.
    var isDatagram = false

    /// Reads a flag.
    init(_ text: String) throws(ExitReason) {
        var rest = text[...]
        if let slash = rest.lastIndex(of: "/") {
            switch rest[slash...] {
            case "/tcp": break
            case "/udp": isDatagram = true
            default: throw ExitReason(.usage, "-p \"\(text)\": the protocol is tcp or udp")
            }
            rest = rest[..<slash]
        }
        guard let inner = PortFlag.range(rest.split(separator: ":").last ?? "") else { throw PortFlag.malformed(text) }
        ports = inner
        guard let colon = rest.lastIndex(of: ":") else { return }
        rest = rest[..<colon]
        let host = rest.split(separator: ":", omittingEmptySubsequences: false).last ?? ""
        let address = rest.dropLast(host.count).dropLast()
        guard address.isEmpty || ["0.0.0.0", "[::]"].contains(address) else {
            throw ExitReason(
                .usage,
                "-p \"\(text)\": which address is listened on is up to the program, as it has the network of this machine",
                hint: "leave out \(address): and tell the program"
            )
        }
        // Without a number, any port will do.
        if host.isEmpty { return }
        guard let outer = PortFlag.range(host) else { throw PortFlag.malformed(text) }
        guard outer == inner else {
            throw ExitReason(
                .usage,
                "-p \"\(text)\": there is no bridge to carry port \(host) to port \(PortFlag.text(inner)), as the container "
                    + "has the network of this machine",
                hint: "-p \(PortFlag.text(inner)):\(PortFlag.text(inner)), or have the program listen on \(host)"
            )
        }
    }

    private static func malformed(_ text: String) -> ExitReason {
        ExitReason(
            .usage,
            "-p \"\(text)\" is not PORT:PORT[/tcp|/udp] with ports from 1 to 65535",
            hint: "-p 8080:8080"
        )
    }

    private static func range(_ text: Substring) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first > 0,
            first <= last
        else { return nil }
        return first...last
    }

    private static func text(_ range: ClosedRange<UInt16>) -> String {
        range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
    }

    /// As images name it: `8080/tcp`.
    var text: String { PortFlag.text(ports) + (isDatagram ? "/udp" : "/tcp") }

    /// What keeps the program from listening; `nil` where nothing does.
    func fault() -> ExitReason? {
        for port in ports {
            switch PortFlag.bindError(port, isDatagram: isDatagram) {
            case EADDRINUSE:
                return ExitReason(
                    .usage,
                    "-p \(text): port \(port) is in use on this machine, whose network the container has",
                    hint: "ss -lnp 'sport = :\(port)' says by whom"
                )
            case EACCES:
                return ExitReason(
                    .usage,
                    "-p \(text): port \(port) is for root alone on this machine",
                    hint: "sudo sysctl -w net.ipv4.ip_unprivileged_port_start=\(port), or a higher port"
                )
            default: continue
            }
        }
        return nil
    }

    /// Tries to take a port, and gives what the system says; 0 where it is free.
    private static func bindError(_ port: UInt16, isDatagram: Bool) -> Int32 {
        let kind = isDatagram ? SOCK_DGRAM : SOCK_STREAM
        let descriptor = socket(AF_INET, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var yes: Int32 = 1
        // Without this a connection that was closed a moment ago would count.
        if !isDatagram { setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size)) }
        var address = sockaddr_in()
        (address.sin_family, address.sin_port) = (sa_family_t(AF_INET), port.bigEndian)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return result == 0 ? 0 : errno
    }
}
