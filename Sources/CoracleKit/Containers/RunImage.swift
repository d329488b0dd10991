// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import OCI
internal import Store

/// `coracle run`: starts an image on this machine, to try what was built.
///
/// What the program changes is thrown away when it ends; only folders that `-v` names keep anything.
public struct RunImage: Sendable {
    /// A name, `sha256:` and a digest, or `oci-layout://FOLDER[:TAG]`.
    public var image: String
    /// What stands after the image: the image's own arguments where empty.
    public var arguments: [String] = []
    /// `--entrypoint`: the program in place of the image's; empty for none.
    public var entrypoint: String?
    /// `-e`: `NAME=value`, or `NAME` for the caller's value.
    public var environment: [String] = []
    /// `--env-file`.
    public var environmentFiles: [String] = []
    /// `-v`: `SOURCE:TARGET[:ro]`.
    public var volumes: [String] = []
    /// `--tmpfs`: `TARGET[:OPTIONS]`.
    public var memoryFolders: [String] = []
    /// `-p`: `PORT:PORT`.
    public var ports: [String] = []
    /// `-w`.
    public var workingDirectory: String?
    /// `-u`: `USER[:GROUP]`.
    public var user: String?
    /// `--hostname`.
    public var hostname: String?
    /// `--name`.
    public var name: String?
    /// `--platform`.
    public var platform: String?
    /// `--security`: `sandbox` or `insecure`.
    public var security = "sandbox"
    /// `-i`: whether the program reads what the caller types.
    public var isInteractive = false
    /// `-t`: whether the program has a terminal.
    public var hasTerminal = false
    /// `--read-only`.
    public var isReadOnly = false
    /// `-d`.
    public var isDetached = false
    /// `--rm`: whether nothing is kept of a detached container once it has ended.
    public var isRemoved = false
    /// Hosts, network, limits and isolation, as builds have them.
    public var options = RunOptions()
    let workspace: Workspace

    /// What came of it.
    public enum Outcome: Sendable {
        /// The program ended with this code; 128 and the number of the signal that ended it.
        case ended(Int32)
        /// The program runs on its own, under this name.
        case detached(String)
    }

    /// Starts an image of a store.
    ///
    /// - Parameters:
    ///   - image: A name, `sha256:` and a digest, or `oci-layout://FOLDER[:TAG]`.
    ///   - workspace: Where the store is.
    public init(_ image: String, in workspace: Workspace) {
        (self.image, self.workspace) = (image, workspace)
    }

    /// Runs the image to its end, or starts it where it is detached.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - arguments: What another process of this program, which keeps a detached container, is given to read the same
    ///     flags again.
    ///   - note: Takes what the person should know, in sentences.
    /// - Returns: What came of it.
    /// - Throws: ``RunFailure`` where the program does not run.
    public func run(
        environment: [String: String],
        arguments: [String],
        note: @escaping @Sendable (String) -> Void
    ) async throws(RunFailure) -> Outcome {
        do {
            let store = try workspace.store()
            // What is taken from a layout is needed before anything names it.
            let lease = try StoreLease(store)
            defer { lease.end() }
            let plan = try ContainerPlan(self, environment: environment, in: store)
            try await RunnableImage.pull(self.image, platform, in: workspace, environment: environment, note: note)
            let image = try await RunnableImage.find(self.image, for: plan.platform, in: workspace)
            let (folder, lock) = try ContainerFolder.make(plan.config(image), in: store)
            if !plan.ports.isEmpty {
                let list = plan.ports.map(\.text).joined(separator: ", ")
                note("the container has the network of this machine, on which its program listens: \(list)")
            }
            if isDetached {
                let keeper = DetachedKeeper(folder: folder, store: store, environment: environment)
                for text in try keeper.start(lock, arguments) { note(text) }
                return .detached(plan.name)
            }
            let keeper = ContainerKeeper(plan: plan, image: image, folder: folder, store: store, lease: lease)
            defer { withExtendedLifetime(lock) {} }
            return .ended(
                try await RunImage.blocking {
                    defer { folder.remove() }
                    return try keeper.runInForeground(note)
                }
            )
        } catch {
            throw RunFailure(error)
        }
    }

    /// Keeps a detached container until it has ended; what ``run(environment:arguments:note:)`` starts.
    ///
    /// - Parameters:
    ///   - id: The number of the container.
    ///   - environment: The environment of the process.
    public func keep(_ id: String, environment: [String: String]) async {
        let report = DetachedKeeper.Report()
        do {
            let lock = FileLock(inherited: DetachedKeeper.lock)
            defer { withExtendedLifetime(lock) {} }
            let store = try workspace.store()
            let folder = ContainerFolder(store, id: id)
            do {
                let lease = try StoreLease(store)
                defer { lease.end() }
                let plan = try ContainerPlan(self, environment: environment, in: store, id: id)
                let image = try await RunnableImage.find(self.image, for: plan.platform, in: workspace)
                let keeper = ContainerKeeper(plan: plan, image: image, folder: folder, store: store, lease: lease)
                try await RunImage.blocking { try keeper.runDetached(report) }
                if isRemoved { folder.remove() }
            } catch {
                if !report.isSent { folder.remove() }
                throw error
            }
        } catch {
            report.send(RunFailure(error))
        }
    }

    /// What was given to a process that is to keep a container.
    ///
    /// - Returns: The arguments.
    /// - Throws: ``RunFailure`` in a process that was started otherwise.
    public static func keptArguments() throws(RunFailure) -> [String] {
        do {
            return try DetachedKeeper.readArguments()
        } catch {
            throw RunFailure(error)
        }
    }

    /// Does what blocks on a thread of its own.
    private static func blocking<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "coracle.run")
                .async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }
}
