// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Ports of this machine that nobody listens on, for programs that cannot choose one, and for calls that nobody takes.
public enum UnusedPort {
    /// Finds one.
    ///
    /// It is not one that the kernel gives away, as those are everybody's again at once: other tests' servers get them,
    /// and connections.
    ///
    /// - Returns: The port.
    /// - Throws: ``ServerFault`` where a hundred ports are taken.
    public static func find() throws -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: 10_000..<32_768)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            var address = LoopbackConnection.address(port)
            let isBound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
            if isBound { return port }
        }
        throw ServerFault(message: "a hundred ports between 10000 and 32767 are taken")
    }
}
