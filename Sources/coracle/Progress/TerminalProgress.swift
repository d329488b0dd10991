// SPDX-License-Identifier: Apache-2.0
internal import CoracleKit
internal import Dispatch
internal import Glibc
internal import Synchronization

/// Running steps in lines that are drawn again, each with what its command wrote last; finished ones in lines that
/// stay.
final class TerminalProgress: ProgressView {
    private struct Running {
        let step: Int
        let title: String
        let start = ContinuousClock.now
        var bytes: Int64 = 0
        var last = ""
    }

    private struct State {
        var running: [Running] = []
        /// Lines that the next drawing goes over.
        var lines = 0
        var drawn = ContinuousClock.now
        let start = ContinuousClock.now
        var cached = 0
        /// What was found in the Dockerfile, for the end.
        var findings: [String] = []
        /// What goes to or comes from registries; `nil` where nothing does.
        var transfer: String?
        var timer: (any DispatchSourceTimer)?
    }

    private let state = Mutex(State())

    func show(_ event: BuildProgress) {
        state.withLock { state in
            if state.timer == nil { state.timer = makeTimer() }
            let stays = TerminalProgress.take(event, &state)
            let isQuick = event.kind == .progress || event.kind == .output
            if isQuick, ContinuousClock.now - state.drawn < .milliseconds(80) { return }
            Output.raw(TerminalProgress.drawing(&state, above: stays))
        }
    }

    func show(_ event: TransferProgress) {
        state.withLock { state in
            switch event.kind {
            case .done: state.transfer = nil
            case .warning:
                let line = DiagnosticText.message(event.line)
                Output.raw(TerminalProgress.drawing(&state, above: " ! \(line)\n"))
            case .moved:
                let total = event.total > 0 ? " of \(ByteCount.text(event.total))" : ""
                state.transfer = "\(ByteCount.text(event.moved))\(total)  \(Elapsed.text(.now - state.start))"
                guard ContinuousClock.now - state.drawn > .milliseconds(100) else { return }
                Output.raw(TerminalProgress.drawing(&state, above: ""))
            }
        }
    }

    func show(line: String) {
        state.withLock { Output.raw(TerminalProgress.drawing(&$0, above: DiagnosticText.message(line) + "\n")) }
    }

    func finish() {
        state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            (state.running, state.transfer) = ([], nil)
            let count = state.cached
            let cached = count > 0 ? "   \(count) \(count == 1 ? "step" : "steps") found in the cache\n" : ""
            let text = cached + DiagnosticText.summary(of: state.findings)
            Output.raw(TerminalProgress.drawing(&state, above: text))
        }
    }

    /// Draws again now and then, as a step that says nothing still takes its time.
    private func makeTimer() -> any DispatchSourceTimer {
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "coracle.progress"))
        timer.schedule(deadline: .now() + .milliseconds(250), repeating: .milliseconds(250))
        timer.setEventHandler { [weak self] in
            self?.state.withLock { if !$0.running.isEmpty { Output.raw(TerminalProgress.drawing(&$0, above: "")) } }
        }
        timer.resume()
        return timer
    }

    /// Takes an event, and gives the line that it leaves.
    private static func take(_ event: BuildProgress, _ state: inout State) -> String {
        let place = state.running.firstIndex { $0.step == event.step }
        switch event.kind {
        case .lint:
            state.findings.append(event.message)
            return ""
        case .planned: return ""
        case .started:
            state.running.append(Running(step: event.step, title: event.title))
            return ""
        case .progress:
            if let place { state.running[place].bytes = event.bytes }
            return ""
        case .output:
            let lines = event.message.split(whereSeparator: \.isNewline)
            if let place, let last = lines.last { state.running[place].last = TerminalProgress.plain(last) }
            return ""
        case .warning: return " ! \(DiagnosticText.message(event.message))\n"
        case .shell:
            // Nothing may be drawn while somebody types.
            state.running = []
            return " ✗ \(event.title.prefixed(width - 4))\n   a shell in the state before it; end it with exit\n"
        case .cached, .finished, .failed, .canceled: break
        }
        let time = place.map { Elapsed.text(.now - state.running[$0].start) } ?? ""
        if let place { state.running.remove(at: place) }
        if event.kind == .cached {
            state.cached += 1
            return ""
        }
        if event.kind == .failed { return " ✗ \(event.title.prefixed(width - 4))\n" }
        if event.kind == .canceled { return " ⊘ \(event.title.prefixed(width - 22))  \(time) canceled\n" }
        let size = event.layerSize.map { ByteCount.text($0) } ?? "nothing changed"
        return " ✓ \(event.title.prefixed(width - 26))  \(time) \(size)\n"
    }

    /// Goes over what was drawn, with a text that stays and the running steps below it.
    private static func drawing(_ state: inout State, above text: String) -> String {
        var result = state.lines > 0 ? "\u{1B}[\(state.lines)A\r\u{1B}[J" : "\r\u{1B}[J"
        result += text
        state.lines = 0
        state.drawn = .now
        let width = width
        for step in state.running.prefix(8) {
            let bytes = step.bytes > 0 ? " " + ByteCount.text(step.bytes) : ""
            result += " → \(step.title.prefixed(width - 24))  \(Elapsed.text(.now - step.start))\(bytes)\n"
            state.lines += 1
            guard !step.last.isEmpty else { continue }
            result += "\u{1B}[2m   \(step.last.prefixed(width - 5))\u{1B}[0m\n"
            state.lines += 1
        }
        if let transfer = state.transfer {
            result += " ⇅ \(transfer.prefixed(width - 4))\n"
            state.lines += 1
        }
        return result
    }

    /// Columns of the terminal; what a terminal had once where it does not say.
    private static var width: Int {
        var size = winsize()
        return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 30 ? Int(size.ws_col) : 80
    }

    /// Text without control characters, which would draw somewhere else.
    private static func plain(_ text: Substring) -> String {
        // Of a line that was drawn several times, the last state.
        let last = text.split(separator: "\r").last ?? ""
        return String(last.unicodeScalars.filter { $0.properties.generalCategory != .control }.map(Character.init))
    }
}

extension String {
    /// At most so many characters, so that no line is broken.
    fileprivate func prefixed(_ count: Int) -> String {
        self.count > count ? prefix(max(0, count - 1)) + "…" : self
    }
}
