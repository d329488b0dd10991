// SPDX-License-Identifier: Apache-2.0
internal import Builder
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store

/// Why a program was not run, with the exit code that `docker run` has for it.
public struct RunFailure: Error, Sendable {
    /// What is printed.
    public let reason: ExitReason
    /// 127 where the program is not in the image, 126 where it cannot be executed, 125 for everything else.
    public let status: Int32

    init(_ reason: ExitReason, status: Int32) { (self.reason, self.status) = (reason, status) }

    /// What an error means to the person who wanted to run something.
    init(_ error: any Error) {
        switch error {
        case let error as RunFailure: self = error
        case let error as ExitReason: self.init(error, status: 125)
        case let error as SandboxError:
            // What helps there is told to who writes a Dockerfile.
            let hint = error.isProgramMissing ? "coracle inspect shows what the image starts" : error.hint
            let status: Int32 = error.isProgramMissing ? 127 : error.code == .program ? 126 : 125
            self.init(ExitReason(.step, error.message, hint: hint), status: status)
        case let error as BuildError: self.init(ExitReason(.step, error.message, hint: error.notes.first), status: 125)
        case let error as StoreError: self.init(ExitReason(error), status: 125)
        case let error as ContentError: self.init(ExitReason(.step, error.message), status: 125)
        case let error as TreeError: self.init(ExitReason(.step, error.message), status: 125)
        default: self.init(ExitReason(.step, "\(error)"), status: 125)
        }
    }
}
