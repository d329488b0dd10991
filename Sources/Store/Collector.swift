// SPDX-License-Identifier: Apache-2.0

/// Removes from a store what nobody needs: never a blob that an image of the list needs, and never under a build.
///
/// What is removed is found first, and then removed from the outside in: records of steps, blobs, what is known of
/// them. A crash at any point leaves a store that is whole, and the rest for the next time.
public struct Collector: Sendable {
    /// What to remove besides what nothing refers to.
    public struct Policy: Hashable, Sendable {
        /// Remove unpacked layers, then records of steps and last cache folders, those out of use for longest first,
        /// until the store takes at most so many bytes.
        public var maxSize: Int64?
        /// Remove records of steps, unpacked layers and cache folders that were of no use for longer than so many seconds.
        public var olderThan: Int64?
        /// Which records of steps, unpacked layers and cache folders to remove whatever their age.
        public var records = Records.none

        /// Records that are removed whatever their age.
        public enum Records: Hashable, Sendable {
            /// None of them.
            case none
            /// All of them.
            case all
        }

        /// Nothing but what nothing refers to.
        public init() {}
    }

    /// What was removed, or would be.
    public struct Outcome: Hashable, Sendable {
        /// Bytes on disk that are free again.
        public var freed: Int64 = 0
        /// Bytes on disk that the store still takes.
        public var left: Int64 = 0
        /// Records of steps.
        public var steps = 0
        /// Layers, configurations and manifests.
        public var blobs = 0
        /// Indexes of layers whose layer is gone, and of build contexts unused for 30 days.
        public var indexes = 0
        /// Unpacked layers.
        public var snapshots = 0
        /// What is kept of containers that have ended.
        public var containers = 0
        /// Folders that `RUN --mount=type=cache` keeps.
        public var folders = 0
        /// Logs of builds, older than a week.
        public var logs = 0
        /// Files that killed processes left.
        public var leftovers = 0
    }

    let store: ImageStore

    /// The collector of a store.
    ///
    /// - Parameter store: The store.
    public init(_ store: ImageStore) {
        self.store = store
    }

    /// Removes what nobody needs.
    ///
    /// - Parameter policy: What to remove besides what nothing refers to.
    /// - Returns: What was removed.
    /// - Throws: ``StoreError`` where a build is using the store, or a manifest is damaged; then nothing was removed.
    ///   And where unpacked files belong to others; then all else was removed.
    public func prune(_ policy: Policy) throws(StoreError) -> Outcome {
        guard let use = try FileLock.ifFree(store.root + "/locks/use") else {
            throw StoreError("a build is using the store \(store.root); try again when it is done")
        }
        defer { withExtendedLifetime(use) {} }
        // Nobody names an image while what it needs is being removed.
        let index = try FileLock(store.root + "/locks/index")
        defer { withExtendedLifetime(index) {} }
        let sweep = try Sweep(store, policy)
        for item in sweep.removed { DiskFile.remove(store.root + "/" + item.place) }
        let left = sweep.removed.first {
            [.snapshot, .cacheFolder].contains($0.area) && DiskFile.exists(store.root + "/" + $0.place)
        }
        guard let left else { return sweep.outcome }
        throw StoreError(
            "removing \(store.root)/\(left.place): files in it belong to other users, as it was unpacked by another user or "
                + "in a user namespace; prune as who built, or remove it with: unshare --map-auto --map-root-user rm -rf"
        )
    }

    /// What ``prune(_:)`` would remove now.
    ///
    /// - Parameter policy: What to remove besides what nothing refers to.
    /// - Returns: What would be removed.
    /// - Throws: ``StoreError`` where a manifest is damaged.
    public func preview(_ policy: Policy) throws(StoreError) -> Outcome { try Sweep(store, policy).outcome }
}
