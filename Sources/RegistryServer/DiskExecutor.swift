// SPDX-License-Identifier: Apache-2.0
internal import Dispatch

/// Runs what may wait for the disk, so that the threads that other tasks share do not.
final class DiskExecutor: TaskExecutor {
    static let shared = DiskExecutor()

    private let queue = DispatchQueue(label: "coracle.registry.disk", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    /// Runs some work there.
    static func run<Value>(
        isolation: isolated (any Actor)? = #isolation,
        _ work: () async throws -> Value
    ) async rethrows -> Value {
        try await withTaskExecutorPreference(shared, operation: work)
    }
}
