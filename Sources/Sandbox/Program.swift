// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// Programs of the machine, and what they leave.
enum Program {
    /// Where a program is, by its name.
    static func path(of name: String) -> String? {
        let search = getenv("PATH").map { String(cString: $0) } ?? ""
        let folders = search.split(separator: ":").map(String.init) + ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
        return folders.map { $0 + "/" + name }.first { access($0, X_OK) == 0 }
    }

    /// Removes a small folder that only this program writes to.
    static func removeTree(_ path: String) {
        guard unlink(path) != 0, let folder = opendir(path) else { return }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { removeTree(path + "/" + name) }
        }
        closedir(folder)
        rmdir(path)
    }
}

/// The first words that a process says.
///
/// A class, for the process's thread adds to it while others wait.
final class SaidText: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    func add(_ more: UnsafeRawBufferPointer) {
        bytes.withLock { if $0.count < 4_096 { $0 += more } }
    }

    var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }
}
