// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Synchronization

/// Lets a command clean up before it ends by a signal: SIGINT, SIGTERM or SIGHUP.
///
/// A second signal ends it at once, and so does time: what is left then is cleared by the next build, as after a kill.
final class Interruption: @unchecked Sendable {
    // SAFETY: what changes is touched on the queue only.
    private let queue = DispatchQueue(label: "coracle.signals")
    private var sources: [any DispatchSourceSignal] = []
    private var received: Int32?

    /// Seconds for cleaning up.
    private static let patience = 1.6

    /// Calls `handler` when a signal comes.
    init(_ handler: @escaping @Sendable () -> Void) {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // One that was ignored from the start, as nohup does it, stays so.
            if Interruption.isIgnored(number) { continue }
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [unowned self] in
                if received != nil { Interruption.die(number) }
                received = number
                queue.asyncAfter(deadline: .now() + Interruption.patience) { Interruption.die(number) }
                handler()
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Ends the process as the signal would have, where one came.
    func end() {
        let number = queue.sync { () -> Int32? in
            for source in sources { source.cancel() }
            sources = []
            return received
        }
        for signalNumber in [SIGINT, SIGTERM, SIGHUP] { signal(signalNumber, SIG_DFL) }
        if let number { Interruption.last.withLock { $0 = number } }
    }

    private static let last = Mutex<Int32?>(nil)

    /// Ends the process by the signal that ended a command, now that everything is cleaned up; does nothing where none
    /// did.
    static func pass() {
        if let number = last.withLock({ $0 }) { die(number) }
    }

    static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        // SAFETY: a handler is a pointer, and SIG_IGN is the pointer 1.
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    private static func die(_ number: Int32) {
        signal(number, SIG_DFL)
        // To this thread and not blocked in it, so that nothing is done after it: another thread may come to it too late.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, number)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        raise(number)
    }
}
