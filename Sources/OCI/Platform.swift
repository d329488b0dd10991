// SPDX-License-Identifier: Apache-2.0

/// What an image runs on: an operating system, a processor architecture, and sometimes a variant of it.
///
/// Specification: OCI image-spec 1.1, `image-index.md#image-index-property-descriptions`; names as Go has them.
public struct Platform: Hashable, Sendable, CustomStringConvertible {
    /// The operating system: `linux`, `windows` and others.
    public var os: String
    /// The processor: `amd64`, `arm64`, `arm` and others.
    public var architecture: String
    /// `v7` of `arm/v7`; `nil` where there is none.
    public var variant: String?
    /// The version of the operating system, which only Windows has; `nil` elsewhere.
    public var osVersion: String?

    /// Creates a platform from parts that are already in their usual form.
    ///
    /// - Parameters:
    ///   - os: `linux`, `windows`…
    ///   - architecture: `amd64`, `arm64`, `arm`…
    ///   - variant: `v7` of `arm/v7`.
    ///   - osVersion: The version of the operating system.
    public init(os: String, architecture: String, variant: String? = nil, osVersion: String? = nil) {
        (self.os, self.architecture, self.variant, self.osVersion) = (os, architecture, variant, osVersion)
    }

    /// Reads `OS/ARCH[/VARIANT]`, `OS` or `ARCH`; what is missing is taken from this machine.
    ///
    /// Other names of architectures become the usual ones: `x86_64` is `amd64`, `aarch64` is `arm64`, `armhf` is `arm/v7`.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``ContentError`` for more than three parts, empty parts, characters that no part has, and one word that
    ///   is neither a known operating system nor a known architecture.
    public init(_ text: String) throws(ContentError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), let (name, version) = Platform.operatingSystem(parts[0]),
            parts.dropFirst().allSatisfy(Platform.isPart)
        else {
            throw ContentError(
                message: "\"\(text)\" is not a platform: expected OS/ARCH[/VARIANT], for example linux/arm64"
            )
        }
        guard parts.count == 1 else {
            let variant = parts.count > 2 ? parts[2].lowercased() : nil
            let (architecture, usual) = Platform.usual(parts[1].lowercased(), variant)
            self.init(os: Platform.usual(os: name), architecture: architecture, variant: usual, osVersion: version)
            return
        }
        // Of one word it must be known which part it is.
        let os = Platform.usual(os: name)
        if Platform.systems.contains(os) {
            let host = Platform.host
            self.init(os: os, architecture: host.architecture, variant: host.variant, osVersion: version)
            return
        }
        let (architecture, variant) = Platform.usual(parts[0].lowercased(), nil)
        guard Platform.architectures.contains(architecture) else {
            throw ContentError(
                message: "\"\(text)\" is not a platform: neither a known operating system nor a known architecture; "
                    + "expected OS/ARCH[/VARIANT], for example linux/arm64"
            )
        }
        self.init(os: Platform.host.os, architecture: architecture, variant: variant)
    }

    /// The platform of this machine.
    public static var host: Platform {
        #if arch(arm64)
        Platform(os: "linux", architecture: "arm64")
        #elseif arch(x86_64)
        Platform(os: "linux", architecture: "amd64")
        #elseif arch(arm)
        Platform(os: "linux", architecture: "arm", variant: "v7")
        #elseif arch(i386)
        Platform(os: "linux", architecture: "386")
        #elseif arch(powerpc64le)
        Platform(os: "linux", architecture: "ppc64le")
        #elseif arch(s390x)
        Platform(os: "linux", architecture: "s390x")
        #else
        Platform(os: "linux", architecture: "riscv64")
        #endif
    }

    /// `OS/ARCH[/VARIANT]`.
    public var description: String {
        ([os, architecture] + (variant.map { [$0] } ?? [])).joined(separator: "/")
    }

    /// The same with the version of the system where there is one: `windows(10.0.20348)/amd64`.
    public var versioned: String {
        guard let osVersion else { return description }
        return "\(os)(\(osVersion))" + description.dropFirst(os.count)
    }

    /// The names that Go has.
    private static let systems: Set<String> = [
        "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd",
        "openbsd", "plan9", "solaris", "windows", "zos",
    ]

    /// The names that Go has.
    private static let architectures: Set<String> = [
        "386", "amd64", "amd64p32", "arm", "arm64", "arm64be", "armbe", "loong64", "mips", "mips64", "mips64le",
        "mips64p32", "mips64p32le", "mipsle", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc",
        "sparc64", "wasm",
    ]

    /// The parts of `windows(10.0.17763)`, the version `nil` without brackets; `nil` for any other form.
    private static func operatingSystem(_ part: String) -> (name: String, version: String?)? {
        guard let open = part.firstIndex(of: "("), part.hasSuffix(")") else {
            return isPart(part) && !part.contains(".") ? (part, nil) : nil
        }
        let (name, version) = (String(part[..<open]), String(part[part.index(after: open)...].dropLast()))
        guard isPart(name), !name.contains("."), version.isEmpty || isPart(version) else { return nil }
        return (name, version)
    }

    private static func isPart(_ part: String) -> Bool {
        !part.isEmpty
            && part.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || "_.-".utf8.contains($0)
            }
    }

    private static func usual(os: String) -> String {
        os.lowercased() == "macos" ? "darwin" : os.lowercased()
    }

    private static func usual(_ architecture: String, _ variant: String?) -> (architecture: String, variant: String?) {
        switch (architecture, variant) {
        case ("i386", _): ("386", nil)
        case ("x86_64", let variant), ("x86-64", let variant), ("amd64", let variant):
            ("amd64", variant == "v1" ? nil : variant)
        case ("aarch64", let variant), ("arm64", let variant):
            ("arm64", variant == "8" || variant == "v8" ? nil : variant)
        case ("armhf", _): ("arm", "v7")
        case ("armel", _): ("arm", "v6")
        case ("arm", nil), ("arm", "7"): ("arm", "v7")
        case ("arm", "5"): ("arm", "v5")
        case ("arm", "6"): ("arm", "v6")
        case ("arm", "8"): ("arm", "v8")
        default: (architecture, variant)
        }
    }
}
