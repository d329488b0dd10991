// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import HTTP
import OCI
import Registry
import Synchronization
import TestSupport

/// Credentials that a test has.
struct Fixed: CredentialProvider {
    var value: Credentials = .basic(user: TestRegistry.user, password: TestRegistry.password)

    func credentials(for registry: String) -> Credentials { value }
}

/// Everything that a client tells, for a look at the end.
final class Told: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    func add(_ line: String) {
        lines.withLock { $0.append(line) }
    }
}

/// Blobs in memory.
final class Memory: BlobSource, BlobSink {
    private let blobs = Mutex<[Digest: [UInt8]]>([:])

    subscript(_ blob: Descriptor) -> [UInt8]? { blobs.withLock { $0[blob.digest] } }

    func add(_ bytes: [UInt8]) -> Descriptor {
        let digest = SHA256.digest(bytes)
        blobs.withLock { $0[digest] = bytes }
        return Descriptor(mediaType: .layerGzip, digest: digest, size: Int64(bytes.count))
    }

    /// Bytes that are not all the same, whose order matters.
    func random(_ count: Int) -> Descriptor { add(randomBytes(count)) }

    func open(_ blob: Descriptor, from offset: Int64) -> BlobChunks {
        let rest = Rest((self[blob] ?? []).dropFirst(Int(offset)))
        return BlobChunks { rest.take() }
    }

    func begin(_ blob: Descriptor) -> any BlobWriter { Writer(memory: self, blob: blob) }

    private final class Rest: Sendable {
        private let rest: Mutex<ArraySlice<UInt8>>

        init(_ bytes: ArraySlice<UInt8>) {
            rest = Mutex(bytes)
        }

        func take() -> [UInt8]? {
            rest.withLock { rest in
                defer { rest = rest.dropFirst(100_000) }
                return rest.isEmpty ? nil : Array(rest.prefix(100_000))
            }
        }
    }

    private final class Writer: BlobWriter {
        private let memory: Memory
        private let blob: Descriptor
        private let bytes = Mutex<[UInt8]>([])

        init(memory: Memory, blob: Descriptor) {
            (self.memory, self.blob) = (memory, blob)
        }

        func write(_ chunk: [UInt8]) {
            bytes.withLock { $0 += chunk }
        }

        func commit() {
            let bytes = bytes.withLock { $0 }
            memory.blobs.withLock { $0[blob.digest] = bytes }
        }
    }
}

extension RegistryClient {
    /// A client that hardly waits.
    static func make(
        _ credentials: Credentials = .basic(user: TestRegistry.user, password: TestRegistry.password),
        authority: URL? = nil,
        told: Told = Told(),
        change: (inout Settings) -> Void = { _ in }
    ) -> RegistryClient {
        var settings = Settings()
        settings.retries.firstDelay = .milliseconds(2)
        settings.chunkSize = 1 << 20
        change(&settings)
        var network = NetworkSettings()
        network.authorityFiles = authority.map { [$0.path] } ?? []
        return RegistryClient(
            transport: NetworkTransport(network),
            credentials: Fixed(value: credentials),
            settings: settings
        ) { told.add("\($0)") }
    }
}

/// A manifest of one layer, whose blobs are in memory.
struct SmallImage {
    let memory = Memory()
    let config: Descriptor
    let layer: Descriptor
    let document: ManifestDocument

    init(layerSize: Int = 5000) {
        config = memory.add(
            Array("{\"architecture\":\"amd64\",\"os\":\"linux\",\"n\":\(Int.random(in: 0...Int.max))}".utf8)
        )
        layer = memory.random(layerSize)
        var config = config
        config.mediaType = .config
        document = ManifestDocument(Manifest(config: config, layers: [layer]).document, .manifest)
    }

    func push(_ client: RegistryClient, _ repository: Repository, tag: String) async throws {
        for blob in [config, layer] { _ = try await client.upload(blob, from: memory, to: repository) }
        try await client.put(document, as: .tag(tag), to: repository)
    }
}
