// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store

/// What a command wrote: all of it in a file, the last lines in memory.
///
/// Values of secrets are blotted out before anything is kept or shown.
///
/// One thread writes, and others look at it only after that.
final class StepLog: @unchecked Sendable {
    // SAFETY: the process's thread writes until the process has ended; nobody else reads before.
    /// The file.
    let path: String
    private let descriptor: Int32
    private let show: ([UInt8]) -> Void
    private let secrets: [[UInt8]]
    /// What may be the beginning of a secret.
    private var held: [UInt8] = []
    private var tail: [UInt8] = []
    /// The beginning of a character that is not shown before the rest of it is there.
    private var begun: [UInt8] = []

    private static let tailSize = 64 << 10
    private static let blot = Array("***".utf8)

    /// Starts a file; `show` is given the same bytes.
    init(_ path: String, hiding secrets: [[UInt8]], show: @escaping ([UInt8]) -> Void) throws {
        // Blotting out every "1" or "yes" would spoil logs and hide nothing.
        self.secrets = secrets.map(StepLog.trimmed).filter { $0.count >= 4 }.sorted { $0.count > $1.count }
        (self.path, self.show) = (path, show)
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreError("creating the log \(path)", errno: errno) }
    }

    deinit { close(descriptor) }

    private static func trimmed(_ secret: [UInt8]) -> [UInt8] {
        var secret = secret
        while let last = secret.last, last == 0x0A || last == 0x0D { secret.removeLast() }
        return secret
    }

    /// Takes what a command wrote.
    func write(_ bytes: UnsafeRawBufferPointer) {
        guard !secrets.isEmpty else { return keep(Array(bytes)) }
        held.append(contentsOf: bytes)
        var (clean, place) = ([UInt8](), 0)
        scan: while place < held.count {
            for secret in secrets where secret[0] == held[place] {
                let rest = held[place...]
                if rest.starts(with: secret) {
                    clean += StepLog.blot
                    place += secret.count
                    continue scan
                }
                // More bytes may make it a secret.
                if rest.count < secret.count, secret.starts(with: rest) { break scan }
            }
            clean.append(held[place])
            place += 1
        }
        held.removeFirst(place)
        keep(clean)
    }

    /// Says that the command ended.
    func finish() {
        keep(held)
        held = []
        if !begun.isEmpty { show(begun) }
        begun = []
    }

    private func keep(_ bytes: [UInt8]) {
        if bytes.isEmpty { return }
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            // A full disk ends the step soon enough; what was said is still shown.
            if count < 0, errno != EINTR { break }
            offset += max(0, count)
        }
        tail += bytes
        if tail.count > 2 * StepLog.tailSize { tail.removeFirst(tail.count - StepLog.tailSize) }
        begun += bytes
        let rest = StepLog.unfinished(begun)
        let shown = begun.dropLast(rest)
        if !shown.isEmpty { show(Array(shown)) }
        begun.removeFirst(shown.count)
    }

    /// How many bytes at the end are the beginning of a character in UTF-8, at most three.
    static func unfinished(_ bytes: [UInt8]) -> Int {
        for (count, byte) in bytes.reversed().prefix(3).enumerated() where byte & 0xC0 != 0x80 {
            let length = byte >= 0xF0 && byte < 0xF5 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 1
            return byte < 0xF5 && length > count + 1 ? count + 1 : 0
        }
        return 0
    }

    /// The last lines, at most so many.
    func lastLines(_ most: Int) -> [String] {
        let text = String(decoding: tail, as: UTF8.self)
        return text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).suffix(most + 1)
            .map { BuildError.printable(String($0)) }.trimmedEnd().suffix(most)
    }
}

extension [String] {
    /// Without empty lines at the end.
    fileprivate func trimmedEnd() -> [String] {
        var lines = self
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
