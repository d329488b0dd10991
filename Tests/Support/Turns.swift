// SPDX-License-Identifier: Apache-2.0
internal import Foundation
public import Testing

/// Lets a few of the tests that have servers run at a time.
///
/// All tests of a run start at once. Hundreds of servers and clients on two cores would make each other late, and a
/// token that lives two seconds would end before anybody could use it.
public struct Turns: SuiteTrait, TestTrait, TestScoping {
    /// Applies to the tests inside, not only to the suite.
    public let isRecursive = true

    /// Waits for a turn, and passes it on afterwards.
    public func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        await Places.shared.take()
        do {
            try await function()
        } catch {
            await Places.shared.leave()
            throw error
        }
        await Places.shared.leave()
    }

    /// A suite has no turn of its own: it would wait for its tests, and they for it.
    public func scopeProvider(for test: Test, testCase: Test.Case?) -> Turns? { testCase == nil ? nil : self }
}

extension Trait where Self == Turns {
    /// A few of these tests at a time.
    public static var inTurns: Turns { Turns() }
}

/// The places of the tests that run.
private actor Places {
    static let shared = Places()
    private var free = 2 * ProcessInfo.processInfo.activeProcessorCount + 2
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func take() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func leave() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
