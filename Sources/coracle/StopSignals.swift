// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc

/// SIGTERM and SIGINT, for what runs until it is told to stop.
enum StopSignals {
    /// Waits for the first; the second ends the process as it would without us.
    static func first() async {
        let (signals, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let numbers = [SIGTERM, SIGINT]
        let sources = numbers.map { number in
            Glibc.signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { signal.yield() }
            source.resume()
            return source
        }
        for await _ in signals { break }
        for number in numbers { Glibc.signal(number, SIG_DFL) }
        for source in sources { source.cancel() }
    }
}
