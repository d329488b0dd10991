// SPDX-License-Identifier: Apache-2.0
internal import CoracleKit
internal import Synchronization

/// A line that is drawn again while a step runs, and one that stays when it is done.
final class TerminalProgress: ProgressView {
    private struct State {
        var start = ContinuousClock.now
        var drawn = ContinuousClock.now
        var cached = 0
        /// Whether a line stands there that no newline ended.
        var isDrawn = false
    }

    private let state = Mutex(State())

    func show(_ event: BuildProgress) {
        if let text = state.withLock({ TerminalProgress.text(event, &$0) }) { Output.raw(text) }
    }

    func show(_ event: TransferProgress) {
        state.withLock { state in
            let clear = "\r\u{1B}[K"
            switch event.kind {
            case .done: return
            case .warning: Output.raw(clear + " ! \(event.line)\n")
            case .moved:
                guard ContinuousClock.now - state.drawn > .milliseconds(100) else { return }
                state.drawn = .now
                state.isDrawn = true
                let total = event.total > 0 ? " of \(ByteCount.text(event.total))" : ""
                Output.raw(clear + " → \(ByteCount.text(event.moved))\(total)  \(Elapsed.text(.now - state.start))")
            }
        }
    }

    func finish() {
        if state.withLock({ $0.isDrawn }) { Output.raw("\r\u{1B}[K") }
        let cached = state.withLock { $0.cached }
        if cached > 0 { Output.raw("\r\u{1B}[K   \(cached) \(cached == 1 ? "step" : "steps") found in the cache\n") }
    }

    /// What is written for an event; begins by clearing the line that is drawn again.
    private static func text(_ event: BuildProgress, _ state: inout State) -> String? {
        let clear = "\r\u{1B}[K"
        switch event.kind {
        case .planned: return nil
        case .started:
            (state.start, state.drawn) = (.now, .now)
            return clear + " → " + event.title.prefixed(70)
        case .progress:
            guard ContinuousClock.now - state.drawn > .milliseconds(100) else { return nil }
            state.drawn = .now
            let facts = "\(Elapsed.text(.now - state.start)) \(ByteCount.text(event.bytes))"
            return clear + " → " + event.title.prefixed(54) + "  " + facts
        case .cached:
            state.cached += 1
            return clear
        case .finished:
            let size = event.layerSize.map { ByteCount.text($0) } ?? "nothing changed"
            return clear + " ✓ \(event.title.prefixed(54))  \(Elapsed.text(.now - state.start)) \(size)\n"
        case .warning: return clear + " ! \(event.message)\n"
        case .failed: return clear + " ✗ \(event.title.prefixed(70))\n"
        }
    }
}

extension String {
    /// At most so many characters, so that no line is broken.
    fileprivate func prefixed(_ count: Int) -> String {
        self.count > count ? prefix(count - 1) + "…" : self
    }
}
