// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Registry
import TestSupport
import Testing

/// What every registry must be able to do for us.
@Suite("Registries", .inTurns)
struct RegistrySuite {
    /// Does something with a registry and a client of it, and looks for the password in all that was told.
    static func with(
        _ kind: Peer.Kind,
        _ work: @escaping @Sendable (RegistryClient, Peer) async throws -> Void
    ) async throws {
        let told = Told()
        try await Peer.with(kind) { peer in
            try await work(.make(authority: peer.authority, told: told), peer)
        }
        #expect(!told.text.contains(TestRegistry.password) && !told.text.contains("eyJ"))
    }

    @Test("What was pushed can be pulled", arguments: Peer.Kind.available, [10, 1_500_000, 5_000_000])
    func roundTrip(kind: Peer.Kind, size: Int) async throws {
        try await Self.with(kind) { client, registry in
            let repository = try Repository(registry: registry.host, name: "team/app")
            let image = SmallImage(layerSize: size)

            #expect(try await !client.exists(image.layer, in: repository, for: .push))
            try await image.push(client, repository, tag: "1.0")
            let target = Memory()
            try await client.download(image.layer, from: repository, into: target)

            #expect(try await client.exists(image.layer, in: repository))
            #expect(target[image.layer] == image.memory[image.layer])
            #expect(try await client.resolve(.tag("1.0"), in: repository) == image.document.descriptor)
            #expect(try await client.manifest(.tag("1.0"), in: repository) == image.document)
            #expect(
                try await client.manifest(.digest(image.document.descriptor.digest), in: repository) == image.document
            )
            #expect(try await client.bytes(of: image.config, in: repository) == image.memory[image.config])
        }
    }

    @Test("What is not there is nil, false or not found, never another error", arguments: Peer.Kind.available)
    func absent(kind: Peer.Kind) async throws {
        try await Self.with(kind) { client, registry in
            let repository = try Repository(registry: registry.host, name: "team/none")
            let blob = Memory().add([1, 2, 3])

            #expect(try await client.resolve(.tag("x"), in: repository) == nil)
            #expect(try await client.manifest(.digest(blob.digest), in: repository) == nil)
            #expect(try await !client.exists(blob, in: repository))
            let missing = try await #require(throws: RegistryError.self) {
                try await client.bytes(of: blob, in: repository)
            }
            #expect(missing.kind == .notFound)
            #expect(missing.message.hasPrefix("read blob \(blob.digest) of \(repository): "))
            #expect(missing.codes == ["BLOB_UNKNOWN"])
            let tags = try await #require(throws: RegistryError.self) { try await client.tags(in: repository) }
            #expect(tags.kind == .notFound)
            #expect(tags.codes == ["NAME_UNKNOWN"])
        }
    }

    @Test("A blob is mounted from another repository", arguments: Peer.Kind.available)
    func mount(kind: Peer.Kind) async throws {
        try await Self.with(kind) { client, registry in
            let base = try Repository(registry: registry.host, name: "base/os")
            let target = try Repository(registry: registry.host, name: "team/app")
            let memory = Memory()
            let blob = memory.random(3000)
            _ = try await client.upload(blob, from: memory, to: base)

            // The source has nothing: the bytes could not come from it.
            let outcome = try await client.upload(blob, from: Memory(), to: target, mounting: base)

            #expect(outcome == .mounted)
            #expect(try await client.exists(blob, in: target))
            #expect(try await client.mount(blob, from: base, to: Repository(registry: registry.host, name: "team/b")))
            #expect(try await !client.mount(memory.random(10), from: base, to: target))
            let other = memory.random(2000)
            #expect(try await client.upload(other, from: memory, to: target, mounting: base) == .uploaded)
        }
    }

    @Test("Tags and repositories are listed over many pages", arguments: Peer.Kind.available)
    func lists(kind: Peer.Kind) async throws {
        try await Self.with(kind) { client, registry in
            let image = SmallImage()
            let names = ["a/one", "b/two", "c/three"]
            for name in names {
                try await image.push(client, Repository(registry: registry.host, name: name), tag: "1.0")
            }
            let repository = try Repository(registry: registry.host, name: "a/one")
            for tag in ["1.1", "latest"] { try await client.put(image.document, as: .tag(tag), to: repository) }

            #expect(try await client.tags(in: repository).sorted() == ["1.0", "1.1", "latest"])
            #expect(try await client.tags(in: repository, limit: 2).count == 2)
            #expect(try await client.catalog(registry.host) == names)
            #expect(try await client.catalog(registry.host, limit: 2) == ["a/one", "b/two"])
        }
    }

    @Test("Manifests and blobs are removed", arguments: Peer.Kind.available)
    func removing(kind: Peer.Kind) async throws {
        try await Self.with(kind) { client, registry in
            let repository = try Repository(registry: registry.host, name: "team/app")
            let image = SmallImage()
            try await image.push(client, repository, tag: "1.0")

            try await client.delete(.digest(image.document.descriptor.digest), in: repository)
            try await client.deleteBlob(image.layer.digest, in: repository)

            #expect(try await client.resolve(.tag("1.0"), in: repository) == nil)
            #expect(try await !client.exists(image.layer, in: repository))
            let again = try await #require(throws: RegistryError.self) {
                try await client.deleteBlob(image.layer.digest, in: repository)
            }
            #expect(again.kind == .notFound)
        }
    }

    @Test(
        "Referrers are kept under the fallback tag where the registry has no list of them, and there alone",
        arguments: Peer.Kind.available
    )
    func referrers(kind: Peer.Kind) async throws {
        try await Self.with(kind) { client, registry in
            let repository = try Repository(registry: registry.host, name: "team/app")
            let image = SmallImage()
            try await image.push(client, repository, tag: "1.0")
            let subject = image.document.descriptor
            func artifact(_ type: String) -> ManifestDocument {
                let json: JSONValue = [
                    "schemaVersion": 2, "mediaType": .string(MediaType.manifest.description),
                    "artifactType": .string(type), "config": image.config.json, "layers": [], "subject": subject.json,
                ]
                return ManifestDocument(Array(json.canonical.utf8), .manifest)
            }

            for type in ["application/x.sbom", "application/x.signature", "application/x.sbom"] {
                let document = artifact(type)
                try await client.put(document, as: .digest(document.descriptor.digest), to: repository)
            }

            #expect(try await client.referrers(of: subject.digest, in: repository).count == 2)
            #expect(
                try await client.referrers(of: subject.digest, in: repository, artifactType: "application/x.sbom")
                    .map(\.digest) == [artifact("application/x.sbom").descriptor.digest]
            )
            let isTagged = try await client.tags(in: repository).contains("sha256-\(subject.digest.hex)")
            #expect(isTagged != kind.isOurs)
            #expect(try await client.referrers(of: image.layer.digest, in: repository) == [])
        }
    }

    @Test("Blobs go from registry to registry without a stop", arguments: Peer.Kind.available)
    func copying(kind: Peer.Kind) async throws {
        try await Self.with(kind) { client, from in
            try await Peer.with(.ownAnonymous) { to in
                let memory = Memory()
                let blob = memory.random(6_300_000)
                let source = try Repository(registry: from.host, name: "team/app")
                let target = try Repository(registry: to.host, name: "mirror/app")
                _ = try await client.upload(blob, from: memory, to: source)

                #expect(try await client.upload(blob, from: client.source(source), to: target) == .uploaded)

                let copy = Memory()
                try await client.download(blob, from: target, into: copy)
                #expect(copy[blob] == memory[blob])
            }
        }
    }

    @Test("Unauthenticated registries that speak plain HTTP are not talked to unless named or on this machine")
    func plainHTTP() async throws {
        let error = try await #require(throws: RegistryError.self) {
            try await RegistryClient.make(.anonymous).ping("registry.invalid:5000")
        }

        #expect(error.kind == .network)
        #expect(error.message == "ask registry.invalid:5000: the host \"registry.invalid\" has no address in the DNS")
    }
}
