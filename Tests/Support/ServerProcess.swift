// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A server in a process of its own, ended with the last reference to it, or with the test run.
public final class ServerProcess: Sendable {
    private let child: Child
    private let lifeline = Pipe()
    private let folder: TemporaryFolder
    private let log: URL

    /// Starts a server and waits until it says that it listens.
    ///
    /// - Parameters:
    ///   - command: The program, found as a shell finds it, and its arguments.
    ///   - mark: What it prints when it is ready; the port follows later on the same line, after the last colon or space.
    /// - Throws: Where it does not get ready in a minute, with what it printed.
    public init(_ command: [String], readyAt mark: String) async throws {
        folder = try TemporaryFolder()
        log = folder.url.appending(path: "log")
        // A shell ends the server when our end of the pipe closes, however we end.
        child = try Child(
            ["-c", "\"$@\" </dev/null & read -r _; kill -9 $!", "sh"] + command,
            of: URL(filePath: "/bin/sh"),
            input: .descriptor(lifeline.fileHandleForReading.fileDescriptor),
            output: .file(log),
            errors: .file(log)
        )
        try lifeline.fileHandleForReading.close()
        for _ in 0..<3000 {
            if isReady(mark) { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ServerFault(message: "\(command) did not start: \(text)")
    }

    deinit {
        try? lifeline.fileHandleForWriting.close()
        _ = try? child.wait(upTo: 60)
    }

    /// What it printed so far.
    public var text: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

    /// Whether it printed a whole line with the mark: a server may print the port after it in a write of its own.
    private func isReady(_ mark: String) -> Bool {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        return lines.dropLast().contains { $0.contains(mark) }
    }

    /// The number that ends the first line with a mark in it, up to a quote.
    ///
    /// - Parameter mark: Text before the number.
    /// - Returns: The number, as a port is.
    /// - Throws: Where there is none.
    public func port(after mark: String) throws -> Int {
        let line = text.split(whereSeparator: \.isNewline).first { $0.contains(mark) } ?? ""
        let rest = line.components(separatedBy: mark).last ?? ""
        let digits = rest.prefix { !"\",".contains($0) }.split { ": ".contains($0) }.last ?? ""
        guard let port = Int(digits) else { throw ServerFault(message: "no port in \"\(line)\"") }
        return port
    }
}

/// A server of a test that cannot be had.
public struct ServerFault: Error, CustomStringConvertible {
    let message: String
    /// What went wrong.
    public var description: String { message }
}
