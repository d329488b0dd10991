// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket
internal import OCI
internal import Sandbox
internal import Synchronization

/// A command in a container of a pod, over a websocket: the first byte of a message says which stream it is of.
///
/// Specification: Kubernetes's `remotecommand` protocols `v4.channel.k8s.io` and `v5.channel.k8s.io`.
struct PodExecSession {
    let run: PodRun
    let container: String
    let command: [String]
    let hasInput: Bool
    let hasTerminal: Bool

    /// The protocol that both sides speak; `nil` where there is none.
    static func protocols(_ head: HTTPRequestHead) -> String? {
        let offered = head.headers[canonicalForm: "Sec-WebSocket-Protocol"].map(String.init)
        return ["v5.channel.k8s.io", "v4.channel.k8s.io"].first { offered.contains($0) }
    }

    /// The pod's run that a path names, and the container.
    static func target(_ cluster: KubernetesCluster, _ head: HTTPRequestHead) throws(KubeFault) -> (PodRun, String) {
        let call = KubeCall(head, [])
        let parts = call.segments
        guard parts.count == 7, parts[0] == "api", parts[2] == "namespaces", parts[4] == "pods", parts[6] == "exec"
        else { throw .unknownPath }
        let pod = try cluster.get(.pods, parts[3], parts[5])
        let name = try PodLogs.container(of: pod, call.query("container"))
        guard let run = cluster.runs.withLock({ $0[pod.kubeUID] }), run.process(name) != nil else {
            throw .badRequest("container \(name) of pod \(parts[5]) is not running")
        }
        guard !call.all("command").isEmpty else { throw .badRequest("you must specify at least one command") }
        return (run, name)
    }

    init(_ cluster: KubernetesCluster, _ head: HTTPRequestHead) throws {
        (run, container) = try Self.target(cluster, head)
        let call = KubeCall(head, [])
        (command, hasInput, hasTerminal) = (call.all("command"), call.flag("stdin"), call.flag("tty"))
    }

    /// Starts the command; what is written to the descriptor is what it reads.
    func start(input: Int32, size: (UInt16, UInt16), output: @escaping SandboxedProcess.OutputHandler) throws
        -> SandboxedProcess
    {
        guard let process = run.process(container) else {
            throw EmulatorError(message: "container \(container) is not running")
        }
        var spec = ProcessSpec(root: .directory("/"), arguments: command)
        let text = TextOfSystem.read("/proc/\(process.identifier)/environ")
        spec.environment = text.split(separator: "\0").map(String.init)
        if hasTerminal {
            (spec.hasTerminal, spec.keys, spec.passesKeys, spec.terminalSize) = (true, input, false, size)
            if !spec.environment.contains(where: { $0.hasPrefix("TERM=") }) { spec.environment.append("TERM=xterm") }
        } else if hasInput {
            spec.input = .descriptor(input)
        }
        if let user = run.user(container) { spec.user = user }
        return try process.startBeside(spec, output: output)
    }
}

/// The websocket of a command; touched on its event loop only.
final class PodExecHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let session: PodExecSession
    private var input: InputPipe?
    private var process: SandboxedProcess?
    private var message: [UInt8] = []

    init(_ session: PodExecSession) { self.session = session }

    func handlerAdded(context: ChannelHandlerContext) { begin(context.channel) }

    func handlerRemoved(context: ChannelHandlerContext) {
        process?.terminate(grace: 0)
        closeInput()
    }

    private func closeInput() {
        input?.end()
        input = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text, .binary, .continuation:
            message += Array(frame.unmaskedData.readableBytesView)
            guard frame.fin else { return }
            let bytes = message
            message = []
            take(bytes)
        case .ping:
            context.writeAndFlush(
                wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)),
                promise: nil
            )
        case .connectionClose: context.close(promise: nil)
        default: break
        }
    }

    private func take(_ bytes: [UInt8]) {
        guard let stream = bytes.first else { return }
        switch stream {
        case 0:
            let rest = Array(bytes.dropFirst())
            if !rest.isEmpty { input?.write(rest) }
        case 255 where bytes.count > 1 && bytes[1] == 0: closeInput()
        default: break
        }
    }

    private func begin(_ channel: any Channel) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { Glibc.close(ends[0]) }
        do {
            let process = try session.start(input: ends[0], size: (24, 80)) { stream, bytes in
                PodExecHandler.send(channel, stream == .errors ? 2 : 1, Array(bytes))
            }
            (self.process, input) = (process, InputPipe(ends[1], channel))
            if !session.hasInput, !session.hasTerminal { closeInput() }
            Thread.start {
                let code = (try? process.wait().code) ?? 255
                PodExecHandler.end(channel, code)
            }
        } catch {
            Glibc.close(ends[1])
            let text = (error as? SandboxError)?.message ?? "\(error)"
            let status: JSONValue = [
                "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "reason": "InternalError",
                "message": .string("error executing command in container: \(text)"), "code": 500,
            ]
            Self.send(channel, 3, Array(status.canonical.utf8))
            Self.close(channel)
        }
    }

    private static func send(_ channel: any Channel, _ stream: UInt8, _ bytes: [UInt8]) {
        let frame = WebSocketFrame(fin: true, opcode: .binary, data: ByteBuffer(bytes: [stream] + bytes))
        channel.writeAndFlush(frame, promise: nil)
    }

    /// Says how the command ended, and that nothing more comes.
    private static func end(_ channel: any Channel, _ code: Int32) {
        var status: JSONValue = ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success"]
        if code != 0 {
            status = [
                "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
                "reason": "NonZeroExitCode",
                "message": .string("command terminated with non-zero exit code: exit status \(code)"),
                "details": ["causes": [["reason": "ExitCode", "message": .string("\(code)")]]],
            ]
        }
        send(channel, 3, Array(status.canonical.utf8))
        close(channel)
    }

    private static func close(_ channel: any Channel) {
        var data = ByteBuffer()
        data.write(webSocketErrorCode: .normalClosure)
        channel.writeAndFlush(WebSocketFrame(fin: true, opcode: .connectionClose, data: data))
            .whenComplete { _ in channel.close(promise: nil) }
    }
}

/// What a command reads, written on a thread of its own, as a program that reads slowly must not hold up the others.
///
/// A lock guards how much waits; where that is much, no more is taken off the connection.
private final class InputPipe: Sendable {
    private static let limit = 1 << 20
    private let descriptor: Int32
    private let channel: any Channel
    private let queue = DispatchQueue(label: "coracle.azure-emulator.input")
    private let waiting = Mutex(0)

    init(_ descriptor: Int32, _ channel: any Channel) { (self.descriptor, self.channel) = (descriptor, channel) }

    func write(_ bytes: [UInt8]) {
        if count(bytes.count) > Self.limit { reads(false) }
        queue.async { [self] in
            // A program that has ended reads nothing more.
            bytes.withUnsafeBytes { _ = Descriptors.write($0, to: descriptor) }
            if count(-bytes.count) <= Self.limit { reads(true) }
        }
    }

    func end() {
        queue.async { [self] in
            Glibc.close(descriptor)
            reads(true)
        }
    }

    private func count(_ change: Int) -> Int {
        waiting.withLock { waiting in
            waiting += change
            return waiting
        }
    }

    private func reads(_ isOn: Bool) { channel.setOption(.autoRead, value: isOn).whenComplete { _ in } }
}
