// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Foundation
public import Testing

/// Lets a few of the tests that have servers, or wait for programs, run at a time.
///
/// All tests of a run start at once. Hundreds of servers and clients on two cores would make each other late, and a
/// token that lives two seconds would end before anybody could use it. They have threads of their own: those of the
/// process are as many as cores, any test that waits for a program would keep one, and who sleeps needs one to wake.
public struct Turns: SuiteTrait, TestTrait, TestScoping {
    fileprivate let places: Places

    /// Applies to the tests inside, not only to the suite.
    public let isRecursive = true

    /// Waits for a turn, and passes it on afterwards.
    public func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        await places.take()
        do {
            try await withTaskExecutorPreference(OwnThreads.shared) { try await function() }
        } catch {
            await places.leave()
            throw error
        }
        await places.leave()
    }

    /// A suite has no turn of its own: it would wait for its tests, and they for it.
    public func scopeProvider(for test: Test, testCase: Test.Case?) -> Turns? { testCase == nil ? nil : self }
}

extension Trait where Self == Turns {
    /// A few of these tests at a time.
    public static var inTurns: Turns { Turns(places: .servers) }

    /// Three times as many of these tests at a time as there are cores: they wait for programs.
    public static var waiting: Turns { Turns(places: .programs) }
}

/// As many threads as are needed, whoever else blocks.
private final class OwnThreads: TaskExecutor {
    static let shared = OwnThreads()

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // A queue of its own gets a thread of its own; a concurrent one shares few.
        DispatchQueue(label: "a test with servers").async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// The places of the tests that run.
private actor Places {
    static let servers = Places(2 * ProcessInfo.processInfo.activeProcessorCount + 2)
    static let programs = Places(3 * ProcessInfo.processInfo.activeProcessorCount)
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

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
