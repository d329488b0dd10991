// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import OCI
internal import Synchronization

/// Changes of objects as they happen, one line of JSON for each.
struct KubeWatch: Sendable {
    let cluster: KubernetesCluster
    let type: KubeType
    let namespace: String?
    let filter: ObjectFilter
    /// After which revision; 0 for what is there now, and then what changes.
    let revision: Int64
    let wantsBookmarks: Bool
    let wantsInitial: Bool
    let seconds: Double?
    /// What rows of tables hold of their objects; `nil` where objects are wanted.
    let asTable: String?

    func run(_ stream: KubeStream) {
        let isFirst = Mutex(true)
        let send: @Sendable (String, JSONValue, Int64) -> Void = { kind, object, revision in
            stream.send(["type": .string(kind), "object": shown(object, revision, isFirst)])
        }
        let watcher = ObjectWatcher(type: type, namespace: namespace, filter: filter, send: send)
        let number = cluster.store.withLock { store -> Int? in
            let startsNow = revision == 0 || wantsInitial
            if startsNow {
                for object in store.list(type, namespace) where filter.matches(object) {
                    send("ADDED", object, object.kubeRevision)
                }
            }
            if wantsInitial { stream.send(bookmark(store.revision, isInitialEnd: true)) }
            return store.watch(watcher, after: startsNow ? store.revision : revision)
        }
        guard let number else {
            let first = cluster.store.withLock { $0.firstRevision }
            stream.send(["type": "ERROR", "object": KubeFault.expired(revision, first).json])
            stream.end()
            return
        }
        stream.atEnd { [cluster] in cluster.store.withLock { $0.unwatch(number) } }
        if wantsBookmarks { repeatBookmarks(stream) }
        // A client that sets no end is given one, as by the real server, which takes half an hour to an hour.
        DispatchQueue.global().asyncAfter(deadline: .now() + (seconds ?? 1_800)) { stream.end() }
    }

    private func shown(_ object: JSONValue, _ revision: Int64, _ isFirst: borrowing Mutex<Bool>) -> JSONValue {
        guard let asTable else { return object }
        let withColumns = isFirst.withLock { first in
            defer { first = false }
            return first
        }
        return KubeTables.table([object], type, revision: revision, include: asTable, withColumns: withColumns)
    }

    private func bookmark(_ revision: Int64, isInitialEnd: Bool = false) -> JSONValue {
        var object: JSONValue = [
            "kind": .string(type.kind), "apiVersion": .string(type.apiVersion),
            "metadata": ["resourceVersion": .string("\(revision)")],
        ]
        if isInitialEnd { object.set("metadata", "annotations", to: ["k8s.io/initial-events-end": "true"]) }
        return ["type": "BOOKMARK", "object": object]
    }

    /// Says now and then how far the watch has come, while it goes on.
    private func repeatBookmarks(_ stream: KubeStream) {
        let isOver = SharedFlag()
        stream.atEnd { isOver.set() }
        @Sendable func next() {
            DispatchQueue.global()
                .asyncAfter(deadline: .now() + 10) {
                    guard !isOver.isSet else { return }
                    // Under the lock, so that no change comes after a bookmark that has it.
                    cluster.store.withLock { stream.send(bookmark($0.revision)) }
                    next()
                }
        }
        next()
    }
}

/// A flag that many share, and that is set once.
final class SharedFlag: Sendable {
    private let flag = Mutex(false)

    var isSet: Bool { flag.withLock { $0 } }

    func set() { flag.withLock { $0 = true } }
}
