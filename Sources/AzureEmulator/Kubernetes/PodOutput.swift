// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// What one run of a container wrote, up to ``limit`` bytes; a lock guards it.
final class PodOutput: Sendable {
    private struct Line {
        let time: Double
        var bytes: [UInt8]
        var isOpen: Bool
    }

    private struct Follower {
        let withTimes: Bool
        /// Is given what is written, and `nil` at the end.
        let send: @Sendable ([UInt8]?) -> Void
        /// Whether a line of it is not at its end.
        var isInLine = false

        mutating func take(_ bytes: ArraySlice<UInt8>, _ now: Double, _ isWhole: Bool) {
            let stamp = withTimes && !isInLine ? Array((Moment.text(now, fraction: true) + " ").utf8) : []
            isInLine = !isWhole
            send(stamp + bytes)
        }
    }

    private struct State {
        var lines: [Line] = []
        var size = 0
        var isOver = false
        var followers: [Int: Follower] = [:]
        var nextFollower = 0
    }

    private let state = Mutex(State())
    /// As much as kubelets keep of a file: 10 MiB.
    private static let limit = 10 << 20

    /// Adds what was written.
    func write(_ bytes: UnsafeRawBufferPointer) {
        let now = Moment.precise
        let all = Array(bytes)
        state.withLock { state in
            var rest = all[...]
            while !rest.isEmpty {
                let end = rest.firstIndex(of: 0x0A).map { $0 + 1 } ?? rest.endIndex
                let isWhole = rest[end - 1] == 0x0A
                if state.lines.last?.isOpen ?? false {
                    state.lines[state.lines.count - 1].bytes += rest[..<end]
                    state.lines[state.lines.count - 1].isOpen = !isWhole
                } else {
                    state.lines.append(Line(time: now, bytes: Array(rest[..<end]), isOpen: !isWhole))
                }
                for number in state.followers.keys { state.followers[number]?.take(rest[..<end], now, isWhole) }
                state.size += end - rest.startIndex
                rest = rest[end...]
            }
            while state.size > PodOutput.limit, state.lines.count > 1 {
                state.size -= state.lines.removeFirst().bytes.count
            }
        }
    }

    /// Takes note that nothing more comes.
    func end() {
        let followers = state.withLock { state in
            state.isOver = true
            defer { state.followers = [:] }
            return Array(state.followers.values)
        }
        for follower in followers { follower.send(nil) }
    }

    /// The last lines since a moment.
    func lines(tail: Int?, since: Double?, withTimes: Bool) -> [UInt8] {
        state.withLock { Self.bytes($0, tail, since, withTimes) }
    }

    private static func bytes(_ state: State, _ tail: Int?, _ since: Double?, _ withTimes: Bool) -> [UInt8] {
        var lines = state.lines[...]
        if let since { lines = lines.drop { $0.time < since } }
        if let tail { lines = lines.suffix(max(0, tail)) }
        var bytes: [UInt8] = []
        for line in lines {
            if withTimes { bytes += (Moment.text(line.time, fraction: true) + " ").utf8 }
            bytes += line.bytes
        }
        return bytes
    }

    /// Hands on what there is, and what comes; then `nil`.
    ///
    /// - Returns: What ``unfollow(_:)`` takes.
    func follow(tail: Int?, since: Double?, withTimes: Bool, _ send: @escaping @Sendable ([UInt8]?) -> Void) -> Int {
        let (number, isOver) = state.withLock { state -> (Int, Bool) in
            let past = Self.bytes(state, tail, since, withTimes)
            if !past.isEmpty { send(past) }
            guard !state.isOver else { return (0, true) }
            state.nextFollower += 1
            state.followers[state.nextFollower] = Follower(withTimes: withTimes, send: send)
            return (state.nextFollower, false)
        }
        if isOver { send(nil) }
        return number
    }

    func unfollow(_ number: Int) { state.withLock { $0.followers[number] = nil } }
}
