// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit
internal import Glibc

/// How progress is shown.
enum ProgressStyle: String, ExpressibleByArgument, CaseIterable {
    case auto
    case plain
    case tty
    case json

    /// The view of a build.
    func view(isQuiet: Bool) -> any ProgressView {
        if isQuiet { return NoProgress() }
        switch self {
        case .plain: return PlainProgress()
        case .json: return JSONProgress()
        case .tty: return TerminalProgress()
        case .auto: return isatty(2) == 1 && Environment.all["NO_COLOR"] == nil ? TerminalProgress() : PlainProgress()
        }
    }
}

/// Shows what a build does, on standard error.
protocol ProgressView: Sendable {
    /// Shows an event; events come one at a time.
    func show(_ event: BuildProgress)

    /// Shows what a transfer does; events come from any thread.
    func show(_ event: TransferProgress)

    /// Shows a line that stays, from any thread.
    func show(line: String)

    /// Says that no event comes any more.
    func finish()
}

/// Shows nothing.
struct NoProgress: ProgressView {
    func show(line: String) {}
    func show(_ event: BuildProgress) {}
    func show(_ event: TransferProgress) {}
    func finish() {}
}

/// One line of JSON for each event, as docs/formats.md has them.
struct JSONProgress: ProgressView {
    func show(_ event: BuildProgress) { Output.note(event.json) }
    func show(_ event: TransferProgress) { Output.note(event.json) }
    func show(line: String) { Output.note(DeployImage.json(line: line)) }
    func finish() {}
}
