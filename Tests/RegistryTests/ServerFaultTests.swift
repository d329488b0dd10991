// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Registry
import RegistryServer
import Synchronization
import TestSupport
import Testing

/// A fault that people may meet, and how it may end.
struct PlannedFault: Sendable, CustomTestStringConvertible {
    let name: String
    let effect: Fault.Effect
    /// Only requests of this method; `nil` for any.
    var method: String?
    /// Only paths with this text in them.
    var path = "/v2/team/app/"
    /// What a fault that never ends is told as; `nil` where it is got around.
    var kind: RegistryError.Kind?

    var testDescription: String { name }

    func fault(times: Int) -> Fault { Fault(effect, times: times, method: method) }

    /// All that a registry can be told to do wrong.
    static let all: [PlannedFault] = [
        .init(name: "a download that is cut", effect: .cutDownload(after: 70_000), method: "GET"),
        .init(name: "a download that is cut at once", effect: .cutDownload(after: 0), method: "GET", kind: .network),
        .init(name: "an upload that is cut", effect: .cutUpload(after: 300_000), method: "PATCH"),
        .init(name: "an upload cut at once", effect: .cutUpload(after: 0), method: "PATCH", kind: .network),
        .init(name: "a manifest that is cut", effect: .cutUpload(after: 9), method: "PUT", kind: .network),
        .init(name: "no answer", effect: .cutBeforeAnswer, kind: .network),
        .init(name: "no answer to what was done", effect: .cutAfterWork, kind: .network),
        .init(name: "429", effect: .status(429, retryAfter: 0), kind: .throttled),
        .init(name: "429 that never says when", effect: .status(429), kind: .throttled),
        .init(name: "429 for an hour", effect: .status(429, retryAfter: 3600), kind: .throttled),
        .init(name: "500", effect: .status(500), kind: .server),
        .init(name: "502", effect: .status(502), kind: .server),
        .init(name: "503", effect: .status(503, retryAfter: 0), kind: .server),
        .init(name: "slow blobs", effect: .slow(bytesPerSecond: 20_000_000)),
        .init(name: "slow uploads", effect: .slowUpload(bytesPerSecond: 20_000_000), method: "PATCH"),
        .init(name: "other bytes", effect: .wrongContent, method: "GET", kind: .server),
        .init(name: "tokens that are never accepted", effect: .expiredToken, kind: .auth),
        .init(name: "no chunks, 404", effect: .noChunks(status: 404)),
        .init(name: "no chunks, 405", effect: .noChunks(status: 405)),
        .init(name: "no chunks, 416", effect: .noChunks(status: 416)),
        .init(name: "no mounts", effect: .noMount),
        .init(name: "no ranges", effect: .noRange),
        .init(name: "uploads that are forgotten", effect: .forgottenUpload, kind: .server),
        .init(name: "a limit for requests", effect: .tooLarge(over: 1_200_000)),
        .init(name: "a low limit for requests", effect: .tooLarge(over: 4000), kind: .invalid),
    ]
}

/// What goes wrong at our own server ends right, or with a reason and what to do.
@Suite("Faults of a registry", .inTurns)
struct ServerFaultTests {
    /// Bytes are right, or the error is one that people can act on.
    struct Outcome: Sendable {
        var isRight = false
        var error: RegistryError?
    }

    /// A registry and two clients: one whose requests go wrong, and one that never meets a fault.
    struct Place: Sendable {
        let registry: EmbeddedRegistry
        let client: RegistryClient
        let repository: Repository
        let image: SmallImage
        let told: Told

        /// Pushes the image, then pulls it, and looks at what there is.
        func transfer(tag: String) async throws -> Outcome {
            var outcome = Outcome()
            registry.clearRequests()
            do {
                let target = RegistryTarget(client, repository, tags: [tag])
                let graph = try await ImageGraph(image.document.descriptor, .everything, name: "app") { _ in
                    image.document.bytes
                }
                try await Transfer(from: image.memory, to: target) { _ in }.run(graph)
                let found = try #require(try await client.manifest(.tag(tag), in: repository))
                #expect(found == image.document)
                for blob in [image.config, image.layer] {
                    let copy = Memory()
                    do {
                        try await client.download(blob, from: repository, into: copy)
                        #expect(copy[blob] == image.memory[blob])
                    } catch {
                        #expect(copy[blob] == nil, "what is wrong is not kept")
                        throw error
                    }
                }
                outcome.isRight = true
            } catch let error as RegistryError {
                outcome.error = error
                #expect(error.message.contains("\(repository)"), "\(error)")
                #expect(error.hint != nil, "\(error)")
                #expect(
                    [.network, .throttled, .server, .auth].contains(error.kind) || error.status == 413,
                    "\(error)"
                )
            }
            // The registry refuses a manifest whose blobs it has not: it never had to.
            let early = registry.requests.filter { $0.method == "PUT" && $0.path.contains("/manifests/") }
            #expect(!early.contains { [400, 404].contains($0.status) }, "a manifest before its blobs")
            return outcome
        }

        /// What the registry holds under a tag is whole, or nothing.
        func check(tag: String, authority: URL?) async throws {
            registry.faults.clear()
            let honest = RegistryClient.make(authority: authority)
            guard let found = try await honest.manifest(.tag(tag), in: repository) else { return }
            #expect(found == image.document)
            for blob in [image.config, image.layer] {
                #expect(try await honest.bytes(of: blob, in: repository) == image.memory[blob])
            }
        }
    }

    static func with(
        _ kind: Peer.Kind,
        layer: Int,
        redirects: Bool = false,
        _ work: @escaping @Sendable (Place, URL?) async throws -> Void
    ) async throws {
        try await Peer.with(kind, change: { $0.redirectsBlobs = redirects }) { peer in
            let registry = try #require(peer.own)
            let told = Told()
            let client = RegistryClient.make(authority: peer.authority, told: told) { $0.chunkSize = 2 << 20 }
            let place = Place(
                registry: registry,
                client: client,
                repository: try Repository(registry: peer.host, name: "team/app"),
                image: SmallImage(layerSize: layer),
                told: told
            )
            try await work(place, peer.authority)
            #expect(!told.text.contains(TestRegistry.password) && !told.text.contains("eyJ"))
        }
    }

    @Test("What goes wrong once or twice is got over", arguments: PlannedFault.all, [false, true])
    func passing(fault: PlannedFault, redirects: Bool) async throws {
        // An hour is more than anybody waits.
        let isPatient = fault.effect != .status(429, retryAfter: 3600)
        // Wrong bytes are asked for once more, a token is renewed once, and a blob made smaller requests of once.
        let isTwice = ![.wrongContent, .expiredToken, .tooLarge(over: 4000)].contains(fault.effect)
        try await Self.with(.ownToken, layer: 2_500_000, redirects: redirects) { place, authority in
            place.registry.faults.add(fault.fault(times: isTwice ? 2 : 1))

            let outcome = try await place.transfer(tag: "1")

            #expect(outcome.isRight == isPatient, "\(outcome)")
            try await place.check(tag: "1", authority: authority)
        }
    }

    @Test("What never ends is got around, or told with what it is and what to do", arguments: PlannedFault.all)
    func lasting(fault: PlannedFault) async throws {
        try await Self.with(.ownToken, layer: 2_500_000) { place, authority in
            place.registry.faults.add(fault.fault(times: 1_000_000))

            let outcome = try await place.transfer(tag: "1")

            #expect(outcome.error?.kind == fault.kind, "\(outcome)")
            #expect(outcome.isRight == (fault.kind == nil))
            #expect(place.registry.faults.happened.isEmpty == false || fault.isRare, "it did happen")
            try await place.check(tag: "1", authority: authority)
        }
    }

    @Test("A wait that the registry asks for is kept")
    func retryAfter() async throws {
        try await Self.with(.ownAnonymous, layer: 5000) { place, _ in
            place.registry.faults.add(Fault(.status(429, retryAfter: 1), method: "PUT", path: "/manifests/"))

            let outcome = try await place.transfer(tag: "1")
            #expect(outcome.isRight)

            #expect(place.told.text.contains("answered 429"))
            let puts = place.registry.requests.filter { $0.path.contains("/manifests/1") && $0.method == "PUT" }
            #expect(puts.map(\.status) == [429, 201])
        }
    }

    @Test("Credentials do not follow to the host that blobs are fetched from")
    func redirects() async throws {
        try await Self.with(.ownToken, layer: 5000, redirects: true) { place, _ in
            let outcome = try await place.transfer(tag: "1")
            #expect(outcome.isRight)

            let elsewhere = place.registry.requests.filter { $0.path.hasPrefix("/storage/") }
            #expect(elsewhere.count >= 2)
            #expect(elsewhere.allSatisfy { !$0.isAuthorized && $0.status == 200 })
        }
    }
}

extension PlannedFault {
    /// Whether a push and a pull of a new image never come to it.
    fileprivate var isRare: Bool { effect == .noMount || effect == .noRange }
}

/// Random sequences of faults, the same in every run: `CORACLE_FAULT_TRANSFERS` images there and back.
@Suite("Random faults of a registry", .inTurns)
struct RandomServerFaultTests {
    static let runs = ProcessInfo.processInfo.environment["CORACLE_FAULT_TRANSFERS"].flatMap { Int($0) } ?? 60

    private static func fault(_ dice: inout Seeded) -> Fault {
        let methods = [nil, "HEAD", "GET", "POST", "PATCH", "PUT"]
        let effects: [Fault.Effect] = [
            .cutDownload(after: Int64(dice.number(below: 20_000))),
            .cutUpload(after: Int64(dice.number(below: 20_000))),
            .cutBeforeAnswer, .cutAfterWork, .status(429, retryAfter: 0), .status(429), .status(500), .status(502),
            .status(503, retryAfter: 0), .status(504), .slow(bytesPerSecond: 4_000_000), .wrongContent, .expiredToken,
            .noChunks(status: [404, 405, 416][dice.number(below: 3)]), .noMount, .noRange, .forgottenUpload,
            .tooLarge(over: Int64(1 + dice.number(below: 2_000_000))),
        ]
        let lasts = dice.number(below: 12) == 0
        return Fault(
            effects[dice.number(below: effects.count)],
            times: lasts ? 1000 : 1 + dice.number(below: 4),
            skipped: dice.number(below: 4),
            method: methods[dice.number(below: methods.count)]
        )
    }

    @Test(
        "Each transfer ends with the blobs right, or with an error that says whose fault it was and what to do",
        arguments: [(Peer.Kind.ownAnonymous, false), (.ownToken, false), (.ownPassword, true), (.ownToken, true)]
    )
    func sequences(kind: Peer.Kind, redirects: Bool) async throws {
        let runs = (Self.runs + 3) / 4
        try await ServerFaultTests.with(kind, layer: 10, redirects: redirects) { place, authority in
            var dice = Seeded(state: 20_260_101 + UInt64(Peer.Kind.allCases.firstIndex(of: kind) ?? 0))
            var (right, kinds) = (0, [RegistryError.Kind: Int]())
            for number in 0..<runs {
                let size = dice.number(below: 10) == 0 ? 1_000_000 + dice.number(below: 1_500_000) : 30_000
                let own = ServerFaultTests.Place(
                    registry: place.registry,
                    client: .make(authority: authority, told: place.told),
                    repository: place.repository,
                    image: SmallImage(layerSize: size),
                    told: place.told
                )
                place.registry.faults.clear()
                for _ in 0..<dice.number(below: 6) { place.registry.faults.add(Self.fault(&dice)) }

                let outcome = try await own.transfer(tag: "t\(number)")

                if outcome.isRight { right += 1 }
                if let error = outcome.error { kinds[error.kind, default: 0] += 1 }
                try await own.check(tag: "t\(number)", authority: authority)
            }
            print("Random faults, \(kind)\(redirects ? " and redirects" : ""): \(right) of \(runs) right, \(kinds)")
            #expect(right > runs / 2)
        }
    }
}
