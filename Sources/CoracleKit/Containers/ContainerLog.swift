// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Sandbox
internal import Store

/// What a container writes, in a file that people and tools can read.
///
/// Each line is `TIME STREAM TAG CONTENT`: when, `stdout` or `stderr`, `F` for the end of a line and `P` for a piece of
/// one that goes on. Content is byte for byte what was written.
///
/// Specification: the logging format of the Kubernetes container runtime interface.
final class ContainerLog: @unchecked Sendable {
    // SAFETY: the process's thread writes until the process has ended; nobody else touches it before.
    private let descriptor: Int32
    private var second = 0
    private var secondText = ""
    private var buffer: [UInt8] = []
    /// What kept something from being written; `nil` where all was.
    private(set) var fault: String?

    init(_ path: String) throws {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError("creating the log \(path)", errno: errno) }
    }

    deinit { close(descriptor) }

    /// Takes what was written.
    func write(_ stream: ProcessStream, _ bytes: UnsafeRawBufferPointer) {
        let head = Array("\(time()) \(stream == .output ? "stdout" : "stderr") ".utf8)
        buffer.removeAll(keepingCapacity: true)
        var rest = bytes[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 0x0A)
            buffer += head
            buffer += [UInt8(ascii: end == nil ? "P" : "F"), 0x20]
            buffer += rest[..<(end ?? rest.endIndex)]
            buffer.append(0x0A)
            rest = end.map { rest[($0 + 1)...] } ?? rest[rest.endIndex...]
        }
        let code = buffer.withUnsafeBytes { StandardStream.write($0, to: descriptor) }
        if code != 0, fault == nil { fault = "the log is not whole: \(String(cString: strerror(code)))" }
    }

    private func time() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        if now.tv_sec != second { (second, secondText) = (now.tv_sec, Moment.text(Int64(now.tv_sec), end: "")) }
        let digits = String(now.tv_nsec)
        return "\(secondText).\(String(repeating: "0", count: 9 - digits.count))\(digits)Z"
    }
}

/// Times for people and programs.
enum Moment {
    /// Seconds since 1970, now.
    static var now: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec)
    }

    /// As RFC 3339 has it, in UTC.
    static func text(_ seconds: Int64, end: String = "Z") -> String {
        var (time, parts) = (time_t(seconds), tm())
        gmtime_r(&time, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S", &parts)
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) + end
    }

    /// How long something has lasted, roughly: `3 minutes`.
    static func length(_ seconds: Int64) -> String {
        let units: [(Int64, String)] = [(604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute")]
        for (size, name) in units where seconds >= size * 2 || (seconds >= size && size < 86_400) {
            let count = seconds / size
            return "\(count) \(name)\(count == 1 ? "" : "s")"
        }
        return "\(max(0, seconds)) second\(seconds == 1 ? "" : "s")"
    }
}

/// Writes to descriptors that others may have closed, or made not to wait.
enum StandardStream {
    /// Writes all of some bytes; gives the system's error number, or 0.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
        var offset = 0
        while offset < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
            if count >= 0 {
                offset += count
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }
}
