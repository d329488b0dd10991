// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// What names an object within its type.
struct ObjectKey: Hashable, Sendable, Comparable {
    /// Empty where the type has none.
    let namespace: String
    let name: String

    init(_ namespace: String, _ name: String) { (self.namespace, self.name) = (namespace, name) }

    init(_ object: JSONValue) { self.init(object.kubeNamespace, object.kubeName) }

    static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

/// A change of an object.
struct ObjectEvent: Sendable {
    let type: KubeType
    let revision: Int64
    /// `nil` where the object is new.
    let old: JSONValue?
    /// `nil` where the object is gone.
    let new: JSONValue?
}

/// Somebody who is told of changes as they happen; bounded by what the receiver takes in.
struct ObjectWatcher: Sendable {
    let type: KubeType
    /// `nil` for all namespaces.
    let namespace: String?
    let filter: ObjectFilter
    /// Is given `ADDED`, `MODIFIED` or `DELETED`, the object, and its revision; must not block.
    let send: @Sendable (String, JSONValue, Int64) -> Void

    /// Tells of a change, if the watcher is concerned.
    func take(_ event: ObjectEvent) {
        guard event.type == type, let shown = event.new ?? event.old else { return }
        if let namespace, shown.kubeNamespace != namespace { return }
        let (was, now) = (event.old.map(filter.matches) ?? false, event.new.map(filter.matches) ?? false)
        switch (was, now) {
        case (false, true): if let new = event.new { send("ADDED", new, event.revision) }
        case (true, true): if let new = event.new { send("MODIFIED", new, event.revision) }
        case (true, false):
            var last = event.new ?? event.old ?? .null
            last.set("metadata", "resourceVersion", to: .string("\(event.revision)"))
            send("DELETED", last, event.revision)
        case (false, false): break
        }
    }
}

/// The objects of a cluster, and their latest changes; a lock around it guards it.
struct ObjectStore: Sendable {
    /// Counts changes, as etcd does.
    private(set) var revision: Int64 = 1
    private var objects: [KubeType: [ObjectKey: JSONValue]] = [:]
    private var log: [ObjectEvent] = []
    /// The first revision whose changes are still known.
    private(set) var firstRevision: Int64 = 1
    private var watchers: [Int: ObjectWatcher] = [:]
    private var nextWatcher = 0
    /// Whether something changed that controllers have not seen.
    var isDirty = false

    private static let remembered = 2_000

    func get(_ type: KubeType, _ key: ObjectKey) -> JSONValue? { objects[type]?[key] }

    /// Objects of a type in order of their names.
    func list(_ type: KubeType, _ namespace: String? = nil) -> [JSONValue] {
        (objects[type] ?? [:]).filter { namespace == nil || $0.key.namespace == namespace }.sorted { $0.key < $1.key }
            .map(\.value)
    }

    /// Every object there is.
    func everything() -> [(type: KubeType, object: JSONValue)] {
        objects.flatMap { type, all in all.values.map { (type, $0) } }
    }

    /// Keeps an object; gives it with its new revision.
    @discardableResult
    mutating func put(_ type: KubeType, _ object: JSONValue) -> JSONValue {
        revision += 1
        var kept = object
        kept.set("metadata", "resourceVersion", to: .string("\(revision)"))
        let key = ObjectKey(kept)
        let old = objects[type]?[key]
        objects[type, default: [:]][key] = kept
        tell(ObjectEvent(type: type, revision: revision, old: old, new: kept))
        return kept
    }

    @discardableResult
    mutating func remove(_ type: KubeType, _ key: ObjectKey) -> JSONValue? {
        guard let old = objects[type]?.removeValue(forKey: key) else { return nil }
        revision += 1
        tell(ObjectEvent(type: type, revision: revision, old: old, new: nil))
        return old
    }

    private mutating func tell(_ event: ObjectEvent) {
        if event.type != .events { isDirty = true }
        log.append(event)
        if log.count > ObjectStore.remembered { forget(ObjectStore.remembered / 2) }
        for watcher in watchers.values { watcher.take(event) }
    }

    /// Forgets changes, as etcd does when it is compacted: only so many of the latest are kept.
    mutating func forget(_ kept: Int) {
        guard log.count > kept else { return }
        log.removeFirst(log.count - kept)
        firstRevision = log.first.map { $0.revision - 1 } ?? revision
    }

    /// Watches; what changed after a revision is told at once.
    ///
    /// - Returns: The watcher's number; `nil` where the revision is too old.
    mutating func watch(_ watcher: ObjectWatcher, after past: Int64) -> Int? {
        guard past >= firstRevision else { return nil }
        for event in log where event.revision > past { watcher.take(event) }
        nextWatcher += 1
        watchers[nextWatcher] = watcher
        return nextWatcher
    }

    mutating func unwatch(_ number: Int) { watchers[number] = nil }
}
