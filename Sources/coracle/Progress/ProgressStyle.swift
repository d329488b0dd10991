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
        case .json:
            Output.speakJSON()
            return JSONProgress()
        case .tty: return TerminalProgress()
        case .auto: return isatty(2) == 1 && Environment.all["NO_COLOR"] == nil ? TerminalProgress() : PlainProgress()
        }
    }
}

/// How the progress of a build is shown, in docker's words too.
struct BuildProgressStyle: CustomStringConvertible {
    var style = ProgressStyle.auto
    var isQuiet = false

    var description: String { isQuiet ? "quiet" : style.rawValue }

    /// As the terminal suggests.
    init() {}

    init(_ text: String) throws(ExitReason) {
        if text == "quiet" || text == "none" {
            isQuiet = true
        } else if let style = ProgressStyle(rawValue: text) {
            self.style = style
        } else {
            let own = text == "rawjson" ? "BuildKit's own form, which is not written" : "not known"
            throw ExitReason(
                .usage,
                "\(text) is \(own): expected auto, plain, tty, json (docs/formats.md has its members) or quiet"
            )
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

    /// Shows what was built.
    func show(_ report: BuildReport)

    /// Says that no event comes any more.
    func finish()
}

extension ProgressView {
    func show(_ report: BuildReport) {
        if !report.names.isEmpty { Output.note("built \(report.names.joined(separator: ", "))") }
    }
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
    func show(_ report: BuildReport) { Output.note(report.json) }
    func show(line: String) { Output.note(DeployImage.json(line: line)) }
    func finish() {}
}
