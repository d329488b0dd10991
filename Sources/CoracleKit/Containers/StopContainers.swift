// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store

/// `coracle stop`: ends containers, and removes what is kept of them.
public struct StopContainers: Sendable {
    /// `-t`: seconds that a program has before it is killed; 0 kills it at once.
    public var seconds = 10
    /// `--all`: every container.
    public var all = false
    /// `--rm`: whether nothing is kept of them, not even the log; also of those that have ended.
    public var removes = false
    private let workspace: Workspace

    /// Ends containers of a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Asks all of them to end at the same time, and waits until they have.
    ///
    /// - Parameter names: Names, or numbers or the beginnings of them.
    /// - Returns: The names of those that ran or are removed, each with a line end.
    /// - Throws: ``ExitReason`` where there is no such container; then none was ended.
    public func run(_ names: [String]) throws(ExitReason) -> String {
        guard seconds >= 0 else { throw ExitReason(.usage, "-t \(seconds) is not a number of seconds") }
        guard all != !names.isEmpty else {
            let message = all ? "--all goes without names" : "there is no container to stop"
            throw ExitReason(.usage, message, hint: "coracle stop NAME, or coracle stop --all")
        }
        let store = try workspace.storeIfAny()
        var wanted: [ContainerFolder.Found] = []
        if all {
            wanted = store.map { ContainerFolder.list(in: $0) } ?? []
        } else {
            for name in names { wanted.append(try ContainerFolder.find(name, in: store)) }
        }
        let running = wanted.filter { [.starting, .running].contains($0.status) }
        for found in running { try ask(found) }
        for found in wanted { FileLock.wait(for: found.folder.lockPath) }
        if removes { for found in wanted { found.folder.remove() } }
        return (removes ? wanted : running).map { $0.config.name + "\n" }.joined()
    }

    private func ask(_ found: ContainerFolder.Found) throws(ExitReason) {
        let request = Array("stop \(seconds)\n".utf8)
        for _ in 0..<100 {
            let channel = open(found.folder.controlPath, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            if channel >= 0 {
                defer { close(channel) }
                if request.withUnsafeBytes({ write(channel, $0.baseAddress, $0.count) }) == request.count { return }
            }
            // One that has only just begun has no channel yet, and one that has ended needs none.
            if !FileLock.isHeld(found.folder.lockPath) { return }
            usleep(50_000)
        }
        throw ExitReason(
            .step,
            "stopping \(found.config.name): its keeper does not listen: \(String(cString: strerror(errno)))",
            hint: found.state.process > 0 ? "kill -9 \(found.state.process)" : nil
        )
    }
}
