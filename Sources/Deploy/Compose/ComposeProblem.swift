// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax

/// A place in one of the files that a project is read from.
public struct ComposePlace: Hashable, Sendable {
    /// Which file: an index into ``ComposeProject/sources``.
    public let source: Int
    /// The part of its text.
    public let range: SourceRange

    /// A place.
    ///
    /// - Parameters:
    ///   - source: Which file, an index.
    ///   - range: The part of its text.
    public init(_ source: Int, _ range: SourceRange) { (self.source, self.range) = (source, range) }
}

/// A fault or a doubtful place in a compose file.
public struct ComposeProblem: Hashable, Sendable {
    /// Where it is.
    public let place: ComposePlace
    /// What it is, the key in its message; its range is that of the place.
    public let diagnostic: Diagnostic

    /// Whether nothing can be deployed because of it.
    public var isError: Bool { diagnostic.severity == .error }

    /// A problem.
    ///
    /// - Parameters:
    ///   - severity: How bad it is.
    ///   - message: One line with the key in it, no full stop.
    ///   - place: Where it is.
    ///   - notes: What to do, a line each.
    public init(_ severity: Diagnostic.Severity, _ message: String, at place: ComposePlace, notes: [String] = []) {
        self.place = place
        diagnostic = Diagnostic(severity, message, at: place.range, notes: notes.map { Diagnostic.Note($0) })
    }
}

/// The files of a project cannot be taken: all that is wrong with them, in the order of their places.
public struct ComposeError: Error, Sendable {
    /// What is wrong, warnings among it; at least one error.
    public let problems: [ComposeProblem]
    /// The files that the places are in.
    public let sources: [SourceText]
}

/// Collects what is said about the files of a project while they are read.
///
/// A class, as everything that reads adds to the one list; it never leaves the call that made it.
final class ComposeReport {
    private(set) var sources: [SourceText] = []
    /// The folder that relative paths in each file start from.
    private(set) var folders: [String] = []
    private(set) var problems: [ComposeProblem] = []
    /// Values that aliases may make of a small file without end.
    private(set) var valuesLeft = 200_000

    func add(_ source: SourceText, folder: String) -> Int {
        sources.append(source)
        folders.append(folder)
        return sources.count - 1
    }

    func count() -> Bool {
        valuesLeft -= 1
        return valuesLeft >= 0
    }

    func error(_ message: String, at place: ComposePlace, notes: [String] = []) {
        add(ComposeProblem(.error, message, at: place, notes: notes))
    }

    func warn(_ message: String, at place: ComposePlace, notes: [String] = []) {
        add(ComposeProblem(.warning, message, at: place, notes: notes))
    }

    /// What comes by an alias or `extends` is found as often as it is used, and told once.
    private func add(_ problem: ComposeProblem) {
        if problem.isError { hasErrors = true }
        // A hostile file has any number of faults; the first of them are enough.
        let room = problem.isError ? 400 : 200
        if problems.count < room, !problems.contains(problem) { problems.append(problem) }
    }

    private(set) var hasErrors = false

    /// Ends reading where there are errors.
    func check() throws(ComposeError) {
        if hasErrors { throw ComposeError(problems: sorted, sources: sources) }
    }

    var sorted: [ComposeProblem] { problems.inOrder }
}

extension [ComposeProblem] {
    /// In the order of their places.
    var inOrder: [ComposeProblem] {
        enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }.map(\.element)
    }
}

extension ComposeProblem {
    fileprivate struct Order: Comparable {
        let source: Int
        let start: Int

        static func < (one: Order, other: Order) -> Bool {
            one.source == other.source ? one.start < other.start : one.source < other.source
        }
    }

    fileprivate var order: Order { Order(source: place.source, start: place.range.start) }
}
