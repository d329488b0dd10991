// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// What kept a container's output from its reader, of which the container is told, whichever of both is known first.
///
/// The lock protects both.
final class OutputFault: Sendable {
    private struct State {
        var number: Int32 = 0
        var tell: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// The system's number of the fault; 0 where there was none.
    var number: Int32 { state.withLock { $0.number } }

    /// Takes the first fault.
    func take(_ number: Int32) {
        let tell = state.withLock { state -> (@Sendable () -> Void)? in
            guard state.number == 0, number != 0 else { return nil }
            state.number = number
            return state.tell
        }
        tell?()
    }

    /// Says who tells the container; at once where the reader had gone before.
    func attach(_ tell: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            state.tell = tell
            return state.number != 0
        }
        if isLate { tell() }
    }
}
