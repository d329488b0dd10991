// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import RegistryServer
internal import Rootfs
internal import Sandbox
internal import Store
internal import Synchronization

/// Runs one container of a pod, again and again where its restart policy says so; it blocks.
struct PodContainer {
    let run: PodRun
    let container: JSONValue
    var isInit = false

    var name: String { container.text("name") }
    private var described: String { "\(run.key.name)_\(run.namespace)(\(run.uid))" }

    /// Something that keeps a container from being started, which is tried again.
    struct Obstacle: Error {
        /// As a waiting container has it: `CreateContainerConfigError`.
        let reason: String
        let message: String
    }

    /// The most bytes that the layers of an image may take on disk.
    private static let unpackLimit: Int64 = 64 << 30
    /// Seconds between tries, each twice as long as the one before.
    private static let backOff = (first: 10.0, most: 300.0)

    /// Keeps the container running until its time is over.
    func keep() {
        var delay = 0.0
        while !run.isEnding {
            guard let image = pull() else { return }
            guard let began = start(image) else { return }
            let seconds = Moment.precise - began.since
            let policy = run.spec.text("restartPolicy")
            if run.isEnding || policy == "Never" || (began.code == 0 && (policy == "OnFailure" || isInit)) { return }
            if seconds > 600 { delay = 0 }
            if delay > 0 { rest(delay) }
            delay = min(Self.backOff.most, max(Self.backOff.first, delay * 2))
            guard !run.isEnding else { return }
            run.change(name) { $0.restarts += 1 }
        }
    }

    /// Waits before the next start.
    private func rest(_ seconds: Double) {
        run.event("BackOff", "Back-off restarting failed container \(name) in pod \(described)", isWarning: true)
        run.change(name) {
            $0.enter(
                .waiting(
                    "CrashLoopBackOff",
                    "back-off \(Self.text(seconds)) restarting failed container=\(name) pod=\(described)"
                )
            )
        }
        run.sleep(for: seconds)
    }

    /// As Go writes a time: `10s`, `1m20s`.
    private static func text(_ seconds: Double) -> String {
        let whole = Int(seconds)
        return whole < 60 ? "\(whole)s" : "\(whole / 60)m\(whole % 60)s"
    }

    // MARK: Images

    /// The image, as soon as it can be had; `nil` where the pod ends before.
    private func pull() -> GroupImage? {
        let wanted = container.text("image")
        var delay = Self.backOff.first
        while !run.isEnding {
            run.event("Pulling", "Pulling image \"\(wanted)\"")
            let began = Moment.precise
            do {
                let image = try PodImages(run: run).find(wanted)
                let milliseconds = Int((Moment.precise - began) * 1000)
                run.event(
                    "Pulled",
                    "Successfully pulled image \"\(wanted)\" in \(milliseconds)ms (\(milliseconds)ms including waiting)"
                )
                run.change(name) { $0.imageID = "\(ImageName(wanted).plain)@\(image.digest)" }
                return image
            } catch {
                run.event("Failed", "Failed to pull image \"\(wanted)\": \(error.message)", isWarning: true)
                run.event("Failed", "Error: ErrImagePull", isWarning: true)
                run.change(name) { $0.enter(.waiting("ErrImagePull", error.message)) }
                run.sleep(for: 0.5)
                guard !run.isEnding else { return nil }
                run.event("BackOff", "Back-off pulling image \"\(wanted)\"")
                run.event("Failed", "Error: ImagePullBackOff", isWarning: true)
                run.change(name) {
                    $0.enter(
                        .waiting(
                            "ImagePullBackOff",
                            "Back-off pulling image \"\(wanted)\": ErrImagePull: \(error.message)"
                        )
                    )
                }
                run.sleep(for: delay)
                delay = min(Self.backOff.most, delay * 2)
            }
        }
        return nil
    }

    // MARK: Running

    /// Starts the container and waits for its end; `nil` where the pod ends before.
    private func start(_ image: GroupImage) -> PodContainerState.Ended? {
        while !run.isEnding {
            do {
                return try runOnce(image)
            } catch let obstacle as Obstacle {
                run.event("Failed", "Error: \(obstacle.message)", isWarning: true)
                run.change(name) { $0.enter(.waiting(obstacle.reason, obstacle.message)) }
                run.sleep(for: 2)
            } catch {
                let text = (error as? SandboxError)?.message ?? "\(error)"
                run.event("Failed", "Error: failed to start container \"\(name)\": \(text)", isWarning: true)
                let now = Moment.precise
                let ended = PodContainerState.Ended(
                    code: 128,
                    reason: "StartError",
                    message: text,
                    since: now,
                    until: now
                )
                run.change(name) { $0.enter(.terminated(ended)) }
                return ended
            }
        }
        return nil
    }

    private func runOnce(_ image: GroupImage) throws -> PodContainerState.Ended {
        let lease = try image.store.lease()
        let choice = try IsolationChoice.probe(scratch: image.store.root + "/tmp")
        let snapshots = try Snapshots(image.store, limit: Self.unpackLimit)
        let folders = try snapshots.directories(of: image.layers, cores: 2)
        let root: ContainerRoot =
            choice.mountsOverlays
            ? .overlay(try snapshots.begin(over: folders), folders) : .copy(try snapshots.copy(of: folders))
        defer {
            root.close()
            withExtendedLifetime(lease) {}
        }
        let builder = PodContainerSpec(
            run: run,
            container: container,
            image: image,
            folders: folders,
            snapshots: snapshots
        )
        let spec = try builder.spec(root.spec)
        run.event("Created", "Created container: \(name)")
        let output = PodOutput()
        run.state.withLock { state in
            let before = state.containers[name]?.output
            state.containers[name]?.previousOutput = before
            state.containers[name]?.output = output
        }
        defer { output.end() }
        let isolation = choice.isolation
        let process = try run.network.run {
            try SandboxedProcess.start(spec, isolation: isolation) { _, bytes in output.write(bytes) }
        }
        return try follow(process, spec.user)
    }

    /// Follows a process from its start to its end.
    private func follow(_ process: SandboxedProcess, _ user: ProcessSpec.User) throws -> PodContainerState.Ended {
        let since = Moment.precise
        run.event("Started", "Started container \(name)")
        let hasStartup = container["startupProbe"]?.object != nil
        let hasReadiness = container["readinessProbe"]?.object != nil
        run.change(name) { state in
            state.enter(.running(since: since))
            (state.process, state.user) = (process, user)
            state.isStarted = !hasStartup
            state.isReady = !hasStartup && !hasReadiness && !isInit
        }
        if run.isEnding { process.terminate(grace: 0) }
        let probes = PodProbes(run: run, container: container, process: process)
        if !isInit { probes.start() }
        let status = try process.wait()
        probes.end()
        let code = status.code
        let ended = PodContainerState.Ended(
            code: code,
            reason: code == 0 ? "Completed" : "Error",
            since: since,
            until: Moment.precise
        )
        run.change(name) { state in
            state.process = nil
            state.enter(.terminated(ended))
        }
        return ended
    }
}
