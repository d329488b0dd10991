// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
public import DockerfileSyntax

/// Diagnostics for people: place, message, the line with a caret under it, notes.
public enum DiagnosticText {
    /// Columns of an excerpt; a longer line is cut around the caret.
    private static let width = 110
    /// No more than this many are shown of one file.
    private static let most = 200

    /// Writes all diagnostics of a file.
    ///
    /// - Parameters:
    ///   - diagnostics: In the order they are shown.
    ///   - source: The text they are about.
    /// - Returns: Lines, each with its line break; empty where there are no diagnostics.
    public static func write(_ diagnostics: [Diagnostic], in source: SourceText) -> String {
        var text = diagnostics.prefix(most).map { write($0, in: source) }.joined()
        if diagnostics.count > most { text += "\(visible(source.name)): and \(diagnostics.count - most) more\n" }
        return text
    }

    /// Writes why a build failed, where the Dockerfile asks for it.
    static func write(_ error: BuildError, in source: SourceText) -> String {
        guard let range = error.range else { return "error: \(visible(error.message))\n" }
        let notes = error.notes.map { Diagnostic.Note($0) }
        return write(Diagnostic(.error, error.message, at: range, notes: notes), in: source)
    }

    private static func write(_ diagnostic: Diagnostic, in source: SourceText) -> String {
        let place = source.position(of: diagnostic.range.start)
        let rule = diagnostic.rule.map { " [\($0.name)]" } ?? ""
        var text = "\(visible(source.name)):\(place.line):\(place.column): \(diagnostic.severity.rawValue): "
        text += visible(diagnostic.message) + rule + "\n"
        text += excerpt(diagnostic.range, place, in: source)
        for note in diagnostic.notes {
            let where_ = note.range.map { " (line \(source.line(at: $0.start)))" } ?? ""
            // Of a note with several lines, as the end of a log is one, each is cleaned for itself.
            let lines = note.message.split(separator: "\n", omittingEmptySubsequences: false)
            text += "   note: \(lines.map { visible(String($0)) }.joined(separator: "\n   "))\(where_)\n"
        }
        return text
    }

    /// A diagnostic in one line without its file: `MaintainerDeprecated: MAINTAINER is deprecated (line 3)`.
    static func line(_ diagnostic: Diagnostic, in source: SourceText) -> String {
        let rule = diagnostic.rule.map { "\($0.name): " } ?? ""
        return "\(rule)\(visible(diagnostic.message)) (line \(source.line(at: diagnostic.range.start)))"
    }

    /// What a build says of a Dockerfile at its end, as `docker build` does.
    ///
    /// - Parameter warnings: One line each.
    /// - Returns: How many there are, and each on a line; empty where there are none.
    public static func summary(of warnings: [String]) -> String {
        if warnings.isEmpty { return "" }
        let count = warnings.count == 1 ? "1 warning found" : "\(warnings.count) warnings found"
        var text = "\(count) (coracle check shows the lines, and what to do):\n"
        text += warnings.prefix(most).map { " - \($0)\n" }.joined()
        if warnings.count > most { text += " - and \(warnings.count - most) more\n" }
        return text
    }

    private static func excerpt(_ range: SourceRange, _ place: SourcePosition, in source: SourceText) -> String {
        let line = Array(RemoteLogin.covered(source.text(ofLine: place.line)).unicodeScalars)
        guard !line.isEmpty else { return "" }
        let caret = min(place.column - 1, line.count)
        let start = line.count > width ? max(0, min(caret - width / 2, line.count - width)) : 0
        let end = min(line.count, start + width)
        let number = String(place.line)
        let margin = String(repeating: " ", count: max(5, number.utf8.count))
        let shown = text(line[start..<end])
        // Tabs stay tabs, so that the caret stands under its column.
        let lead = String(String.UnicodeScalarView(line[start..<caret].map { $0 == "\t" ? "\t" : " " }))
        let sameLine = source.line(at: max(range.start, range.end - 1)) == place.line
        let length = sameLine ? columns(range, in: source) : end - caret
        let tail = String(repeating: "~", count: max(0, min(length, end - caret) - 1))
        let (before, after) = (start > 0 ? "…" : "", end < line.count ? "…" : "")
        let pad = String(repeating: " ", count: margin.utf8.count - number.utf8.count)
        let gap = start > 0 ? " " : ""
        return "\(pad)\(number) | \(before)\(shown)\(after)\n\(margin) | \(gap)\(lead)^\(tail)\n"
    }

    private static func columns(_ range: SourceRange, in source: SourceText) -> Int {
        source.text(of: range).unicodeScalars.count
    }

    private static func text(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        visible(String(String.UnicodeScalarView(scalars)))
    }

    /// Messages as a terminal may be given them: names of files and words of servers can hold anything.
    ///
    /// - Parameter text: Any number of lines.
    /// - Returns: The same lines, with U+FFFD in the place of each control character.
    public static func message(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { isControl($0) && $0 != "\n" }) else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { visible(String($0)) }
            .joined(separator: "\n")
    }

    /// A text without characters that would move a terminal's cursor or change its colours.
    static func visible(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? "\u{FFFD}" : $0 }))
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        (scalar.value < 0x20 && scalar != "\t") || (0x7F...0x9F).contains(scalar.value)
    }
}
