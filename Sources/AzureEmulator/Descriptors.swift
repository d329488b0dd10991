// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Bytes that go through descriptors.
enum Descriptors {
    /// The system's words for what went wrong last.
    static var reason: String { String(cString: strerror(errno)) }

    /// Writes all of some bytes; `false` where the other side has gone.
    @discardableResult
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
            if count >= 0 { offset += count } else if errno != EINTR { return false }
        }
        return true
    }

    /// Copies everything from one to the other.
    static func copy(from source: Int32, to target: Int32) -> Bool {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = read(source, buffer.baseAddress, buffer.count)
            if count == 0 { return true }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            guard write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: target) else { return false }
        }
    }

    /// An address of IP version 4.
    static func address(_ text: String, _ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr(text)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        return address
    }

    /// Calls `bind` or `connect` with an address.
    static func with<Result>(
        _ address: sockaddr_in,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
