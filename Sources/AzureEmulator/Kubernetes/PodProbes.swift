// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Sandbox
internal import Synchronization

/// Asks a container of a pod whether it has started, lives, and is ready.
final class PodProbes: Sendable {
    private let run: PodRun
    private let container: JSONValue
    private let process: SandboxedProcess
    private let isOver = SharedFlag()

    init(run: PodRun, container: JSONValue, process: SandboxedProcess) {
        (self.run, self.container, self.process) = (run, container, process)
    }

    private var name: String { container.text("name") }

    func start() {
        let kinds = ["startupProbe", "livenessProbe", "readinessProbe"].filter { container[$0]?.object != nil }
        guard !kinds.isEmpty else { return }
        Thread.start { [self] in
            // The others wait for the first.
            if kinds.contains("startupProbe") {
                guard watch("startupProbe", "Startup", untilGood: true) else { return }
                run.change(name) { state in
                    state.isStarted = true
                    state.isReady = !kinds.contains("readinessProbe")
                }
            }
            for (member, word) in [("livenessProbe", "Liveness"), ("readinessProbe", "Readiness")]
            where kinds.contains(member) {
                Thread.start { [self] in _ = watch(member, word, untilGood: false) }
            }
        }
    }

    func end() { isOver.set() }

    private func wait(_ seconds: Int64) -> Bool {
        let end = Moment.precise + Double(seconds)
        while Moment.precise < end {
            if isOver.isSet { return false }
            usleep(50_000)
        }
        return !isOver.isSet
    }

    /// Probes again and again; whether it ended because all is good.
    private func watch(_ member: String, _ word: String, untilGood: Bool) -> Bool {
        let probe = container[member] ?? [:]
        let number = { (name: String, standard: Int64) in max(0, probe[name]?.int ?? standard) }
        guard wait(number("initialDelaySeconds", 0)) else { return false }
        var (failures, successes): (Int64, Int64) = (0, 0)
        repeat {
            let fault = ProbeRequest(run: run, container: container, probe: probe).fault()
            // A container that ends takes its probe with it, which is no failure; that it ended is known a moment later.
            if fault != nil { usleep(200_000) }
            guard !isOver.isSet else { return false }
            (failures, successes) = fault == nil ? (0, successes + 1) : (failures + 1, 0)
            if let fault { run.event("Unhealthy", "\(word) probe failed: \(fault)", isWarning: true) }
            if untilGood, fault == nil { return true }
            if member == "readinessProbe" {
                if successes >= max(1, number("successThreshold", 1)) { setReady(true) }
                if failures >= max(1, number("failureThreshold", 3)) { setReady(false) }
            } else if failures >= max(1, number("failureThreshold", 3)) {
                run.event("Killing", "Container \(name) failed \(word.lowercased()) probe, will be restarted")
                let grace = run.spec["terminationGracePeriodSeconds"]?.int ?? 30
                process.terminate(grace: Double(grace))
                return false
            }
        } while wait(max(1, number("periodSeconds", 10)))
        return false
    }

    private func setReady(_ isReady: Bool) {
        let isNew = run.state.withLock { $0.containers[name]?.isReady != isReady }
        guard isNew, !isOver.isSet else { return }
        run.change(name) { $0.isReady = isReady }
    }
}

/// One question of a probe.
struct ProbeRequest {
    let run: PodRun
    let container: JSONValue
    let probe: JSONValue

    /// What is wrong; `nil` where nothing is.
    func fault() -> String? {
        let timeout = max(1, probe["timeoutSeconds"]?.int ?? 1)
        if let request = probe["httpGet"] { return http(request, timeout) }
        if let request = probe["tcpSocket"] {
            guard let port = port(request["port"]) else { return "no port \(request.text("port"))" }
            let socket = run.network.connect(to: port)
            guard socket >= 0 else {
                return "dial tcp \(run.network.address):\(port): connect: connection refused"
            }
            close(socket)
            return nil
        }
        if let command = probe.at("exec", "command")?.texts, !command.isEmpty { return exec(command, timeout) }
        return "the emulator has no probes of this kind"
    }

    private func port(_ value: JSONValue?) -> Int? {
        if let number = value?.int { return Int(number) }
        let name = value?.string ?? ""
        if let number = Int(name) { return number }
        let found = (container["ports"]?.array ?? []).first { $0.text("name") == name }
        return found?["containerPort"]?.int.map { Int($0) }
    }

    private func http(_ request: JSONValue, _ timeout: Int64) -> String? {
        let path = request["path"]?.string ?? "/"
        guard let port = port(request["port"]) else { return "no port \(request.text("port"))" }
        let url = "Get \"http://\(run.network.address):\(port)\(path)\""
        let socket = run.network.connect(to: port)
        guard socket >= 0 else {
            return "\(url): dial tcp \(run.network.address):\(port): connect: connection refused"
        }
        defer { close(socket) }
        var limit = timeval(tv_sec: Int(timeout), tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let fields = (request["httpHeaders"]?.array ?? []).map { "\($0.text("name")): \($0.text("value"))\r\n" }
        var text = "GET \(path) HTTP/1.1\r\nHost: \(request["host"]?.string ?? run.network.address):\(port)\r\n"
        text += "User-Agent: kube-probe/1.36\r\nAccept: */*\r\n\(fields.joined())Connection: close\r\n\r\n"
        guard text.withUTF8({ Descriptors.write(UnsafeRawBufferPointer($0), to: socket) }) else {
            return "\(url): EOF"
        }
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = recv(socket, &buffer, buffer.count, 0)
        guard count > 12, let code = Int(String(decoding: buffer[9..<12], as: UTF8.self)) else {
            return "\(url): context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        }
        return (200..<400).contains(code) ? nil : "HTTP probe failed with statuscode: \(code)"
    }

    private func exec(_ command: [String], _ timeout: Int64) -> String? {
        let name = container.text("name")
        guard let process = run.process(name) else { return "container \(name) is not running" }
        var spec = ProcessSpec(root: .directory("/"), arguments: command)
        let text = TextOfSystem.read("/proc/\(process.identifier)/environ")
        spec.environment = text.split(separator: "\0").map(String.init)
        if let user = run.user(name) { spec.user = user }
        let output = PodOutput()
        do {
            let child = try process.startBeside(spec) { _, bytes in output.write(bytes) }
            let isDone = SharedFlag()
            let isLate = SharedFlag()
            Thread.start {
                let end = Moment.precise + Double(timeout)
                while Moment.precise < end {
                    if isDone.isSet { return }
                    usleep(20_000)
                }
                isLate.set()
                child.send(signal: SIGKILL)
            }
            let code = try child.wait().code
            isDone.set()
            if code == 0 { return nil }
            if isLate.isSet { return "command \(command) timed out after \(timeout)s" }
            return String(decoding: output.lines(tail: 10, since: nil, withTimes: false).prefix(1024), as: UTF8.self)
        } catch {
            return "\(error)"
        }
    }
}
