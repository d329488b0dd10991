// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// What belongs to one thread at a time: trees, indexes and results of a build.
///
/// A thread holds the turn while it works on them, and is away while it waits for a command or for the disk.
final class Turn: @unchecked Sendable {
    // SAFETY: both are made once, never moved, and used through their own functions only.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Does something while no other thread has the turn.
    func hold<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Does something while other threads may have the turn; called by the thread that holds it.
    func away<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_unlock(mutex)
        defer { pthread_mutex_lock(mutex) }
        return try body()
    }

    /// Gives the turn to others until one of them says that something changed.
    func wait() { pthread_cond_wait(changed, mutex) }

    /// Says that something changed.
    func notify() { pthread_cond_broadcast(changed) }
}
