// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import OCI
import Registry
import TestSupport
import Testing

/// What memory a transfer takes, whatever its size; measured alone: `CORACLE_MEASURE=1 swift test --filter LargeBlob`.
@Suite(
    "Large blobs",
    .inTurns,
    .enabled(
        if: TestRegistry.isInstalled && ProcessInfo.processInfo.environment["CORACLE_MEASURE"] != nil,
        "SKIPPED: CORACLE_MEASURE is unset, or docker-registry is not installed"
    )
)
struct LargeBlobTests {
    /// Bytes that are nowhere, each chunk like the other.
    private struct Endless: BlobSource, BlobSink, BlobWriter {
        let chunk = [UInt8](repeating: 7, count: 1 << 20)

        func open(_ blob: Descriptor, from offset: Int64) -> BlobChunks { BlobChunks { chunk } }
        func begin(_ blob: Descriptor) -> any BlobWriter { self }
        func write(_ chunk: [UInt8]) {}
        func commit() {}
    }

    /// The most memory this process ever had, in MiB.
    private static func peak() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(whereSeparator: \.isNewline).first { $0.hasPrefix("VmHWM:") } ?? ""
        return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
    }

    @Test("Memory does not grow with what is sent and received")
    func memory() async throws {
        let registry = try await TestRegistry()
        let client = RegistryClient.make(.anonymous) { $0.chunkSize = 16 << 20 }
        let repository = try Repository(registry: registry.host, name: "large")
        let count = 1024
        let endless = Endless()
        var hash = SHA256()
        for _ in 0..<count { hash.update(endless.chunk) }
        let blob = Descriptor(mediaType: .layerGzip, digest: Digest(sha256: hash.finish()), size: Int64(count) << 20)
        let before = try Self.peak()

        let clock = ContinuousClock()
        let up = try await clock.measure { _ = try await client.upload(blob, from: endless, to: repository) }
        let down = try await clock.measure { try await client.download(blob, from: repository, into: endless) }

        let after = try Self.peak()
        print("1 GiB: up \(up), down \(down); peak memory \(before) MiB before, \(after) MiB after")
        #expect(after - before < 32)
    }
}
