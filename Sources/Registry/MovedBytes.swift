// SPDX-License-Identifier: Apache-2.0
public import OCI
internal import Synchronization

/// Turns "so many bytes so far" into events of so many more; the lock holds what was told.
public final class MovedBytes: Sendable {
    private let told: Mutex<Int64>
    private let blob: Descriptor
    private let events: @Sendable (TransferEvent) -> Void

    /// Counts a blob.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - start: How many bytes of it need not be moved.
    ///   - events: Is told of its bytes.
    public init(_ blob: Descriptor, from start: Int64 = 0, _ events: @escaping @Sendable (TransferEvent) -> Void) {
        (self.blob, self.events) = (blob, events)
        told = Mutex(start)
    }

    /// Tells how far the blob is.
    ///
    /// - Parameter bytes: How many bytes of it were moved so far; may be fewer than before.
    public func reach(_ bytes: Int64) {
        let more = told.withLock { told in
            defer { told = bytes }
            return bytes - told
        }
        if more != 0 { events(.moved(blob, bytes: more)) }
    }
}
