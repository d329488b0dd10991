// SPDX-License-Identifier: Apache-2.0
internal import CoracleKit
internal import Synchronization

/// Lines that stay: `#4 [build 2/5] COPY . /app`, and `#4 DONE 0.3s 1.2 MB`.
final class PlainProgress: ProgressView {
    private struct State {
        var numbers: [Int: Int] = [:]
        var starts: [Int: ContinuousClock.Instant] = [:]
        var next = 1
    }

    private let state = Mutex(State())

    func show(_ event: BuildProgress) {
        if let line = state.withLock({ PlainProgress.line(event, &$0) }) { Output.note(line) }
    }

    func show(_ event: TransferProgress) {
        // A lock keeps lines whole; bytes are for views that draw again.
        if event.kind != .moved { state.withLock { _ in Output.note(event.line) } }
    }

    func finish() {}

    private static func line(_ event: BuildProgress, _ state: inout State) -> String? {
        let number = state.numbers[event.step].map { "#\($0)" } ?? "#0"
        switch event.kind {
        case .planned:
            state = State()
            return nil
        case .started:
            state.numbers[event.step] = state.next
            state.starts[event.step] = .now
            state.next += 1
            return "#\(state.next - 1) \(event.title)"
        case .progress: return nil
        case .cached: return "\(number) CACHED"
        case .finished:
            let time = state.starts[event.step].map { Elapsed.text(.now - $0) } ?? ""
            let made = event.layerSize.map { ", layer of \(ByteCount.text($0)) (\(ByteCount.text(event.bytes)))" }
            return "\(number) DONE \(time)\(made ?? ", nothing changed")"
        case .warning: return "\(number) WARNING: \(event.message)"
        case .failed: return "\(number) ERROR: \(event.message)"
        }
    }
}

/// Times for people.
enum Elapsed {
    /// Seconds with one digit after the point: `0.3s`.
    static func text(_ duration: Duration) -> String {
        let tenths = Int((duration / .milliseconds(100)).rounded())
        return "\(tenths / 10).\(tenths % 10)s"
    }
}
