// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0
// The architecture: targets in dependency order, imports go one way (held by Tests/LayoutTests).
import PackageDescription

/// Every target is built alike.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "coracle",
    products: [
        .executable(name: "coracle", targets: ["coracle"]),
        .executable(name: "coracle-azure-emulator", targets: ["coracle-azure-emulator"]),
        .library(name: "CoracleKit", targets: ["CoracleKit"]),
    ],
    dependencies: [
        // The command line: parsing, help pages, completion scripts.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        // The HTTP client: connections, TLS, proxies.
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        // The HTTP server of `coracle registry serve`.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        // The types that hummingbird's requests and its logger are made of.
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
        // YAML: coracle.yaml, compose files, kubeconfig.
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
    ],
    targets: [
        // The nouns of the image specification, and canonical JSON. Pure.
        .target(name: "OCI", swiftSettings: settings),
        // libcrypto: SHA-256 (and later signatures), with the processor's own instructions.
        .systemLibrary(name: "CCrypto", providers: [.apt(["libssl-dev"])]),
        // libdeflate: gzip members, five times as fast as zlib.
        .systemLibrary(name: "CDeflate", providers: [.apt(["libdeflate-dev"])]),
        // libzstd: layers compressed with zstd.
        .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
        // libarchive: reading archives of any kind.
        .systemLibrary(name: "CArchive", providers: [.apt(["libarchive-dev"])]),
        // Entries to tar to compressed blocks to digests, and back.
        .target(
            name: "Archive",
            dependencies: ["CArchive", "CCrypto", "CDeflate", "CLinux", "CZstd", "OCI"],
            swiftSettings: settings
        ),
        // Content-addressed blobs on disk, as an OCI image layout; the step cache.
        .target(name: "Store", dependencies: ["Archive", "OCI"], swiftSettings: settings),
        // What the toolchain's C library module leaves out: namespaces, mounts, attributes of files.
        .target(name: "CLinux"),
        // Layers as file trees: what an image holds, known without unpacking it.
        .target(name: "Rootfs", dependencies: ["Archive", "CLinux", "OCI", "Store"], swiftSettings: settings),
        // libseccomp: the filter of system calls that a step runs under.
        .systemLibrary(name: "CSeccomp", providers: [.apt(["libseccomp-dev"])]),
        // One process, isolated.
        .target(name: "Sandbox", dependencies: ["CLinux", "CSeccomp"], swiftSettings: settings),
        // Text to syntax tree and diagnostics. Pure: no input or output, nothing imported.
        .target(name: "DockerfileSyntax", swiftSettings: settings),
        // Syntax tree and arguments to a graph of steps. Pure.
        .target(name: "BuildPlan", dependencies: ["DockerfileSyntax", "OCI"], swiftSettings: settings),
        // A graph of steps to an image in the store.
        .target(
            name: "Builder",
            dependencies: ["Archive", "BuildPlan", "DockerfileSyntax", "OCI", "Rootfs", "Sandbox", "Store"],
            swiftSettings: settings
        ),
        // Requests, retries, proxies, TLS; the only importer of AsyncHTTPClient.
        .target(
            name: "HTTP",
            dependencies: [
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // The client side of the distribution specification.
        .target(name: "Registry", dependencies: ["Archive", "HTTP", "OCI"], swiftSettings: settings),
        // Azure: who we are there, its resource manager, its container registry.
        .target(name: "Azure", dependencies: ["Archive", "HTTP", "OCI", "Registry"], swiftSettings: settings),
        // Clusters: who we are there, what runs in them, and whether it works.
        .target(
            name: "Kubernetes",
            dependencies: ["HTTP", "OCI", "Registry", .product(name: "Yams", package: "Yams")],
            swiftSettings: settings
        ),
        // Checks, plans, does and watches what is deployed; the templates that say the same.
        .target(
            name: "Deploy",
            dependencies: [
                "Azure", "DockerfileSyntax", "HTTP", "Kubernetes", "OCI", .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        // libcrypt: passwords as htpasswd files hold them, bcrypt.
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),
        // The server side of it, over a store.
        .target(
            name: "RegistryServer",
            dependencies: [
                "Archive", "CCrypt", "OCI", "Store",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: settings
        ),
        // An Azure on this machine: directory, resource manager, registries, and containers that run.
        .target(
            name: "AzureEmulator",
            dependencies: [
                "CCrypto", "OCI", "RegistryServer", "Rootfs", "Sandbox", "Store",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        // The emulator as a program: to test pipelines without an account.
        .executableTarget(
            name: "coracle-azure-emulator",
            dependencies: ["AzureEmulator", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: settings
        ),
        // One type per verb; the only place where parts are wired together.
        .target(
            name: "CoracleKit",
            dependencies: [
                "Archive", "Azure", "BuildPlan", "Builder", "Deploy", "DockerfileSyntax", "HTTP", "Kubernetes", "OCI",
                "Registry", "RegistryServer", "Rootfs", "Sandbox", "Store", .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        // The executable: flags, drawing, exit codes.
        .executableTarget(
            name: "coracle",
            dependencies: ["CoracleKit", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: settings
        ),

        // What tests share: finding test data, running programs, reading JSON.
        .target(name: "TestSupport", path: "Tests/Support", swiftSettings: settings),
        .testTarget(name: "LayoutTests", dependencies: ["TestSupport"], swiftSettings: settings),
        .testTarget(name: "OCITests", dependencies: ["OCI", "TestSupport"], swiftSettings: settings),
        .testTarget(name: "ArchiveTests", dependencies: ["Archive", "OCI", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "StoreTests",
            dependencies: ["Archive", "OCI", "Store", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RootfsTests",
            dependencies: ["Archive", "OCI", "Rootfs", "Store", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "DockerfileSyntaxTests",
            dependencies: ["DockerfileSyntax", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "BuildPlanTests",
            dependencies: ["BuildPlan", "DockerfileSyntax", "OCI", "TestSupport"],
            swiftSettings: settings
        ),
        // A program of its own for tests of the sandbox: run as other users, and killed.
        .executableTarget(
            name: "SandboxProbe",
            dependencies: ["Sandbox"],
            path: "Tests/SandboxProbe",
            swiftSettings: settings
        ),
        .testTarget(
            name: "SandboxTests",
            dependencies: ["Sandbox", "SandboxProbe", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "HTTPTests",
            dependencies: [
                "HTTP", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RegistryServerTests",
            dependencies: [
                "Archive", "HTTP", "OCI", "RegistryServer", "Store", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "RegistryTests",
            dependencies: ["Archive", "HTTP", "OCI", "Registry", "RegistryServer", "Store", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AzureTests",
            dependencies: ["Archive", "Azure", "HTTP", "OCI", "Registry", "RegistryServer", "Store", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "KubernetesTests",
            dependencies: [
                "HTTP", "Kubernetes", "OCI", "TestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "DeployTests",
            dependencies: [
                "Azure", "CoracleKit", "Deploy", "DockerfileSyntax", "HTTP", "Kubernetes", "OCI", "TestSupport",
                "coracle",
                "coracle-azure-emulator",
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "AzureEmulatorTests",
            dependencies: ["AzureEmulator", "OCI", "TestSupport", "coracle", "coracle-azure-emulator"],
            exclude: ["clients"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CoracleKitTests",
            dependencies: ["Archive", "BuildPlan", "CoracleKit", "DockerfileSyntax", "OCI", "Store", "TestSupport"],
            swiftSettings: settings
        ),
        // The program as people run it.
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "Archive", "AzureEmulator", "CLinux", "OCI", "RegistryServer", "Store", "TestSupport", "coracle",
                "coracle-azure-emulator",
            ],
            swiftSettings: settings
        ),
        // What BuildKit makes of thousands of inputs, compared with what we make of them.
        .testTarget(
            name: "ConformanceTests",
            dependencies: ["BuildPlan", "DockerfileSyntax", "OCI", "TestSupport", "coracle"],
            swiftSettings: settings
        ),
    ]
)
