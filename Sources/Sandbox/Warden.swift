// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Synchronization

/// Sees to it that no process outlives this program, even one that is killed; started with the first process.
enum Warden {
    private struct State {
        /// -1 where none could be started: then only the kernel's own means hold.
        var socket: Int32?
        var last: UInt64 = 0
    }

    private static let state = Mutex(State())

    /// Starts it, where it does not run yet.
    static func start() {
        state.withLock { state in
            if state.socket == nil { state.socket = clinux_start_warden() }
        }
    }

    /// The socket through which a process that is being started is made known, and a number for it.
    static func ticket() -> (socket: Int32, number: UInt64) {
        state.withLock { state in
            state.last += 1
            return (state.socket ?? -1, state.last)
        }
    }

    /// Forgets a process that has ended.
    static func forget(_ number: UInt64) {
        state.withLock { state in
            if let socket = state.socket, socket >= 0 { clinux_send_descriptor(socket, -1, number) }
        }
    }
}
