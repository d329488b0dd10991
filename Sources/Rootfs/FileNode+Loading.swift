// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
public import Store
internal import Synchronization

/// Tells of the files in a folder, but not of its folders; each thread makes one for itself.
public typealias FolderDigest = (FolderListing) -> FileIndex.Hash?

extension FileNode {
    /// Looks at a folder and at everything below it, on several threads: most of the time goes into system calls.
    ///
    /// - Parameters:
    ///   - cores: How many threads; one does nothing ahead.
    ///   - digest: Makes what tells of the files in a folder, for ``outline``: it is cheaper to say while the folder is at
    ///     hand. `nil` where it cannot be said.
    /// - Throws: Where a folder cannot be read.
    public func loadAll(cores: Int, digest: @escaping @Sendable () -> FolderDigest) throws {
        guard isDirectory, cores > 1 else { return }
        let walk = FolderWalk(self, digest)
        DispatchQueue.concurrentPerform(iterations: cores) { _ in walk.work() }
        if let failure = walk.failure { throw failure }
    }
}

extension FileTree {
    /// Gives the memory of a tree that nobody else has back on another thread.
    ///
    /// For a hundred thousand files that takes longer than all else at the end of a build that changed nothing.
    public consuming func letGo() {
        let last = LastReference(root: root)
        DispatchQueue.global(qos: .utility).async { withExtendedLifetime(last) {} }
    }
}

// SAFETY: nobody looks at the tree any more.
private struct LastReference: @unchecked Sendable {
    let root: FileNode
}

/// Folders that are still to be looked at.
private final class FolderWalk: Sendable {
    // SAFETY: a folder is in the list once, and who takes it is the only one to touch it until its folders are listed.
    private struct Folder: @unchecked Sendable {
        let node: FileNode
    }

    private struct State: Sendable {
        var open: [Folder]
        var busy = 0
        var failure: (any Error)?
    }

    private let state: Mutex<State>
    private let digest: @Sendable () -> FolderDigest

    init(_ root: FileNode, _ digest: @escaping @Sendable () -> FolderDigest) {
        let folder = Folder(node: root)
        state = Mutex(State(open: [folder]))
        self.digest = digest
    }

    var failure: (any Error)? { state.withLock { $0.failure } }

    func work() {
        let digest = digest()
        while true {
            let (next, isDone) = state.withLock { state -> (Folder?, Bool) in
                guard let next = state.open.popLast() else { return (nil, state.busy == 0) }
                state.busy += 1
                return (next, false)
            }
            guard let next else {
                if isDone { return }
                // Another thread is in a long folder; that is no reason to keep a core busy.
                usleep(20)
                continue
            }
            look(into: next, digest)
        }
    }

    private func look(into folder: Folder, _ digest: FolderDigest) {
        var (found, failure) = ([Folder](), (any Error)?.none)
        do {
            found = try folders(in: folder.node, digest).map { Folder(node: $0.node) }
        } catch {
            failure = error
        }
        state.withLock { [found, failure] state in
            state.busy -= 1
            state.failure = state.failure ?? failure
            // After a failure there is nothing more to find out.
            if state.failure == nil { state.open += found } else { state.open = [] }
        }
    }

    private func folders(in node: FileNode, _ digest: FolderDigest) throws -> [FileNode.Child] {
        if let outline = node.outline { return outline.folders }
        if let listing = try node.listing(), let files = digest(listing) {
            node.outline = FileNode.Outline(files: files, folders: listing.folders)
            return listing.folders
        }
        // Files will be asked for: their nodes are made here, where other threads make others.
        return try node.sortedChildren().filter { $0.node.isDirectory }
    }
}
