// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Sandbox
internal import Synchronization

/// Asks a container whether it lives, and ends it where it does not say so.
///
/// Readiness probes are asked too; where one fails the events say so, as a group has no traffic to keep away.
final class ProbeRunner: Sendable {
    private let keeper: ContainerKeeper
    private let process: SandboxedProcess
    private let isOver = Mutex(false)

    init(keeper: ContainerKeeper, process: SandboxedProcess) {
        (self.keeper, self.process) = (keeper, process)
    }

    func start() {
        for (member, name) in [("livenessProbe", "Liveness"), ("readinessProbe", "Readiness")] {
            guard let probe = keeper.properties.member(member), probe.isSomething else { continue }
            Thread.start { [self] in watch(probe, name) }
        }
    }

    func end() { isOver.withLock { $0 = true } }

    private func wait(_ seconds: Int64) -> Bool {
        let end = Moment.precise + Double(seconds)
        while Moment.precise < end {
            if isOver.withLock({ $0 }) { return false }
            usleep(50_000)
        }
        return !isOver.withLock { $0 }
    }

    private func watch(_ probe: JSONValue, _ name: String) {
        let number = { (name: String, standard: Int64) in max(0, probe.member(name)?.int ?? standard) }
        guard wait(number("initialDelaySeconds", 0)) else { return }
        var failures: Int64 = 0
        repeat {
            let fault = fault(probe, timeout: max(1, number("timeoutSeconds", 1)))
            guard !isOver.withLock({ $0 }) else { return }
            failures = fault == nil ? 0 : failures + 1
            guard let fault else { continue }
            keeper.group.change(keeper.name) {
                $0.events.add("Unhealthy", "\(name) probe failed: \(fault)", isWarning: true)
            }
            if name == "Liveness", failures >= max(1, number("failureThreshold", 3)) {
                keeper.group.change(keeper.name) {
                    $0.events.add("Killing", "Container \(keeper.name) failed liveness probe, will be restarted")
                }
                process.terminate(grace: 5)
                return
            }
        } while wait(max(1, number("periodSeconds", 10)))
    }

    private func fault(_ probe: JSONValue, timeout: Int64) -> String? {
        if let request = probe.member("httpGet"), request.isSomething { return httpFault(request, timeout) }
        let command = probe[path: "exec", "command"]?.texts ?? []
        guard !command.isEmpty else { return nil }
        do {
            let code = try ContainerExec(group: keeper.group, container: keeper.name)
                .status(command, timeout: Double(timeout))
            return code == 0 ? nil : "command \"\(command.joined(separator: " "))\" ended with exit code \(code)"
        } catch {
            return "\(error)"
        }
    }

    private func httpFault(_ request: JSONValue, _ timeout: Int64) -> String? {
        let port = Int(request.member("port")?.int ?? 80)
        let path = request.member("path")?.string ?? "/"
        let socket = keeper.group.network.connect(to: port)
        guard socket >= 0 else { return "Get http://127.0.0.1:\(port)\(path): connection refused" }
        defer { close(socket) }
        var limit = timeval(tv_sec: Int(timeout), tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let fields = (request.member("httpHeaders")?.array ?? [])
            .map { "\($0.member("name")?.string ?? ""): \($0.member("value")?.string ?? "")\r\n" }
        var text = "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nUser-Agent: kube-probe/1.0\r\n\(fields.joined())"
        text += "Connection: close\r\n\r\n"
        var buffer = [UInt8](repeating: 0, count: 64)
        guard text.withUTF8({ Descriptors.write(UnsafeRawBufferPointer($0), to: socket) }) else {
            return "Get http://127.0.0.1:\(port)\(path): the connection was closed"
        }
        let count = recv(socket, &buffer, buffer.count, 0)
        guard count > 12, let code = Int(String(decoding: buffer[9..<12], as: UTF8.self)) else {
            return "Get http://127.0.0.1:\(port)\(path): no answer within \(timeout) s"
        }
        return (200..<400).contains(code) ? nil : "HTTP probe failed with statuscode: \(code)"
    }
}
