// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// What a container wrote, as much as Container Instances keeps: 4 MB; a lock guards it.
final class ContainerOutput: Sendable {
    private struct Line {
        let time: Double
        var bytes: [UInt8]
        var isOpen = true
    }

    private struct State {
        var lines: [Line] = []
        var size = 0
        var followers: [Int: @Sendable ([UInt8]) -> Void] = [:]
        var nextFollower = 0
    }

    private let state = Mutex(State())
    private static let limit = 4 << 20

    /// Adds what was written.
    func write(_ bytes: UnsafeRawBufferPointer) {
        let now = Moment.precise
        let all = Array(bytes)
        let followers = state.withLock { state in
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
                state.size += end - rest.startIndex
                rest = rest[end...]
            }
            while state.size > ContainerOutput.limit, state.lines.count > 1 {
                state.size -= state.lines.removeFirst().bytes.count
            }
            return state.followers.values.map { $0 }
        }
        for follower in followers { follower(all) }
    }

    /// The last lines; all where no number is given.
    func text(tail: Int?, withTimes: Bool) -> String {
        state.withLock { state in
            let lines = tail.map { state.lines.suffix(max(0, $0)) } ?? state.lines[...]
            var bytes: [UInt8] = []
            for line in lines {
                if withTimes { bytes += (Moment.text(line.time, fraction: true) + " ").utf8 }
                bytes += line.bytes
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Hands on what is written from now on, until the number that is returned is given to ``unfollow(_:)``.
    func follow(_ body: @escaping @Sendable ([UInt8]) -> Void) -> Int {
        state.withLock { state in
            state.nextFollower += 1
            state.followers[state.nextFollower] = body
            return state.nextFollower
        }
    }

    func unfollow(_ number: Int) { state.withLock { $0.followers[number] = nil } }

    /// Forgets everything, as a new container begins with nothing.
    func clear() {
        state.withLock { state in
            state.lines = []
            state.size = 0
        }
    }
}
