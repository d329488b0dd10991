// SPDX-License-Identifier: Apache-2.0
import Foundation
import OCI
import Registry
import Synchronization
import TestSupport
import Testing

@Suite("Random faults", .inTurns, .enabled(if: TestRegistry.isInstalled, "SKIPPED: docker-registry is not installed"))
struct RandomFaultTests {
    /// How many blobs go there and back: `CORACLE_FAULT_RUNS`.
    static let runs = ProcessInfo.processInfo.environment["CORACLE_FAULT_RUNS"].flatMap { Int($0) } ?? 25

    /// A dice that chooses what becomes of requests, every fourth of which fails.
    private final class Dice: Sendable {
        private let numbers: Mutex<Seeded>

        init(_ seed: UInt64) {
            numbers = Mutex(Seeded(state: seed))
        }

        func number(below limit: Int) -> Int { numbers.withLock { Int.random(in: 0..<limit, using: &$0) } }

        func deed(_ head: FaultyServer.Head) -> FaultyServer.Deed {
            guard head.target != "/v2/", number(below: 4) == 0 else { return .forward }
            let size = Int(head.fields["content-length"] ?? "0") ?? 0
            let gone = "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\",\"message\":\"gone\"}]}"
            switch number(below: 9) {
            case 0: return .answer(500)
            case 1: return .answer(503, ["Retry-After": "0"])
            case 2: return .answer(429, ["Retry-After": "0"])
            case 3: return .cutBody(number(below: max(size, 1)))
            case 4: return .cutAnswer(1 + number(below: 300))
            case 5: return .cutAnswer(1 + number(below: 2_000_000))
            case 6: return head.method == "PATCH" ? .answer(404, [:], gone) : .answer(504)
            case 7: return head.method == "PATCH" && size > 1 << 20 ? .answer(413) : .forwardWithout(["range"])
            default: return head.method == "GET" ? .spoilAnswer : .forward
            }
        }
    }

    @Test("Each transfer ends with the blob right, or with an error that says whose fault it was")
    func sequences() async throws {
        let registry = try await TestRegistry()
        let dice = Dice(20_260_101)
        let server = try FaultyServer(upstream: registry.port) { dice.deed($0) }
        let direct = try Repository(registry: registry.host, name: "team/app")
        let spoilt = try Repository(registry: "127.0.0.1:\(server.port)", name: "team/app")
        let honest = RegistryClient.make(.anonymous)
        let client = RegistryClient.make(.anonymous)
        var (done, failed) = (0, 0)

        for _ in 0..<Self.runs {
            let memory = Memory()
            let blob = memory.random(dice.number(below: dice.number(below: 3) == 0 ? 3_000_000 : 20_000))
            do {
                _ = try await client.upload(blob, from: memory, to: spoilt)
                #expect(try await honest.bytes(of: blob, in: direct) == memory[blob])
                let target = Memory()
                do {
                    try await client.download(blob, from: spoilt, into: target)
                    #expect(target[blob] == memory[blob])
                    done += 1
                } catch let error as RegistryError {
                    #expect(target[blob] == nil && Self.isClear(error), "\(error)")
                    failed += 1
                }
            } catch let error as RegistryError {
                #expect(Self.isClear(error), "\(error)")
                failed += 1
            }
        }

        print("Random faults: \(done) transfers right, \(failed) failed with a reason")
        #expect(done > Self.runs / 2)
    }

    private static func isClear(_ error: RegistryError) -> Bool {
        [.network, .throttled, .server].contains(error.kind) && error.message.contains("team/app") && error.hint != nil
    }
}
