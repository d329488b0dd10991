// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc

/// A free port of this machine, each of whose connections is served on a thread of its own.
public final class LoopbackListener: Sendable {
    /// The port.
    public let port: Int
    private let listener: Int32

    /// Starts listening; it ends with the last reference to it.
    ///
    /// - Parameter serve: Serves a connection, and ends it.
    /// - Throws: ``ServerFault`` where there is no port to be had.
    public init(_ serve: @escaping @Sendable (LoopbackConnection) -> Void) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        var address = LoopbackConnection.address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(listener, pointer, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        guard isBound else { throw ServerFault(message: "no port: \(String(cString: strerror(errno)))") }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread {
            while true {
                let descriptor = accept(listener, nil, nil)
                if descriptor < 0, errno == EINTR || errno == ECONNABORTED { continue }
                // Only who accepts may close: the number becomes another listener's, whose connections this would take.
                guard descriptor >= 0 else {
                    close(listener)
                    return
                }
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                Thread.detachNewThread { serve(LoopbackConnection(descriptor)) }
            }
        }
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }
}

/// One end of a connection within this machine; whoever has it ends it.
public struct LoopbackConnection: Sendable {
    /// The socket.
    public let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Connects; what is sent is lost where nobody listens.
    ///
    /// - Parameter port: The port of this machine.
    public init(to port: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = LoopbackConnection.address(port)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = UInt16(port).bigEndian
        return address
    }

    /// Reads what there is.
    ///
    /// - Parameter limit: The most bytes.
    /// - Returns: At least one byte; `nil` where the other side has ended.
    public func receive(_ limit: Int = 64 << 10) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(descriptor, &bytes, limit, 0)
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }

    /// Sends bytes.
    ///
    /// - Parameter bytes: The bytes.
    /// - Returns: Whether the other side took them all.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Says that nothing more is sent.
    public func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends the connection so that the other side gets what was sent: closing at once may have the kernel throw away what
    /// was not read yet.
    public func finish() {
        endSending()
        while receive() != nil {}
        end()
    }

    /// Ends the connection at once.
    public func end() { close(descriptor) }

    /// Breaks the connection.
    public func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }
}
