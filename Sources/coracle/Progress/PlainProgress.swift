// SPDX-License-Identifier: Apache-2.0
internal import CoracleKit
internal import Synchronization

/// Lines that stay: `#4 [build 2/5] COPY . /app`, and `#4 DONE 0.3s 1.2 MB`; what commands write comes with the time
/// since their start: `#5 0.213 hello`.
final class PlainProgress: ProgressView {
    private struct Running {
        let number: Int
        let start = ContinuousClock.now
        /// The beginning of a line whose end is still to come.
        var open: [UInt8] = []

        /// Takes what a command wrote, and gives the lines that are whole now; a line that was written over with `\r`
        /// gives each of its states.
        ///
        /// Looks at each byte once, however long a line gets.
        mutating func take(_ text: String) -> [String] {
            var lines: [String] = []
            for byte in text.utf8 {
                let follows = open.last == 0x0D
                if byte == 0x0A {
                    if follows { open.removeLast() }
                    end(&lines)
                } else {
                    if follows {
                        open.removeLast()
                        if !open.isEmpty { end(&lines) }
                    }
                    open.append(byte)
                }
            }
            return lines
        }

        private mutating func end(_ lines: inout [String]) {
            lines.append(String(decoding: open, as: UTF8.self))
            open.removeAll(keepingCapacity: true)
        }
    }

    private struct State {
        var running: [Int: Running] = [:]
        var next = 1
        /// What was found in the Dockerfile, for the end.
        var findings: [String] = []
    }

    private let state = Mutex(State())

    func show(_ event: BuildProgress) {
        state.withLock { state in
            // The colours of what commands write are theirs.
            for line in PlainProgress.lines(event, &state) { Output.raw(line + "\n") }
        }
    }

    func show(_ event: TransferProgress) {
        // A lock keeps lines whole; bytes are for views that draw again.
        if event.kind != .moved { state.withLock { _ in Output.note(event.line) } }
    }

    func show(line: String) { state.withLock { _ in Output.note(line) } }

    func finish() {
        state.withLock { Output.raw(DiagnosticText.summary(of: $0.findings)) }
    }

    private static func lines(_ event: BuildProgress, _ state: inout State) -> [String] {
        let number = state.running[event.step].map { "#\($0.number)" } ?? "#0"
        let elapsed = state.running[event.step].map { ContinuousClock.now - $0.start } ?? .zero
        switch event.kind {
        case .lint:
            state.findings.append(event.message)
            return []
        case .planned:
            (state.running, state.next) = ([:], 1)
            return []
        case .started:
            state.running[event.step] = Running(number: state.next)
            state.next += 1
            return ["#\(state.next - 1) \(event.title)"]
        case .progress: return []
        case .output:
            let lines = state.running[event.step]?.take(event.message) ?? []
            return lines.map { "\(number) \(Elapsed.precise(elapsed)) \($0)" }
        case .warning:
            let place = event.step < 0 ? "" : number + " "
            return ["\(place)WARNING: \(DiagnosticText.message(event.message))"]
        case .shell: return ["\(number) failed; a shell in the state before it; end it with exit"]
        case .cached, .finished, .failed, .canceled: break
        }
        var lines: [String] = []
        if let open = state.running[event.step]?.open, !open.isEmpty {
            let rest = String(decoding: open, as: UTF8.self)
            lines.append("\(number) \(Elapsed.precise(elapsed)) \(rest)")
            state.running[event.step]?.open = []
        }
        switch event.kind {
        case .cached: lines.append("\(number) CACHED")
        case .failed: lines.append("\(number) ERROR: \(DiagnosticText.message(event.message))")
        case .canceled: lines.append("\(number) CANCELED")
        default:
            let made = event.layerSize.map { ", layer of \(ByteCount.text($0)) (\(ByteCount.text(event.bytes)))" }
            lines.append("\(number) DONE \(Elapsed.text(elapsed))\(made ?? ", nothing changed")")
        }
        return lines
    }
}

/// Times for people.
enum Elapsed {
    /// Seconds with one digit after the point: `0.3s`.
    static func text(_ duration: Duration) -> String {
        let tenths = Int((duration / .milliseconds(100)).rounded())
        return "\(tenths / 10).\(tenths % 10)s"
    }

    /// Seconds with three digits after the point: `0.213`.
    static func precise(_ duration: Duration) -> String {
        let thousandths = Int((duration / .milliseconds(1)).rounded())
        let fraction = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
