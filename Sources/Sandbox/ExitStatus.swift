// SPDX-License-Identifier: Apache-2.0

/// How a process ended.
public enum ExitStatus: Sendable, Hashable {
    /// By itself, with this code; 0 is success.
    case exited(Int32)
    /// By a signal of this number.
    case signaled(Int32)

    /// The number that a shell would give: 128 and the signal's number for one that a signal ended.
    public var code: Int32 {
        switch self {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    }

    /// Whether it ended by itself, with code 0.
    public var isSuccess: Bool { self == .exited(0) }

    /// From what `waitpid` gives.
    init(waitStatus status: Int32) {
        self = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .signaled(status & 0x7F)
    }
}

/// Which of its two streams a process wrote to.
public enum ProcessStream: Sendable, Hashable {
    /// Standard output; of a terminal, everything.
    case output
    /// Standard error.
    case errors
}
