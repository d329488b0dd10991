// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Small files that hold secrets.
enum AzureFile {
    /// Reads a file; `what` is what it holds, in messages.
    static func read(_ path: String, limit: Int, what: String) throws(AzureError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw fault(path, what, String(cString: strerror(errno)).lowercased()) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw fault(path, what, String(cString: strerror(errno)).lowercased()) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit else { throw fault(path, what, "it is longer than \(limit) bytes") }
        }
    }

    /// Reads a file of one line.
    static func line(_ path: String, limit: Int, what: String) throws(AzureError) -> String {
        let text = String(decoding: try read(path, limit: limit, what: what), as: UTF8.self).trimmed
        guard !text.isEmpty else { throw fault(path, what, "it is empty") }
        return text
    }

    private static func fault(_ path: String, _ what: String, _ reason: String) -> AzureError {
        AzureError(.usage, "reading \(what) \(path): \(reason)", hint: "ls -l \(path)")
    }
}
