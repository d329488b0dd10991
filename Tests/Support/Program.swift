// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A program that ran to its end.
public struct Program: Sendable {
    /// The exit status; 128 and the signal's number for a program that a signal ended.
    public let status: Int32
    /// Everything on standard output.
    public let output: String
    /// Everything on standard error.
    public let errors: String

    /// `coracle`, as this test run built it.
    public static let coracle = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "coracle")

    /// Runs a program and waits for it.
    ///
    /// - Parameters:
    ///   - arguments: Its arguments, in order.
    ///   - program: Its file.
    ///   - input: What it reads from standard input.
    ///   - folder: Where it runs; the project's root by default.
    ///   - environment: Variables to set, besides those of the test.
    /// - Returns: Status and output.
    /// - Throws: ``ServerFault`` where it cannot be started, or does not end in ten minutes.
    public static func run(
        _ arguments: [String],
        of program: URL = coracle,
        input: String = "",
        in folder: URL = ConformanceData.projectRoot,
        environment: [String: String] = [:]
    ) throws -> Program {
        let scratch = try TemporaryFolder()
        let files = ["in", "out", "err"].map { scratch.url.appending(path: $0) }
        try Data(input.utf8).write(to: files[0])
        // Files, not pipes: a program that fills one pipe while we read the other would never end.
        let child = try Child(
            arguments,
            of: program,
            in: folder,
            environment: environment,
            input: .file(files[0]),
            output: .file(files[1]),
            errors: .file(files[2])
        )
        let text = { (file: URL) in String(decoding: try Data(contentsOf: file), as: UTF8.self) }
        let status: Int32
        do {
            switch try child.wait() {
            case .exited(let code): status = code
            case .killed(let signal): status = 128 + signal
            }
        } catch let fault as ServerFault {
            throw ServerFault(message: "\(fault)It had printed:\n\(try text(files[1]))\n\(try text(files[2]))")
        }
        return Program(status: status, output: try text(files[1]), errors: try text(files[2]))
    }

    /// Makes a file that is a program, and the folders it lies in.
    ///
    /// What this process wrote to cannot be executed for as long as a child of another thread has the descriptor, which
    /// it has from its fork on until it executes a program; so that a program writes the file, which has no such children.
    ///
    /// - Parameters:
    ///   - source: What is copied.
    ///   - target: Where to.
    /// - Throws: ``NotInstalled`` where it cannot be written.
    public static func install(_ source: URL, at target: URL) throws {
        let words = ["-D", "-m", "755", source.path, target.path]
        let run = try run(words, of: URL(filePath: "/usr/bin/install"))
        guard run.status == 0 else { throw NotInstalled(reason: run.errors) }
    }

    /// Makes a script that can be executed, as ``install(_:at:)-(URL,_)`` does.
    ///
    /// - Parameters:
    ///   - script: What it holds.
    ///   - target: Where to.
    /// - Returns: The target.
    /// - Throws: ``NotInstalled`` where it cannot be written.
    @discardableResult
    public static func install(_ script: String, at target: URL) throws -> URL {
        let scratch = try TemporaryFolder()
        try install(try scratch.write("script", script), at: target)
        return target
    }

    /// Why a program could not be made.
    public struct NotInstalled: Error {
        let reason: String
    }

    /// Where a program is, by its name; `nil` where it is not installed.
    ///
    /// - Parameter name: As a shell finds it.
    /// - Returns: Its file.
    public static func named(_ name: String) -> URL? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return (folders + ["/usr/sbin", "/sbin"]).map { URL(filePath: String($0)).appending(path: name) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }
}

/// A folder that is removed with the last reference to it.
public final class TemporaryFolder: Sendable {
    /// Where it is.
    public let url: URL

    /// Makes a folder.
    ///
    /// - Throws: Where none can be made.
    public init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "coracle-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    /// Writes a file, and the folders it lies in.
    ///
    /// - Parameters:
    ///   - path: Relative to the folder.
    ///   - text: What it holds.
    /// - Returns: Where it is.
    /// - Throws: Where it cannot be written.
    @discardableResult
    public func write(_ path: String, _ text: String) throws -> URL {
        let file = url.appending(path: path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return file
    }
}
