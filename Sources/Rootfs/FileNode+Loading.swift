// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Synchronization

extension FileNode {
    /// Looks at a folder and at everything below it, on several threads: most of the time goes into system calls.
    ///
    /// - Parameter cores: How many threads.
    /// - Throws: Where a folder cannot be read.
    public func loadAll(cores: Int) throws {
        guard isDirectory, cores > 1 else { return }
        let walk = FolderWalk(self)
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

    init(_ root: FileNode) {
        let folder = Folder(node: root)
        state = Mutex(State(open: [folder]))
    }

    var failure: (any Error)? { state.withLock { $0.failure } }

    func work() {
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
            look(into: next)
        }
    }

    private func look(into folder: Folder) {
        var (found, failure) = ([Folder](), (any Error)?.none)
        do {
            found = try folder.node.folders().map { Folder(node: $0) }
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
}
