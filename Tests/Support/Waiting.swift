// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Asking again until something is so: with an end, for a test that waits for ever tells nobody what it waits for.
public enum Waiting {
    /// Asks a hundred times a second, and keeps its thread meanwhile, which a test with a server in this process must not.
    ///
    /// - Parameters:
    ///   - what: What is waited for, for the error.
    ///   - seconds: How long; two minutes are enough for a machine that has much else to do.
    ///   - isSo: Whether it is so.
    /// - Throws: ``ServerFault`` where it is not so in time; what `isSo` throws.
    public static func blocking(until what: String, upTo seconds: Double = 120, _ isSo: () throws -> Bool) throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while try !isSo() {
            guard ContinuousClock.now < end else { throw late(what, seconds) }
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    /// Asks a thousand times a second, and lets other tests run meanwhile.
    ///
    /// - Parameters:
    ///   - what: What is waited for, for the error.
    ///   - seconds: How long at least; and ten thousand times, as others may leave no thread to it and to the server.
    ///   - isSo: Whether it is so.
    /// - Throws: ``ServerFault`` where it is not so in time; `CancellationError`; what `isSo` throws.
    public static func until(
        _ what: String,
        upTo seconds: Double = 120,
        _ isSo: () async throws -> Bool
    ) async throws {
        let end = ContinuousClock.now + .seconds(seconds)
        let start = ContinuousClock.now
        var times = 0
        while try await !isSo() {
            times += 1
            guard ContinuousClock.now < end || times < 10_000 else {
                throw late(what, (ContinuousClock.now - start) / .seconds(1))
            }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    private static func late(_ what: String, _ seconds: Double) -> ServerFault {
        ServerFault(message: "waited \(seconds) s for \(what), in vain")
    }
}
