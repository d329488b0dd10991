// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI

/// Finds what a collector removes.
struct Sweep {
    private typealias Item = StoreScan.Item

    /// A record of a step, as far as removing it goes.
    private struct Record {
        let item: Item
        let layer: Digest?
        let definition: String?
        let diffID: String?
    }

    /// What to remove, in order.
    private(set) var removed: [StoreScan.Item] = []
    private(set) var outcome = Collector.Outcome()
    private let marks: ImageMarks
    private let registry: RegistryMarks
    private var ledger: DiskLedger
    private var blobs: [Digest: Item] = [:]
    /// What is known of layers; several files for one.
    private var layerIndexes: [Digest: [Item]] = [:]
    private var records: [Record] = []
    private var markers: [Item] = []
    /// Unpacked layers, and beside each its diff ID; its time is when it was of use last.
    private var snapshots: [String: [Item]] = [:]
    /// Unpacked layers that running containers use, by their places.
    private var inUse: Set<String> = []
    /// What `RUN --mount=type=cache` keeps; the time is that of the last use.
    private var folders: [Item] = []
    /// How many records name a layer.
    private var uses: [Digest: Int] = [:]
    private let now: Int64

    /// Build contexts that were not built for so many seconds are forgotten.
    private static let contextAge: Int64 = 30 * 86400
    /// A process that writes one file for longer is not the one that began it.
    static let leftoverAge: Int64 = 86400

    /// What commands wrote is read soon or never.
    private static let logAge: Int64 = 7 * 86400

    init(_ store: ImageStore, _ policy: Collector.Policy) throws(StoreError) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        now = Int64(time.tv_sec)
        marks = try ImageMarks(try store.images(), in: store)
        registry = try RegistryMarks(store, now: now)
        let items = StoreScan(store.root).items
        ledger = DiskLedger(items)
        let before = ledger.total
        for item in items { sort(item, store) }
        for items in snapshots.filter({ inUse.contains($0.key) }) { snapshots[items.key] = nil }
        records.sort { $0.item.mtime < $1.item.mtime }
        folders.sort { $0.mtime < $1.mtime }
        removeRecords(policy)
        removeSnapshots(policy, store)
        removeFolders(policy)
        for (digest, item) in blobs.sorted(by: { $0.value.place < $1.value.place }) where isUnused(digest) {
            removeBlob(digest, item)
        }
        // Where a layer is that an image needs, and that was never brought here, must not be forgotten.
        for (digest, items) in layerIndexes where blobs[digest] == nil && !marks.layers.contains(digest) {
            for item in items { removeIndex(item) }
        }
        if let most = policy.maxSize { shrink(to: most) }
        removeMarkers()
        (outcome.freed, outcome.left) = (before - ledger.total, ledger.total)
    }

    private mutating func sort(_ item: Item, _ store: ImageStore) {
        if isLeftover(item, store) {
            outcome.leftovers += 1
            remove(item)
            return
        }
        let digest = try? Digest("sha256:" + item.name)
        let layer = try? Digest("sha256:" + item.name.prefix { $0 != "." })
        switch item.area {
        case .blob: if let digest { blobs[digest] = item }
        case .layerIndex: if let layer { layerIndexes[layer, default: []].append(item) }
        case .step where item.name.hasSuffix(".any"): markers.append(item)
        case .step: if digest != nil { keep(record(item, store)) }
        case .snapshot: snapshots[String(item.place.prefix { $0 != "." }), default: []].append(item)
        case .fileIndex: if now - item.mtime > Sweep.contextAge { removeIndex(item) }
        case .cacheFolder: folders.append(item)
        case .log:
            if now - item.mtime > Sweep.logAge {
                outcome.logs += 1
                remove(item)
            }
        // Builds hold off the collector; a container that runs holds the lock of its files.
        case .lock:
            let isOurs = item.name.hasPrefix("step-") || item.name.hasPrefix("unpack-")
            if isOurs, !FileLock.isHeld(store.root + "/" + item.place) { remove(item) }
        case .registry: if registry.stale.contains(item.place) { remove(item) }
        case .container: sortContainer(item, store)
        case .temporary, .other: break
        }
    }

    /// Removes what is kept of a container that has ended, and spares what a running one uses.
    private mutating func sortContainer(_ item: Item, _ store: ImageStore) {
        let folder = store.root + "/" + item.place
        guard FileLock.isHeld(folder + "/lock") else {
            outcome.containers += 1
            return remove(item)
        }
        let layers = (try? DiskFile.read(folder + "/layers", limit: 1 << 20)) ?? []
        inUse.formUnion(String(decoding: layers, as: UTF8.self).split(separator: "\n").map(String.init))
    }

    private func record(_ item: Item, _ store: ImageStore) -> Record {
        let bytes = try? DiskFile.read(store.root + "/" + item.place, limit: 1 << 20)
        let json = bytes.flatMap { try? JSONValue(parsing: $0) }
        let layer = json?["layer"]?["digest"]?.string.flatMap { try? Digest($0) }
        return Record(
            item: item,
            layer: layer,
            definition: json?["definition"]?.string,
            diffID: json?["diffID"]?.string
        )
    }

    private mutating func keep(_ record: Record) {
        records.append(record)
        if let layer = record.layer { uses[layer, default: 0] += 1 }
    }

    private static let documents = ["index.json", "oci-layout", "coracle-store"]

    /// Files on their way are called `NAME.PID.NUMBER`, in tmp `PID-NUMBER`, with a word before
    /// it where they are blobs, roots of steps or tries of what the machine allows.
    private func isLeftover(_ item: Item, _ store: ImageStore) -> Bool {
        // The names there are those of tags and uploads, and have no process in them.
        if item.area == .registry {
            return item.place.contains("/_uploads/") && now - item.mtime > Sweep.leftoverAge
        }
        let process: Int32?
        if item.area == .temporary {
            // Nobody fetches anything now; what was fetched in part is of no use to an image.
            if item.name.hasPrefix(Ingest.partial) { return true }
            // What a command or a container changes is there for as long as it runs.
            let lock = "\(store.root)/locks/\(item.name)"
            if DiskFile.exists(lock) { return !FileLock.isHeld(lock) }
            let parts = item.name.split(separator: "-")
            process =
                ["blob", "step", "probe"].contains(parts.first) && parts.count > 1
                ? Int32(parts[1]) : parts.first.flatMap { Int32($0) }
        } else {
            let parts = item.name.split(separator: ".")
            // What people put beside the store's own files is theirs.
            let isOurs = item.area != .other || Sweep.documents.contains { item.place.hasPrefix($0 + ".") }
            guard isOurs, parts.count > 2, let number = Int32(parts[parts.count - 2]),
                UInt32(parts[parts.count - 1]) != nil
            else { return false }
            process = number
        }
        if now - item.mtime > Sweep.leftoverAge { return true }
        guard let process, process > 0 else { return false }
        return kill(process, 0) != 0 && errno == ESRCH
    }

    private mutating func remove(_ item: Item) {
        removed.append(item)
        ledger.remove(item)
    }

    private mutating func removeIndex(_ item: Item) {
        outcome.indexes += 1
        remove(item)
    }

    private mutating func removeBlob(_ digest: Digest, _ item: Item) {
        outcome.blobs += 1
        remove(item)
        blobs[digest] = nil
    }

    private func isUnused(_ blob: Digest) -> Bool {
        uses[blob] == nil && !marks.contains(blob) && !registry.blobs.contains(blob)
    }

    private mutating func remove(_ record: Record) {
        outcome.steps += 1
        remove(record.item)
        guard let layer = record.layer, let count = uses[layer] else { return }
        uses[layer] = count == 1 ? nil : count - 1
    }

    private mutating func removeFolder(_ item: Item) {
        outcome.folders += 1
        remove(item)
    }

    private mutating func removeFolders(_ policy: Collector.Policy) {
        let last = policy.records == .all ? .max : policy.olderThan.map { now - $0 } ?? .min
        let old = folders.prefix { $0.mtime < last }
        folders.removeFirst(old.count)
        for item in old { removeFolder(item) }
    }

    private mutating func removeRecords(_ policy: Collector.Policy) {
        let last: Int64
        if policy.records == .all {
            last = .max
        } else if let age = policy.olderThan {
            last = now - age
        } else {
            return
        }
        let old = records.prefix { $0.item.mtime < last }
        records.removeFirst(old.count)
        for record in old { remove(record) }
    }

    // MARK: Unpacked layers

    /// Removes those that no image and no record of a step has a use for.
    private mutating func removeSnapshots(_ policy: Collector.Policy, _ store: ImageStore) {
        if snapshots.isEmpty { return }
        let needed = Set(records.compactMap(\.diffID)).union(marks.diffIDs(in: store))
        let last = policy.olderThan.map { now - $0 } ?? .min
        for (_, items) in snapshots {
            let note = items.first { $0.name.hasSuffix(".diff") }
            let bytes = note.flatMap { try? DiskFile.read(store.root + "/" + $0.place, limit: 4096) }
            let diffID = bytes.map { String(decoding: $0, as: UTF8.self) }
            let isNeeded = items.count == 2 && policy.records == .none && diffID.map { needed.contains($0) } ?? false
            if !isNeeded || Sweep.lastUse(items) < last { removeSnapshot(items) }
        }
    }

    private static func lastUse(_ items: [Item]) -> Int64 { items.first { $0.name.hasSuffix(".diff") }?.mtime ?? 0 }

    private mutating func removeSnapshot(_ items: [Item]) {
        outcome.snapshots += 1
        for item in items {
            remove(item)
            snapshots[String(item.place.prefix { $0 != "." })] = nil
        }
    }

    private mutating func shrink(to most: Int64) {
        for (_, items) in snapshots.sorted(by: { Sweep.lastUse($0.value) < Sweep.lastUse($1.value) })
        where ledger.total > most { removeSnapshot(items) }
        var kept = records[...]
        while ledger.total > most, let record = kept.popFirst() {
            remove(record)
            guard let layer = record.layer, isUnused(layer), let item = blobs[layer] else { continue }
            removeBlob(layer, item)
            for index in layerIndexes[layer] ?? [] { removeIndex(index) }
        }
        records = Array(kept)
        // Nothing makes these again but commands themselves.
        for item in folders where ledger.total > most { removeFolder(item) }
    }

    /// Removes what says that a definition has records, where it has none.
    private mutating func removeMarkers() {
        let definitions = Set(records.compactMap(\.definition))
        for marker in markers where !definitions.contains("sha256:" + marker.name.dropLast(4)) { remove(marker) }
    }
}
