// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Dispatch

/// Does every step of a plan after its inputs, several at a time.
final class StepSchedule: @unchecked Sendable {
    // SAFETY: everything that changes is touched by the thread that holds the turn only.
    private let steps: [Step]
    private let turn: Turn
    private let body: (Step) throws -> Void
    private var waiting: [Step]
    private var isDone: Set<Int> = []
    private var running = 0
    private var failure: (any Error)?

    /// Prepares the steps; `body` does one of them, and is called by a thread that holds the turn.
    init(_ steps: [Step], _ turn: Turn, _ body: @escaping (Step) throws -> Void) {
        (self.steps, self.turn, self.body) = (steps, turn, body)
        waiting = steps.reversed()
    }

    /// Does all steps on so many threads; returns when no thread is at work any more.
    ///
    /// After a failure no further step is begun.
    func run(width: Int) throws {
        let group = DispatchGroup()
        // Queues of their own: work that blocks must not take threads from others.
        for number in 1..<max(1, min(width, steps.count)) {
            DispatchQueue(label: "coracle.steps.\(number)").async(group: group) { self.work() }
        }
        work()
        group.wait()
        if let failure { throw failure }
    }

    /// Whether a step failed, so that nothing more is worth doing.
    var hasFailed: Bool { failure != nil }

    private func work() {
        turn.hold {
            while failure == nil, !waiting.isEmpty {
                guard let step = next() else {
                    // A step without inputs in progress would wait for ever; plans have none.
                    if running == 0 { return }
                    turn.wait()
                    continue
                }
                running += 1
                do {
                    try body(step)
                    isDone.insert(step.index)
                } catch {
                    failure = failure ?? error
                }
                running -= 1
                turn.notify()
            }
            turn.notify()
        }
    }

    /// The first step whose inputs are all there.
    private func next() -> Step? {
        guard let place = waiting.lastIndex(where: { $0.inputs.allSatisfy(isDone.contains) }) else { return nil }
        return waiting.remove(at: place)
    }
}
