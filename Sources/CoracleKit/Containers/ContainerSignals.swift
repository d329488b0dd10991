// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import Sandbox

/// Passes signals on to a container's process, and ends it when asked to.
///
/// The kernel keeps signals without a handler from the first process of a namespace. A program that has none would end
/// outside of one, so it is ended.
final class ContainerSignals: @unchecked Sendable {
    // SAFETY: everything below is touched on the queue only.
    private let queue = DispatchQueue(label: "coracle.container")
    private var sources: [any DispatchSourceProtocol] = []
    private var process: SandboxedProcess?
    /// What came before there was a process.
    private var early: [Int32] = []
    /// The signal that the process is ended by in the eyes of who asks.
    private var ending: Int32?
    private var requests = 0
    private let stopSignal: Int32
    private let isInNamespace: Bool

    private static let passed = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]

    /// Begins to take signals; `control` is the path of a channel for requests to stop.
    init(stopSignal: Int32, isolation: Isolation, control: String) {
        (self.stopSignal, isInNamespace) = (stopSignal, isolation == .namespaces)
        for number in ContainerSignals.passed where !Interruption.isIgnored(number) {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [unowned self] in take(number) }
            source.resume()
            sources.append(source)
        }
        // For writing too, as reading ends with the last writer otherwise.
        let channel = open(control, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard channel >= 0 else { return }
        let source = DispatchSource.makeReadSource(fileDescriptor: channel, queue: queue)
        source.setEventHandler { [unowned self] in takeRequest(channel) }
        source.setCancelHandler { close(channel) }
        source.resume()
        sources.append(source)
    }

    /// Gives what came so far to the process, and everything from now on.
    func attach(_ process: SandboxedProcess) {
        queue.sync {
            self.process = process
            for number in early { deliver(number) }
            early = []
        }
    }

    /// Takes no more signals; gives the one that the process was ended by on request.
    func end() -> Int32? {
        queue.sync {
            for source in sources { source.cancel() }
            (sources, process) = ([], nil)
            return ending
        }
    }

    /// Ends the process because nobody takes what it writes.
    func breakPipe() { queue.async { [self] in deliver(SIGPIPE) } }

    // MARK: On the queue

    private func take(_ number: Int32) {
        if number == SIGINT || number == SIGTERM {
            requests += 1
            // Who asks three times does not want to wait any longer.
            if requests >= 3 { return kill(by: number) }
        }
        deliver(number == SIGTERM ? stopSignal : number)
    }

    /// Reads `stop SECONDS` lines.
    private func takeRequest(_ channel: Int32) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(channel, &buffer, buffer.count)
        guard count > 0 else { return }
        for line in String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, words[0] == "stop", let seconds = Double(words[1]) else { continue }
            if seconds <= 0 {
                kill(by: SIGKILL)
            } else {
                deliver(stopSignal)
                queue.asyncAfter(deadline: .now() + seconds) { [weak self] in self?.kill(by: SIGKILL) }
            }
        }
    }

    private func kill(by number: Int32) {
        guard let process else { return early.append(SIGKILL) }
        ending = number
        process.send(signal: SIGKILL)
    }

    private func deliver(_ number: Int32) {
        guard let process else { return early.append(number) }
        if number == SIGKILL || (isInNamespace && ContainerSignals.ends(number, process.identifier)) {
            kill(by: number)
        } else {
            process.send(signal: number)
        }
    }

    /// Whether a signal would end a process, were it not the first of a namespace: it neither handles nor ignores it.
    private static func ends(_ number: Int32, _ process: Int32) -> Bool {
        if [SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU].contains(number) { return false }
        let text = String(decoding: (try? TextFile.read("/proc/\(process)/status")) ?? [], as: UTF8.self)
        let masks = text.split(separator: "\n").filter { $0.hasPrefix("SigCgt:") || $0.hasPrefix("SigIgn:") }
            .compactMap { $0.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } }
        return masks.count == 2 && (masks[0] | masks[1]) >> UInt64(number - 1) & 1 == 0
    }

    // MARK: Names

    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM",
        "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
        "IO",
        "PWR", "SYS",
    ]

    /// The number of a signal as STOPSIGNAL names it: `SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`; SIGTERM where it is none.
    static func number(of text: String) -> Int32 {
        if let number = Int32(text), (1...64).contains(number) { return number }
        let name = text.uppercased()
        let plain = name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name
        if let place = names.firstIndex(of: plain) { return Int32(place + 1) }
        // The first two real-time signals are the C library's own.
        if plain.hasPrefix("RTMIN") {
            return 34 + (Int32(plain.dropFirst(5).drop { $0 == "+" }) ?? 0)
        }
        if plain.hasPrefix("RTMAX") { return 64 - (Int32(plain.dropFirst(5).drop { $0 == "-" }) ?? 0) }
        return SIGTERM
    }
}
