// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Bytes in memory, given away chunk by chunk; the lock holds what is left.
final class OneChunk: Sendable {
    private let rest: Mutex<ArraySlice<UInt8>>

    init(_ bytes: [UInt8]) {
        rest = Mutex(bytes[...])
    }

    func take() -> [UInt8]? {
        rest.withLock { rest in
            guard !rest.isEmpty else { return nil }
            defer { rest = rest.dropFirst(1 << 20) }
            return Array(rest.prefix(1 << 20))
        }
    }
}
