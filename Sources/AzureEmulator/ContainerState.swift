// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What became of a container so far, as the instance view shows it.
struct ContainerState: Sendable {
    enum Phase: Sendable {
        case waiting(String)
        case running(since: Double)
        case terminated(code: Int32, since: Double, until: Double, detail: String)

        var json: JSONValue {
            switch self {
            case .waiting(let detail): return ["state": "Waiting", "detailStatus": .string(detail)]
            case .running(let since):
                return [
                    "state": "Running", "startTime": .string(Moment.text(since, fraction: true)), "detailStatus": "",
                ]
            case .terminated(let code, let since, let until, let detail):
                return [
                    "state": "Terminated", "startTime": .string(Moment.text(since, fraction: true)),
                    "exitCode": .int(Int64(code)), "finishTime": .string(Moment.text(until, fraction: true)),
                    "detailStatus": .string(detail),
                ]
            }
        }

        var isRunning: Bool { if case .running = self { true } else { false } }
        var exitCode: Int32? { if case .terminated(let code, _, _, _) = self { code } else { nil } }
    }

    var current = Phase.waiting("")
    var previous: Phase?
    var restarts = 0
    var events = EventList()

    mutating func enter(_ phase: Phase) {
        // What it waited for is no state that anybody looks back on.
        if case .waiting = current {} else { previous = current }
        current = phase
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "restartCount": .int(Int64(restarts)), "currentState": current.json, "events": events.json,
        ]
        members["previousState"] = previous?.json
        return .object(members)
    }
}

/// Events; those that say the same again are counted.
struct EventList: Sendable {
    private struct Event: Sendable {
        let name: String
        let message: String
        let type: String
        let first: Double
        var last: Double
        var count = 1
    }

    private var events: [Event] = []

    mutating func add(_ name: String, _ message: String, isWarning: Bool = false) {
        let now = Moment.precise
        if let place = events.firstIndex(where: { $0.name == name && $0.message == message }) {
            events[place].count += 1
            events[place].last = now
            return
        }
        let type = isWarning ? "Warning" : "Normal"
        events.append(Event(name: name, message: message, type: type, first: now, last: now))
        if events.count > 100 { events.removeFirst() }
    }

    var json: JSONValue {
        .array(
            events.map { event in
                [
                    "count": .int(Int64(event.count)), "firstTimestamp": .string(Moment.text(event.first)),
                    "lastTimestamp": .string(Moment.text(event.last)), "name": .string(event.name),
                    "message": .string(event.message), "type": .string(event.type),
                ]
            }
        )
    }
}
