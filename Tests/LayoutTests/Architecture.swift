// SPDX-License-Identifier: Apache-2.0

/// What each room may import: the whole architecture in one table.
///
/// The rooms that are not built yet stand here too, so that their walls are known before they are.
enum Architecture {
    struct Room {
        let ours: Set<String>
        let outside: Set<String>
    }

    static let rooms: [String: Room] = [
        "OCI": Room(ours: [], outside: ["FoundationEssentials"]),
        "DockerfileSyntax": Room(ours: [], outside: []),
        "BuildPlan": Room(ours: ["DockerfileSyntax", "OCI"], outside: []),
        "Archive": Room(ours: ["OCI", "CArchive", "CCrypto", "CDeflate", "CLinux", "CZlib", "CZstd"], outside: system),
        "Store": Room(ours: ["Archive", "OCI"], outside: system.union(["SystemPackage"])),
        "Rootfs": Room(ours: ["Archive", "CLinux", "OCI", "Store"], outside: system.union(["SystemPackage"])),
        "Sandbox": Room(ours: ["CLinux", "CSeccomp"], outside: system.union(["Subprocess", "SystemPackage"])),
        "Builder": Room(
            ours: ["Archive", "BuildPlan", "DockerfileSyntax", "OCI", "Rootfs", "Sandbox", "Store"],
            outside: system
        ),
        "HTTP": Room(
            ours: [],
            outside: system.union([
                "AsyncHTTPClient", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL", "NIOTLS", "NIOWebSocket",
            ])
        ),
        // Archive for its SHA-256: digests are verified here, where the bytes come in.
        "Registry": Room(ours: ["Archive", "HTTP", "OCI"], outside: system.union(["Subprocess", "SystemPackage"])),
        // Archive for hashes and signatures of tokens, CCrypt for passwords.
        "RegistryServer": Room(
            ours: ["Archive", "CCrypt", "OCI", "Store"],
            outside: system.union([
                "HTTPTypes", "HummingbirdCore", "HummingbirdTLS", "Logging", "NIOCore", "NIOPosix", "NIOSSL",
            ])
        ),
        // Registry for the programs that credentials are asked of.
        "Kubernetes": Room(ours: ["HTTP", "OCI", "Registry"], outside: system.union(["Yams"])),
        // Archive for its SHA-256 and signatures.
        "Azure": Room(ours: ["Archive", "HTTP", "OCI", "Registry"], outside: system),
        // CCrypto for certificates, and for tokens signed with the keys of others.
        "AzureEmulator": Room(
            ours: ["CCrypto", "OCI", "RegistryServer", "Rootfs", "Sandbox", "Store"],
            outside: system.union([
                "HTTPTypes", "HummingbirdCore", "Logging", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOSSL", "NIOWebSocket",
            ])
        ),
        "coracle-azure-emulator": Room(ours: ["AzureEmulator"], outside: system.union(["ArgumentParser"])),
        // HTTP for the errors of requests, and the limits that they wait for; DockerfileSyntax for diagnostics that point
        // into compose files, which Yams reads.
        "Deploy": Room(
            ours: ["Azure", "DockerfileSyntax", "HTTP", "Kubernetes", "OCI"],
            outside: system.union(["Yams"])
        ),
        "CoracleKit": Room(
            ours: [
                "Archive", "Azure", "AzureEmulator", "BuildPlan", "Builder", "Deploy", "DockerfileSyntax", "HTTP",
                "Kubernetes", "OCI", "Registry", "RegistryServer", "Rootfs", "Sandbox", "Store",
            ],
            outside: system.union(["Logging", "SystemPackage", "Yams"])
        ),
        "coracle": Room(ours: ["CoracleKit"], outside: system.union(["ArgumentParser"])),
    ]

    /// Rooms of C: headers and module maps, which import nothing of ours.
    static let shims: Set<String> = [
        "CArchive", "CCrypt", "CCrypto", "CDeflate", "CLinux", "CSeccomp", "CZlib", "CZstd",
    ]

    /// What comes with the toolchain and is no library to choose: the C library, files, locks.
    private static let system: Set<String> = ["FoundationEssentials", "Glibc", "Synchronization", "Dispatch"]

    /// What is wrong with a file's imports; empty where nothing is.
    static func faults(in imports: [String], of room: String) -> [String] {
        guard let allowed = rooms[room] else { return ["\(room) is no room of the design"] }
        return imports.filter { !allowed.ours.contains($0) && !allowed.outside.contains($0) }
            .map { "\(room) may not import \($0)" }
    }
}
