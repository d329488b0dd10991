// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Dispatch
internal import Glibc
internal import OCI
internal import Store
internal import Synchronization

/// The layers of one image on their way to be unpacked, taken by several threads from the lowest to the highest.
final class UnpackWork: Sendable {
    private struct State {
        var folders: [String?]
        var next = 0
        var bytes: Int64 = 0
        /// Of the lowest layer that failed.
        var failure: (layer: Int, error: any Error)?
    }

    private let snapshots: Snapshots
    private let layers: [Snapshots.Layer]
    private let chain: [Digest]
    private let limit: Int64
    private let state: Mutex<State>
    /// Left when a layer is unpacked, or failed.
    private let ends: [DispatchGroup]

    init(_ snapshots: Snapshots, _ layers: [Snapshots.Layer], limit: Int64) {
        (self.snapshots, self.layers, self.limit) = (snapshots, layers, limit)
        let chain = Snapshots.chain(layers.map(\.diffID))
        self.chain = chain
        let folders = layers.indices.map { snapshots.find(layers[$0].diffID, chain: chain[$0]) }
        for case let folder? in folders { snapshots.touch(folder) }
        state = Mutex(State(folders: folders))
        ends = folders.map { folder in
            let end = DispatchGroup()
            if folder == nil { end.enter() }
            return end
        }
    }

    /// How many layers are not unpacked yet.
    var missing: Int { state.withLock { $0.folders.count { $0 == nil } } }

    func result() throws -> [String] {
        try state.withLock { state in
            if let failure = state.failure { throw failure.error }
            return state.folders.compactMap { $0 }
        }
    }

    /// Unpacks one layer after the other.
    func run() {
        while let index = take() {
            do {
                let folder = try unpack(index)
                state.withLock { $0.folders[index] = folder }
            } catch {
                state.withLock { state in
                    if state.failure.map({ $0.layer > index }) ?? true { state.failure = (index, error) }
                }
            }
            ends[index].leave()
        }
    }

    /// The lowest layer that nobody works on; none after a failure.
    private func take() -> Int? {
        let (taken, abandoned) = state.withLock { state -> (Int?, [Int]) in
            while state.next < state.folders.count, state.folders[state.next] != nil { state.next += 1 }
            guard state.next < state.folders.count else { return (nil, []) }
            if state.failure != nil {
                defer { state.next = state.folders.count }
                return (nil, (state.next..<state.folders.count).filter { state.folders[$0] == nil })
            }
            state.next += 1
            return (state.next - 1, [])
        }
        for index in abandoned { ends[index].leave() }
        return taken
    }

    /// The folders below a layer; `nil` while one of them is not unpacked.
    private func below(_ index: Int) -> [String]? {
        state.withLock { state in
            let folders = state.folders[..<index].compactMap { $0 }
            return folders.count == index ? folders : nil
        }
    }

    private func unpack(_ index: Int) throws -> String {
        do {
            return try unpack(index, over: below(index))
        } catch is Unpacker.NeedsLower {
            // Waiting with the lock held could wait for one who waits for us.
            for end in ends[..<index] { end.wait() }
            guard let below = below(index) else { throw StoreError("a lower layer could not be unpacked") }
            return try unpack(index, over: below)
        }
    }

    private func unpack(_ index: Int, over below: [String]?) throws -> String {
        let layer = layers[index]
        let lock = try snapshots.lock(layer.diffID)
        defer { withExtendedLifetime(lock) {} }
        if let folder = snapshots.find(layer.diffID, chain: chain[index]) { return folder }
        // Who holds the lock is the only one with this folder: what is in it was left by a process that was killed.
        let partial = snapshots.path("p", layer.diffID)
        DiskFile.remove(partial)
        var isDone = false
        defer { if !isDone { DiskFile.remove(partial) } }
        guard mkdir(partial, 0o700) == 0 else { throw StoreError("creating \(partial)", errno: errno) }
        let dependsOnLower = try write(layer, to: partial, over: below)
        let folder = dependsOnLower ? snapshots.path("c", chain[index]) : snapshots.path("d", layer.diffID)
        try snapshots.note(layer.diffID, at: folder)
        guard rename(partial, folder) == 0 else { throw StoreError("renaming \(partial)", errno: errno) }
        isDone = true
        return folder
    }

    /// Unpacks a layer and verifies it; whether the result is right over the layers below only.
    private func write(_ layer: Snapshots.Layer, to folder: String, over below: [String]?) throws -> Bool {
        let root = OpenFile(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        guard root.isOpen else { throw StoreError("opening \(folder)", errno: errno) }
        let lower = try below.map { try LowerFolders($0, snapshots.marks) }
        let unpacker = Unpacker(root, snapshots.owners, snapshots.marks, lower: lower) { try self.charge($0) }
        let name = "layer \(layer.descriptor.digest.short)"
        let index =
            try LayerIndex.isKept(layer.descriptor.digest, in: snapshots.store)
            ? nil : LayerIndex.Encoder(snapshots.store)
        let diffID = try LayerIndex.stream(layer.descriptor, in: snapshots.store) { stream in
            let reader = try ArchiveReader(stream, name: name)
            while let entry = try reader.next() {
                try unpacker.add(entry, reader)
                try index?.add(entry)
            }
        }
        guard diffID == layer.diffID else {
            throw StoreError(
                "the \(name) unpacks to \(diffID), and its image says \(layer.diffID): pull or build it again"
            )
        }
        try unpacker.finish()
        if let index { try LayerIndex.keep(index, of: layer.descriptor.digest, in: snapshots.store) }
        try LayerIndex.keep(diffID, of: layer.descriptor.digest, in: snapshots.store)
        return unpacker.dependsOnLower
    }

    private func charge(_ bytes: Int64) throws {
        let total = state.withLock { state in
            state.bytes += bytes
            return state.bytes
        }
        guard total <= limit else {
            throw StoreError("the image unpacks to more than \(limit) bytes, the limit")
        }
    }
}
