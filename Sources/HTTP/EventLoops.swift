// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOPosix

/// The event loops that connections to servers are made on.
enum EventLoops {
    /// A few, as a body that is sent waits for each of them; four keep up with any network.
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: min(4, System.coreCount))

    /// Returns when every loop did what it was given before.
    static func catchUp() async throws {
        let passing = group.makeIterator().map { $0.submit {} }
        try await EventLoopFuture.andAllSucceed(passing, on: group.any()).get()
    }
}
